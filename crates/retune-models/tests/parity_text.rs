//! Text families equal Hugging Face on tiny random models: outputs, losses and gradients (`fixtures/parity`).

mod common;

use common::{case, check, difference, fixture, hidden_states, inputs, load_options, with_labels};
use retune_kernels::loss;
use retune_kernels::tch::{Device, Tensor};
use retune_models::heads::{
    LOGIT_POSITIONS, MASKED_WORDS, QUESTION_ANSWERING, SEQUENCE_CLASSIFICATION, TOKEN_CLASSIFICATION,
};
use retune_models::registry::purposes_of_class;
use retune_models::{LoadOptions, LoadedModel, LoraPlan, Mode};

#[test]
fn every_text_family_equals_hugging_face() {
    for name in [
        "bert-sequence-classification",
        "bert-gelu-new",
        "bert-relu",
        "bert-multi-label",
        "bert-regression",
        "roberta-sequence-classification",
        "xlm-roberta-sequence-classification",
        "distilbert-sequence-classification",
        "electra-sequence-classification",
        "electra-without-projection",
        "albert-sequence-classification",
        "albert-one-group",
        "mpnet-sequence-classification",
        "modernbert-sequence-classification",
        "modernbert-mean-pooling",
        "deberta-v2-sequence-classification",
        "deberta-v2-convolution",
        "deberta-v2-content-to-position",
    ] {
        println!("{name}");
        let folder = fixture(&format!("parity/{name}"));
        let loaded = LoadedModel::load(&folder, &load_options(&SEQUENCE_CLASSIFICATION)).unwrap();
        assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
        check(&loaded, &case(&format!("parity/{name}/case.safetensors")), |name| format!("grad.{name}"));
    }
}

#[test]
fn every_head_for_texts_equals_hugging_face_on_every_family() {
    for family in
        ["bert", "roberta", "xlm-roberta", "distilbert", "electra", "albert", "mpnet", "modernbert", "deberta-v2"]
    {
        for purpose in [&TOKEN_CLASSIFICATION, &QUESTION_ANSWERING] {
            let name = format!("{family}-{}", purpose.key);
            println!("{name}");
            let loaded = LoadedModel::load(&fixture(&format!("parity/{name}")), &load_options(purpose)).unwrap();
            assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
            assert_eq!(purposes_of_class(&loaded.config), [purpose]);
            check(&loaded, &case(&format!("parity/{name}/case.safetensors")), |name| format!("grad.{name}"));
        }
    }
}

/// Models with a head of masked words.
const MASKED: &[&str] = &[
    "bert-masked-lm",
    "bert-masked-lm-untied",
    "roberta-masked-lm",
    "roberta-masked-lm-relu",
    "xlm-roberta-masked-lm",
    "camembert-masked-lm",
    "distilbert-masked-lm",
    "distilbert-masked-lm-untied",
    "electra-masked-lm",
    "albert-masked-lm",
    "mpnet-masked-lm",
    "modernbert-masked-lm",
    "modernbert-masked-lm-without-bias",
    "deberta-v2-masked-lm",
    "deberta-v2-masked-lm-own-head",
    "deberta-v2-masked-lm-convolution",
];

#[test]
fn masked_words_equal_hugging_face_on_every_family() {
    for &name in MASKED {
        println!("{name}");
        let folder = fixture(&format!("parity/{name}"));
        let loaded = LoadedModel::load(&folder, &load_options(&MASKED_WORDS)).unwrap();
        assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
        assert_eq!(purposes_of_class(&loaded.config), [&MASKED_WORDS]);
        assert_eq!(
            loaded.network.token_table().is_some(),
            name.ends_with("untied") || name.ends_with("without-bias"),
            "{name}"
        );
        check(&loaded, &case(&format!("parity/{name}/case.safetensors")), |name| format!("grad.{name}"));

        // Tied tensors are stored once, as transformers does it.
        let saved = tempfile::tempdir().unwrap();
        loaded.save(saved.path(), "").unwrap();
        let stored = retune_models::checkpoint::read_tensors(&saved.path().join("model.safetensors")).unwrap();
        let original = common::case(&format!("parity/{name}/model.safetensors"));
        assert!(stored.keys().eq(original.keys()), "{name}");
        assert!(stored.iter().all(|(name, tensor)| *tensor == original[name]), "{name}");
    }
}

/// Where only some places are asked for, the loss over them has the gradients of the whole.
#[test]
fn logits_of_chosen_places_are_enough() {
    for &name in MASKED {
        let loaded = LoadedModel::load(&fixture(&format!("parity/{name}")), &load_options(&MASKED_WORDS)).unwrap();
        let case = case(&format!("parity/{name}/case.safetensors"));
        let mut inputs = inputs(&case);
        let labels = case["input.labels"].shallow_clone();
        let whole = common::logits(&loaded, &inputs, &Mode::evaluation());
        let rows: Vec<Vec<i64>> = (0..labels.size()[0])
            .map(|row| Vec::<i64>::try_from(labels.get(row).ne(loss::IGNORE_INDEX).nonzero().squeeze_dim(1)).unwrap())
            .collect();
        let most = rows.iter().map(Vec::len).max().unwrap();
        assert!(rows.iter().any(|row| row.len() < most), "every row has as many places");
        let filled: Vec<i64> =
            rows.iter().flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(-1, most - row.len()))).collect();
        inputs.insert(LOGIT_POSITIONS, Tensor::from_slice(&filled).view([rows.len() as i64, most as i64]));
        let counted = labels.ne(loss::IGNORE_INDEX);
        let words = labels.masked_select(&counted).to_device(common::test_device());
        let picked = common::logits(&loaded, &inputs, &Mode::evaluation());
        let expected = whole.index(&[Some(counted.to_device(common::test_device()))]);
        assert!(difference(&picked, &expected) < 1e-6, "{name}");

        let trained = common::logits(&loaded, &inputs, &Mode::training(0));
        let summed = loss::cross_entropy(&trained, &words, None, 0.0);
        let mean = summed.sum / summed.weight;
        assert!(difference(&mean.view([1]), &case["train.loss"].view([1])) < 1e-5, "{name}");
        mean.backward();
        for param in loaded.params.trainable() {
            let worst = difference(&param.gradient().unwrap(), &case[&format!("grad.{}", param.name)]);
            assert!(worst < 1e-5, "{name}, {}: {worst}", param.name);
        }
    }
}

/// transformers does not tie what a checkpoint holds twice with different values.
#[test]
fn tied_tensors_that_differ_in_the_file_are_not_tied() {
    let source = fixture("parity/bert-masked-lm");
    let load = |change: &dyn Fn(&mut std::collections::BTreeMap<String, Tensor>)| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(source.join("config.json"), folder.path().join("config.json")).unwrap();
        let mut tensors = case("parity/bert-masked-lm/model.safetensors");
        change(&mut tensors);
        let list: Vec<_> = tensors.into_iter().collect();
        retune_models::checkpoint::write_tensors(&folder.path().join("model.safetensors"), &list).unwrap();
        LoadedModel::load(folder.path(), &load_options(&MASKED_WORDS)).unwrap()
    };
    let (table, matrix) = ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight");
    let (outer, inner) = ("cls.predictions.bias", "cls.predictions.decoder.bias");
    let twice = load(&|tensors| {
        tensors.insert(matrix.into(), tensors[table].copy());
        tensors.insert(inner.into(), tensors[outer].copy());
    });
    assert!(twice.report.unexpected.is_empty() && twice.report.notes.is_empty(), "{:?}", twice.report);
    assert!(twice.network.token_table().is_none());
    assert!(twice.params.iter().all(|param| param.name != matrix && param.name != inner));
    // Stored under the other name alone.
    let renamed = load(&|tensors| {
        let bias = tensors.remove(outer).unwrap();
        tensors.insert(inner.into(), bias);
    });
    assert!(renamed.report.unexpected.is_empty() && renamed.report.new.is_empty(), "{:?}", renamed.report);
    let other = load(&|tensors| {
        tensors.insert(matrix.into(), &tensors[table] * 2.0);
        tensors.insert(inner.into(), &tensors[outer] * 2.0);
    });
    assert_eq!(other.report.notes.len(), 2, "{:?}", other.report);
    let inputs = inputs(&case("parity/bert-masked-lm/case.safetensors"));
    let logits = |loaded: &LoadedModel| common::logits(loaded, &inputs, &Mode::evaluation());
    assert!(difference(&logits(&other), &(logits(&twice) * 2.0)) < 1e-5);
}

/// Tensors of the same name and size do not mean the same in another class.
#[test]
fn the_head_of_another_purpose_is_not_kept() {
    let folder = fixture("parity/bert-token-classification");
    let names = LoadedModel::load(&folder, &load_options(&TOKEN_CLASSIFICATION)).unwrap().labels();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let same = LoadedModel::load(&folder, &with_labels(&TOKEN_CLASSIFICATION, &names)).unwrap();
    assert!(same.report.new.is_empty(), "{:?}", same.report);
    let other = LoadedModel::load(&folder, &with_labels(&SEQUENCE_CLASSIFICATION, &names)).unwrap();
    let reason = |name: &str| &other.report.new.iter().find(|new| new.name == name).unwrap().reason;
    assert!(reason("classifier.weight").contains("BertForTokenClassification"), "{:?}", other.report);
    assert!(reason("bert.pooler.dense.weight").contains("not in the checkpoint"), "{:?}", other.report);
    assert_eq!(other.config.architecture(), Some("BertForSequenceClassification"));
}

/// Hugging Face makes as many outputs as there are labels.
#[test]
fn labels_of_an_earlier_head_do_not_outlive_it_in_a_model_that_answers_questions() {
    let folder = fixture("parity/bert-sequence-classification");
    let options = LoadOptions { new_head: true, ..load_options(&QUESTION_ANSWERING) };
    let loaded = LoadedModel::load(&folder, &options).unwrap();
    let new: Vec<&str> = loaded.report.new.iter().map(|new| new.name.as_str()).collect();
    assert_eq!(new, ["qa_outputs.weight", "qa_outputs.bias"]);
    assert!(loaded.params.iter().filter(|param| param.head).all(|param| param.name.starts_with("qa_outputs.")));
    let saved = tempfile::tempdir().unwrap();
    loaded.save(saved.path(), "").unwrap();
    let again = LoadedModel::load(saved.path(), &load_options(&QUESTION_ANSWERING)).unwrap();
    assert_eq!((again.config.label_count(), again.config.labels()), (2, None));
    assert_eq!(again.config.architecture(), Some("BertForQuestionAnswering"));
}

#[test]
fn adapters_equal_peft() {
    for name in ["bert-lora", "bert-rslora"] {
        let options = load_options(&SEQUENCE_CLASSIFICATION);
        let adapter = fixture(&format!("peft/{name}"));
        let mut loaded = LoadedModel::load_adapter(&adapter, &fixture("parity/bert-base-only"), &options).unwrap();
        for param in loaded.params.iter_mut() {
            let trains = param.name.contains(".lora_") || param.name.starts_with("classifier.");
            param.set_trainable(trains);
        }
        let case = case(&format!("peft/{name}/case.safetensors"));
        check(&loaded, &case, |name| format!("grad.base_model.model.{name}"));

        // Saved again, the file holds the same tensors under the same keys.
        let folder = tempfile::tempdir().unwrap();
        for param in loaded.params.iter_mut() {
            param.head = param.name.starts_with("classifier.");
        }
        loaded.save(folder.path(), "../../parity/bert-base-only").unwrap();
        let saved = retune_models::checkpoint::read_tensors(&folder.path().join("adapter_model.safetensors")).unwrap();
        let original = common::case(&format!("peft/{name}/adapter_model.safetensors"));
        assert!(saved.keys().eq(original.keys()));
        assert!(saved.iter().all(|(name, tensor)| *tensor == original[name]));
        assert_eq!(LoraPlan::load(folder.path()).unwrap().scale(), LoraPlan::load(&adapter).unwrap().scale());
    }
    let dora = LoraPlan::load(&fixture("peft/bert-dora")).unwrap_err().to_string();
    assert!(dora.contains("use_dora"), "{dora}");
}

#[test]
fn a_base_checkpoint_gets_a_new_head_and_says_so() {
    let folder = fixture("parity/bert-base-only");
    let mut options = load_options(&SEQUENCE_CLASSIFICATION);
    let error = LoadedModel::load(&folder, &options).err().unwrap().to_string();
    assert!(error.contains("classifier.weight"), "{error}");
    let names = ["a", "b", "c", "d"];
    options = with_labels(&SEQUENCE_CLASSIFICATION, &names);
    let loaded = LoadedModel::load(&folder, &options).unwrap();
    let new: Vec<&str> = loaded.report.new.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(new, ["classifier.weight", "classifier.bias"]);
    assert_eq!(loaded.labels(), names);
    let case = case("parity/bert-base-only/case.safetensors");
    let hidden = hidden_states(&loaded, &case);
    assert!(difference(&hidden, &case["output.last_hidden_state"]) < 1e-5);
}

#[test]
fn a_head_of_another_size_is_made_anew_and_saving_round_trips() {
    let folder = fixture("parity/bert-sequence-classification");
    let mut options = LoadOptions { new_head: false, ..with_labels(&SEQUENCE_CLASSIFICATION, &["x", "y"]) };
    assert!(LoadedModel::load(&folder, &options).is_err());
    options.new_head = true;
    let loaded = LoadedModel::load(&folder, &options).unwrap();
    assert_eq!(loaded.report.new.len(), 2);
    assert!(loaded.report.new[0].reason.contains("[3, 32] in the checkpoint, [2, 32]"), "{:?}", loaded.report.new);

    let saved = tempfile::tempdir().unwrap();
    loaded.save(saved.path(), "").unwrap();
    let again = LoadedModel::load(saved.path(), &load_options(&SEQUENCE_CLASSIFICATION)).unwrap();
    assert_eq!(again.labels(), ["x", "y"]);
    let resaved = tempfile::tempdir().unwrap();
    again.save(resaved.path(), "").unwrap();
    for file in ["model.safetensors", "config.json"] {
        let read = |folder: &std::path::Path| std::fs::read(folder.join(file)).unwrap();
        assert_eq!(read(saved.path()), read(resaved.path()), "{file}");
    }
    let original: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    for (field, value) in original.as_object().unwrap() {
        let labels = ["id2label", "label2id", "problem_type", "num_labels"].contains(&field.as_str());
        assert!(labels || again.config.as_map().get(field) == Some(value), "{field} was lost or changed");
    }
}

#[test]
fn a_missing_tensor_names_its_nearest_neighbour() {
    let folder = tempfile::tempdir().unwrap();
    let source = fixture("parity/bert-sequence-classification");
    std::fs::copy(source.join("config.json"), folder.path().join("config.json")).unwrap();
    let mut tensors = case("parity/bert-sequence-classification/model.safetensors");
    let moved = tensors.remove("bert.encoder.layer.1.output.dense.weight").unwrap();
    tensors.insert("bert.encoder.layer.1.output.dens.weight".into(), moved);
    let list: Vec<_> = tensors.into_iter().collect();
    retune_models::checkpoint::write_tensors(&folder.path().join("model.safetensors"), &list).unwrap();
    let mut options = load_options(&SEQUENCE_CLASSIFICATION);
    options.new_head = true;
    let error = LoadedModel::load(folder.path(), &options).err().unwrap().to_string();
    assert!(error.contains("layer.1.output.dense.weight (nearest: bert.encoder.layer.1.output.dens"), "{error}");
}

#[test]
fn a_base_model_alone_equals_hugging_face() {
    for name in ["bert-base-only", "roberta-base-only"] {
        let options = LoadOptions { head: None, ..load_options(&SEQUENCE_CLASSIFICATION) };
        let loaded = LoadedModel::load(&fixture(&format!("parity/{name}")), &options).unwrap();
        assert!(loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
        let case = case(&format!("parity/{name}/case.safetensors"));
        let outputs = loaded.network.forward(&inputs(&case), &Mode::evaluation()).unwrap();
        assert!(difference(&hidden_states(&loaded, &case), &case["output.last_hidden_state"]) < 1e-5, "{name}");
        let pooled = outputs.get("pooler_output").unwrap();
        assert!(difference(pooled, &case["output.pooler_output"]) < 1e-5, "{name}");
    }
}

#[test]
fn a_head_is_kept_only_where_its_labels_are_the_task_s() {
    let folder = fixture("parity/bert-sequence-classification");
    let original = case("parity/bert-sequence-classification/model.safetensors");
    let load = |folder: &std::path::Path, names: [&str; 3]| {
        LoadedModel::load(folder, &with_labels(&SEQUENCE_CLASSIFICATION, &names)).unwrap()
    };
    let kept = |loaded: &LoadedModel| {
        ["classifier.weight", "classifier.bias"].map(|name| {
            loaded.params.iter().find(|param| param.name == name).unwrap().value().unwrap().to_device(Device::Cpu)
                == original[name]
        })
    };
    let same = load(&folder, ["Negative", "NEUTRAL", "positive"]);
    assert_eq!((kept(&same), same.report.new.len(), same.report.notes.len()), ([true; 2], 0, 0));

    for names in [["positive", "neutral", "negative"], ["a", "b", "c"]] {
        let other = load(&folder, names);
        assert!(!kept(&other)[0], "{names:?}");
        let new: Vec<&str> = other.report.new.iter().map(|new| new.name.as_str()).collect();
        assert_eq!(new, ["classifier.weight", "classifier.bias"]);
        assert!(other.report.new[0].reason.contains("negative, neutral, positive"), "{:?}", other.report.new);
        assert!(other.report.new[0].reason.contains(&names.join(", ")), "{:?}", other.report.new);
        assert_eq!(other.labels(), names);
    }

    let unnamed = tempfile::tempdir().unwrap();
    std::fs::copy(folder.join("model.safetensors"), unnamed.path().join("model.safetensors")).unwrap();
    let mut config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    config["id2label"] = serde_json::json!({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"});
    config["label2id"] = serde_json::json!({"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2});
    std::fs::write(unnamed.path().join("config.json"), config.to_string()).unwrap();
    let unnamed = load(unnamed.path(), ["a", "b", "c"]);
    assert_eq!((kept(&unnamed), unnamed.report.new.len()), ([true; 2], 0));
    assert!(unnamed.report.notes.iter().any(|note| note.contains("kept") && note.contains("a, b, c")));
}

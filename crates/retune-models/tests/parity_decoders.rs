//! Decoders equal Hugging Face on tiny random models: outputs, losses and gradients (`fixtures/parity`).

mod common;

use common::{case, check, difference, fixture, load_options, test_device};
use retune_kernels::tch::{Tensor, no_grad};
use retune_models::checkpoint::read_tensors;
use retune_models::heads::{CAUSAL_LM, QUESTION_ANSWERING, SEQUENCE_CLASSIFICATION, TOKEN_CLASSIFICATION};
use retune_models::registry::purposes_of_class;
use retune_models::{LoadOptions, LoadedModel, LoraPlan, Mode, Purpose, Tensors};

const FOR_NEXT_TOKENS: [&str; 18] = [
    "llama-causal-lm",
    "llama-tied",
    "llama-linear",
    "llama-dynamic",
    "llama-yarn",
    "llama-llama3",
    "mistral-causal-lm",
    "qwen2-causal-lm",
    "qwen3-causal-lm",
    "gemma-causal-lm",
    "gemma2-causal-lm",
    "gemma3-causal-lm",
    "phi3-causal-lm",
    "phi3-longrope",
    "gpt-neox-causal-lm",
    "gpt-neox-in-sequence",
    "gpt2-causal-lm",
    "gpt2-untied",
];

fn load(name: &str) -> LoadedModel {
    let loaded = LoadedModel::load(&fixture(&format!("parity/{name}")), &load_options(&CAUSAL_LM)).unwrap();
    assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
    loaded
}

#[test]
fn every_decoder_equals_hugging_face() {
    for name in FOR_NEXT_TOKENS {
        println!("{name}");
        let loaded = load(name);
        assert_eq!(purposes_of_class(&loaded.config), [&CAUSAL_LM]);
        check(&loaded, &case(&format!("parity/{name}/case.safetensors")), |name| format!("grad.{name}"));
    }
}

#[test]
fn sequences_are_classified_by_their_last_token() {
    for name in ["llama-sequence-classification", "gemma3-sequence-classification", "gpt2-sequence-classification"] {
        println!("{name}");
        let options = load_options(&SEQUENCE_CLASSIFICATION);
        let loaded = LoadedModel::load(&fixture(&format!("parity/{name}")), &options).unwrap();
        assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
        check(&loaded, &case(&format!("parity/{name}/case.safetensors")), |name| format!("grad.{name}"));
    }
}

const FOR_TEXTS: [(&str, &Purpose); 4] = [
    ("llama-token-classification", &TOKEN_CLASSIFICATION),
    ("gpt2-token-classification", &TOKEN_CLASSIFICATION),
    ("llama-question-answering", &QUESTION_ANSWERING),
    ("mistral-question-answering", &QUESTION_ANSWERING),
];

#[test]
fn tokens_and_answers_equal_hugging_face() {
    for (name, purpose) in FOR_TEXTS {
        println!("{name}");
        let from = fixture(&format!("parity/{name}"));
        let loaded = LoadedModel::load(&from, &load_options(purpose)).unwrap();
        assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
        assert_eq!(purposes_of_class(&loaded.config), [purpose]);
        check(&loaded, &case(&format!("parity/{name}/case.safetensors")), |name| format!("grad.{name}"));
        // What is saved has the names of Hugging Face's class.
        let folder = tempfile::tempdir().unwrap();
        loaded.save(folder.path(), "base").unwrap();
        let tensors = |folder: &std::path::Path| read_tensors(&folder.join("model.safetensors")).unwrap();
        let (ours, theirs) = (tensors(folder.path()), tensors(&from));
        assert!(ours.keys().eq(theirs.keys()) && ours.iter().all(|(name, tensor)| *tensor == theirs[name]), "{name}");
    }
}

/// Llama's class for question answering calls the decoder by another name than its other classes.
#[test]
fn a_decoder_is_found_by_either_of_its_names() {
    let loaded = |name: &str, options: &LoadOptions| LoadedModel::load(&fixture(&format!("parity/{name}")), options);
    let answers = LoadOptions { new_head: true, ..load_options(&QUESTION_ANSWERING) };
    let made = loaded("llama-causal-lm", &answers).unwrap();
    let new: Vec<&str> = made.report.new.iter().map(|new| new.name.as_str()).collect();
    assert_eq!(new, ["qa_outputs.weight", "qa_outputs.bias"]);
    assert!(made.params.iter().all(|param| param.head || param.name.starts_with("transformer.")));
    assert_eq!(made.config.architecture(), Some("LlamaForQuestionAnswering"));
    // transformers would begin with random weights there.
    let plan = LoraPlan::new(2, 4.0, 0.0, vec!["q_proj".to_owned()]).unwrap();
    let notes = |name: &str| {
        let options = LoadOptions { adapter: Some(plan.clone()), ..answers.clone() };
        loaded(name, &options).unwrap().report.notes
    };
    assert!(notes("llama-causal-lm").iter().any(|note| note.contains("`transformer.`") && note.contains("merge")));
    for name in ["llama-question-answering", "mistral-causal-lm"] {
        assert!(notes(name).is_empty(), "{name}: {:?}", notes(name));
    }
    let tags = common::with_labels(&TOKEN_CLASSIFICATION, &["O", "B-thing"]);
    let made = loaded("llama-question-answering", &tags).unwrap();
    let new: Vec<&str> = made.report.new.iter().map(|new| new.name.as_str()).collect();
    assert_eq!(new, ["score.weight", "score.bias"]);
    assert!(made.params.iter().all(|param| param.head || param.name.starts_with("model.")));
    // The dropout that the class assumes is one as any other.
    assert_eq!(made.config.probability("classifier_dropout").unwrap(), 0.1);
}

#[test]
fn heads_that_hugging_face_has_no_class_for_are_refused() {
    for (name, purpose, words) in [
        ("gemma3-causal-lm", &TOKEN_CLASSIFICATION, "token classification"),
        ("gemma2-causal-lm", &QUESTION_ANSWERING, "question answering"),
        ("phi3-causal-lm", &QUESTION_ANSWERING, "question answering"),
    ] {
        let options = LoadOptions { new_head: true, ..load_options(purpose) };
        let error = LoadedModel::load(&fixture(&format!("parity/{name}")), &options).err().unwrap().to_string();
        assert!(error.contains(&format!("is not supported for {words}")) && error.contains("llama"), "{error}");
    }
}

/// Positions tell where a document begins, as in transformers; none of them sees another.
#[test]
fn documents_in_one_row_are_what_they_are_alone() {
    for name in FOR_NEXT_TOKENS {
        println!("{name}");
        let (loaded, case) = (load(name), case(&format!("parity/{name}/case.safetensors")));
        let packed = |name: &str| case[&format!("packed.{name}")].to_device(test_device());
        let logits = |inputs: &Tensors| no_grad(|| common::logits(&loaded, inputs, &Mode::evaluation()));
        let (ids, positions) = (packed("input_ids"), packed("position_ids"));
        let together = logits(&Tensors::from([("input_ids", ids.shallow_clone()), ("position_ids", positions)]));
        let worst = difference(&together, &packed("logits"));
        assert!(worst < 1e-5, "{name}: {worst}");
        if name == "llama-dynamic" || name == "phi3-longrope" {
            continue; // Their angles are those of the longest text of a batch.
        }
        for (row, first, length) in [(0, 0, 4), (0, 4, 5), (1, 0, 1), (1, 1, 7), (1, 8, 1)] {
            let alone: Tensor = ids.narrow(0, row, 1).narrow(1, first, length);
            let alone = logits(&Tensors::from([("input_ids", alone)]));
            let worst = difference(&together.narrow(0, row, 1).narrow(1, first, length), &alone);
            assert!(worst < 1e-5, "{name}: {worst}");
        }
    }
}

#[test]
fn adapters_equal_peft_and_are_folded_into_their_base() {
    for (name, base) in [
        ("gpt2-lora", "gpt2-causal-lm"),
        ("llama-lora-all-linear", "llama-causal-lm"),
        ("llama-lora-lm-head", "llama-causal-lm"),
        ("llama-lora-whole", "llama-causal-lm"),
    ] {
        common::check_adapter(name, base, &CAUSAL_LM);
    }
}

/// What PEFT would make another model of, or would not find, is refused before anything learns.
#[test]
fn scores_are_adapted_where_they_are_named() {
    let made = |name: &str, targets: &[&str], whole: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let plan = LoraPlan::new(2, 4.0, 0.0, owned(targets)).unwrap().with_whole_modules(owned(whole));
        let options = LoadOptions { adapter: Some(plan), new_head: true, ..load_options(&CAUSAL_LM) };
        LoadedModel::load(&fixture(&format!("parity/{name}")), &options)
    };
    let has = |loaded: &LoadedModel| loaded.params.iter().any(|param| param.name == "lm_head.lora_B.weight");
    let tied = made("gpt2-causal-lm", &["c_attn", "lm_head"], &[]).unwrap();
    assert!(has(&tied) && tied.report.notes.iter().any(|note| note.contains("tied")), "{:?}", tied.report.notes);
    let untied = made("llama-causal-lm", &["lm_head"], &["embed_tokens"]).unwrap();
    assert!(has(&untied) && untied.params.iter().any(|param| param.head && param.name.contains("embed_tokens")));
    for (name, whole, problem) in [
        ("gpt2-causal-lm", "lm_head", "untie it first"),
        ("gpt2-causal-lm", "wte", "untie it first"),
        ("llama-causal-lm", "head", "no module called `head`"),
    ] {
        let error = made(name, &["all-linear"], &[whole]).err().unwrap().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

/// PEFT scores by the old table and reads a copy that learnt; one table cannot be both.
#[test]
fn a_copy_of_a_table_that_scores_are_tied_to_is_refused() {
    let plan = LoraPlan::new(2, 4.0, 0.0, vec!["c_attn".to_owned()]).unwrap();
    let options = LoadOptions { adapter: Some(plan), new_head: true, ..load_options(&CAUSAL_LM) };
    let base = fixture("parity/gpt2-causal-lm");
    let folder = tempfile::tempdir().unwrap();
    LoadedModel::load(&base, &options).unwrap().save(folder.path(), "base").unwrap();
    LoadedModel::load_adapter(folder.path(), &base, &load_options(&CAUSAL_LM)).unwrap();
    let path = folder.path().join("adapter_config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["modules_to_save"] = serde_json::json!(["wte"]);
    std::fs::write(&path, config.to_string()).unwrap();
    let error = LoadedModel::load_adapter(folder.path(), &base, &load_options(&CAUSAL_LM)).err().unwrap().to_string();
    assert!(error.contains("copy of `transformer.wte") && error.contains("merge the adapter"), "{error}");
}

/// A new adapter for a weight that is stored [in, out] says so, as PEFT does.
#[test]
fn a_new_adapter_tells_how_weights_are_stored() {
    for (name, targets, transposed) in [
        ("gpt2-causal-lm", &["c_attn"][..], true),
        ("llama-causal-lm", &["q_proj", "v_proj"], false),
        ("gpt2-causal-lm", &["all-linear"], true),
    ] {
        let plan = LoraPlan::new(2, 4.0, 0.0, targets.iter().map(|&one| one.to_owned()).collect()).unwrap();
        let options = LoadOptions { adapter: Some(plan), new_head: true, ..load_options(&CAUSAL_LM) };
        let loaded = LoadedModel::load(&fixture(&format!("parity/{name}")), &options).unwrap();
        assert!(loaded.params.iter().all(|param| !param.name.starts_with("lm_head.lora")), "no adapter beside scores");
        let folder = tempfile::tempdir().unwrap();
        loaded.save(folder.path(), "base").unwrap();
        let config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("adapter_config.json")).unwrap()).unwrap();
        assert_eq!(config["fan_in_fan_out"], transposed, "{name}");
        assert_eq!(config["modules_to_save"], serde_json::json!([]));
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    let refused = |name: &str, field: &str, value: serde_json::Value| {
        let folder = tempfile::tempdir().unwrap();
        let from = fixture(&format!("parity/{name}"));
        let mut config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(from.join("config.json")).unwrap()).unwrap();
        config[field] = value;
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        std::fs::copy(from.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
        LoadedModel::load(folder.path(), &load_options(&CAUSAL_LM)).err().expect("refused").to_string()
    };
    let text = refused("llama-causal-lm", "rope_parameters", serde_json::json!({"rope_type": "spiral"}));
    assert!(text.contains("rope_parameters.rope_type") && text.contains("spiral") && text.contains("yarn"), "{text}");
    let text = refused("llama-causal-lm", "rope_parameters", serde_json::json!({"rope_type": "linear"}));
    assert!(text.contains("rope_parameters.factor"), "{text}");
    let text = refused("llama-causal-lm", "num_key_value_heads", 2.into());
    assert!(text.contains("does not divide"), "{text}");
    let text = refused("gpt2-causal-lm", "add_cross_attention", true.into());
    assert!(text.contains("add_cross_attention"), "{text}");
    let text = refused("gemma-causal-lm", "use_bidirectional_attention", true.into());
    assert!(text.contains("use_bidirectional_attention"), "{text}");
}

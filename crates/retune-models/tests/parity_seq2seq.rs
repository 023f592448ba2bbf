//! Encoder–decoders equal Hugging Face on tiny random models: outputs, losses, gradients and searches (`fixtures/parity`).

mod common;

use common::{case, check, difference, fixture, load_options, test_device, with_labels};
use retune_kernels::tch::{Tensor, no_grad};
use retune_models::generate::{Continuation, DecoderSteps, GenerationSettings, Prompts, generate};
use retune_models::heads::{QUESTION_ANSWERING, SEQUENCE_CLASSIFICATION, SEQUENCE_TO_SEQUENCE, TOKEN_CLASSIFICATION};
use retune_models::registry::{default_lora_targets, purposes_of_class, target_begin};
use retune_models::{FirstToken, LoadOptions, LoadedModel, Mode, Purpose, Tensors};
use serde_json::{Map, Value};
use std::path::Path;

const ALL: [&str; 9] =
    ["bart", "bart-untied", "mbart", "marian", "marian-two-vocabularies", "m2m-100", "t5", "t5-gated", "mt5"];
const SEARCHED: [&str; 6] = ["bart", "mbart", "marian", "m2m-100", "t5", "mt5"];

fn load(name: &str) -> LoadedModel {
    load_from(&fixture(&format!("parity/{name}")))
}

fn load_from(folder: &Path) -> LoadedModel {
    let loaded = LoadedModel::load(folder, &load_options(&SEQUENCE_TO_SEQUENCE)).unwrap();
    assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
    loaded
}

#[test]
fn every_encoder_decoder_equals_hugging_face() {
    for name in ALL {
        println!("{name}");
        let loaded = load(name);
        assert_eq!(purposes_of_class(&loaded.config), [&SEQUENCE_TO_SEQUENCE]);
        let case = case(&format!("parity/{name}/case.safetensors"));
        check(&loaded, &case, |name| format!("grad.{name}"));
        let given = |name: &str| case[&format!("given.{name}")].to_device(test_device());
        let names = ["input_ids", "attention_mask", "decoder_input_ids", "decoder_attention_mask"];
        let inputs: Tensors = names.map(|name| (name.to_owned(), given(name))).into_iter().collect();
        let logits = no_grad(|| common::logits(&loaded, &inputs, &Mode::evaluation()));
        let worst = difference(&logits, &given("logits"));
        assert!(worst < 1e-5, "{name} with its input given: {worst}");
    }
}

/// Heads over the text that is read.
const READERS: [(&str, &Purpose); 6] = [
    ("bart-sequence-classification", &SEQUENCE_CLASSIFICATION),
    ("mbart-sequence-classification", &SEQUENCE_CLASSIFICATION),
    ("bart-question-answering", &QUESTION_ANSWERING),
    ("t5-sequence-classification", &SEQUENCE_CLASSIFICATION),
    ("t5-token-classification", &TOKEN_CLASSIFICATION),
    ("t5-question-answering", &QUESTION_ANSWERING),
];

fn reader(name: &str, purpose: &'static Purpose) -> LoadedModel {
    let loaded = LoadedModel::load(&fixture(&format!("parity/{name}")), &load_options(purpose)).unwrap();
    assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
    loaded
}

#[test]
fn heads_over_the_text_that_is_read_equal_hugging_face() {
    for (name, purpose) in READERS {
        println!("{name}");
        let loaded = reader(name, purpose);
        assert_eq!(purposes_of_class(&loaded.config), [purpose]);
        check(&loaded, &case(&format!("parity/{name}/case.safetensors")), |name| format!("grad.{name}"));
        // What is saved has the names of Hugging Face's class.
        let folder = tempfile::tempdir().unwrap();
        loaded.save(folder.path(), "base").unwrap();
        let read = |folder: &Path| retune_models::checkpoint::read_tensors(&folder.join("model.safetensors")).unwrap();
        let (ours, theirs) = (read(folder.path()), read(&fixture(&format!("parity/{name}"))));
        assert!(ours.keys().eq(theirs.keys()) && ours.iter().all(|(name, tensor)| *tensor == theirs[name]), "{name}");
    }
}

/// A model that was made for writing is found under the names of the classes that read, and the other way round.
#[test]
fn another_class_of_a_model_is_found_by_its_names() {
    let heads = |name: &str, options: &LoadOptions| {
        let loaded = LoadedModel::load(&fixture(&format!("parity/{name}")), options).unwrap();
        let new = loaded.report.new.iter().map(|new| new.name.clone()).collect::<Vec<_>>();
        (loaded, new)
    };
    let answers = LoadOptions { new_head: true, ..load_options(&QUESTION_ANSWERING) };
    let texts = with_labels(&SEQUENCE_CLASSIFICATION, &["no", "yes"]);
    let tags = with_labels(&TOKEN_CLASSIFICATION, &["O", "B-thing"]);
    let classifier = |part: &str| format!("classification_head.{part}");
    let of_texts = ["dense.weight", "dense.bias", "out_proj.weight", "out_proj.bias"].map(classifier);
    assert_eq!(heads("bart", &texts).1, of_texts);
    assert_eq!(heads("t5", &texts).1, of_texts);
    assert_eq!(heads("bart", &answers).1, ["qa_outputs.weight", "qa_outputs.bias"]);
    assert_eq!(heads("t5-sequence-classification", &answers).1, ["qa_outputs.weight", "qa_outputs.bias"]);
    let (tagger, new) = heads("t5", &tags);
    assert_eq!(new, ["classifier.weight", "classifier.bias"]);
    assert!(tagger.params.iter().all(|param| !param.name.contains("decoder")), "its class has an encoder only");
    assert!(tagger.report.unexpected.iter().all(|name| name.starts_with("decoder.")), "{:?}", tagger.report.unexpected);
    assert_eq!(tagger.network.token_table(), Some("transformer.shared.weight"));
    // The classes of Marian and M2M100 write only.
    let refused =
        |name: &str| LoadedModel::load(&fixture(&format!("parity/{name}")), &texts).err().unwrap().to_string();
    for name in ["marian", "m2m-100"] {
        assert!(refused(name).contains("is not supported for sequence classification; supported: bert"));
    }
}

/// Each row is classified by the end of its own text, however many there are in others; one without is refused.
#[test]
fn rows_are_classified_by_the_last_token_that_ends_them() {
    let error = |inputs: &Tensors, loaded: &LoadedModel| {
        loaded.network.forward(inputs, &Mode::evaluation()).unwrap_err().to_string()
    };
    for (name, end, pad) in [("bart-sequence-classification", 2, 1), ("t5-sequence-classification", 1, 0)] {
        let loaded = reader(name, &SEQUENCE_CLASSIFICATION);
        let logits = |inputs: &Tensors| no_grad(|| common::logits(&loaded, inputs, &Mode::evaluation()));
        let ids = [vec![5, end, end, 7, end], vec![6, 8, end, pad, pad]];
        let mask = [vec![1; 5], vec![1, 1, 1, 0, 0]];
        let together = logits(&Tensors::from([("input_ids", tensor(&ids)), ("attention_mask", tensor(&mask))]));
        for (row, length) in [(0, 5), (1, 3)] {
            let alone = logits(&Tensors::from([("input_ids", tensor(&[ids[row][..length].to_vec()]))]));
            assert!(difference(&together.narrow(0, row as i64, 1), &alone) < 1e-5, "{name}: row {row}");
        }
        let text = error(&Tensors::from([("input_ids", tensor(&[vec![5, end], vec![6, 7]]))]), &loaded);
        assert!(text.contains("row 2") && text.contains("eos_token_id"), "{text}");
        let given = [("input_ids", tensor(&[vec![5, end]])), ("decoder_input_ids", tensor(&[vec![end, 5, end]]))];
        let text = error(&Tensors::from(given), &loaded);
        assert!(text.contains("decoder_input_ids") && text.contains("[1, 2]"), "{text}");
    }
}

/// What is saved is what was loaded, and means the same.
#[test]
fn a_saved_model_is_the_same() {
    for name in ALL {
        let folder = tempfile::tempdir().unwrap();
        let loaded = load(name);
        loaded.save(folder.path(), "base").unwrap();
        let read = |folder: &Path| retune_models::checkpoint::read_tensors(&folder.join("model.safetensors")).unwrap();
        let (ours, theirs) = (read(folder.path()), read(&fixture(&format!("parity/{name}"))));
        // Marian's fixed positions and nothing else may be left out.
        let left_out = theirs.keys().filter(|name| !ours.contains_key(*name)).collect::<Vec<_>>();
        assert!(left_out.is_empty(), "{name}: {left_out:?}");
        assert!(ours.iter().all(|(tensor, value)| theirs[tensor] == *value), "{name}");
        load_from(folder.path());
    }
}

fn rows(value: &Value) -> Vec<Vec<i64>> {
    serde_json::from_value(value.clone()).unwrap()
}

fn tensor(rows: &[Vec<i64>]) -> Tensor {
    Tensor::from_slice(&rows.concat()).view([rows.len() as i64, -1]).to_device(test_device())
}

fn written(
    loaded: &LoadedModel,
    ids: &[Vec<i64>],
    mask: &[Vec<i64>],
    settings: &GenerationSettings,
) -> Vec<Continuation> {
    let (ids, mask) = (tensor(ids), tensor(mask));
    let prompts = Prompts::begin(settings.begin.unwrap(), (0..ids.size()[0] as u64).collect(), &ids);
    let inputs = Tensors::from([("input_ids", ids), ("attention_mask", mask)]);
    let mut steps = DecoderSteps::over(&loaded.network, &inputs).unwrap();
    generate(&mut steps, &prompts, settings, &mut |_, _| ()).unwrap()
}

#[test]
fn searches_equal_hugging_face_s() {
    for name in SEARCHED {
        let loaded = load(name);
        let text = std::fs::read(fixture(&format!("parity/{name}/searches.json"))).unwrap();
        let file: Value = serde_json::from_slice(&text).unwrap();
        let (ids, mask) = (rows(&file["input_ids"]), rows(&file["attention_mask"]));
        let mut different = std::collections::BTreeSet::new();
        for (index, search) in file["searches"].as_array().unwrap().iter().enumerate() {
            println!("{name}: {}", search["settings"]);
            let mut config = Map::new();
            config.insert("is_encoder_decoder".to_owned(), true.into());
            let settings = GenerationSettings::read(search["settings"].as_object().unwrap(), &config).unwrap();
            let together = written(&loaded, &ids, &mask, &settings);
            let tokens: Vec<Vec<i64>> = together.iter().map(|one| one.tokens.clone()).collect();
            assert_eq!(tokens, rows(&search["written"]), "{name}: {}", search["settings"]);
            different.extend(tokens);
            // Some of them, as they take long.
            for row in (0..ids.len()).filter(|_| index % 5 == 0) {
                let length = mask[row].iter().sum::<i64>() as usize;
                let (ids, mask) = (vec![ids[row][..length].to_vec()], vec![mask[row][..length].to_vec()]);
                let alone = written(&loaded, &ids, &mask, &settings).remove(0);
                assert_eq!(alone.tokens, together[row].tokens, "{name}: a source alone");
                assert!((alone.score - together[row].score).abs() < 1e-4);
            }
        }
        assert!(different.len() > 10, "{name}: sources and settings hardly matter");
    }
}

#[test]
fn adapters_equal_peft_and_are_folded_into_their_base() {
    for (name, base) in [
        ("bart-lora", "bart"),
        ("t5-lora", "t5"),
        ("t5-lora-lm-head", "t5"),
        ("t5-lora-all-linear", "t5-gated"),
        ("marian-lora-all-linear", "marian"),
    ] {
        common::check_adapter(name, base, &SEQUENCE_TO_SEQUENCE);
    }
}

/// Without targets an adapter goes where PEFT puts it.
#[test]
fn a_new_adapter_has_peft_s_targets() {
    for (name, expected) in [("bart", &["q_proj", "v_proj"][..]), ("t5", &["q", "v"])] {
        assert_eq!(default_lora_targets(&load(name).config).unwrap(), expected);
    }
}

#[test]
fn targets_begin_as_the_family_says() {
    let begin = |name: &str| target_begin(&load(name).config).unwrap();
    assert_eq!((begin("bart").first, begin("bart").padding), (FirstToken::Fixed(2), 1));
    assert_eq!(begin("mbart").first, FirstToken::LastOfTarget);
    assert_eq!((begin("marian").first, begin("marian").padding), (FirstToken::Fixed(30), 30));
    let mut config = load("t5").config;
    config.remove("decoder_start_token_id");
    let error = target_begin(&config).unwrap_err().to_string();
    assert!(error.contains("decoder_start_token_id"), "{error}");
}

#[test]
fn what_is_not_understood_is_refused() {
    let refused = |name: &str, field: &str, value: Value| {
        let folder = tempfile::tempdir().unwrap();
        let from = fixture(&format!("parity/{name}"));
        let mut config: Value = serde_json::from_slice(&std::fs::read(from.join("config.json")).unwrap()).unwrap();
        config[field] = value;
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        std::fs::copy(from.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
        LoadedModel::load(folder.path(), &load_options(&SEQUENCE_TO_SEQUENCE)).err().expect("refused").to_string()
    };
    let text = refused("bart", "decoder_attention_heads", 5.into());
    assert!(text.contains("decoder_attention_heads") && text.contains("does not divide"), "{text}");
    let text = refused("marian", "decoder_vocab_size", 7.into());
    assert!(text.contains("decoder_vocab_size") && text.contains("share"), "{text}");
    let text = refused("t5", "dense_act_fn", "prelu".into());
    assert!(text.contains("dense_act_fn") && text.contains("prelu"), "{text}");
    let text = refused("t5", "relative_attention_num_buckets", 3.into());
    assert!(text.contains("relative_attention_num_buckets"), "{text}");
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let error = |name: &str, given: &[(&str, Vec<Vec<i64>>)]| {
        let inputs: Tensors = given.iter().map(|(name, rows)| ((*name).to_owned(), tensor(rows))).collect();
        load(name).network.forward(&inputs, &Mode::evaluation()).unwrap_err().to_string()
    };
    let ids = || ("input_ids", vec![vec![5, 6], vec![7, 8]]);
    let text = error("t5", &[ids()]);
    assert!(text.contains("decoder_input_ids"), "{text}");
    let text = error("bart", &[ids(), ("decoder_input_ids", vec![vec![5, 6, 7]])]);
    assert!(text.contains("decoder_input_ids") && text.contains("2 examples"), "{text}");
    let text = error("bart", &[ids(), ("decoder_input_ids", vec![vec![5; 25]; 2])]);
    assert!(text.contains("25 tokens") && text.contains("24"), "{text}");
    let mask = ("decoder_attention_mask", vec![vec![1], vec![1]]);
    let text = error("bart", &[ids(), ("decoder_input_ids", vec![vec![5, 6], vec![5, 6]]), mask]);
    assert!(text.contains("decoder_attention_mask"), "{text}");
}

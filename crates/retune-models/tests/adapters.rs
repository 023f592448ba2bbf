//! Adapters on every family: what is saved is read back as it was, whichever layers they are for.

mod common;

use common::{case, difference, fixture, inputs, load_options, test_device, with_labels};
use retune_kernels::random;
use retune_kernels::tch::{Kind, Tensor};
use retune_models::checkpoint::{read_tensors, write_tensors};
use retune_models::heads::{IMAGE_CLASSIFICATION, QUESTION_ANSWERING, SEQUENCE_CLASSIFICATION, TOKEN_CLASSIFICATION};
use retune_models::{LoadOptions, LoadedModel, LoraPlan, Mode, ModelError, Purpose, registry};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Fixture, purpose, and names of dense layers that its head has too, or none.
static FAMILIES: &[(&str, &Purpose, &[&str])] = &[
    ("bert-sequence-classification", &SEQUENCE_CLASSIFICATION, &["dense", "query"]),
    ("bert-base-only", &SEQUENCE_CLASSIFICATION, &["dense"]),
    ("roberta-sequence-classification", &SEQUENCE_CLASSIFICATION, &["dense"]),
    ("xlm-roberta-sequence-classification", &SEQUENCE_CLASSIFICATION, &["dense", "value"]),
    ("distilbert-sequence-classification", &SEQUENCE_CLASSIFICATION, &["q_lin", "lin1"]),
    ("electra-sequence-classification", &SEQUENCE_CLASSIFICATION, &["dense"]),
    ("bert-token-classification", &TOKEN_CLASSIFICATION, &["dense"]),
    ("distilbert-token-classification", &TOKEN_CLASSIFICATION, &["lin2"]),
    ("roberta-question-answering", &QUESTION_ANSWERING, &["dense"]),
    ("vit-image-classification", &IMAGE_CLASSIFICATION, &["dense"]),
    ("deit-with-teacher", &IMAGE_CLASSIFICATION, &["dense"]),
    ("beit-relative-position", &IMAGE_CLASSIFICATION, &["dense"]),
    ("dinov2-image-classification", &IMAGE_CLASSIFICATION, &["dense", "fc1"]),
    ("dinov2-swiglu", &IMAGE_CLASSIFICATION, &["weights_out"]),
    ("swin-image-classification", &IMAGE_CLASSIFICATION, &["dense"]),
    ("convnext-image-classification", &IMAGE_CLASSIFICATION, &["pwconv1", "pwconv2"]),
];

fn plan(targets: &[&str]) -> LoraPlan {
    LoraPlan::new(4, 8.0, 0.0, targets.iter().map(|&target| target.to_owned()).collect()).unwrap()
}

/// A model for two other labels, whose head is new, with an adapter that changes what it says.
fn adapted(name: &str, purpose: &'static Purpose, targets: &[&str]) -> Result<LoadedModel, ModelError> {
    let options = if purpose.labels { with_labels(purpose, &["x", "y"]) } else { load_options(purpose) };
    let options = LoadOptions { adapter: Some(plan(targets)), ..options };
    let mut loaded = LoadedModel::load(&fixture(&format!("parity/{name}")), &options)?;
    for param in loaded.params.iter_mut().filter(|p| p.name.contains(".lora_") || p.head) {
        let values = random::normal(random::name_key(&param.name), param.count());
        let values = Tensor::from_slice(&values).reshape(param.size()).to_device(test_device());
        param.set(&(values * 0.2)).unwrap();
    }
    Ok(loaded)
}

/// All outputs side by side, [B, ..].
fn logits(loaded: &LoadedModel, case: &BTreeMap<String, Tensor>) -> Tensor {
    let outputs = loaded.network.forward(&inputs(case), &Mode::evaluation()).unwrap();
    let outputs: Vec<Tensor> = outputs.iter().map(|(_, tensor)| tensor.flatten(1, -1)).collect();
    Tensor::cat(&outputs, 1)
}

fn config(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("adapter_config.json")).unwrap()).unwrap()
}

fn is_named(path: &str, name: &str) -> bool {
    path == name || path.ends_with(&format!(".{name}"))
}

#[test]
fn every_family_reads_back_what_it_saved() {
    for (name, purpose, named) in FAMILIES {
        for targets in [&["all-linear"][..], named] {
            let loaded = adapted(name, purpose, targets).unwrap();
            let folder = tempfile::tempdir().unwrap();
            loaded.save(folder.path(), "base").unwrap();
            let base = fixture(&format!("parity/{name}"));
            let again = LoadedModel::load_adapter(folder.path(), &base, &load_options(purpose)).unwrap();
            let case = case(&format!("parity/{name}/case.safetensors"));
            let apart = difference(&logits(&again, &case), &logits(&loaded, &case));
            assert_eq!(apart, 0.0, "{name} {targets:?}");

            // Whoever follows the names alone, without knowing about heads, finds the same layers.
            let tensors = read_tensors(&folder.path().join("adapter_model.safetensors")).unwrap();
            let ends = |end: &str| -> Vec<String> {
                let path = |name: &String| Some(name.strip_prefix("base_model.model.")?.strip_suffix(end)?.to_owned());
                tensors.keys().filter_map(path).collect()
            };
            let written: Vec<String> = serde_json::from_value(config(folder.path())["target_modules"].clone()).unwrap();
            let names = registry::family(&loaded.config).unwrap().names();
            let paths = loaded.params.iter().filter_map(|p| p.name.strip_suffix(".weight"));
            let paths = paths.filter(|path| !path.contains(".lora_")).filter_map(|path| names.module(path));
            let mut found: Vec<String> = paths.filter(|path| written.iter().any(|name| is_named(path, name))).collect();
            found.sort_unstable();
            assert_eq!(found, ends(".lora_A.weight"), "{name} {targets:?}");
            assert!(found.len() > 1);
            // Nothing stands beside what is saved whole.
            let whole = ends(".weight").into_iter().filter(|path| !path.contains(".lora_")).collect::<Vec<_>>();
            assert!(!whole.is_empty() && !whole.iter().any(|path| found.contains(path)), "{whole:?}");
        }
    }
}

/// As PEFT wrote them beside transformers 4.
#[test]
fn older_names_of_image_modules_are_read_too() {
    let name = "vit-image-classification";
    let loaded = adapted(name, &IMAGE_CLASSIFICATION, &["query", "value"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    loaded.save(folder.path(), "base").unwrap();
    let mut config = config(folder.path());
    assert!(config["target_modules"].to_string().contains("vit.layers.0.attention.q_proj"), "{config}");
    config["target_modules"] = json!(["query", "value"]);
    std::fs::write(folder.path().join("adapter_config.json"), config.to_string()).unwrap();
    let ours = loaded.params.iter().filter(|p| p.head || p.name.contains(".lora_"));
    let ours = ours.map(|p| (format!("base_model.model.{}", p.name), p.value().unwrap()));
    write_tensors(&folder.path().join("adapter_model.safetensors"), &ours.collect::<Vec<_>>()).unwrap();
    let base = fixture(&format!("parity/{name}"));
    let again = LoadedModel::load_adapter(folder.path(), &base, &load_options(&IMAGE_CLASSIFICATION)).unwrap();
    let case = case(&format!("parity/{name}/case.safetensors"));
    assert_eq!(difference(&logits(&again, &case), &logits(&loaded, &case)), 0.0);
    assert!(again.params.iter().any(|p| p.name.contains(".lora_")));
}

#[test]
fn head_layers_are_left_out_with_a_word_or_refused_by_name() {
    for (targets, left_out) in [(&["dense"][..], true), (&["all-linear"], true), (&["query"], false)] {
        let loaded = adapted("roberta-sequence-classification", &SEQUENCE_CLASSIFICATION, targets).unwrap();
        let told = loaded.report.notes.iter().any(|note| note.contains("classifier.dense"));
        assert_eq!(told, left_out, "{targets:?} {:?}", loaded.report);
        assert!(loaded.params.iter().all(|p| !(p.name.starts_with("classifier") && p.name.contains("lora_"))));
    }
    for (name, target, problem) in [
        ("distilbert-sequence-classification", "pre_classifier", "`pre_classifier` learns as a whole"),
        ("dinov2-swiglu", "weights_in", "is several layers in transformers"),
        ("roberta-sequence-classification", "out_proj", "`classifier.out_proj` learns as a whole"),
        ("bert-sequence-classification", "word_embeddings", "`word_embeddings` is no dense layer"),
        ("bert-sequence-classification", "attention.*query", "no dense layer is called `attention.*query`"),
    ] {
        let purpose = if name.starts_with("dino") { &IMAGE_CLASSIFICATION } else { &SEQUENCE_CLASSIFICATION };
        let error = adapted(name, purpose, &[target]).err().unwrap().to_string();
        assert!(error.contains(problem), "{error}");
    }
    let whole = adapted("bert-sequence-classification", &SEQUENCE_CLASSIFICATION, &[".*(query|value)"]).unwrap();
    let named = adapted("bert-sequence-classification", &SEQUENCE_CLASSIFICATION, &["query", "value"]).unwrap();
    assert!(whole.params.iter().map(|p| &p.name).eq(named.params.iter().map(|p| &p.name)));
}

/// A PEFT adapter with `change` made to its configuration, `tensors` to its values.
fn changed(change: Value, tensors: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = fixture("peft/bert-lora");
    let mut config = config(&source);
    config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    std::fs::write(folder.path().join("adapter_config.json"), config.to_string()).unwrap();
    let mut values = case("peft/bert-lora/adapter_model.safetensors");
    tensors(&mut values);
    let file = folder.path().join("adapter_model.safetensors");
    write_tensors(&file, &values.into_iter().collect::<Vec<_>>()).unwrap();
    folder
}

fn load(folder: &Path) -> Result<LoadedModel, ModelError> {
    let options = load_options(&SEQUENCE_CLASSIFICATION);
    LoadedModel::load_adapter(folder, &fixture("parity/bert-base-only"), &options)
}

#[test]
fn settings_of_single_layers_are_honoured() {
    let case = case("peft/bert-lora/case.safetensors");
    let plain = logits(&load(&fixture("peft/bert-lora")).unwrap(), &case);
    let query = |name: &str| name.contains("layer.0") && name.contains("query.lora_");
    // Rank 2 in one layer with the other half of the alpha is the same update, its last two rows being nought.
    let cut = |tensors: &mut BTreeMap<String, Tensor>, keep: i64| {
        for (name, tensor) in tensors.iter_mut().filter(|(name, _)| query(name)) {
            let dim = if name.contains("lora_A") { 0 } else { 1 };
            let kept = tensor.narrow(dim, 0, 2);
            *tensor = if keep == 2 { kept.copy() } else { Tensor::cat(&[&kept, &kept.zeros_like()], dim) };
        }
    };
    let expected = logits(&load(changed(json!({}), |t| cut(t, 4)).path()).unwrap(), &case);
    assert!(difference(&expected, &plain) > 1e-3, "the rows that are cut matter");
    let patterns = json!({
        "rank_pattern": {"encoder.layer.0.attention.self.query": 2}, "alpha_pattern": {".*layer.0.*query": 4},
    });
    let folder = changed(patterns.clone(), |t| cut(t, 2));
    let loaded = load(folder.path()).unwrap();
    assert!(difference(&logits(&loaded, &case), &expected) < 1e-6);
    assert!(load(changed(json!({"rank_pattern": patterns["rank_pattern"]}), |_| ()).path()).is_err(), "shapes differ");
    // Saved again, they are still there.
    let saved = tempfile::tempdir().unwrap();
    loaded.save(saved.path(), "base").unwrap();
    assert_eq!(config(saved.path())["alpha_pattern"], patterns["alpha_pattern"]);
    assert!(difference(&logits(&load(saved.path()).unwrap(), &case), &expected) < 1e-6);

    // Which layers: told by numbers, exclusion, an expression; the file holds no others.
    let only = |keep: &'static str| {
        move |tensors: &mut BTreeMap<String, Tensor>| {
            tensors.retain(|name, _| !name.contains("lora_") || name.contains(keep))
        }
    };
    let first = logits(&load(changed(json!({"layers_to_transform": [0]}), only("layer.0.")).path()).unwrap(), &case);
    assert!(difference(&first, &plain) > 1e-3);
    for (change, keep) in [
        (json!({"exclude_modules": ".*layer\\.[1-9].*"}), "layer.0."),
        (json!({"target_modules": ".*\\.0\\..*(query|value)"}), "layer.0."),
    ] {
        let logits = logits(&load(changed(change.clone(), only(keep)).path()).unwrap(), &case);
        assert_eq!(difference(&logits, &first), 0.0, "{change}");
        // Values for layers that the configuration does not name are not dropped in silence.
        let error = load(changed(change, |_| ()).path()).err().unwrap().to_string();
        assert!(error.contains("lora_") && error.contains("target_modules"), "{error}");
    }
}

#[test]
fn what_changes_the_meaning_of_values_is_refused() {
    for (field, value) in [
        ("init_lora_weights", json!("pissa")),
        ("init_lora_weights", json!("olora")),
        ("use_dora", json!(true)),
        ("bias", json!("all")),
        ("lora_bias", json!(true)),
        ("a_field_of_tomorrow", json!("on")),
        ("target_modules", json!("(?<!x)query")),
    ] {
        let mut change = json!({});
        change[field] = value;
        let error = load(changed(change, |_| ()).path()).err().unwrap().to_string();
        assert!(error.contains("adapter_config.json") && (error.contains(field) || error.contains("query")), "{error}");
    }
    let integers = changed(json!({}), |tensors| {
        tensors.values_mut().for_each(|tensor| *tensor = tensor.to_kind(Kind::Int64));
    });
    assert!(load(integers.path()).err().unwrap().to_string().contains("not floating-point"));
}

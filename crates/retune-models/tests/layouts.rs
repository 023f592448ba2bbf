//! One model in the layouts that checkpoints come in: each loads as the plain file does, and is saved as that file.

mod common;

use common::{case, difference, fixture, inputs, load_options};
use retune_kernels::tch::{Kind, Tensor};
use retune_models::checkpoint::{read_tensors, write_tensors};
use retune_models::heads::SEQUENCE_CLASSIFICATION;
use retune_models::{LoadedModel, Mode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

const MODEL: &str = "parity/bert-sequence-classification";

type Stored = BTreeMap<String, Tensor>;

fn config() -> Value {
    serde_json::from_slice(&std::fs::read(fixture(MODEL).join("config.json")).unwrap()).unwrap()
}

fn weights() -> Stored {
    case(&format!("{MODEL}/model.safetensors"))
}

fn write(folder: &Path, file: &str, tensors: Stored) {
    write_tensors(&folder.join(file), &tensors.into_iter().collect::<Vec<_>>()).unwrap();
}

fn folder(config: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

fn load(folder: &Path) -> LoadedModel {
    LoadedModel::load(folder, &load_options(&SEQUENCE_CLASSIFICATION)).unwrap()
}

/// Loads the folder, and compares outputs and what is saved again with `expected` in single precision.
#[track_caller]
fn equals(folder: &Path, expected: &Stored) -> LoadedModel {
    let plain = self::folder(&config());
    write(plain.path(), "model.safetensors", expected.iter().map(|(n, t)| (n.clone(), t.shallow_clone())).collect());
    let (ours, reference) = (load(folder), load(plain.path()));
    let inputs = inputs(&case(&format!("{MODEL}/case.safetensors")));
    let logits = |model: &LoadedModel| common::logits(model, &inputs, &Mode::evaluation());
    assert_eq!(difference(&logits(&ours), &logits(&reference)), 0.0);
    let saved = tempfile::tempdir().unwrap();
    ours.save(saved.path(), "").unwrap();
    let saved = read_tensors(&saved.path().join("model.safetensors")).unwrap();
    assert!(saved.keys().eq(expected.keys()));
    for (name, tensor) in &saved {
        assert_eq!(tensor.kind(), Kind::Float, "{name}");
        assert_eq!(tensor, &expected[name], "{name}");
    }
    ours
}

#[test]
fn norms_called_gamma_and_beta() {
    let folder = folder(&config());
    let rename = |name: String| match name.rsplit_once("LayerNorm.") {
        Some((stem, "weight")) => format!("{stem}LayerNorm.gamma"),
        Some((stem, "bias")) => format!("{stem}LayerNorm.beta"),
        _ => name,
    };
    write(folder.path(), "model.safetensors", weights().into_iter().map(|(n, t)| (rename(n), t)).collect());
    let loaded = equals(folder.path(), &weights());
    assert!(loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
    assert!(loaded.report.notes.iter().any(|note| note.contains("gamma")), "{:?}", loaded.report);
}

#[test]
fn shards_with_an_index() {
    let folder = folder(&config());
    let (first, second): (Vec<_>, Vec<_>) = weights().into_iter().partition(|(name, _)| name.contains("embeddings"));
    let shards = [("model-00001-of-00002.safetensors", first), ("model-00002-of-00002.safetensors", second)];
    let mut map = serde_json::Map::new();
    for (file, tensors) in shards {
        assert!(!tensors.is_empty());
        map.extend(tensors.iter().map(|(name, _)| (name.clone(), json!(file))));
        write(folder.path(), file, tensors.into_iter().collect());
    }
    let index = json!({"metadata": {"total_size": 0}, "weight_map": map});
    std::fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    equals(folder.path(), &weights());
    std::fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    let options = load_options(&SEQUENCE_CLASSIFICATION);
    let error = LoadedModel::load(folder.path(), &options).err().unwrap().to_string();
    assert!(error.contains("model-00002-of-00002.safetensors"), "{error}");
}

#[test]
fn half_precision_in_the_file_is_single_precision_here() {
    for (kind, name) in [(Kind::Half, "float16"), (Kind::BFloat16, "bfloat16")] {
        let mut config = config();
        let fields = config.as_object_mut().unwrap();
        fields.remove("dtype");
        fields.insert("torch_dtype".to_owned(), json!(name));
        let folder = folder(&config);
        let rounded: Stored = weights().into_iter().map(|(n, t)| (n, t.to_kind(kind))).collect();
        let expected = rounded.iter().map(|(n, t)| (n.clone(), t.to_kind(Kind::Float))).collect();
        write(folder.path(), "model.safetensors", rounded);
        let loaded = equals(folder.path(), &expected);
        // The file that is saved holds float32, and config.json says nothing else.
        assert_eq!(loaded.config.get("dtype"), Some(&json!("float32")), "{name}");
        assert!(!loaded.config.as_map().contains_key("torch_dtype"), "{name}");
    }
}

#[test]
fn tied_and_derived_tensors_are_left_aside() {
    let folder = folder(&config());
    let mut tensors = weights();
    let words = tensors["bert.embeddings.word_embeddings.weight"].shallow_clone();
    let positions = Tensor::arange(64, (Kind::Int64, words.device())).unsqueeze(0);
    tensors.insert("bert.embeddings.position_ids".to_owned(), positions);
    tensors.insert("cls.predictions.decoder.weight".to_owned(), words);
    write(folder.path(), "model.safetensors", tensors);
    let loaded = equals(folder.path(), &weights());
    // Position ids are the same in every model; a head that is not used is worth a line.
    assert_eq!(loaded.report.unexpected, ["cls.predictions.decoder.weight"]);
}

#[test]
fn wrappers_before_every_name() {
    for wrapper in ["_orig_mod.", "module.", "model.", "base_model.model.", "_orig_mod.module.", "model._orig_mod."] {
        let folder = folder(&config());
        let wrapped = weights().into_iter().map(|(name, tensor)| (format!("{wrapper}{name}"), tensor)).collect();
        write(folder.path(), "model.safetensors", wrapped);
        let loaded = equals(folder.path(), &weights());
        assert!(loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
        assert!(loaded.report.notes.iter().any(|note| note.contains(wrapper)), "{:?}", loaded.report);
    }
}

#[test]
fn norms_of_both_spellings_in_one_file() {
    let folder = folder(&config());
    let rename = |name: String| match name.strip_suffix("attention.output.LayerNorm.weight") {
        Some(stem) => format!("{stem}attention.output.LayerNorm.gamma"),
        None => name,
    };
    let mixed: Stored = weights().into_iter().map(|(n, t)| (rename(n), t)).collect();
    assert!(
        mixed.keys().any(|name| name.ends_with("gamma")) && mixed.keys().any(|name| name.ends_with("LayerNorm.weight"))
    );
    write(folder.path(), "model.safetensors", mixed);
    assert!(equals(folder.path(), &weights()).report.unexpected.is_empty());
}

#[test]
fn quantized_weights_are_refused_with_a_remedy() {
    let options = load_options(&SEQUENCE_CLASSIFICATION);
    let mut quantized = config();
    quantized["quantization_config"] = json!({"quant_method": "bitsandbytes", "load_in_8bit": true});
    let told = folder(&quantized);
    write(told.path(), "model.safetensors", weights());
    let error = LoadedModel::load(told.path(), &options).err().unwrap().to_string();
    assert!(
        error.contains("bitsandbytes") && error.contains("BertForSequenceClassification.from_pretrained"),
        "{error}"
    );
    // Without a word in config.json, the numbers show it.
    let untold = folder(&config());
    let mut tensors = weights();
    let name = "bert.encoder.layer.0.attention.self.query.weight";
    let integers = tensors[name].to_kind(Kind::Int64);
    tensors.insert(name.to_owned(), integers);
    write(untold.path(), "model.safetensors", tensors);
    let error = LoadedModel::load(untold.path(), &options).err().unwrap().to_string();
    assert!(error.contains(name) && error.contains("I64"), "{error}");
}

#[test]
fn pickles_and_missing_shards_come_with_a_remedy() {
    let options = load_options(&SEQUENCE_CLASSIFICATION);
    let pickled = folder(&config());
    std::fs::write(pickled.path().join("pytorch_model.bin"), b"PK").unwrap();
    let error = LoadedModel::load(pickled.path(), &options).err().unwrap().to_string();
    assert!(error.contains("BertForSequenceClassification.from_pretrained(DIR)"), "{error}");
    let sharded = folder(&config());
    let index = json!({"weight_map": {"a": "model-00001-of-00001.safetensors"}});
    std::fs::write(sharded.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    let error = LoadedModel::load(sharded.path(), &options).err().unwrap().to_string();
    assert!(
        error.contains("model-00001-of-00001.safetensors") && error.contains("download the model again"),
        "{error}"
    );
}

#[test]
fn labels_in_every_form() {
    let load_with = |change: Value| {
        let mut config = config();
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let folder = folder(&config);
        write(folder.path(), "model.safetensors", weights());
        LoadedModel::load(folder.path(), &load_options(&SEQUENCE_CLASSIFICATION))
    };
    for change in [
        json!({"id2label": ["a", "b", "c"], "label2id": null}),
        json!({"id2label": {"1": "a", "2": "b", "3": "c"}, "label2id": {"a": 1, "b": 2, "c": 3}}),
        json!({"id2label": null, "label2id": {"c": 2, "b": 1, "a": 0}}),
    ] {
        let loaded = load_with(change.clone()).unwrap();
        assert_eq!(loaded.labels(), ["a", "b", "c"], "{change}");
        // Saved as transformers reads it.
        assert_eq!(loaded.config.get("id2label"), Some(&json!({"0": "a", "1": "b", "2": "c"})), "{change}");
    }
    let error = load_with(json!({"id2label": ["a", "b", "c"], "label2id": {"a": 2, "b": 1, "c": 0}})).err().unwrap();
    assert!(error.to_string().contains("label2id calls label"), "{error}");
    let cranes = load_with(json!({"id2label": {"0": "crane", "1": "cat", "2": "crane"}, "label2id": null})).unwrap();
    assert_eq!(cranes.labels(), ["crane (0)", "cat", "crane (2)"]);
    assert!(cranes.report.notes.iter().any(|note| note.contains("crane")), "{:?}", cranes.report);
}

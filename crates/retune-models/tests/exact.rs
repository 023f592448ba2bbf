//! In bf16 a frozen matrix is kept once, rounded; what is saved is nevertheless what was loaded, bit by bit.

mod common;

use common::{case, fixture, inputs, load_options, test_device};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{AdamW, AdamWOptions, Precision};
use retune_models::checkpoint::read_tensors;
use retune_models::heads::SEQUENCE_CLASSIFICATION;
use retune_models::{LoadOptions, LoadedModel, Mode};
use std::path::Path;
use tempfile::TempDir;

const MODEL: &str = "parity/bert-sequence-classification";

/// A copy of the fixture, and the model in bf16 of which `learns` says what learns.
fn frozen(learns: fn(&str) -> bool) -> (TempDir, LoadedModel) {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture(MODEL).join(file), folder.path().join(file)).unwrap();
    }
    let options = LoadOptions { precision: Precision::Bf16, ..load_options(&SEQUENCE_CLASSIFICATION) };
    let mut loaded = LoadedModel::load(folder.path(), &options).unwrap();
    loaded.params.iter_mut().for_each(|param| {
        let learns = learns(&param.name);
        param.set_trainable(learns);
    });
    (folder, loaded)
}

fn step(loaded: &LoadedModel, optimizer: &mut AdamW) {
    let case = case(&format!("{MODEL}/case.safetensors"));
    let logits = common::logits(loaded, &inputs(&case), &Mode::training(0));
    logits.square().sum(Kind::Float).backward();
    let scale = Tensor::from(1.0).to_device(test_device());
    optimizer.step(&loaded.params, 0.01, &scale, 1.0).unwrap().wait().unwrap();
}

fn compare(saved: &Path, learns: fn(&str) -> bool) {
    let (saved, original) =
        (read_tensors(&saved.join("model.safetensors")).unwrap(), case(&format!("{MODEL}/model.safetensors")));
    assert!(saved.keys().eq(original.keys()));
    for (name, tensor) in &saved {
        assert_eq!(tensor.kind(), Kind::Float);
        assert!(learns(name) || *tensor == original[name], "{name}");
    }
    // An update may be smaller than a step of bf16; it is not lost.
    let name = "classifier.weight";
    let moved = (&saved[name] - &original[name]).abs().max().double_value(&[]);
    assert!(moved > 0.0 && moved < 0.02, "{moved}");
}

#[test]
fn frozen_values_are_saved_as_they_were_loaded() {
    let methods: [fn(&str) -> bool; 3] = [
        |name| name.starts_with("classifier."),
        |name| name.starts_with("classifier.") || name.contains("layer.1."),
        |name| name.starts_with("classifier.") || name.ends_with(".bias"),
    ];
    for learns in methods {
        let (folder, loaded) = frozen(learns);
        let mut optimizer = AdamW::new(&loaded.params, AdamWOptions::default());
        step(&loaded, &mut optimizer);
        let saved = tempfile::tempdir().unwrap();
        loaded.save(saved.path(), "").unwrap();
        compare(saved.path(), learns);
        // The file may go: it is still open.
        std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
        let again = tempfile::tempdir().unwrap();
        loaded.save(again.path(), "").unwrap();
        let read = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
        assert_eq!(read(saved.path()), read(again.path()));
    }
}

#[test]
fn a_file_that_changed_in_between_is_not_taken_for_the_original() {
    let (folder, loaded) = frozen(|name| name.starts_with("classifier."));
    let path = folder.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x3f);
    // Written into the same file, as an editor or a copy would.
    std::fs::write(&path, bytes).unwrap();
    let saved = tempfile::tempdir().unwrap();
    let error = loaded.save(saved.path(), "").unwrap_err().to_string();
    assert!(error.contains("cannot be read again") && error.contains("changed"), "{error}");
    assert!(!saved.path().join("model.safetensors").exists());
}

#[test]
fn resuming_keeps_frozen_values_where_they_were() {
    let learns = |name: &str| name.starts_with("classifier.");
    let (_folder, loaded) = frozen(learns);
    let mut optimizer = AdamW::new(&loaded.params, AdamWOptions::default());
    step(&loaded, &mut optimizer);
    let saved = tempfile::tempdir().unwrap();
    loaded.save(saved.path(), "").unwrap();
    let (_other, mut resumed) = frozen(learns);
    resumed.restore(saved.path()).unwrap();
    let again = tempfile::tempdir().unwrap();
    resumed.save(again.path(), "").unwrap();
    compare(again.path(), learns);
    // A frozen parameter whose value was set is saved as it was set.
    let values: Vec<Tensor> = resumed.params.iter().map(|param| param.value().unwrap() + 1e-5).collect();
    resumed.params.iter_mut().zip(&values).for_each(|(param, value)| param.set(value).unwrap());
    assert!(resumed.params.iter().zip(&values).all(|(param, value)| param.value().unwrap() == *value));
}

//! A run that leaves the range of its numbers says where that began.

use crate::support::{Nobody, fixture, recipe, run, with};
use retune_engine::{EngineError, Recipe, Start};
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::checkpoint::{read_tensors, write_tensors};
use std::fs;
use std::path::Path;

fn failure(recipe: &Recipe) -> String {
    match run(recipe, Start::New, &mut Nobody) {
        Err(EngineError::Failed(error)) => format!("{error:#}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_absurd_learning_rate_names_the_first_bad_output() {
    let (_folder, recipe) = recipe();
    // The first step of a warm-up has rate zero, the second throws the weights far away.
    let recipe = with(&recipe, "learning-rate = 1e30\nwarmup = 5\nclip = 0");
    let said = failure(&recipe);
    for part in ["step 3 of 10", "train.csv:", "all weights are finite", "the first output that is not comes from "] {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
}

/// A copy of the base model with some tensors replaced or added.
fn model(folder: &Path, tensors: &[(&str, Tensor)]) -> String {
    let model = folder.join("model");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(fixture("parity/bert-base-only")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    let file = model.join("model.safetensors");
    let mut all = read_tensors(&file).unwrap();
    for (name, tensor) in tensors {
        all.insert((*name).to_owned(), tensor.shallow_clone());
    }
    write_tensors(&file, &all.into_iter().collect::<Vec<_>>()).unwrap();
    model.to_str().unwrap().to_owned()
}

fn zeros(shape: &[i64]) -> Tensor {
    Tensor::zeros(shape, (Kind::Float, Device::Cpu))
}

#[test]
fn a_weight_that_overflows_names_its_block() {
    let (folder, recipe) = recipe();
    let config = fs::read_to_string(fixture("parity/bert-base-only/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let size = |field: &str| config[field].as_i64().unwrap();
    let weight = zeros(&[size("intermediate_size"), size("hidden_size")]) + 3e38;
    let model = model(folder.path(), &[("encoder.layer.1.intermediate.dense.weight", weight)]);
    let said = failure(&with(&recipe, &format!("model = '{model}'")));
    let place = "the first output that is not comes from block 2 (bert.encoder.layer.1)";
    for part in ["step 1 of 10", "all weights are finite", place, "--precision fp32"] {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
}

#[test]
fn a_gradient_that_overflows_names_the_parameter_nearest_the_loss() {
    let (folder, recipe) = recipe();
    // The logits are ±2e38 times a pooled value near 0.1; the gradient of that value, ±4e38, is beyond fp32.
    let weight = zeros(&[2, 32]);
    let _ = weight.get(0).get(0).fill_(2e38);
    let _ = weight.get(1).get(0).fill_(-2e38);
    let model = model(
        folder.path(),
        &[
            ("classifier.weight", weight),
            ("classifier.bias", zeros(&[2])),
            ("pooler.dense.weight", zeros(&[32, 32])),
            ("pooler.dense.bias", zeros(&[32]) + 0.1),
        ],
    );
    let said = failure(&with(&recipe, &format!("model = '{model}'\nbatch-size = 1\nwarmup = 9")));
    for part in ["train.csv:", "the loss is finite", "the first bad gradient is that of `bert.pooler.dense.bias`"] {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
}

//! Shared by the parity tests: fixtures and comparison.

#![allow(dead_code, reason = "each test binary uses its part")]

use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{device, loss};
use retune_models::checkpoint::read_tensors;
use retune_models::registry::Purpose;
use retune_models::{LoadOptions, LoadedModel, Mode, ProblemType, Tensors};
use std::collections::BTreeMap;
use std::path::PathBuf;

pub(crate) fn fixture(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(path)
}

pub(crate) fn case(path: &str) -> BTreeMap<String, Tensor> {
    read_tensors(&fixture(path)).unwrap()
}

/// Where models are tested: the CPU, or what `RETUNE_DEVICE` names.
pub(crate) fn test_device() -> Device {
    device::of_environment().expect("a device that is there")
}

/// The usual ones, on that device.
pub(crate) fn load_options(purpose: Purpose) -> LoadOptions {
    LoadOptions { device: test_device(), ..LoadOptions::new(purpose) }
}

pub(crate) fn inputs(case: &BTreeMap<String, Tensor>) -> Tensors {
    let device = test_device();
    let named = case.iter().filter_map(|(n, t)| Some((n.strip_prefix("input.")?.to_owned(), t.to_device(device))));
    named.collect()
}

/// The last hidden state of a case's inputs.
pub(crate) fn hidden_states(loaded: &LoadedModel, case: &BTreeMap<String, Tensor>) -> Tensor {
    let mode = Mode::evaluation().with_hidden_states();
    loaded.model.forward(&inputs(case), &mode).unwrap().get("last_hidden_state").unwrap().shallow_clone()
}

/// What a model's head returns.
pub(crate) fn logits(loaded: &LoadedModel, inputs: &Tensors, mode: &Mode) -> Tensor {
    loaded.model.forward(inputs, mode).unwrap().get("logits").unwrap().shallow_clone()
}

/// Largest absolute difference, relative to the largest magnitude where that is above 1.
pub(crate) fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    let (a, b) = (a.to_device(Device::Cpu).to_kind(Kind::Double), b.to_device(Device::Cpu).to_kind(Kind::Double));
    let scale = b.abs().max().double_value(&[]).max(1.0);
    (a - b).abs().max().double_value(&[]) / scale
}

/// The mean loss, as Hugging Face's classes compute it.
pub(crate) fn loss_of(problem: ProblemType, logits: &Tensor, labels: &Tensor) -> Tensor {
    let summed = match problem {
        ProblemType::SingleLabelClassification => loss::cross_entropy(logits, labels, None, 0.0),
        ProblemType::MultiLabelClassification => loss::binary_cross_entropy(logits, labels, None),
        ProblemType::Regression => loss::squared_error(logits, labels),
    };
    summed.sum / summed.weight
}

/// Tensors, losses and gradients of a classifier against a case; every gradient of the case is compared.
pub(crate) fn check(loaded: &LoadedModel, case: &BTreeMap<String, Tensor>, gradient_name: impl Fn(&str) -> String) {
    let inputs = inputs(case);
    let labels = inputs.get("labels").unwrap();
    let outputs = loaded.model.forward(&inputs, &Mode::evaluation()).unwrap();
    let of = |outputs: &Tensors| outputs.get("logits").unwrap().shallow_clone();
    let worst = difference(&of(&outputs), &case["output.logits"]);
    assert!(worst < 1e-5, "logits: {worst}");
    if let Some(expected) = case.get("output.last_hidden_state") {
        assert!(outputs.optional("last_hidden_state").is_none(), "nobody asked for it");
        assert!(difference(&hidden_states(loaded, case), expected) < 1e-5);
    }
    let whole = loaded.model.forward(&inputs, &Mode::evaluation().with_hidden_states()).unwrap();
    assert!(difference(&of(&whole), &case["output.logits"]) < 1e-5);
    let problem = loaded.config.problem_type();
    let evaluated = loss_of(problem, &of(&outputs), labels);
    assert!(difference(&evaluated.view([1]), &case["loss"].view([1])) < 1e-5);

    let outputs = loaded.model.forward(&inputs, &Mode::training(0)).unwrap();
    let trained = loss_of(problem, &of(&outputs), labels);
    assert!(difference(&trained.view([1]), &case["train.loss"].view([1])) < 1e-5);
    trained.backward();
    let mut compared = 0;
    for param in loaded.params.trainable() {
        let gradient = param.gradient().unwrap_or_else(|| panic!("{} received no gradient", param.name));
        let Some(expected) = case.get(&gradient_name(&param.name)) else { continue };
        let worst = difference(&gradient, expected);
        assert!(worst < 1e-5, "{}: {worst}", param.name);
        compared += 1;
    }
    assert_eq!(compared, case.keys().filter(|k| k.starts_with("grad.")).count());
}

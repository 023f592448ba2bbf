//! Shared by the parity tests: fixtures and comparison.

#![allow(dead_code, reason = "each test binary uses its part")]

use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{device, loss};
use retune_models::checkpoint::read_tensors;
use retune_models::heads::{
    AUXILIARY_LOGITS, CAUSAL_LM, CtcLoss, LOGIT_LENGTHS, MASKED_WORDS, QUESTION_ANSWERING, SEMANTIC_SEGMENTATION,
    SEQUENCE_TO_SEQUENCE, SPEECH_RECOGNITION, TOKEN_CLASSIFICATION, next_token_loss, target_token_loss,
};
use retune_models::{
    LoadOptions, LoadedModel, Mode, ModelConfig, NewHead, ProblemType, Purpose, SegmenterLoss, Tensors,
};
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

/// The same with a new head of these labels.
pub(crate) fn with_labels(purpose: &'static Purpose, names: &[&str]) -> LoadOptions {
    let labels = names.iter().map(|&name| name.to_owned()).collect();
    let head = NewHead::of(purpose).labels(labels).problem(ProblemType::SingleLabelClassification);
    LoadOptions { head: Some(head), new_head: true, ..load_options(purpose) }
}

/// The usual ones, on that device.
pub(crate) fn load_options(purpose: &'static Purpose) -> LoadOptions {
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
    loaded.network.forward(&inputs(case), &mode).unwrap().get("last_hidden_state").unwrap().shallow_clone()
}

/// What a model's head returns.
pub(crate) fn logits(loaded: &LoadedModel, inputs: &Tensors, mode: &Mode) -> Tensor {
    loaded.network.forward(inputs, mode).unwrap().get("logits").unwrap().shallow_clone()
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

/// The mean loss of begins and ends, as Hugging Face's classes compute it: what lies outside the window counts in none.
fn loss_of_spans(outputs: &Tensors, inputs: &Tensors) -> Tensor {
    let side = |side: &str| {
        let logits = outputs.get(&format!("{side}_logits")).unwrap();
        let positions = inputs.get(&format!("{side}_positions")).unwrap();
        let outside = positions.ge(logits.size()[1]);
        let summed = loss::cross_entropy(logits, &positions.masked_fill(&outside, loss::IGNORE_INDEX), None, 0.0);
        summed.sum / summed.weight
    };
    (side("start") + side("end")) / 2.0
}

/// The mean loss of pixels, as Hugging Face's classes compute it of logits brought to the size of the labels.
fn loss_of_pixels(config: &ModelConfig, outputs: &Tensors, inputs: &Tensors) -> Tensor {
    let said = SegmenterLoss::of(config).unwrap();
    let labels = loss::with_ignored(inputs.get("labels").unwrap(), said.ignored);
    let size = labels.size();
    let of = |logits: &Tensor| {
        let logits = loss::resized(logits, (size[1], size[2]));
        let summed = match logits.size()[1] {
            1 => loss::pixel_binary_cross_entropy(&logits, &labels),
            _ => loss::pixel_cross_entropy(&logits, &labels, None, 0.0),
        };
        summed.sum / summed.weight
    };
    let loss = of(outputs.get("logits").unwrap());
    match outputs.optional(AUXILIARY_LOGITS) {
        Some(auxiliary) => loss + of(auxiliary) * said.auxiliary_weight,
        None => loss,
    }
}

/// The mean loss of next tokens, from scores or from their factors.
fn loss_of_next_tokens(outputs: &Tensors, inputs: &Tensors) -> Tensor {
    let labels = inputs.get("labels").unwrap();
    let summed = match outputs.optional("logits") {
        Some(logits) => {
            let next = labels.size()[1] - 1;
            loss::cross_entropy(&logits.narrow(1, 0, next), &labels.narrow(1, 1, next), None, 0.0)
        }
        None => next_token_loss(outputs, labels, 0.0).unwrap().loss,
    };
    summed.sum / summed.weight
}

/// The mean loss of a text that is written, from scores or from their factors.
fn loss_of_target_tokens(outputs: &Tensors, inputs: &Tensors) -> Tensor {
    let labels = inputs.get("labels").unwrap();
    let summed = match outputs.optional("logits") {
        Some(logits) => loss::cross_entropy(logits, labels, None, 0.0),
        None => target_token_loss(outputs, labels, 0.0).unwrap().loss,
    };
    summed.sum / summed.weight
}

/// The loss of a model's own task.
fn loss_of_outputs(loaded: &LoadedModel, outputs: &Tensors, inputs: &Tensors) -> Tensor {
    let purpose = loaded.purpose.expect("a head");
    if *purpose == QUESTION_ANSWERING {
        return loss_of_spans(outputs, inputs);
    }
    if *purpose == SPEECH_RECOGNITION {
        if outputs.optional(LOGIT_LENGTHS).is_none() {
            return loss_of_target_tokens(outputs, inputs);
        }
        let summed = CtcLoss::new(&loaded.config).unwrap().summed(outputs, inputs.get("labels").unwrap()).unwrap();
        return summed.sum / summed.weight;
    }
    if *purpose == SEMANTIC_SEGMENTATION {
        return loss_of_pixels(&loaded.config, outputs, inputs);
    }
    if *purpose == CAUSAL_LM {
        return loss_of_next_tokens(outputs, inputs);
    }
    if *purpose == SEQUENCE_TO_SEQUENCE {
        return loss_of_target_tokens(outputs, inputs);
    }
    let tags = *purpose == TOKEN_CLASSIFICATION || *purpose == MASKED_WORDS;
    let problem = if tags { ProblemType::SingleLabelClassification } else { loaded.config.problem_type() };
    loss_of(problem, outputs.get("logits").unwrap(), inputs.get("labels").unwrap())
}

/// Outputs of Hugging Face's that are worked into others here: those of DeiT's two classifiers.
const INNER: [&str; 2] = ["cls_logits", "distillation_logits"];

/// Outputs, losses and gradients of a model against a case; every output and every gradient of the case is compared.
pub(crate) fn check(loaded: &LoadedModel, case: &BTreeMap<String, Tensor>, gradient_name: impl Fn(&str) -> String) {
    let inputs = inputs(case);
    let expected: Vec<_> = case.iter().filter_map(|(name, it)| Some((name.strip_prefix("output.")?, it))).collect();
    let expected: Vec<_> = expected.into_iter().filter(|(name, _)| !INNER.contains(name)).collect();
    assert!(!expected.is_empty());
    let outputs = loaded.network.forward(&inputs, &Mode::evaluation()).unwrap();
    let whole = loaded.network.forward(&inputs, &Mode::evaluation().with_hidden_states()).unwrap();
    assert!(outputs.optional("last_hidden_state").is_none(), "nobody asked for it");
    for (name, expected) in expected {
        for outputs in
            [Some(&outputs).filter(|_| !name.ends_with("last_hidden_state")), Some(&whole)].into_iter().flatten()
        {
            let worst = difference(outputs.get(name).unwrap(), expected);
            assert!(worst < 1e-5, "{name}: {worst}");
        }
    }
    let evaluated = loss_of_outputs(loaded, &outputs, &inputs);
    assert!(difference(&evaluated.view([1]), &case["loss"].view([1])) < 1e-5);

    let outputs = loaded.network.forward(&inputs, &Mode::training(0).with_factors()).unwrap();
    let trained = loss_of_outputs(loaded, &outputs, &inputs);
    assert!(difference(&trained.view([1]), &case["train.loss"].view([1])) < 1e-5);
    trained.backward();
    let mut compared = 0;
    for param in loaded.params.trainable() {
        let Some(expected) = case.get(&gradient_name(&param.name)) else { continue };
        let gradient = param.gradient().unwrap_or_else(|| panic!("{} received no gradient", param.name));
        let worst = difference(&gradient, expected);
        assert!(worst < 1e-5, "{}: {worst}", param.name);
        compared += 1;
    }
    assert_eq!(compared, case.keys().filter(|k| k.starts_with("grad.")).count());
}

/// An adapter as PEFT wrote it, over its base: outputs, loss and gradients, what is written again, and the folded model.
pub(crate) fn check_adapter(name: &str, base_name: &str, purpose: &'static Purpose) {
    println!("{name}");
    let (adapter, base) = (fixture(&format!("peft/{name}")), fixture(&format!("parity/{base_name}")));
    let mut loaded = LoadedModel::load_adapter(&adapter, &base, &load_options(purpose)).unwrap();
    for param in loaded.params.iter_mut() {
        let trains = param.name.contains(".lora_") || param.head;
        param.set_trainable(trains);
    }
    let case = case(&format!("peft/{name}/case.safetensors"));
    check(&loaded, &case, |name| format!("grad.base_model.model.{name}"));

    let folder = tempfile::tempdir().unwrap();
    loaded.save(folder.path(), "../../parity/base").unwrap();
    let saved = read_tensors(&folder.path().join("adapter_model.safetensors")).unwrap();
    let mut original = self::case(&format!("peft/{name}/adapter_model.safetensors"));
    // The base has these itself.
    original.retain(|name, _| !name.contains(".base_layer."));
    assert!(saved.keys().eq(original.keys()), "{name}: {:?}", saved.keys());
    assert!(saved.iter().all(|(name, tensor)| *tensor == original[name]));
    let read = |folder: &std::path::Path| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(folder.join("adapter_config.json")).unwrap()).unwrap()
    };
    let (ours, theirs) = (read(folder.path()), read(&adapter));
    for field in ["fan_in_fan_out", "task_type", "r", "lora_alpha", "use_rslora", "target_modules", "modules_to_save"] {
        if theirs[field].is_null() {
            continue;
        }
        assert_eq!(ours[field], theirs[field], "{name}: {field}");
    }

    // Scores that are tied to the token table cannot be changed alone.
    let scores = saved.contains_key("base_model.model.lm_head.lora_A.weight");
    if scores && !loaded.params.iter().any(|param| param.name == "lm_head.weight") {
        let error = loaded.merged_weights().unwrap_err().to_string();
        assert!(error.contains("tied to the token table"), "{error}");
        return;
    }
    let mut merged = LoadedModel::load(&base, &load_options(purpose)).unwrap();
    assert!(!loaded.merged_weights().unwrap().is_empty());
    merged.take_weights(&loaded.whole_weights().unwrap()).unwrap();
    let logits = retune_kernels::tch::no_grad(|| logits(&merged, &inputs(&case), &Mode::evaluation()));
    let worst = difference(&logits, &case["output.logits"]);
    assert!(worst < 1e-5, "{name}: {worst}");
}

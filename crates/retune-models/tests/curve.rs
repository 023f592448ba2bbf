//! Fifty training steps follow Hugging Face's loss curve (`fixtures/curves`).

mod common;

use common::{case, difference, fixture, load_options, test_device};
use retune_kernels::tch::{Kind, Tensor, no_grad};
use retune_kernels::{AdamW, AdamWOptions, Schedule, loss};
use retune_models::heads::SEQUENCE_CLASSIFICATION;
use retune_models::{LoadedModel, Mode, Tensors};

fn follow(name: &str) {
    let folder = fixture(&format!("curves/{name}"));
    let curve: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("curve.json")).unwrap()).unwrap();
    let settings = &curve["settings"];
    let batches = case(&format!("curves/{name}/batches.safetensors"));
    let loaded = LoadedModel::load(&folder, &load_options(&SEQUENCE_CLASSIFICATION)).unwrap();
    let options = AdamWOptions { weight_decay: settings["weight_decay"].as_f64().unwrap(), ..AdamWOptions::default() };
    let mut optimizer = AdamW::new(&loaded.params, options);
    let steps = settings["steps"].as_u64().unwrap();
    let accumulation = settings["accumulation"].as_u64().unwrap();
    let schedule = Schedule::new(
        settings["schedule"].as_str().unwrap(),
        settings["learning_rate"].as_f64().unwrap(),
        settings["warmup_steps"].as_f64().unwrap(),
        steps,
    )
    .unwrap();
    let class_weights = settings["class_weights"].as_array().map(|weights| {
        let weights: Vec<f32> = weights.iter().map(|w| w.as_f64().unwrap() as f32).collect();
        Tensor::from_slice(&weights).to_device(test_device())
    });
    let smoothing = settings["label_smoothing"].as_f64().unwrap();
    for step in 0..steps {
        let (mut sum, mut weight) = (0.0, 0.0);
        for micro in 0..accumulation {
            let row = (step * accumulation + micro) as i64;
            let inputs: Tensors =
                batches.iter().map(|(n, t)| (n.clone(), t.get(row).to_device(test_device()))).collect();
            let outputs = loaded.network.forward(&inputs, &Mode::training(0)).unwrap();
            let labels = inputs.get("labels").unwrap();
            let summed = loss::cross_entropy(outputs.get("logits").unwrap(), labels, class_weights.as_ref(), smoothing);
            summed.sum.backward();
            sum += summed.sum.double_value(&[]);
            weight += summed.weight.double_value(&[]);
        }
        let learning_rate = schedule.at(step);
        let scale = Tensor::from(1.0 / weight).to_device(test_device());
        let norm = optimizer.step(&loaded.params, learning_rate, &scale, 1.0).unwrap().wait().unwrap();
        let expected = |key: &str| curve[key][step as usize].as_f64().unwrap();
        assert!((learning_rate - expected("learning_rate")).abs() < 1e-12, "step {step}");
        assert!((sum / weight - expected("loss")).abs() < 1e-3, "step {step}: {} {}", sum / weight, expected("loss"));
        assert!((norm / expected("grad_norm") - 1.0).abs() < 1e-3, "step {step}: {norm}");
    }
    let last = case(&format!("curves/{name}/final.safetensors"));
    for param in loaded.params.iter().filter(|p| !p.name.ends_with("key.bias")) {
        let worst = no_grad(|| difference(&param.value().to_kind(Kind::Float), &last[&param.name]));
        assert!(worst < 1e-4, "{}: {worst}", param.name);
    }
}

#[test]
fn adamw_linear() {
    follow("bert-adamw");
}

#[test]
fn cosine_with_accumulation_smoothing_and_class_weights() {
    follow("bert-adamw-cosine-accumulated");
}

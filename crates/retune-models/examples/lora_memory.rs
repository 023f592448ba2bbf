//! How much memory LoRA takes in bf16 beside a model of BERT-base's size with random weights.
//!
//! `cargo run --release -p retune-models --example lora_memory -- FOLDER` makes the checkpoint where it is not there yet, then
//! loads it with an adapter and trains two steps. With `masters` behind the folder every parameter gets an fp32 master, as if
//! all of them learned. The peak is what `/usr/bin/time -v` calls the maximum resident set size.

use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{AdamW, AdamWOptions, Precision, random};
use retune_models::heads::SEQUENCE_CLASSIFICATION;
use retune_models::{LoadOptions, LoadedModel, LoraPlan, Mode, Tensors};
use std::error::Error;
use std::path::Path;

const CONFIG: &str = r#"{"model_type": "bert", "architectures": ["BertForSequenceClassification"]}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder")?;
    let folder = Path::new(&folder);
    let masters = arguments.next().is_some_and(|word| word == "masters");
    if !folder.join("model.safetensors").is_file() {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("config.json"), CONFIG)?;
        let options = LoadOptions { from_scratch: true, ..LoadOptions::new(&SEQUENCE_CLASSIFICATION) };
        LoadedModel::load(folder, &options)?.save(folder, "")?;
        println!("made {}; run it again to measure", folder.display());
        return Ok(());
    }
    let plan = LoraPlan::new(8, 16.0, 0.0, vec!["query".to_owned(), "value".to_owned()])?;
    let precision = Precision::Bf16;
    let options = LoadOptions { adapter: Some(plan), precision, ..LoadOptions::new(&SEQUENCE_CLASSIFICATION) };
    let mut loaded = LoadedModel::load(folder, &options)?;
    for param in loaded.params.iter_mut() {
        let learns = param.head || param.name.contains(".lora_");
        param.set_trainable(learns);
        if masters {
            param.set(&param.value()?)?;
        }
    }
    let (all, trained) = loaded.params.counts();
    let mut optimizer = AdamW::new(&loaded.params, AdamWOptions::default());
    let ids: Vec<i64> = random::uniform(1, 8 * 32).into_iter().map(|x| (x * 30_000.0) as i64).collect();
    let inputs = Tensors::from_iter([("input_ids".to_owned(), Tensor::from_slice(&ids).view([8, 32]))]);
    let mode = Mode::training(loaded.params.lowest_trainable_depth());
    for _ in 0..2 {
        let outputs = loaded.network.forward(&inputs, &mode)?;
        outputs.get("logits")?.square().mean(Kind::Float).backward();
        optimizer.step(&loaded.params, 1e-3, &Tensor::from(1.0), 1.0)?.wait()?;
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM unknown");
    println!("{trained} of {all} parameters learn; {peak}");
    Ok(())
}

//! One AdamW step over all parameters of a MiniLM classifier (6 layers, 22.7 million scalars), clipping included.
//!
//! Throughput is in scalars: criterion's `Melem/s` are million parameters a second.

use std::time::{Duration, Instant};

use benches::{Failure, PRECISIONS, fresh_weights, wait};
use criterion::{Criterion, Throughput};
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{AdamW, AdamWOptions, Params, Precision};
use retune_models::heads::SEQUENCE_CLASSIFICATION;
use retune_models::{ModelConfig, Network, registry};
use serde_json::json;

fn main() -> Result<(), Failure> {
    let device = benches::tensors()?;
    let mut criterion = benches::criterion();
    for precision in PRECISIONS {
        let params = minilm(precision, device)?;
        step(&mut criterion, precision, &params, device);
    }
    criterion.final_summary();
    Ok(())
}

/// The parameters that loading sentence-transformers/all-MiniLM-L6-v2 makes, with random values.
fn minilm(precision: Precision, device: Device) -> Result<Params, Failure> {
    let config = ModelConfig::new(json!({
        "model_type": "bert", "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2,
        "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536,
        "hidden_act": "gelu",
    }))?;
    let weights = fresh_weights("bert.", precision, device);
    Network::build(&weights, registry::family(&config)?, &config, Some(&SEQUENCE_CLASSIFICATION))?;
    Ok(weights.finish()?.0)
}

fn step(criterion: &mut Criterion, precision: Precision, params: &Params, device: Device) {
    let mut optimizer = AdamW::new(params, AdamWOptions { weight_decay: 0.01, ..AdamWOptions::default() });
    let leaves: Vec<Tensor> = params.trainable().map(|param| param.leaf()).collect();
    let factors: Vec<Tensor> = leaves.iter().map(|leaf| leaf.ones_like() * 1e-3).collect();
    let one = Tensor::ones([0i64; 0], (Kind::Double, device));
    let mut group = criterion.benchmark_group("optimizer/adamw");
    group.throughput(Throughput::Elements(params.counts().1 as u64));
    group.bench_function(precision.name(), |b| {
        b.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                // A step drops the gradients, so each one gets new ones, outside the clock.
                for (leaf, factor) in leaves.iter().zip(&factors) {
                    (leaf * factor).sum(Kind::Float).backward();
                }
                wait(device);
                let start = Instant::now();
                let norm = optimizer.step(params, 1e-5, &one, 1.0).expect("one device");
                norm.wait().expect("finite gradients");
                wait(device);
                total += start.elapsed();
            }
            total
        });
    });
    group.finish();
}

//! One encoder layer, forward and forward with backward, at the sizes of MiniLM and BERT-base.
//!
//! Throughput is in matrix-product FLOPs: criterion's `Gelem/s` are GFLOP/s.

use std::hint::black_box;

use benches::{Failure, PRECISIONS, fresh_weights, normal, wait};
use criterion::{Criterion, Throughput};
use retune_kernels::tch::{Device, Kind, no_grad};
use retune_kernels::{Activation, AdamW, AdamWOptions, Param, Precision, dropout};
use retune_models::layers::{AttentionNames, LayerNames, LayerSizes, PostNormLayer};

const BATCH: i64 = 32;
const TOKENS: i64 = 32;

const NAMES: LayerNames = LayerNames {
    attention: AttentionNames {
        query: "attention.self.query",
        key: "attention.self.key",
        value: "attention.self.value",
        output: "attention.output.dense",
    },
    attention_norm: "attention.output.LayerNorm",
    intermediate: "intermediate.dense",
    output: "output.dense",
    output_norm: "output.LayerNorm",
};

const MINILM: LayerSizes = LayerSizes {
    hidden: 384,
    heads: 12,
    intermediate: 1536,
    activation: Activation::Gelu,
    norm_epsilon: 1e-12,
    hidden_dropout: 0.1,
    feed_forward_dropout: 0.1,
    attention_dropout: 0.1,
};
const BERT_BASE: LayerSizes = LayerSizes { hidden: 768, intermediate: 3072, ..MINILM };

fn main() -> Result<(), Failure> {
    let device = benches::tensors()?;
    let mut criterion = benches::criterion();
    for (name, sizes) in [("minilm", MINILM), ("bert-base", BERT_BASE)] {
        for precision in PRECISIONS {
            layer(&mut criterion, name, &sizes, precision, device)?;
        }
    }
    criterion.final_summary();
    Ok(())
}

fn layer(
    criterion: &mut Criterion,
    name: &str,
    sizes: &LayerSizes,
    precision: Precision,
    device: Device,
) -> Result<(), Failure> {
    let weights = fresh_weights("", precision, device);
    let layer = PostNormLayer::load(&weights.root().at("layer.0"), &NAMES, sizes)?;
    let (mut params, _) = weights.finish()?;
    // The input learns too: in a stack of layers the gradient goes on below.
    let shape = [BATCH, TOKENS, sizes.hidden];
    let input = normal(2, &shape, Kind::Float, device);
    params.push(Param::new("input".to_owned(), 0, false, input, precision.kind()));
    let x = params.get_mut("input").ok_or("just added")?.leaf();
    // Without a target direction, the sum of a layer norm's output has no gradient.
    let direction = normal(3, &shape, precision.kind(), device);
    let mut gradients = AdamW::new(&params, AdamWOptions::default());

    let flops = BATCH as f64 * sizes.work(TOKENS as f64, TOKENS as f64);
    let mut group = criterion.benchmark_group(format!("encoder/{name}/{}", precision.name()));
    group.throughput(Throughput::Elements(flops as u64));
    group.bench_function("forward", |b| {
        b.iter(|| {
            let _ = no_grad(|| black_box(layer.forward(&x, &x, None, None, false)));
            wait(device);
        });
    });
    // The backward pass costs a product for the gradient of each factor.
    group.throughput(Throughput::Elements(3 * flops as u64));
    let mut step = 0;
    group.bench_function("forward-backward", |b| {
        b.iter(|| {
            step += 1;
            dropout::set_stream(step);
            let y = layer.forward(&x, &x, None, None, true);
            (y * &direction).sum(Kind::Float).backward();
            gradients.clear(&params).expect("gradients to drop");
            wait(device);
        });
    });
    group.finish();
    Ok(())
}

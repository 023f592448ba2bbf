//! Each fused kernel beside its plain composition, forward with backward, on 32 x 28 tokens at the sizes of MiniLM and
//! BERT-base. Throughput is in tokens.

use benches::{Failure, PRECISIONS, normal, wait};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use retune_kernels::fused::{self, EmbeddingIndices, EmbeddingTables};
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{Activation, AttentionOptions, Dense, LayerNorm, Precision, Table, dropout};

const BATCH: i64 = 32;
const TOKENS: i64 = 28;
const VOCABULARY: i64 = 30_522;
const HEADS: i64 = 12;
const DROPOUT: f64 = 0.1;

fn main() -> Result<(), Failure> {
    let device = benches::tensors()?;
    println!("fused kernels: {}", fused::choice());
    let mut criterion = benches::criterion();
    for (name, hidden) in [("minilm", 384), ("bert-base", 768)] {
        for precision in PRECISIONS {
            kernels(&mut criterion, name, hidden, precision, device);
        }
    }
    criterion.final_summary();
    Ok(())
}

/// Forward and backward of `run`, for gradients of all `leaves`.
fn both(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    device: Device,
    leaves: &[&Tensor],
    direction: &Tensor,
    run: impl Fn() -> Tensor,
) {
    let mut step = 0;
    group.bench_function(name, |b| {
        b.iter(|| {
            step += 1;
            dropout::set_stream(step);
            let loss = (run() * direction).sum(direction.kind());
            let gradients = Tensor::run_backward(&[loss], leaves, false, false);
            wait(device);
            gradients
        });
    });
}

fn kernels(criterion: &mut Criterion, name: &str, hidden: i64, precision: Precision, device: Device) {
    let kind = precision.kind();
    let leaf = |seed, shape: &[i64], kind| normal(seed, shape, kind, device).set_requires_grad(true);
    let [x, y, z] = [1, 2, 3].map(|seed| leaf(seed, &[BATCH, TOKENS, hidden], kind));
    let direction = normal(4, &[BATCH, TOKENS, hidden], kind, device);
    let (scale, shift) = (leaf(5, &[hidden], Kind::Float), leaf(6, &[hidden], Kind::Float));
    let norm = LayerNorm::new(scale.shallow_clone(), shift.shallow_clone(), 1e-12);
    let mut group = criterion.benchmark_group(format!("kernels/{name}/{}", precision.name()));
    group.throughput(Throughput::Elements((BATCH * TOKENS) as u64));

    let leaves = [&x, &y, &scale, &shift];
    both(&mut group, "norm/fused", device, &leaves, &direction, || {
        fused::dropout_residual_norm(&x, &y, &norm, DROPOUT, true)
    });
    both(&mut group, "norm/reference", device, &leaves, &direction, || {
        fused::norm::reference::dropout_residual_norm(&x, &y, &norm, DROPOUT, true)
    });

    let leaves = [&x, &y, &z];
    let options = AttentionOptions { dropout: DROPOUT, ..AttentionOptions::default() };
    both(&mut group, "attention/fused", device, &leaves, &direction, || {
        fused::attention(&x, &y, &z, HEADS, &options, true)
    });
    both(&mut group, "attention/reference", device, &leaves, &direction, || {
        fused::attention::reference::attention(&x, &y, &z, HEADS, &options, true)
    });

    let [of_keys, of_values] = [12, 13].map(|seed| leaf(seed, &[hidden, hidden], kind));
    let [key, value] = [&of_keys, &of_values].map(|weight| Dense::new(weight.shallow_clone(), None));
    let (one, one_direction) = (leaf(14, &[BATCH, 1, hidden], kind), normal(15, &[BATCH, 1, hidden], kind, device));
    let leaves = [&one, &x, &of_keys, &of_values];
    both(&mut group, "attention-of-one/fused", device, &leaves, &one_direction, || {
        fused::attention_of_few(&one, &x, [&key, &value], HEADS, &options, true)
    });
    both(&mut group, "attention-of-one/keys-and-values", device, &leaves, &one_direction, || {
        fused::attention_of_few::reference::attention_of_few(&one, &x, [&key, &value], HEADS, &options, true)
    });

    let wide = 4 * hidden;
    let (weight, bias) = (leaf(7, &[wide, hidden], kind), leaf(8, &[wide], kind));
    let wide_direction = normal(9, &[BATCH, TOKENS, wide], kind, device);
    let leaves = [&x, &weight, &bias];
    both(&mut group, "up/fused", device, &leaves, &wide_direction, || {
        fused::linear_activation(&x, &weight, Some(&bias), Activation::Gelu)
    });
    both(&mut group, "up/reference", device, &leaves, &wide_direction, || {
        fused::linear::reference::linear_activation(&x, &weight, Some(&bias), Activation::Gelu)
    });
    both(&mut group, "up/product-only", device, &leaves[..2], &wide_direction, || x.linear(&weight, None::<&Tensor>));

    let (words, places) = (leaf(10, &[VOCABULARY, hidden], Kind::Float), leaf(11, &[512, hidden], Kind::Float));
    let table = Table::new(words.shallow_clone());
    let ids = Tensor::arange(BATCH * TOKENS, (Kind::Int64, device)) * 7919;
    let ids = ids.remainder(VOCABULARY).reshape([BATCH, TOKENS]);
    let tables = EmbeddingTables { word: &table, position: &places, token_type: None, norm: &norm };
    let indices = EmbeddingIndices { ids: &ids, types: None, positions: None };
    let leaves = [&words, &places, &scale, &shift];
    both(&mut group, "embeddings/fused", device, &leaves, &direction, || {
        fused::text_embeddings(tables, indices, DROPOUT, kind, true)
    });
    both(&mut group, "embeddings/reference", device, &leaves, &direction, || {
        fused::embeddings::reference::text_embeddings(tables, indices, DROPOUT, kind, true)
    });
    group.finish();
}

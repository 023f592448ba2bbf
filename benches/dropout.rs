//! The counter-based dropout kernel beside libtorch's own, on the hidden states of 32 x 32 tokens of BERT-base.
//!
//! Throughput is in elements. On an accelerator both are libtorch's.

use std::hint::black_box;

use benches::{Failure, PRECISIONS, normal, wait};
use criterion::{Criterion, Throughput};
use retune_kernels::tch::{Device, Tensor, no_grad};
use retune_kernels::{Precision, dropout};

const SHAPE: [i64; 3] = [32, 32, 768];
const PROBABILITY: f64 = 0.1;

type Dropout = fn(&Tensor) -> Tensor;

fn main() -> Result<(), Failure> {
    let device = benches::tensors()?;
    let mut criterion = benches::criterion();
    for precision in PRECISIONS {
        beside_libtorch(&mut criterion, precision, device);
    }
    criterion.final_summary();
    Ok(())
}

fn beside_libtorch(criterion: &mut Criterion, precision: Precision, device: Device) {
    let x = normal(1, &SHAPE, precision.kind(), device).set_requires_grad(true);
    let incoming = normal(2, &SHAPE, precision.kind(), device);
    let both: [(&str, Dropout); 2] =
        [("kernel", |x| dropout::dropout(x, PROBABILITY, true)), ("libtorch", |x| x.dropout(PROBABILITY, true))];
    let mut group = criterion.benchmark_group(format!("dropout/{}", precision.name()));
    group.throughput(Throughput::Elements(SHAPE.iter().product::<i64>() as u64));
    dropout::set_stream(1);
    for (name, apply) in both {
        group.bench_function(format!("{name}/forward"), |b| {
            b.iter(|| {
                let _ = no_grad(|| black_box(apply(&x)));
                wait(device);
            });
        });
        group.bench_function(format!("{name}/forward-backward"), |b| {
            b.iter(|| {
                // Returns the gradient instead of adding it to the last one's.
                let y = (apply(&x) * &incoming).sum(precision.kind());
                black_box(Tensor::run_backward(&[y], &[&x], false, false));
                wait(device);
            });
        });
    }
    group.finish();
}

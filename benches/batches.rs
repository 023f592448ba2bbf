//! Making batches: the order of an epoch over 100 000 rows, and padding 32 tokenized rows into arrays.
//!
//! Throughput is in rows.

use std::hint::black_box;

use benches::{Failure, quickstart_dataset};
use criterion::{Criterion, Throughput};
use retune_data::{Batching, Dataset, Random, SamplerOptions, epoch_batches};

const ROWS: usize = 100_000;
const BATCH: usize = 32;

fn main() -> Result<(), Failure> {
    let mut criterion = benches::criterion();
    epoch(&mut criterion);
    padding(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn epoch(criterion: &mut Criterion) {
    let mut random = Random::at(&[1]);
    let lengths: Vec<usize> = (0..ROWS).map(|_| 3 + random.below(126)).collect();
    let mut group = criterion.benchmark_group("batches/epoch");
    group.throughput(Throughput::Elements(ROWS as u64));
    let ways = [("bucketed", Batching::Examples), ("tokens", Batching::Tokens), ("shuffled", Batching::Shuffled)];
    for (name, batching) in ways {
        let options = SamplerOptions { batch_size: BATCH, seed: 1, batching };
        let mut epoch = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                epoch += 1;
                black_box(epoch_batches(&|row| lengths[row], ROWS, epoch, &options))
            });
        });
    }
    group.finish();
}

fn padding(criterion: &mut Criterion) -> Result<(), Failure> {
    let dataset = quickstart_dataset()?;
    let options = SamplerOptions { batch_size: BATCH, seed: 1, batching: Batching::Examples };
    let batches = epoch_batches(&|row| dataset.length(row), dataset.len(), 0, &options);
    // The batches of an epoch in turn: they differ in length, and a run sees them all.
    let mut full = batches.iter().filter(|rows| rows.len() == BATCH).cycle();
    let mut group = criterion.benchmark_group("batches/padding");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("quickstart", |b| {
        b.iter(|| {
            let rows = full.next().expect("more than one batch of rows");
            black_box(dataset.batch(rows, None).expect("rows of this data set"))
        });
    });
    group.finish();
    Ok(())
}

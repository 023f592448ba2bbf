//! Tokenizing the quickstart's training texts on all cores. Throughput is in texts.

use std::hint::black_box;

use benches::{Failure, MAX_LENGTH, quickstart_rows, quickstart_tokenizer};
use criterion::{BatchSize, Throughput};
use retune_data::{LabelSchema, TextDataset};

fn main() -> Result<(), Failure> {
    let mut criterion = benches::criterion();
    let rows = quickstart_rows()?;
    let schema = LabelSchema::infer(&rows, None)?;
    let tokenizer = quickstart_tokenizer()?;
    let mut group = criterion.benchmark_group("tokenize");
    group.throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function("quickstart", |b| {
        b.iter_batched(
            || quickstart_rows().expect("was readable a moment ago"),
            |rows| {
                let dataset = TextDataset::encode(rows, &tokenizer, Some(&schema), MAX_LENGTH, &|_, _| ());
                black_box(dataset.expect("labels that the schema was made of"))
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
    criterion.final_summary();
    Ok(())
}

//! Tokenizing the quickstart's training texts on all cores. Throughput is in texts.

use std::hint::black_box;

use benches::{Failure, MAX_LENGTH, quickstart_rows, quickstart_tokenizer};
use criterion::Throughput;
use retune_data::{Records, Text, TextOptions};

fn main() -> Result<(), Failure> {
    let mut criterion = benches::criterion();
    let rows = quickstart_rows()?;
    let tokenizer = quickstart_tokenizer()?;
    let mut group = criterion.benchmark_group("tokenize");
    group.throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function("quickstart", |b| {
        b.iter(|| {
            let text = Text::encode(&rows, &tokenizer, &TextOptions::new(MAX_LENGTH), &|_, _| ());
            black_box(text.expect("texts of this program's own"))
        });
    });
    group.finish();
    criterion.final_summary();
    Ok(())
}

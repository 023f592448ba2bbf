//! What the benchmark suites share: short measurements, a process set up as a run sets it up, the quickstart's data.

use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::Criterion;
use retune_data::{Classes, Examples, LabelSchema, Layout, OnBadExample, TableRows, Text, TextOptions, Tokenizer};
use retune_kernels::tch::{Cuda, Device, Kind, Tensor};
use retune_kernels::{Precision, device, memory, precision, random};
use retune_models::checkpoint::{WeightsOptions, WeightsRoot};
use std::sync::Arc;

/// Whatever a suite cannot start without.
pub type Failure = Box<dyn std::error::Error>;

/// Both compute precisions.
pub const PRECISIONS: [Precision; 2] = [Precision::Fp32, Precision::Bf16];

/// Tokens after which the quickstart's texts are cut.
pub const MAX_LENGTH: usize = 128;

/// Criterion with few samples and short measurements, so that all suites together take minutes; arguments of the
/// command line win.
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_millis(2000))
        .configure_from_args()
}

/// Sets the process up as a run does, on the device that `RETUNE_DEVICE` names (the CPU without it), and prints the
/// ceilings that a suite's figures compare with.
///
/// # Errors
/// A device that is not there, or libtorch's own errors.
pub fn tensors() -> Result<Device, Failure> {
    memory::keep_memory_mapped();
    let device = device::of_environment()?;
    let ceilings = precision::probe(device)?;
    println!(
        "{device:?}: matrix products reach {:.0} GFLOP/s in fp32 and {:.0} in bf16",
        ceilings.fp32 / 1e9,
        ceilings.bf16 / 1e9
    );
    Ok(device)
}

/// Waits until the device has done what it was asked to: accelerators answer before they compute.
pub fn wait(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}

/// Standard normal numbers; the same for the same seed and shape.
pub fn normal(seed: u64, shape: &[i64], kind: Kind, device: Device) -> Tensor {
    let count = shape.iter().product::<i64>() as usize;
    Tensor::from_slice(&random::normal(seed, count)).reshape(shape).to_kind(kind).to_device(device)
}

/// Random weights for layers whose tensors begin with `base_prefix`.
pub fn fresh_weights(base_prefix: &str, precision: Precision, device: Device) -> WeightsRoot {
    WeightsRoot::new(
        None,
        WeightsOptions {
            base_prefix: base_prefix.to_owned(),
            stored_prefixes: vec![base_prefix.to_owned()],
            new_head: true,
            headless: false,
            only: None,
            from_scratch: true,
            seed: 1,
            precision,
            device,
            initializer_range: 0.02,
            adapter: None,
        },
    )
}

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(path)
}

/// The quickstart's training rows: short review sentences, two classes.
///
/// # Errors
/// A checkout without fixtures.
pub fn quickstart_rows() -> Result<TableRows, Failure> {
    let layout = Layout::text("text").labels(["label"]);
    Ok(TableRows::read(fixture("sentiment/train.csv"), &layout, true, OnBadExample::Fail)?)
}

/// The small WordPiece tokenizer of the fixtures.
///
/// # Errors
/// A checkout without fixtures.
pub fn quickstart_tokenizer() -> Result<Tokenizer, Failure> {
    Ok(Tokenizer::load(fixture("tiny-tokenizer"))?)
}

/// The quickstart's training rows, tokenized.
///
/// # Errors
/// A checkout without fixtures.
pub fn quickstart_dataset() -> Result<Examples<Text, Classes>, Failure> {
    let rows = quickstart_rows()?;
    let schema = LabelSchema::infer(&rows, None)?;
    let tokenizer = quickstart_tokenizer()?;
    let text = Text::encode(&rows, &tokenizer, &TextOptions::new(MAX_LENGTH), &|_, _| ())?;
    let classes = Classes::read(&rows, schema.names())?;
    Ok(Examples::new(Arc::new(rows), text, classes)?)
}

//! Images: decoding a photograph and scaling it, a batch of augmented ones, and a training step of a ViT-tiny
//! (Dosovitskiy et al. 2020; D 192, 12 layers, 3 heads, patches of 16) from random weights.
//!
//! Throughput is in images.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use benches::{Failure, PRECISIONS, fresh_weights, normal, wait};
use criterion::{Criterion, Throughput};
use retune_data::{
    Classes, Dataset, Examples, ImageOptions, ImageProcessor, Images, LabelSchema, Layout, OnBadExample, Pass, Random,
    read_images,
};
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{AdamW, AdamWOptions, Precision, dropout, loss};
use retune_models::heads::IMAGE_CLASSIFICATION;
use retune_models::{Mode, ModelConfig, Network, Tensors, registry};
use serde_json::json;

const PHOTOGRAPH: (u32, u32) = (500, 375);
const SIDE: usize = 224;
const BATCH: usize = 32;
const TRAINING_BATCH: i64 = 8;
const CLASSES: i64 = 10;

fn main() -> Result<(), Failure> {
    let device = benches::tensors()?;
    let mut criterion = benches::criterion();
    decode(&mut criterion)?;
    augment(&mut criterion)?;
    for precision in PRECISIONS {
        step(&mut criterion, precision, device)?;
    }
    criterion.final_summary();
    Ok(())
}

/// Writes a JPEG file of gradients and grain: as large as a photograph of its size, unlike a plain one.
fn photograph(path: &Path, seed: u64) -> Result<(), Failure> {
    let mut random = Random::at(&[seed]);
    let (width, height) = PHOTOGRAPH;
    let picture = image::RgbImage::from_fn(width, height, |x, y| {
        let grain = random.below(24) as u32;
        image::Rgb([x * 230 / width + grain, y * 230 / height + grain, (x + y) % 230 + grain].map(|value| value as u8))
    });
    Ok(picture.save(path)?)
}

/// No preprocessor_config.json in `folder`: plain scaling, values from -1 to 1.
fn processor(folder: &Path) -> Result<ImageProcessor, Failure> {
    Ok(ImageProcessor::load(folder, (SIDE, SIDE), 3)?)
}

fn decode(criterion: &mut Criterion) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    photograph(&folder.path().join("0.jpg"), 1)?;
    let processor = processor(folder.path())?;
    let options = ImageOptions::default();
    let rows = Arc::new(read_images(folder.path(), &Layout::image("image"), false, OnBadExample::Fail)?);
    let mut group = criterion.benchmark_group("images/decode-resize");
    group.throughput(Throughput::Elements(1));
    group.bench_function("jpeg-500x375-to-224", |b| {
        b.iter(|| {
            let images = Images::encode(&rows, &processor, &options, &|_, _| ());
            black_box(images.expect("an image of this program's own"))
        });
    });
    group.finish();
    Ok(())
}

fn augment(criterion: &mut Criterion) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    for index in 0..BATCH {
        let class = folder.path().join(["day", "night"][index % 2]);
        std::fs::create_dir_all(&class)?;
        photograph(&class.join(format!("{index}.jpg")), index as u64)?;
    }
    let layout = Layout::image("image").labels(["label"]);
    let rows = Arc::new(read_images(folder.path(), &layout, true, OnBadExample::Fail)?);
    let schema = LabelSchema::infer(rows.as_ref(), None)?;
    let processor = processor(folder.path())?;
    let mut group = criterion.benchmark_group("images/batch-of-32");
    group.throughput(Throughput::Elements(BATCH as u64));
    for preset in ["none", "light", "strong"] {
        let options = ImageOptions { augmentation: preset.parse()?, ..ImageOptions::default() };
        let images = Images::encode(&rows, &processor, &options, &|_, _| ())?;
        let dataset = Examples::new(rows.clone(), images, Classes::read(rows.as_ref(), schema.names())?)?;
        let all: Vec<usize> = (0..BATCH).collect();
        let mut epoch = 0;
        group.bench_function(preset, |b| {
            b.iter(|| {
                epoch += 1;
                black_box(dataset.batch(&all, Some(Pass { seed: 1, epoch })).expect("rows of this data set"))
            });
        });
    }
    group.finish();
    Ok(())
}

fn step(criterion: &mut Criterion, precision: Precision, device: Device) -> Result<(), Failure> {
    let config = ModelConfig::new(json!({
        "model_type": "vit", "image_size": SIDE, "patch_size": 16, "num_channels": 3, "hidden_size": 192,
        "num_hidden_layers": 12, "num_attention_heads": 3, "intermediate_size": 768, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "num_labels": CLASSES,
    }))?;
    let weights = fresh_weights("vit.", precision, device);
    let network = Network::build(&weights, registry::family(&config)?, &config, Some(&IMAGE_CLASSIFICATION))?;
    let (params, _) = weights.finish()?;
    let mut optimizer = AdamW::new(&params, AdamWOptions { weight_decay: 0.05, ..AdamWOptions::default() });
    let side = SIDE as i64;
    let mut inputs = Tensors::default();
    inputs.insert("pixel_values", normal(2, &[TRAINING_BATCH, 3, side, side], Kind::Float, device));
    let labels = Tensor::arange(TRAINING_BATCH, (Kind::Int64, device)).remainder(CLASSES);
    let mode = Mode::training(0);

    let mut group = criterion.benchmark_group("images/vit-tiny-step");
    group.throughput(Throughput::Elements(TRAINING_BATCH as u64));
    let mut stream = 0;
    group.bench_function(precision.name(), |b| {
        b.iter(|| {
            stream += 1;
            dropout::set_stream(stream);
            let outputs = network.forward(&inputs, &mode).expect("images of the model's size");
            let loss = loss::cross_entropy(outputs.get("logits").expect("a classifier"), &labels, None, 0.0);
            loss.sum.backward();
            let norm = optimizer.step(&params, 1e-4, &loss.weight.reciprocal(), 1.0).expect("one device");
            norm.wait().expect("finite gradients");
            wait(device);
        });
    });
    group.finish();
    Ok(())
}

//! The committed images and what Pillow and transformers make of them (`scripts/fixtures_images.py`).

use std::path::PathBuf;

use safetensors::SafeTensors;

use super::decode::decode;
use super::{GreyRange, Pixels};

/// `fixtures/images`.
pub(super) fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures", "images"].iter().collect()
}

/// The bytes of a file in `fixtures/images/files`.
pub(super) fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder().join("files").join(name)).unwrap()
}

/// What bytes decode to with the whole range of grey.
pub(super) fn decoded(bytes: &[u8], channels: usize) -> Result<Pixels, String> {
    decode(bytes, channels, GreyRange::default()).map(|decoded| decoded.pixels)
}

/// The images in a file of uint8 tensors `[H, W, C]`, by name.
pub(super) fn images(name: &str) -> Vec<(String, Pixels)> {
    let bytes = std::fs::read(folder().join(name)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let image = |(name, tensor): (String, safetensors::tensor::TensorView<'_>)| {
        let [height, width, channels] = *tensor.shape() else { panic!("{name}") };
        (name, Pixels::new(width, height, channels, tensor.data().to_vec()))
    };
    let mut all: Vec<(String, Pixels)> = tensors.tensors().into_iter().map(image).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// The tensors in a file of float tensors, by name, with their shapes.
pub(super) fn floats(name: &str) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(folder().join(name)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let number = |quad: &[u8]| f32::from_le_bytes(quad.try_into().unwrap());
    let values = |data: &[u8]| data.chunks_exact(4).map(number).collect();
    tensors.tensors().into_iter().map(|(name, t)| (name, t.shape().to_vec(), values(t.data()))).collect()
}

/// The greatest difference between two images of the same size.
pub(super) fn difference(a: &Pixels, b: &Pixels) -> u8 {
    assert_eq!((a.width(), a.height(), a.channels()), (b.width(), b.height(), b.channels()));
    a.data().iter().zip(b.data()).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

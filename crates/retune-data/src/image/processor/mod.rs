//! `preprocessor_config.json`: how an image becomes what a model was trained on.
//!
//! Hugging Face's `ViTImageProcessor`, `DeiTImageProcessor`, `BeitImageProcessor`,
//! `BitImageProcessor` (DINOv2), `CLIPImageProcessor`, `ConvNextImageProcessor`, `SegformerImageProcessor`,
//! `YolosImageProcessor`, `DetrImageProcessor`, `ConditionalDetrImageProcessor`, `DeformableDetrImageProcessor`,
//! `RTDetrImageProcessor`, `MobileViTImageProcessor` and their older `…FeatureExtractor` forms, with the arithmetic of their Pillow backend: resize, center crop,
//! rescale, normalise, in this order. `do_reduce_labels` concerns masks only; `do_convert_rgb` has no
//! effect, because channels follow the model.

mod config;
mod fit;
mod kind;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{GreyRange, Moves, Pixels, Resample};
use crate::DataError;
use kind::Kind;

/// The file in a model's folder.
const FILE: &str = "preprocessor_config.json";
/// A key of ours, which transformers ignores: see [`GreyRange`].
const GREY_RANGE: &str = "grey_range";

/// Target of the resize.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// Height and width, whatever the shape of the image.
    Exact(usize, usize),
    /// The shorter side, keeping the shape; the longer side limited where given.
    ShortestEdge(usize, Option<usize>),
}

/// A processor, as its configuration describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageProcessor {
    /// The configuration as read; keys unknown here survive a save.
    raw: Map<String, Value>,
    kind: Kind,
    resize: Option<Size>,
    resample: Resample,
    /// Height and width of the center crop.
    crop: Option<(usize, usize)>,
    crop_pct: f64,
    rescale_factor: Option<f64>,
    /// Mean and standard deviation by channel.
    normalize: Option<(Vec<f32>, Vec<f32>)>,
    channels: usize,
    /// Whether the model takes blue first and red last.
    flips: bool,
    grey: GreyRange,
    /// Whether images keep their shapes and are filled up to the largest of their batch.
    pads: bool,
}

impl ImageProcessor {
    /// Reads the configuration in a model's folder. Without one, images are scaled to
    /// `image_size` (height and width) as `ViTImageProcessor` does it: bilinear, mean and
    /// standard deviation 0.5. `channels` are the model's: 1 or 3.
    ///
    /// # Errors
    /// A configuration that is no JSON, is of a type not known here, or says what cannot be done.
    pub fn load(folder: &Path, image_size: (usize, usize), channels: usize) -> Result<Self, DataError> {
        let path = folder.join(FILE);
        if path.is_file() {
            let text = std::fs::read(&path).map_err(|source| DataError::Read { file: path.clone(), source })?;
            return Self::parse(&text, channels).map_err(|message| DataError::Processor { path, message });
        }
        Self::plain(image_size, channels).map_err(|message| DataError::Processor { path, message })
    }

    /// What [`ImageProcessor::load`] gives without a configuration.
    fn plain((height, width): (usize, usize), channels: usize) -> Result<Self, String> {
        let config = json!({
            "do_normalize": true,
            "do_rescale": true,
            "do_resize": true,
            "image_mean": vec![0.5; channels],
            "image_processor_type": "ViTImageProcessor",
            "image_std": vec![0.5; channels],
            "resample": 2,
            "rescale_factor": 1.0 / 255.0,
            "size": {"height": height, "width": width},
        });
        Self::from_config(config.as_object().cloned().unwrap_or_default(), channels)
    }

    fn parse(text: &[u8], channels: usize) -> Result<Self, String> {
        let raw: Map<String, Value> =
            serde_json::from_slice(text).map_err(|error| format!("is not a JSON object: {error}; fetch it again"))?;
        Self::from_config(raw, channels)
    }

    /// The same processor for images of another size (height and width).
    ///
    /// # Errors
    /// A size of 0, or one that is not square where the shorter side is what counts.
    pub fn with_size(&self, height: usize, width: usize) -> Result<Self, DataError> {
        let fail = |message: String| DataError::Processor { path: PathBuf::from(FILE), message };
        let mut raw = self.raw.clone();
        let exact = json!({"height": height, "width": width});
        match (self.resize, self.crop) {
            (Some(Size::ShortestEdge(..)), _) if height != width => {
                return Err(fail(format!("{} works on square images; give one image size", self.kind.name())));
            }
            // As much is cropped away as before, in proportion.
            (Some(Size::ShortestEdge(edge, _)), Some((crop, _))) => {
                let edge = (height * edge).div_ceil(crop.max(1)).max(height);
                raw.insert("size".into(), json!({"shortest_edge": edge}));
                raw.insert("crop_size".into(), exact);
            }
            (Some(Size::ShortestEdge(old, Some(longest))), None) => {
                let longest = (longest * height).div_ceil(old.max(1));
                raw.insert("size".into(), json!({"shortest_edge": height, "longest_edge": longest}));
            }
            (Some(Size::ShortestEdge(_, None)), None) => {
                raw.insert("size".into(), json!({"shortest_edge": height}));
            }
            (Some(Size::Exact(old_height, old_width)), Some((crop_height, crop_width))) => {
                let scaled = |new: usize, old: usize, crop: usize| (new * old).div_ceil(crop.max(1)).max(new);
                let (tall, wide) = (scaled(height, old_height, crop_height), scaled(width, old_width, crop_width));
                raw.insert("size".into(), json!({"height": tall, "width": wide}));
                raw.insert("crop_size".into(), exact);
            }
            (Some(Size::Exact(..)), None) => {
                raw.insert("size".into(), exact);
            }
            (None, _) => {
                raw.insert("do_resize".into(), true.into());
                raw.insert("size".into(), exact.clone());
                raw.insert("do_center_crop".into(), false.into());
            }
        }
        Self::from_config(raw, self.channels).map_err(fail)
    }

    /// The same processor where every pixel counts: to the size that it would cut out, images are scaled whole.
    ///
    /// # Errors
    /// A configuration that cannot be read again.
    pub fn whole(&self) -> Result<Self, DataError> {
        let Some((height, width)) = self.output_size().filter(|_| !self.keeps_all()) else { return Ok(self.clone()) };
        let mut raw = self.raw.clone();
        raw.insert("size".into(), json!({"height": height, "width": width}));
        raw.insert("do_resize".into(), true.into());
        raw.insert("do_center_crop".into(), false.into());
        raw.shift_remove("crop_size");
        if self.kind == Kind::ConvNext {
            // Its class knows the shorter side alone.
            raw.shift_remove("feature_extractor_type");
            raw.shift_remove("crop_pct");
            raw.insert("image_processor_type".into(), Kind::Vit.name().into());
            raw.insert("resample".into(), self.resample.number().into());
        }
        let fail = |message: String| DataError::Processor { path: PathBuf::from(FILE), message };
        Self::from_config(raw, self.channels).map_err(fail)
    }

    /// The same processor, which maps 16-bit grey so; a saved model remembers it.
    pub fn with_grey_range(mut self, grey: GreyRange) -> Self {
        self.raw.shift_remove(GREY_RANGE);
        if grey != GreyRange::default() {
            self.raw.insert(GREY_RANGE.into(), grey.to_string().into());
        }
        self.grey = grey;
        self
    }

    /// Whether images keep their shapes and are filled up to the largest of their batch.
    pub fn pads(&self) -> bool {
        self.pads && !matches!(self.resize, Some(Size::Exact(..)))
    }

    /// Which samples of 16-bit grey files become black and white.
    pub fn grey_range(&self) -> GreyRange {
        self.grey
    }

    /// Whether every pixel of an image is in the result.
    pub fn keeps_all(&self) -> bool {
        let cuts = matches!(self.resize, Some(Size::ShortestEdge(edge, _)) if self.kind == Kind::ConvNext && edge < fit::CONVNEXT_WARP);
        self.crop.is_none() && !cuts
    }

    /// Whether 0 in a mask is no class and the others count from 1: `do_reduce_labels`.
    pub fn reduces_labels(&self) -> bool {
        ["do_reduce_labels", "reduce_labels"].iter().any(|key| self.raw.get(*key) == Some(&Value::Bool(true)))
    }

    /// The same processor, which reads masks so; a saved model remembers it.
    pub fn with_reduced_labels(mut self, reduces: bool) -> Self {
        self.raw.shift_remove("reduce_labels");
        self.raw.insert("do_reduce_labels".into(), reduces.into());
        self
    }

    /// The configuration as it would be saved: everything that pixels depend on.
    pub fn config(&self) -> &Map<String, Value> {
        &self.raw
    }

    /// Writes the configuration into a model's folder, in a form that transformers'
    /// `AutoImageProcessor` loads, and returns its path. Keys unknown here are kept.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, folder: &Path) -> Result<PathBuf, DataError> {
        let path = folder.join(FILE);
        let mut raw = self.raw.clone();
        raw.shift_remove("feature_extractor_type");
        raw.insert("image_processor_type".into(), self.kind.name().into());
        let failed = |source| DataError::Write { file: path.clone(), source };
        let mut file = tempfile::Builder::new().prefix(".retune-").tempfile_in(folder).map_err(failed)?;
        serde_json::to_writer_pretty(&mut file, &raw).map_err(|error| failed(error.into()))?;
        std::io::Write::write_all(&mut file, b"\n").map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(path)
    }

    /// Samples per pixel of what the model takes.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Height and width of every processed image; `None` when they follow the image.
    pub fn output_size(&self) -> Option<(usize, usize)> {
        match (self.crop, self.resize) {
            (Some(crop), _) => Some(crop),
            (None, Some(Size::Exact(height, width))) => Some((height, width)),
            (None, Some(Size::ShortestEdge(edge, _))) if self.kind == Kind::ConvNext => Some((edge, edge)),
            _ => None,
        }
    }

    /// The filter that resizing uses.
    pub fn resample(&self) -> Resample {
        self.resample
    }

    /// Resizes and crops; what is left to do is [`ImageProcessor::values`].
    ///
    /// # Errors
    /// An image so long and thin that it would fill the memory, as a phrase that follows its path.
    pub fn fit(&self, image: &Pixels) -> Result<Pixels, String> {
        fit::fit(self, image)
    }

    /// Where the pixels of an image of this size go in [`ImageProcessor::fit`].
    ///
    /// # Errors
    /// As there.
    pub(super) fn moves(&self, width: usize, height: usize) -> Result<Moves, String> {
        fit::moves(self, (height, width))
    }

    /// The sample of a pixel that each channel of the model is made of.
    pub fn order(&self) -> Vec<usize> {
        let order = 0..self.channels;
        if self.flips { order.rev().collect() } else { order.collect() }
    }

    /// Height and width of a processed image that is to be so many times as large, where images keep their shapes.
    pub(super) fn scaled(&self, (height, width): (usize, usize), factor: f64) -> (usize, usize) {
        let multiple = self.kind.multiple();
        let side = |side: usize| (((side as f64 * factor) as usize) / multiple * multiple).max(multiple);
        (side(height), side(width))
    }

    /// What each of the 256 sample values becomes, by channel of the model: rescaled and normalised.
    pub fn values(&self) -> Vec<[f32; 256]> {
        (0..self.channels)
            .map(|channel| {
                std::array::from_fn(|sample| {
                    let value = match self.rescale_factor {
                        Some(factor) => (sample as f64 * factor) as f32,
                        None => sample as f32,
                    };
                    match &self.normalize {
                        Some((mean, std)) => (value - mean[channel]) / std[channel],
                        None => value,
                    }
                })
            })
            .collect()
    }

    /// The sample values nearest to 0 after normalising, by channel: what fills empty corners.
    pub(super) fn neutral(&self) -> Vec<u8> {
        let nearest = |values: &[f32; 256]| {
            let size = |sample: &u8| values[usize::from(*sample)].abs();
            (0..=u8::MAX).min_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(0)
        };
        // By sample of a pixel; the order is its own reverse.
        let values = self.values();
        self.order().iter().map(|&channel| nearest(&values[channel])).collect()
    }
}

#[cfg(test)]
mod tests;

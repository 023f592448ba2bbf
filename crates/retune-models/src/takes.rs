//! What a model takes: tokens, images or sounds.

use crate::layers::SizeRule;
use crate::{ModelConfig, ModelError};

/// What a model takes, as its configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takes {
    /// `input_ids`.
    Tokens {
        /// Longest input that the model has positions for, special tokens included.
        longest: Option<usize>,
        /// Rows of the token embedding.
        vocabulary: usize,
    },
    /// `pixel_values`.
    Images(ImageInput),
    /// `input_values` or `input_features` of a sound.
    Audio(AudioInput),
}

impl Takes {
    /// The images, if it takes images.
    pub fn images(self) -> Option<ImageInput> {
        match self {
            Self::Images(input) => Some(input),
            Self::Tokens { .. } | Self::Audio(_) => None,
        }
    }
}

/// The sounds that a model was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudioInput {
    /// Samples [B, N], of any number from the first frame on.
    Samples {
        /// How many frames become of them.
        frames: FrameRule,
        /// Whether it was trained with masks that say what is padding.
        masked: bool,
    },
    /// A filter bank [B, frames, bins] of this size.
    Spectrogram {
        /// Along time.
        frames: i64,
        /// Along frequency.
        bins: i64,
    },
    /// A log-mel spectrogram [B, bins, frames] of this size, of which a decoder writes a text.
    LogMel {
        /// Along time.
        frames: i64,
        /// Along frequency.
        bins: i64,
        /// Longest text that there are positions for, in tokens.
        longest: usize,
        /// Rows of the token table.
        vocabulary: usize,
    },
}

/// How many frames a stack of convolutions without padding makes of samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameRule {
    /// Kernel and stride of each.
    convolutions: Vec<(i64, i64)>,
}

impl FrameRule {
    /// Of kernels and strides, the first one first.
    pub fn new(convolutions: Vec<(i64, i64)>) -> Self {
        Self { convolutions }
    }

    /// Frames of so many samples; 0 where they are too few for one.
    pub fn frames(&self, samples: i64) -> i64 {
        let longest = |length: i64, &(kernel, stride): &(i64, i64)| {
            if length < kernel { 0 } else { (length - kernel) / stride + 1 }
        };
        self.convolutions.iter().fold(samples, longest)
    }

    /// Samples that one frame is made of: no fewer can be used.
    pub fn receptive_field(&self) -> i64 {
        self.convolutions.iter().rev().fold(1, |length, &(kernel, stride)| (length - 1) * stride + kernel)
    }

    /// Samples from one frame to the next.
    pub fn hop(&self) -> i64 {
        self.convolutions.iter().map(|(_, stride)| stride).product()
    }
}

/// The images that a model was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageInput {
    /// Colour channels.
    pub channels: i64,
    /// Height and width; models that interpolate their positions take others too.
    pub size: (i64, i64),
    /// Height and width of a patch.
    pub patch: (i64, i64),
    /// The sizes it takes.
    pub sizes: SizeRule,
    /// What becomes of its positions at another size.
    pub positions: Positions,
}

/// What becomes of a model's positions when images are of another size than it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// There are none that depend on the size.
    Free,
    /// They are interpolated.
    Interpolated,
    /// They are interpolated; transformers wants to be told so.
    InterpolatedOnRequest,
}

impl ImageInput {
    /// Of whole patches, as `patch_size` and `image_size` say.
    ///
    /// # Errors
    /// Fields that are missing, or an image smaller than a patch.
    pub fn new(config: &ModelConfig, positions: Positions) -> Result<Self, ModelError> {
        let patch = config.height_and_width("patch_size")?;
        let size = match config.get("image_size") {
            // ConvNeXt takes any size, and its older configurations name none.
            None => (224, 224),
            Some(_) => config.height_and_width("image_size")?,
        };
        if size.0 < patch.0 || size.1 < patch.1 {
            let problem = format!("is {}×{}, smaller than a patch of {}×{}", size.0, size.1, patch.0, patch.1);
            return Err(ModelError::Config { field: "image_size".to_owned(), problem });
        }
        let channels = config.size_or("num_channels", 3)?;
        Ok(Self { channels, size, patch, sizes: SizeRule::multiples(patch), positions })
    }

    /// Patches of an image of that size.
    pub fn patches(&self) -> i64 {
        (self.size.0 / self.patch.0) * (self.size.1 / self.patch.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_as_the_convolutions_make_them() {
        // Wav2Vec2: 20 ms apart, of 25 ms each, at 16 kHz.
        let kernels = [(10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)];
        let rule = FrameRule::new(kernels.to_vec());
        assert_eq!((rule.hop(), rule.receptive_field()), (320, 400));
        let frames = [0, 399, 400, 719, 720, 16_000].map(|samples| rule.frames(samples));
        assert_eq!(frames, [0, 0, 1, 1, 2, 49]);
    }
}

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
        /// Whether it wants to know how many samples each row has in place of a mask.
        counted: bool,
        /// The text that a decoder writes of them, where there is one.
        written: Option<Written>,
    },
    /// Frames [B, T, size] of a filter bank, several of which stand side by side, of any number, with masks.
    Frames {
        /// Features of each.
        size: i64,
        /// How many frames the model makes of them.
        frames: FrameRule,
    },
    /// A filter bank [B, frames, bins] of this size.
    Spectrogram {
        /// Along time.
        frames: i64,
        /// Along frequency.
        bins: i64,
    },
    /// Cepstral coefficients [B, frames, coefficients] of this size.
    Cepstra {
        /// Along time.
        frames: i64,
        /// Of each frame.
        coefficients: i64,
    },
    /// A log-mel spectrogram [B, bins, frames] of this size, of which a decoder writes a text.
    LogMel {
        /// Along time.
        frames: i64,
        /// Along frequency.
        bins: i64,
        /// That text.
        written: Written,
    },
}

impl AudioInput {
    /// The text that a decoder writes, where there is one.
    pub fn written(&self) -> Option<Written> {
        match self {
            Self::Samples { written, .. } => *written,
            Self::LogMel { written, .. } => Some(*written),
            Self::Frames { .. } | Self::Spectrogram { .. } | Self::Cepstra { .. } => None,
        }
    }
}

/// A text that a decoder writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Longest one that there are positions for, in tokens.
    pub longest: usize,
    /// Rows of the token table.
    pub vocabulary: usize,
}

/// How many frames a stack of convolutions makes of samples, or of other frames.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FrameRule {
    /// Kernel, stride, and padding on either side of each.
    convolutions: Vec<(i64, i64, i64)>,
}

impl FrameRule {
    /// Of kernels and strides without padding, the first one first.
    pub fn new(convolutions: impl IntoIterator<Item = (i64, i64)>) -> Self {
        Self::padded(convolutions.into_iter().map(|(kernel, stride)| (kernel, stride, 0)))
    }

    /// Of kernels, strides and paddings.
    pub fn padded(convolutions: impl IntoIterator<Item = (i64, i64, i64)>) -> Self {
        Self { convolutions: convolutions.into_iter().collect() }
    }

    /// The same behind others.
    #[must_use]
    pub fn behind(self, mut first: Self) -> Self {
        first.convolutions.extend(self.convolutions);
        first
    }

    /// Frames of so many samples; 0 where they are too few for one.
    pub fn frames(&self, samples: i64) -> i64 {
        let longest = |length: i64, &(kernel, stride, padding): &(i64, i64, i64)| {
            let wide = length + 2 * padding;
            if length < 1 || wide < kernel { 0 } else { (wide - kernel) / stride + 1 }
        };
        self.convolutions.iter().fold(samples, longest)
    }

    /// Samples that one frame is made of: no fewer can be used.
    pub fn receptive_field(&self) -> i64 {
        let needed = |length: i64, &(kernel, stride, padding): &(i64, i64, i64)| {
            ((length - 1) * stride + kernel - 2 * padding).max(1)
        };
        self.convolutions.iter().rev().fold(1, needed)
    }

    /// Samples from one frame to the next.
    pub fn hop(&self) -> i64 {
        self.convolutions.iter().map(|(_, stride, _)| stride).product()
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
        let rule = FrameRule::new(kernels);
        assert_eq!((rule.hop(), rule.receptive_field()), (320, 400));
        let frames = [0, 399, 400, 719, 720, 16_000].map(|samples| rule.frames(samples));
        assert_eq!(frames, [0, 0, 1, 1, 2, 49]);
    }

    #[test]
    fn frames_of_frames_are_counted_behind_them() {
        // Wav2Vec2-BERT: pieces of 25 ms every 10 ms, two of them side by side, then a padded convolution.
        let rule = FrameRule::padded([(3, 2, 1)]).behind(FrameRule::new([(400, 160), (2, 2)]));
        assert_eq!((rule.hop(), rule.receptive_field()), (640, 560));
        assert_eq!([559, 560, 1199, 1200, 16_000].map(|samples| rule.frames(samples)), [0, 1, 1, 2, 25]);
    }
}

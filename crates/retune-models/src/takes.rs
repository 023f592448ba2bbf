//! What a model takes: tokens or images.

use crate::layers::SizeRule;
use crate::{ModelConfig, ModelError};

/// What a model takes, as its configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

impl Takes {
    /// The images, if it takes images.
    pub fn images(self) -> Option<ImageInput> {
        match self {
            Self::Images(input) => Some(input),
            Self::Tokens { .. } => None,
        }
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

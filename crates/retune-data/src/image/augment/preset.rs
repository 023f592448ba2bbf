//! The presets by name; the table is in the parent module's documentation.

use std::str::FromStr;

use super::{Augmentation, ColorJitter, RandAugment, RandomErasing, RandomResizedCrop, ZoomOut};
use crate::DataError;

const PRESETS: &str = "none, light, medium, strong, scale, medical-light, medical, medical-strong";

fn crop(least: f64) -> Option<RandomResizedCrop> {
    Some(RandomResizedCrop { scale: (least, 1.0), ratio: (3.0 / 4.0, 4.0 / 3.0) })
}

/// Parts of the body keep their proportions.
fn medical_crop(least: f64) -> Option<RandomResizedCrop> {
    Some(RandomResizedCrop { scale: (least, 1.0), ratio: (0.9, 1.0 / 0.9) })
}

fn jitter(brightness: f64, contrast: f64, saturation: f64, hue: f64) -> Option<ColorJitter> {
    Some(ColorJitter { brightness, contrast, saturation, hue })
}

impl FromStr for Augmentation {
    type Err = DataError;

    /// A preset: none, light, medium, strong, scale, medical-light, medical or medical-strong.
    fn from_str(name: &str) -> Result<Self, DataError> {
        let none = Self::default();
        Ok(match name {
            "none" => none,
            "light" => Self { crop: crop(0.75), horizontal_flip: 0.5, color: jitter(0.1, 0.1, 0.1, 0.0), ..none },
            "medium" => Self {
                crop: crop(0.5),
                horizontal_flip: 0.5,
                rotation: 10.0,
                color: jitter(0.2, 0.2, 0.2, 0.05),
                erasing: Some(RandomErasing { probability: 0.1 }),
                ..none
            },
            "strong" => Self {
                crop: crop(0.25),
                horizontal_flip: 0.5,
                rand_augment: Some(RandAugment { operations: 2, magnitude: 9 }),
                erasing: Some(RandomErasing { probability: 0.25 }),
                mixup: 0.8,
                cutmix: 1.0,
                ..none
            },
            "scale" => Self {
                crop: crop(0.25),
                zoom_out: Some(ZoomOut { probability: 0.5, least: 0.5 }),
                horizontal_flip: 0.5,
                color: jitter(0.3, 0.3, 0.3, 0.05),
                ..none
            },
            "medical-light" => {
                Self { crop: medical_crop(0.9), rotation: 5.0, color: jitter(0.1, 0.1, 0.0, 0.0), ..none }
            }
            "medical" => Self { crop: medical_crop(0.8), rotation: 10.0, color: jitter(0.15, 0.15, 0.0, 0.0), ..none },
            "medical-strong" => Self {
                crop: medical_crop(0.7),
                rotation: 15.0,
                color: jitter(0.25, 0.25, 0.0, 0.0),
                erasing: Some(RandomErasing { probability: 0.1 }),
                mixup: 0.2,
                ..none
            },
            _ => {
                return Err(DataError::Augmentation {
                    message: format!("unknown augmentation `{name}`; use one of {PRESETS}"),
                });
            }
        })
    }
}

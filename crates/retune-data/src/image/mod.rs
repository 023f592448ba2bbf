//! Images: rows of a table or folder, decoding, processors, augmentation, and the medium made of them.

mod augment;
mod cache;
mod decode;
mod encode;
mod grey;
mod medium;
mod pixels;
mod processor;
mod resize;
mod rows;
mod thumbnail;

pub use augment::{Augmentation, ColorJitter, RandAugment, RandomErasing, RandomResizedCrop};
pub use encode::ImageOptions;
pub use grey::GreyRange;
pub use medium::{ImageSeen, Images};
pub use pixels::Pixels;
pub use processor::ImageProcessor;
pub use resize::{Resample, resize};
pub use rows::read_images;

#[cfg(test)]
mod fixtures;

//! Images: rows of a table or folder, decoding, processors, augmentation, and the data set.

mod augment;
mod cache;
mod dataset;
mod decode;
mod encode;
mod grey;
mod pixels;
mod processor;
mod resize;
mod rows;
mod thumbnail;

pub use augment::{Augmentation, ColorJitter, RandAugment, RandomErasing, RandomResizedCrop};
pub use dataset::ImageDataset;
pub use encode::ImageOptions;
pub use grey::GreyRange;
pub use pixels::Pixels;
pub use processor::ImageProcessor;
pub use resize::{Resample, resize};
pub use rows::{ImageColumns, ImageLines, ImageRows};

#[cfg(test)]
mod fixtures;

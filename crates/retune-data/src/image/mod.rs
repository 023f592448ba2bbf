//! Images: rows of a table or folder, decoding, processors, augmentation, and the medium made of them.

mod augment;
mod boxes;
mod cache;
mod canvas;
mod coco;
mod coco_masks;
mod decode;
mod encode;
mod grey;
mod image_sets;
mod lettering;
mod located;
mod mask;
mod medium;
mod moves;
mod pixels;
mod processor;
mod reading;
mod resize;
mod rows;
mod thumbnail;

pub use augment::{Augmentation, ColorJitter, RandAugment, RandomErasing, RandomResizedCrop, ZoomOut};
pub use boxes::{BoxConvention, Boxes, CheckedBoxes, DrawnBox, ImageObject, ObjectRows, draw_boxes, read_objects};
pub use encode::ImageOptions;
pub use grey::GreyRange;
pub use mask::{
    ClassList, IgnoredClasses, Mask, MaskClasses, MaskReading, Masks, NO_CLASS, RawMasks, class_colour, coco_counts,
    coco_string, mask_png, swatch,
};
pub use medium::{ImageSeen, Images, TrainingSizes};
pub use moves::Moves;
pub use pixels::Pixels;
pub use processor::ImageProcessor;
pub use reading::read_images;
pub use resize::{Resample, resize};

#[cfg(test)]
mod fixtures;

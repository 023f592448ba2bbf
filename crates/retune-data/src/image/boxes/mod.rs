//! Boxes: objects in images with their classes, as targets that move with the pixels.
//!
//! | file | owns |
//! |---|---|
//! | `object` | an object of one image, in its pixels |
//! | `convention` | what four numbers of a file mean |
//! | `raw` | what a file says of images and objects, whatever its format |
//! | `coco`, `voc`, `yolo`, `hugging_face`, `create_ml` | the formats |
//! | `splits` | what to name in place of a data set that holds several splits |
//! | `rows` | which format a folder or file has; its images as rows |
//! | `checked` | what is said beside what the images are: everything that is wrong, together |
//! | `targets` | objects of all images, moved as their pixels are |
//! | `paint` | boxes drawn over pictures |

mod checked;
mod coco;
mod convention;
mod create_ml;
mod hugging_face;
mod object;
mod paint;
mod raw;
mod rows;
mod splits;
mod targets;
mod voc;
mod yolo;

pub use checked::CheckedBoxes;
pub use convention::BoxConvention;
pub use object::ImageObject;
pub use paint::{DrawnBox, draw_boxes};
pub use rows::{ObjectRows, read_objects};
pub use targets::Boxes;

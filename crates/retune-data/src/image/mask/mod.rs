//! Masks: a class for each pixel of an image, as targets that move with it.
//!
//! | file | owns |
//! |---|---|
//! | `decode` | the bytes of a mask file to values as they are stored, never to colours of a palette |
//! | `joined` | masks of single objects as one |
//! | `class_list` | `classes.json` and its likes: names, values, colours |
//! | `classes` | what each stored value means |
//! | `runs`, `outline` | masks in few bytes; run lengths of polygons |
//! | `raw` | the stored values of all masks of a data set |
//! | `pixel_classes` | the classes of one image, without anything about data sets |
//! | `targets` | the classes of all pixels, moved as images are |
//! | `paint` | masks as files, and over pictures |

mod class_list;
mod classes;
mod decode;
mod joined;
mod outline;
mod paint;
mod pixel_classes;
mod raw;
mod runs;
mod targets;

pub use class_list::ClassList;
pub use classes::{IgnoredClasses, MaskClasses, MaskReading};
pub(super) use outline::polygon_runs;
pub(super) use paint::overlay;
pub use paint::{class_colour, mask_png, swatch};
pub use pixel_classes::{Mask, NO_CLASS};
pub use raw::RawMasks;
pub(super) use runs::{coco_area, coco_runs};
pub use runs::{coco_counts, coco_string};
pub use targets::Masks;

//! The settings of object detection.

use crate::recipe::settings::{DATA, FACTOR, Plain, SHARE, parsed, settings};
use anyhow::{Result, anyhow};
use retune_data::BoxConvention;
use std::path::PathBuf;

settings! {
    /// Boxes, and which of them are answered.
    pub(super) struct DetectionSettings, under DATA, else "{task} has no boxes" {
        /// Column of a table with the objects of an image, as Hugging Face has them: lists of `bbox` and `category`
        objects_column: String = "objects".to_owned(), value("COLUMN"), at_use();
        /// Folder that the paths in a file of annotations are relative to, where a file is named and not a folder
        image_folder: Option<PathBuf>, value("FOLDER"), usual("the folder of the file"), at_use();
        /// What the four numbers of a box are: xywh, xyxy, cxcywh in pixels, or the same with n behind it as shares of the image
        box_format: Option<String>, value("FORMAT"), reads(parsed::<BoxConvention>),
            usual("as the format of the annotations has it"), at_use();
        /// Share of the training images that another one of the batch is laid over, both shining through (mixup); boxes of both are
        /// learnt
        mixup: f64 = 0.0, value("SHARE"), range(SHARE), overfit(Plain::Number(0.0));
        /// Boxes with a lower score are not answered
        score_threshold: Option<f64>, value("X"), range(SHARE),
            usual("the one with the best F1 on the validation split, kept with the model"), at_use();
        /// Of boxes of one class that overlap by more than this, the surest one alone is answered (non-maximum suppression)
        nms: Option<f64>, value("OVERLAP"), range(FACTOR), usual("all are answered"), at_use();
    }
}

impl DetectionSettings {
    /// What boxes are, where it is said.
    pub(super) fn convention(&self) -> Result<Option<BoxConvention>> {
        self.box_format.as_deref().map(|name| name.parse().map_err(|error| anyhow!("box-format: {error}"))).transpose()
    }
}

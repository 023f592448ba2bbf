//! The settings of semantic segmentation, and how values of masks are read by them.

use crate::recipe::settings::{BYTE, DATA, settings};
use anyhow::Result;
use retune_data::{ClassList, IgnoredClasses, LabelRows, MaskReading, Records, TableRows};
use std::path::PathBuf;

settings! {
    /// Masks, and what their values mean.
    pub(super) struct SegmentationSettings, under DATA, else "{task} has no masks" {
        /// Column with the mask, a path relative to the table or bytes; in a folder it lies in `masks`, under the name of its
        /// image in `images`
        mask_column: Option<String>, value("COLUMN"), at_use(),
            usual("mask, else the one other column of images of a Parquet file");
        /// A file with the names of the classes by the values of masks: JSON, CSV or one name a line
        classes: Option<PathBuf>, value("FILE"), usual("classes.json, id2label.json, classes.txt or class_dict.csv beside the data"), at_use();
        /// A file with the colours of the classes, where masks hold colours
        palette: Option<PathBuf>, value("FILE"), usual("the file of the classes"), at_use();
        /// 0 in a mask is no class, and the others count from 1; the saved model remembers it
        reduce_labels: bool, in_model();
        /// The value of pixels that have no class: they count in no loss and in no metric
        ignore_index: usize = 255, value("VALUE"), range(BYTE), at_use();
        /// Classes whose pixels count as having none; `none` keeps all
        ignore_classes: Vec<String>, value("NAMES"), usual("those called void, ignore or unlabeled"), at_use();
    }
}

impl SegmentationSettings {
    /// How stored values are read.
    pub(super) fn reading(&self, reduce: bool) -> MaskReading {
        let ignored = match self.ignore_classes.as_slice() {
            [] => IgnoredClasses::Void,
            [one] if one == "none" => IgnoredClasses::Named(Vec::new()),
            names => IgnoredClasses::Named(names.to_vec()),
        };
        MaskReading { reduce, ignored_value: self.ignore_index as u8, ignored, soft: false }
    }

    /// The classes of a data set, and what says what its colours mean.
    pub(super) fn lists(&self, rows: &TableRows) -> Result<(Option<ClassList>, Option<ClassList>)> {
        let classes = match (&self.classes, rows.label_names()) {
            (Some(file), _) => Some(ClassList::read(file)?),
            (None, Some(names)) => Some(ClassList::of_names(rows.file(), names)?),
            (None, None) => ClassList::beside(rows.file())?,
        };
        let palette = self.palette.as_deref().map(ClassList::read).transpose()?;
        // A palette names its classes, too.
        let classes = classes.or_else(|| palette.clone());
        let palette = palette.or_else(|| classes.clone());
        Ok((classes, palette))
    }
}

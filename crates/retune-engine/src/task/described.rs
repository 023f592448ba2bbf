//! Data sets as the tasks here know them: rows with labels of one of three kinds, whatever their medium.

use retune_data::{
    ClassSets, Classes, DataError, Dataset, Examples, HeatMap, LabelSchema, Medium, Numbers, TableRows, Targets,
};
use std::sync::Arc;

/// The label of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum EncodedLabel {
    /// Index of the class.
    Class(u32),
    /// Indices of the classes, ascending.
    Classes(Vec<u32>),
    /// Target numbers.
    Values(Vec<f32>),
}

impl From<u32> for EncodedLabel {
    fn from(class: u32) -> Self {
        Self::Class(class)
    }
}

impl From<Vec<u32>> for EncodedLabel {
    fn from(classes: Vec<u32>) -> Self {
        Self::Classes(classes)
    }
}

impl From<Vec<f32>> for EncodedLabel {
    fn from(values: Vec<f32>) -> Self {
        Self::Values(values)
    }
}

/// A data set whose rows have labels, or none at all.
pub trait Described: Dataset {
    /// The label of a row, if the data set has labels.
    fn label(&self, row: usize) -> Result<Option<EncodedLabel>, DataError>;

    /// A PNG of a row; see [`Examples::picture`].
    fn thumbnail(&self, row: usize, most_side: usize, heat: Option<&HeatMap>) -> Result<Option<Vec<u8>>, DataError>;
}

impl<M: Medium, T: Targets<M>> Described for Examples<M, T>
where
    T::Gold: Into<EncodedLabel>,
{
    fn label(&self, row: usize) -> Result<Option<EncodedLabel>, DataError> {
        Ok(self.gold(self.example(row))?.map(Into::into))
    }

    fn thumbnail(&self, row: usize, most_side: usize, heat: Option<&HeatMap>) -> Result<Option<Vec<u8>>, DataError> {
        self.picture(self.example(row), most_side, heat)
    }
}

/// Rows and what a medium made of them, with the labels that the schema says they have; without one they have none.
pub(super) fn joined<M: Medium + 'static>(
    rows: Arc<TableRows>,
    medium: M,
    schema: Option<&LabelSchema>,
) -> Result<Arc<dyn Dataset>, DataError> {
    Ok(match schema {
        Some(LabelSchema::SingleLabel { names }) => {
            let classes = Classes::read(rows.as_ref(), names)?;
            Arc::new(Examples::new(rows, medium, classes)?)
        }
        Some(LabelSchema::MultiLabel { names }) => {
            let sets = ClassSets::read(rows.as_ref(), names)?;
            Arc::new(Examples::new(rows, medium, sets)?)
        }
        Some(LabelSchema::Regression { outputs }) => {
            let numbers = Numbers::read(rows.as_ref(), *outputs)?;
            Arc::new(Examples::new(rows, medium, numbers)?)
        }
        None => Arc::new(Examples::<M, Classes>::new(rows, medium, None)?),
    })
}

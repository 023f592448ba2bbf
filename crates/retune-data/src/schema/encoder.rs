//! Label cells to the numbers a loss needs, by a schema that is already known.

use std::collections::HashMap;

use super::cells::{shown, whole};
use super::infer::{finite, flag, items, truth};
use super::lists::Lists;
use super::numbers::{Numbering, are_made_up, by_place, numbering};
use super::{LabelSchema, Problem};
use crate::error::{nearest, quoted};
use crate::table::Cell;
use crate::{DataError, LabelRows};

/// The label of one row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum EncodedLabel {
    /// Index of the class.
    Class(u32),
    /// Indices of the classes, ascending.
    Classes(Vec<u32>),
    /// Target numbers.
    Values(Vec<f32>),
}

/// Encodes label cells; made once per file.
pub(crate) struct LabelEncoder<'a> {
    schema: &'a LabelSchema,
    index: HashMap<&'a str, u32>,
    /// What cells that are numbers mean where labels have names.
    numbering: Numbering,
    separator: Option<char>,
    /// Class of each label column, where several columns mean several labels.
    columns: Vec<u32>,
    lists: Lists,
}

impl<'a> LabelEncoder<'a> {
    /// `columns` are the label columns of the file.
    ///
    /// # Errors
    /// Several columns that do not fit the schema, as a message.
    pub(crate) fn new(schema: &'a LabelSchema, columns: &[String], separator: Option<char>) -> Result<Self, String> {
        let names = schema.names();
        let index: HashMap<&str, u32> = names.iter().zip(0..).map(|(name, id)| (name.as_str(), id)).collect();
        let numbering = Numbering::default();
        let mut encoder = Self { schema, index, numbering, separator, columns: Vec::new(), lists: Lists::Sets };
        match schema {
            LabelSchema::SingleLabel { .. } if columns.len() > 1 => {
                return Err(format!("the model predicts one label, but {} label columns are given", columns.len()));
            }
            LabelSchema::MultiLabel { .. } if columns.len() > 1 => {
                let by_name: Option<Vec<u32>> =
                    columns.iter().map(|column| encoder.index.get(column.as_str()).copied()).collect();
                let unnamed = are_made_up(names);
                encoder.columns = match by_name {
                    Some(ids) => ids,
                    None if unnamed && names.len() == columns.len() => (0..).take(columns.len()).collect(),
                    None => {
                        return Err(format!(
                            "the label columns {} are not the model's labels {}",
                            quoted(columns, 10),
                            quoted(names, 10)
                        ));
                    }
                };
            }
            LabelSchema::Regression { outputs } if columns.len() > 1 && columns.len() != *outputs => {
                return Err(format!("the model predicts {outputs} numbers, but {} columns are given", columns.len()));
            }
            _ => {}
        }
        Ok(encoder)
    }

    /// For the labels of a file, at all of which it looks once.
    ///
    /// # Errors
    /// Columns that do not fit the schema; numbers whose meaning nobody gave; a store that cannot be read.
    pub(crate) fn of(rows: &'a dyn LabelRows, schema: &'a LabelSchema) -> Result<Self, DataError> {
        let columns = rows.label_columns();
        let mut encoder = Self::new(schema, columns, rows.label_separator())
            .map_err(|message| DataError::Schema { file: rows.file().to_owned(), message })?;
        if columns.len() == 1 && schema.problem() == Problem::MultiLabel {
            encoder.lists = Lists::of(rows)?;
        }
        encoder.numbering = match rows.label_names().and_then(|names| by_place(rows, names, schema.names())) {
            Some((index, note)) => {
                encoder.index = index;
                note
            }
            None => numbering(rows, schema, &encoder.index)?,
        };
        Ok(encoder)
    }

    /// What a person should know about how labels were understood.
    pub(crate) fn note(&self) -> Option<String> {
        self.numbering.note.clone()
    }

    /// Encodes the cells of one row, one per label column.
    ///
    /// # Errors
    /// The column's index and what is wrong with its cell.
    pub(crate) fn encode(&self, cells: &[Cell]) -> Result<EncodedLabel, (usize, String)> {
        let cells: Vec<Cell> = cells.iter().cloned().map(Cell::with_list).collect();
        let first = cells.first().ok_or_else(|| (0, "has no label".to_owned()))?;
        match self.schema {
            LabelSchema::SingleLabel { .. } => {
                self.class(first).map(EncodedLabel::Class).map_err(|message| (0, message))
            }
            LabelSchema::MultiLabel { .. } => {
                let mut classes = Vec::new();
                if let Lists::Flags(_) = self.lists {
                    classes = Lists::named(first, self.index.len()).map_err(|message| (0, message))?;
                } else if self.columns.is_empty() {
                    for item in items(first, self.separator).map_err(|message| (0, message))? {
                        classes.push(self.class(&item).map_err(|message| (0, message))?);
                    }
                } else {
                    for (column, (cell, &class)) in cells.iter().zip(&self.columns).enumerate() {
                        if flag(cell).map_err(|message| (column, message))? {
                            classes.push(class);
                        }
                    }
                }
                classes.sort_unstable();
                classes.dedup();
                Ok(EncodedLabel::Classes(classes))
            }
            LabelSchema::Regression { outputs } => {
                let cells = match first {
                    Cell::List(items) if cells.len() == 1 => items,
                    _ => &cells,
                };
                if cells.len() != *outputs {
                    return Err((0, format!("has {} numbers where {outputs} are needed", cells.len())));
                }
                let number = |(column, cell)| finite(cell).map(|x| x as f32).map_err(|message| (column, message));
                cells.iter().enumerate().map(number).collect::<Result<_, _>>().map(EncodedLabel::Values)
            }
        }
    }

    /// A class by its name, by the number it spells, or by its place where numbers mean that.
    fn class(&self, cell: &Cell) -> Result<u32, String> {
        let name = cell.name().ok_or_else(|| format!("is {}, not one label", shown(cell)))?;
        if let Some(&class) = self.index.get(name.as_str()) {
            return Ok(class);
        }
        if let Some(truth) = truth(&name) {
            let spellings = self.index.iter().filter(|(other, _)| other.eq_ignore_ascii_case(truth));
            if let Some(&class) = spellings.map(|(_, class)| class).min() {
                return Ok(class);
            }
        }
        let names = self.schema.names();
        if let Some(number) = whole(cell) {
            if let Some(&class) = self.index.get(number.to_string().as_str()) {
                return Ok(class);
            }
            let place = self.numbering.first.and_then(|first| usize::try_from(number.checked_sub(first)?).ok());
            if let Some(place) = place.filter(|&place| place < names.len()) {
                return Ok(place as u32);
            }
            if let (true, Some(truth)) = (names.len() == 2, cell.flag()) {
                let same = names.iter().position(|name| name.eq_ignore_ascii_case(&truth.to_string()));
                if let Some(class) = same.filter(|_| names.iter().all(|name| super::infer::truth(name).is_some())) {
                    return Ok(class as u32);
                }
            }
        }
        let mut message = format!("{} is not among the known labels {}", shown(cell), quoted(names, 20));
        if let Some(near) = nearest(&name, names) {
            message.push_str(&format!(" (`{near}`?)"));
        }
        message.push_str("; correct it, or add examples of it to the training file");
        Err(message)
    }
}

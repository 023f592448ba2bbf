//! Label cells to the numbers a loss needs, by a schema that is already known.

use std::collections::HashMap;

use super::LabelSchema;
use super::cells::shown;
use super::infer::{finite, flag, items, truth};
use super::lists::Lists;
use crate::error::{nearest, quoted};
use crate::table::Cell;

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
    /// No name is a whole number, so whole-number cells may mean class ids.
    ids_allowed: bool,
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
        let ids_allowed = names.iter().all(|name| name.parse::<i64>().is_err());
        let mut encoder = Self { schema, index, ids_allowed, separator, columns: Vec::new(), lists: Lists::Sets };
        match schema {
            LabelSchema::SingleLabel { .. } if columns.len() > 1 => {
                return Err(format!("the model predicts one label, but {} label columns are given", columns.len()));
            }
            LabelSchema::MultiLabel { .. } if columns.len() > 1 => {
                let by_name: Option<Vec<u32>> =
                    columns.iter().map(|column| encoder.index.get(column.as_str()).copied()).collect();
                let unnamed = names.iter().zip(0usize..).all(|(name, id)| *name == format!("LABEL_{id}"));
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

    /// With another reading of lists.
    pub(crate) fn with_lists(self, lists: Lists) -> Self {
        Self { lists, ..self }
    }

    /// Encodes the cells of one row, one per label column.
    ///
    /// # Errors
    /// The column's index and what is wrong with its cell.
    pub(crate) fn encode(&self, cells: &[Cell]) -> Result<EncodedLabel, (usize, String)> {
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
                    _ => cells,
                };
                if cells.len() != *outputs {
                    return Err((0, format!("has {} numbers where {outputs} are needed", cells.len())));
                }
                let number = |(column, cell)| finite(cell).map(|x| x as f32).map_err(|message| (column, message));
                cells.iter().enumerate().map(number).collect::<Result<_, _>>().map(EncodedLabel::Values)
            }
        }
    }

    /// A class by its name, by the number it spells, or by its id where no name is a number.
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
        if let Some(number) = cell.integer() {
            if let Some(&class) = self.index.get(number.to_string().as_str()) {
                return Ok(class);
            }
            let id = usize::try_from(number).ok().filter(|&id| self.ids_allowed && id < self.index.len());
            if let Some(id) = id {
                return Ok(id as u32);
            }
        }
        let names = self.schema.names();
        let mut message = format!("{} is not among the known labels {}", shown(cell), quoted(names, 20));
        if let Some(near) = nearest(&name, names) {
            message.push_str(&format!(" (`{near}`?)"));
        }
        message.push_str("; correct it, or add examples of it to the training file");
        Err(message)
    }
}

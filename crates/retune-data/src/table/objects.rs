//! The rows of a table as JSON objects, whatever its format: for columns that hold lists of objects, which a
//! [`Cell`](super::Cell) cannot.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::BufRead;
use std::path::Path;

use serde_json::{Map, Value};

use super::input::{Encoding, extension, open_text};
use super::json::{JsonReader, Numbered};
use super::{RowReader, Wanted, key, open, open_file, parquet};
use crate::annotations::literal;
use crate::{DataError, RowProblem};

/// Streams the rows of a table, reduced to wanted columns under the names they are wanted by. CSV cells are strings.
pub(crate) struct Objects {
    wanted: Vec<String>,
    columns: Vec<String>,
    source: Source,
}

enum Source {
    Json { reader: Box<JsonReader<Box<dyn BufRead>>>, read: VecDeque<Result<Numbered, RowProblem>> },
    Parquet(Box<parquet::ParquetReader>),
    Delimited(Box<dyn RowReader>),
}

impl Objects {
    /// Opens a table by its extension; wanted columns may be absent.
    ///
    /// # Errors
    /// As [`open`].
    pub(crate) fn open(path: &Path, wanted: &[&str]) -> Result<Self, DataError> {
        let column = |name: &&str| Wanted { name: (*name).to_owned(), flag: "", required: false, bytes: false };
        let columns: Vec<Wanted> = wanted.iter().map(column).collect();
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        match extension(path).as_str() {
            "jsonl" | "ndjson" | "json" => {
                let mut reader = JsonReader::begin(path, open_text(path, Encoding::Utf8)?, &columns)?;
                // The first object that can be used says which columns there are.
                let (mut read, mut columns) = (VecDeque::new(), Vec::new());
                while let Some(next) = reader.next_object()? {
                    let names = next.as_ref().ok().map(|(_, object)| object.keys().cloned().collect());
                    read.push_back(next);
                    if names.is_some() || read.len() == 10 {
                        columns = names.unwrap_or_default();
                        break;
                    }
                }
                if read.is_empty() {
                    return Err(DataError::Empty { file: path.to_owned(), header: false });
                }
                Ok(Self { wanted, columns, source: Source::Json { reader: Box::new(reader), read } })
            }
            "parquet" => {
                let reader = parquet::ParquetReader::new(path, open_file(path)?, &columns)?;
                Ok(Self { wanted, columns: reader.columns().to_vec(), source: Source::Parquet(Box::new(reader)) })
            }
            _ => {
                let reader = open(path, &columns)?;
                Ok(Self { wanted, columns: reader.columns().to_vec(), source: Source::Delimited(reader) })
            }
        }
    }

    /// The columns of the file (of its first object, for JSON), wanted or not.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Whether the file has a column of this name, which may differ in surrounding space.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.trim() == name.trim())
    }

    /// The next row with the line where it starts (the row number for Parquet); absent columns are left out.
    /// `Ok(Err(_))` for a row that cannot be used, `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Result<Result<Numbered, RowProblem>, DataError>> {
        match &mut self.source {
            Source::Json { reader, read } => {
                let next = match read.pop_front() {
                    Some(next) => next,
                    None => match reader.next_object() {
                        Ok(next) => next?,
                        Err(error) => return Some(Err(error)),
                    },
                };
                Some(Ok(next.map(|(line, object)| (line, reduced(object, &self.wanted)))))
            }
            Source::Parquet(reader) => {
                let next = reader.next_values()?;
                Some(next.map(|(row, values)| Ok((row, named(&self.wanted, reader.present(), values)))))
            }
            Source::Delimited(reader) => {
                let next = reader.next_record()?;
                Some(next.map(|record| {
                    record.map(|record| {
                        let values = record.cells.iter().map(super::Cell::to_json).collect();
                        (record.line, named(&self.wanted, reader.present(), values))
                    })
                }))
            }
        }
    }
}

fn named(wanted: &[String], present: &[bool], values: Vec<Value>) -> Map<String, Value> {
    let all = wanted.iter().zip(present).zip(values);
    all.filter(|((_, present), _)| **present).map(|((name, _), value)| (name.clone(), value)).collect()
}

/// The wanted keys of an object, under the names they are wanted by.
pub(crate) fn reduced(mut object: Map<String, Value>, wanted: &[String]) -> Map<String, Value> {
    let mut kept = Map::new();
    for name in wanted {
        let found = key(&object, name).map(str::to_owned);
        if let Some(value) = found.and_then(|found| object.remove(&found)) {
            kept.insert(name.clone(), value);
        }
    }
    kept
}

/// The keys of the objects in a column, as the first row has them; nothing where it holds no objects.
///
/// # Errors
/// The file cannot be read.
pub fn inner_keys(path: &Path, column: &str) -> Result<Vec<String>, DataError> {
    let Some(first) = Objects::open(path, &[column])?.next() else { return Ok(Vec::new()) };
    let object = first?.ok().and_then(|(_, mut object)| object.remove(column));
    Ok(object.and_then(|value| Some(spelled(&value)?.keys().cloned().collect())).unwrap_or_default())
}

/// The object that a value is, or that a text spells as JSON or as Python writes a dictionary.
pub(super) fn spelled(value: &Value) -> Option<Cow<'_, Map<String, Value>>> {
    match value {
        Value::Object(object) => Some(Cow::Borrowed(object)),
        Value::String(text) => match literal::parse(text)? {
            Ok(Value::Object(object)) => Some(Cow::Owned(object)),
            _ => None,
        },
        _ => None,
    }
}

/// What Hugging Face's `datasets` wrote about the columns of a Parquet file: names of classes, for one.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn hugging_face_metadata(path: &Path) -> Result<Option<Value>, DataError> {
    parquet::hugging_face_metadata(path, open_file(path)?)
}

//! Table readers: CSV, TSV, JSON lines, JSON arrays and Parquet behind one [`RowReader`].
//!
//! Reading streams: one record is in memory at a time. A reader yields each record with its line
//! and the cells of the wanted columns, in the order they were asked for; what is wrong with one
//! record does not stop it, so that several problems can be reported together.

mod cell;
mod class_label;
mod csv;
mod fields;
mod input;
mod json;
mod objects;
mod parquet;
mod plain;
mod quoting;
mod separator;
mod spelled_list;

use std::fs::File;
use std::io::{BufRead, ErrorKind};
use std::path::Path;

use serde_json::{Map, Value};

pub use cell::Cell;
pub use input::Encoding;
pub(crate) use input::open_text;
pub(crate) use json::parse_object;
pub use objects::inner_keys;
pub(crate) use objects::{Objects, hugging_face_metadata, reduced};
pub(crate) use plain::PlainText;
pub use plain::TextsOf;

use crate::error::quoted;
use crate::{DataError, RowProblem};
use csv::CsvReader;
use fields::Quoting;

/// A column that is wanted from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name in the file.
    pub name: String,
    /// The command-line flag that names it, for error messages.
    pub flag: &'static str,
    /// When false, a file without the column gives [`Cell::Null`] for it.
    pub required: bool,
    /// Keep the contents of files: binary cells and `{bytes, path}` groups become [`Cell::File`]
    /// (or the path as text). Otherwise bytes that are UTF-8 are text.
    pub bytes: bool,
}

/// One record: where it starts and its wanted cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Line where the record starts, from 1; the row number for Parquet.
    pub line: u64,
    /// The cells, in the order of the wanted columns.
    pub cells: Vec<Cell>,
}

/// A stream of records.
pub trait RowReader {
    /// The next record, `Ok(Err(_))` for one that cannot be used (reading may go on), `None` at
    /// the end, and `Err` when the file as a whole is unusable.
    fn next_record(&mut self) -> Option<Result<Result<Record, RowProblem>, DataError>>;

    /// The columns of the file (of its first record, for JSON).
    fn columns(&self) -> &[String];

    /// Whether each wanted column exists (as far as known: JSON knows after its first record).
    fn present(&self) -> &[bool];

    /// What a person should know about how the file was read.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// The names of a wanted column's values in the order of their numbers, where the file knows them: a ClassLabel of
    /// `datasets`. Cells of the column then hold names.
    fn class_names(&self, _wanted: usize) -> Option<&[String]> {
        None
    }
}

/// Opens a table by its extension: csv, tsv, jsonl, ndjson, json, parquet; all but the last may be packed (gz, zst).
///
/// # Errors
/// The file is missing, a folder, unreadable, empty, of another type, or lacks a required column.
pub fn open(path: &Path, wanted: &[Wanted]) -> Result<Box<dyn RowReader>, DataError> {
    open_encoded(path, wanted, Encoding::Utf8)
}

/// As [`open`], with the encoding of its text.
///
/// # Errors
/// As [`open`].
pub fn open_encoded(path: &Path, wanted: &[Wanted], encoding: Encoding) -> Result<Box<dyn RowReader>, DataError> {
    // The state of the path first: `no such file` helps more than `unsupported type`.
    let file = open_file(path)?;
    let text = || input::open_text(path, encoding);
    let failed = |source| DataError::Read { file: path.to_owned(), source };
    let tabbed = || -> Result<Box<dyn RowReader>, DataError> {
        let (quoting, doubt) = quoting::of_tsv(&|| text().map_err(std::io::Error::other)).map_err(failed)?;
        Ok(Box::new(CsvReader::new(path, text()?, b'\t', quoting, wanted)?.with_doubt(doubt)))
    };
    match input::extension(path).as_str() {
        "csv" => Ok(Box::new(CsvReader::new(path, text()?, b',', Quoting::Doubled, wanted)?)),
        "tsv" | "tab" => tabbed(),
        // Tatoeba's pairs, for one, are called plain text.
        "txt" | "text" if separator::has_tabs(&mut text()?).map_err(failed)? => tabbed(),
        "jsonl" | "ndjson" | "json" => Ok(Box::new(json::JsonReader::new(path, text()?, wanted)?)),
        "parquet" => Ok(Box::new(parquet::ParquetReader::new(path, file, wanted)?)),
        _ => {
            let known = ".csv, .tsv, .jsonl, .json or .parquet";
            Err(DataError::UnsupportedExtension { file: path.to_owned(), known })
        }
    }
}

/// The columns of a table (of its first record, for JSON).
///
/// # Errors
/// As [`open`].
pub fn column_names(path: &Path) -> Result<Vec<String>, DataError> {
    Ok(open(path, &[])?.columns().to_vec())
}

/// The columns of a table that hold images, where the file says so by itself: those of Parquet.
///
/// # Errors
/// As [`open`].
#[cfg(feature = "image")]
pub(crate) fn image_columns(path: &Path) -> Result<Vec<String>, DataError> {
    match input::extension(path).as_str() {
        "parquet" => parquet::image_columns(path, open_file(path)?),
        _ => Ok(Vec::new()),
    }
}

pub(crate) fn open_file(path: &Path) -> Result<File, DataError> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => DataError::NotFound { file: path.to_owned() },
        _ => DataError::Read { file: path.to_owned(), source },
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(DataError::IsFolder { file: path.to_owned() });
    }
    Ok(file)
}

/// A whole record may not exceed this: an unclosed quote or bracket would swallow the file.
const MOST_RECORD_BYTES: usize = 64 << 20;

const NOT_UTF8: &str = "is not valid UTF-8; save the file as UTF-8";

/// Reads one line onto the end of `line` and returns the ending it had (LF, CRLF or none), which
/// is left out; `None` at the end of the input. A byte order mark at the very start is skipped.
pub(crate) fn read_line(
    input: &mut impl BufRead,
    line: &mut Vec<u8>,
    first: bool,
) -> std::io::Result<Option<&'static [u8]>> {
    if input.read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if first && line.starts_with(b"\xef\xbb\xbf") {
        line.drain(..3);
    }
    let ending: &[u8] = if line.ends_with(b"\r\n") {
        b"\r\n"
    } else if line.ends_with(b"\n") {
        b"\n"
    } else {
        b""
    };
    line.truncate(line.len() - ending.len());
    Ok(Some(ending))
}

/// The one of `names` that is meant by `wanted`: the same, or the only one that differs in nothing but surrounding space.
/// `Err` when several do.
fn meant<'a>(wanted: &str, names: impl Iterator<Item = &'a str> + Clone) -> Result<Option<usize>, Vec<String>> {
    if let Some(same) = names.clone().position(|name| name == wanted) {
        return Ok(Some(same));
    }
    let near: Vec<(usize, &str)> = names.enumerate().filter(|(_, name)| name.trim() == wanted.trim()).collect();
    match near.as_slice() {
        [] => Ok(None),
        [(index, _)] => Ok(Some(*index)),
        several => Err(several.iter().map(|(_, name)| (*name).to_owned()).collect()),
    }
}

/// The key of an object that a column's name means, if exactly one is meant.
pub(crate) fn key<'a>(object: &'a Map<String, Value>, wanted: &str) -> Option<&'a str> {
    let keys = object.keys().map(String::as_str);
    meant(wanted, keys.clone()).ok().flatten().and_then(|index| keys.clone().nth(index))
}

/// Gives an object the values of wanted names `outer.inner`, where it has none of that name and an object `outer` has.
pub(crate) fn lift<'a>(object: &mut Map<String, Value>, wanted: impl Iterator<Item = &'a str>) {
    for name in wanted.filter(|name| !object.contains_key(*name)).collect::<Vec<&str>>() {
        if let Some((outer, inner)) = inside(name)
            && let Some(value) = object.get(outer).and_then(|outer| objects::spelled(outer)?.get(inner).cloned())
        {
            object.insert(name.to_owned(), value);
        }
    }
}

/// A column that holds objects, and a key of theirs, which a name means where no column has it.
fn inside(name: &str) -> Option<(&str, &str)> {
    name.split_once('.')
}

/// What to ask a file for where a wanted name may mean a key inside a column that `holds` objects, with these keys.
fn outer(wanted: &[Wanted], present: &[String], holds: impl Fn(&str) -> bool) -> (Vec<Wanted>, Vec<Option<String>>) {
    let part = |column: &Wanted| {
        let field = inside(&column.name).filter(|(outer, _)| !present.contains(&column.name) && holds(outer));
        let name = field.map_or(column.name.as_str(), |(outer, _)| outer).to_owned();
        (Wanted { name, ..column.clone() }, field.map(|(_, inner)| inner.to_owned()))
    };
    wanted.iter().map(part).unzip()
}

/// The number that a name is, from 1: what a column without a name is called by.
fn number(name: &str) -> Option<usize> {
    name.trim().parse().ok().filter(|&number| number > 0)
}

/// Where the names of columns come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// The first line, which may be data.
    Header,
    /// The file itself.
    Keys,
}

/// Position of each wanted column among the file's, or the error that names what there is.
fn locate(path: &Path, wanted: &[Wanted], present: &[String], names: Names) -> Result<Vec<Option<usize>>, DataError> {
    let headerless = names == Names::Header
        && present.iter().any(|name| {
            let name = name.trim();
            let sentence = name.ends_with(['.', '!']) || name.split_whitespace().count() > 4;
            name.is_empty() || name.parse::<f64>().is_ok() || sentence
        });
    wanted
        .iter()
        .map(|column| {
            let index = meant(&column.name, present.iter().map(String::as_str)).map_err(|several| {
                let message = format!(
                    "the column `{}` may be any of {}; write one exactly as it stands, with its spaces ({})",
                    column.name,
                    quoted(&several, 8),
                    column.flag
                );
                DataError::Malformed { file: path.to_owned(), line: 1, message }
            })?;
            if index.is_none() && column.required {
                return Err(DataError::MissingColumn {
                    file: path.to_owned(),
                    column: column.name.clone(),
                    flag: column.flag,
                    present: present.to_vec(),
                    headerless,
                });
            }
            Ok(index)
        })
        .collect()
}

#[cfg(test)]
mod tests;

//! Parquet, read row by row and only in the wanted columns. A record's line is its row, from 1.
//!
//! Columns that `datasets` declares a ClassLabel give the names of their numbers; -1 is no label.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::data_type::Decimal;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::Value;

use super::class_label::{class_names, named};
use super::{Cell, Names, Record, RowReader, Wanted, locate, outer};
use crate::{DataError, RowProblem};

/// Streams the rows of a Parquet file.
pub(super) struct ParquetReader {
    path: PathBuf,
    rows: RowIter<'static>,
    /// For each wanted column, its place in the projected row.
    places: Vec<Option<usize>>,
    /// For each wanted column, the field of that column which is wanted, if not all of it is.
    inner: Vec<Option<String>>,
    /// Whether each wanted column keeps the contents of files.
    bytes: Vec<bool>,
    /// Names of the wanted columns.
    wanted: Vec<String>,
    /// For each wanted column, the names of its numbers.
    names: Vec<Option<Vec<String>>>,
    columns: Vec<String>,
    present: Vec<bool>,
    row: u64,
    ended: bool,
}

impl ParquetReader {
    pub(super) fn new(path: &Path, file: File, wanted: &[Wanted]) -> Result<Self, DataError> {
        guarded(path, 1, || Self::open(path, file, wanted))?
    }

    fn open(path: &Path, file: File, wanted: &[Wanted]) -> Result<Self, DataError> {
        let failed = |error: parquet::errors::ParquetError| broken(path, 1, &error.to_string());
        let reader = SerializedFileReader::new(file).map_err(failed)?;
        let schema = reader.metadata().file_metadata().schema().clone();
        let names: Vec<String> = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
        // A name may mean a field of a column.
        let is_outer = |outer: &str| schema.get_fields().iter().any(|field| field.name() == outer && field.is_group());
        let (outer, inner) = outer(wanted, &names, is_outer);
        let found = locate(path, &outer, &names, Names::Keys)?;
        let features = described(&reader);
        let names_of = |index: usize| class_names(features.as_ref()?, &names[index]);
        let class_names = found.iter().map(|index| index.and_then(names_of)).collect();
        if reader.metadata().file_metadata().num_rows() <= 0 {
            return Err(DataError::Empty { file: path.to_owned(), header: true });
        }

        let mut kept: Vec<usize> = found.iter().flatten().copied().collect();
        kept.sort_unstable();
        kept.dedup();
        let places = found.iter().map(|index| index.and_then(|index| kept.binary_search(&index).ok())).collect();
        let mut rows = RowIter::from_file_into(Box::new(reader));
        // A row of no columns at all is nothing the decoder knows.
        if !kept.is_empty() {
            let fields: Vec<Arc<Type>> = kept.iter().map(|&index| Arc::clone(&schema.get_fields()[index])).collect();
            let projection = Type::group_type_builder(schema.name()).with_fields(fields).build().map_err(failed)?;
            rows = rows.project(Some(projection)).map_err(failed)?;
        }
        let present = found.iter().map(Option::is_some).collect();
        let bytes = wanted.iter().map(|column| column.bytes).collect();
        Ok(Self {
            path: path.to_owned(),
            rows,
            places,
            inner,
            bytes,
            wanted: wanted.iter().map(|column| column.name.clone()).collect(),
            names: class_names,
            columns: names,
            present,
            row: 0,
            ended: false,
        })
    }
}

fn broken(path: &Path, row: u64, reason: &str) -> DataError {
    // `Disabled feature at compile time: lz4`, `Parquet does not support …`: sound, but not for this program.
    let message = if reason.contains("Disabled feature") || reason.contains("NYI") || reason.contains("not support") {
        format!(
            "Parquet of a kind that cannot be read here ({reason}); write the file with Snappy or Zstandard compression"
        )
    } else {
        format!("broken Parquet: {reason}; write the file again")
    };
    DataError::Malformed { file: path.to_owned(), line: row, message }
}

/// The decoder panics on some damaged files; here that is an error like any other.
fn guarded<T>(path: &Path, row: u64, work: impl FnOnce() -> T) -> Result<T, DataError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| broken(path, row, "the data is damaged"))
}

fn cell(field: &Field) -> Cell {
    match field {
        Field::Null => Cell::Null,
        Field::Bool(value) => Cell::Bool(*value),
        Field::Byte(value) => Cell::Integer((*value).into()),
        Field::Short(value) => Cell::Integer((*value).into()),
        Field::Int(value) => Cell::Integer((*value).into()),
        Field::Long(value) => Cell::Integer(*value),
        Field::UByte(value) => Cell::Integer((*value).into()),
        Field::UShort(value) => Cell::Integer((*value).into()),
        Field::UInt(value) => Cell::Integer((*value).into()),
        Field::ULong(value) => i64::try_from(*value).map_or(Cell::Number(*value as f64), Cell::Integer),
        Field::Float16(value) => Cell::Number(value.to_f64()),
        // By its shortest decimal form, so that 0.1 stays 0.1.
        Field::Float(value) => Cell::Number(value.to_string().parse().unwrap_or(f64::from(*value))),
        Field::Double(value) => Cell::Number(*value),
        Field::Str(text) => Cell::Text(text.clone()),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(_) => Cell::Other("bytes that are not UTF-8"),
        },
        Field::ListInternal(list) => Cell::List(list.elements().iter().map(cell).collect()),
        Field::Group(_) | Field::MapInternal(_) => Cell::Other("a group of columns"),
        Field::Decimal(value) => decimal(value),
        Field::Date(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::TimestampMillis(_)
        | Field::TimestampMicros(_) => Cell::Other("a date or time"),
    }
}

/// A decimal by its digits, so that 0.1 stays 0.1.
fn decimal(value: &Decimal) -> Cell {
    let bytes = value.data();
    let Some(negative) = bytes.first().map(|&byte| byte >= 0x80).filter(|_| bytes.len() <= 16) else {
        return Cell::Other("a decimal of more than 128 bits");
    };
    // Two's complement, the greatest byte first.
    let unscaled = bytes.iter().fold(if negative { -1i128 } else { 0 }, |all, &byte| all << 8 | i128::from(byte));
    match (value.scale(), i64::try_from(unscaled)) {
        (0, Ok(whole)) => Cell::Integer(whole),
        (scale, _) => format!("{unscaled}e{}", -scale).parse().map_or(Cell::Other("a decimal"), Cell::Number),
    }
}

/// A cell of a column of files: bytes, a path, or Hugging Face's `{bytes, path}`.
fn file(field: &Field) -> Cell {
    match field {
        Field::Bytes(bytes) => Cell::File { name: None, bytes: bytes.data().to_vec() },
        Field::Group(group) => {
            let column = |wanted: &str| group.get_column_iter().find(|(name, _)| *name == wanted).map(|(_, f)| f);
            let name = match column("path") {
                Some(Field::Str(path)) => Some(path.clone()),
                _ => None,
            };
            match (column("bytes"), name) {
                (Some(Field::Bytes(bytes)), name) => Cell::File { name, bytes: bytes.data().to_vec() },
                (_, Some(path)) => Cell::Text(path),
                (Some(Field::Null), None) => Cell::Null,
                _ => cell(field),
            }
        }
        field => cell(field),
    }
}

/// A field, or what stands under a name in it.
fn part<'a>(field: &'a Field, inner: Option<&str>) -> Option<&'a Field> {
    match (field, inner) {
        (_, None) => Some(field),
        (Field::Group(group), Some(inner)) => {
            group.get_column_iter().find(|(name, _)| name.as_str() == inner).map(|(_, field)| field)
        }
        _ => None,
    }
}

/// A field as JSON, groups and maps included; what JSON cannot hold is null.
fn value(field: &Field) -> Value {
    match field {
        Field::Group(group) => {
            let columns = group.get_column_iter().map(|(name, field)| (name.clone(), value(field)));
            Value::Object(columns.collect())
        }
        Field::ListInternal(list) => Value::Array(list.elements().iter().map(value).collect()),
        field => cell(field).to_json(),
    }
}

impl ParquetReader {
    /// The next row.
    fn next_row(&mut self) -> Option<Result<Row, DataError>> {
        if self.ended {
            return None;
        }
        self.row += 1;
        let next = match guarded(&self.path, self.row, || self.rows.next()) {
            Ok(Some(next)) => next.map_err(|error| broken(&self.path, self.row, &error.to_string())),
            Ok(None) => {
                self.ended = true;
                return None;
            }
            Err(error) => Err(error),
        };
        self.ended = next.is_err();
        Some(next)
    }

    /// The next row's number and its wanted columns as JSON, in the order they were asked for; null for absent ones.
    pub(super) fn next_values(&mut self) -> Option<Result<(u64, Vec<Value>), DataError>> {
        let row = match self.next_row()? {
            Ok(row) => row,
            Err(error) => return Some(Err(error)),
        };
        let fields: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
        let values = self.places.iter().zip(&self.inner).map(|(place, inner)| {
            place.and_then(|at| part(fields.get(at)?, inner.as_deref())).map_or(Value::Null, value)
        });
        Some(Ok((self.row, values.collect())))
    }
}

/// What Hugging Face's `datasets` wrote about the columns, if anything.
pub(super) fn hugging_face_metadata(path: &Path, file: File) -> Result<Option<Value>, DataError> {
    let reader = guarded(path, 1, || SerializedFileReader::new(file))?;
    let reader = reader.map_err(|error| broken(path, 1, &error.to_string()))?;
    Ok(described(&reader))
}

/// The columns of images: those that `datasets` declares so, else groups that hold bytes of files.
pub(super) fn image_columns(path: &Path, file: File) -> Result<Vec<String>, DataError> {
    let reader = guarded(path, 1, || SerializedFileReader::new(file))?;
    let reader = reader.map_err(|error| broken(path, 1, &error.to_string()))?;
    let features = described(&reader).and_then(|mut described| Some(described.pointer_mut("/info/features")?.take()));
    let is_image = |field: &Arc<Type>| match &features {
        Some(features) => features[field.name()]["_type"] == "Image",
        None => field.is_group() && field.get_fields().iter().any(|inner| inner.name() == "bytes"),
    };
    let fields = reader.metadata().file_metadata().schema().get_fields();
    Ok(fields.iter().filter(|field| is_image(field)).map(|field| field.name().to_owned()).collect())
}

fn described(reader: &SerializedFileReader<File>) -> Option<Value> {
    let pairs = reader.metadata().file_metadata().key_value_metadata()?;
    let text = pairs.iter().find(|pair| pair.key == "huggingface")?.value.as_deref()?;
    serde_json::from_str(text).ok()
}

impl RowReader for ParquetReader {
    fn next_record(&mut self) -> Option<Result<Result<Record, RowProblem>, DataError>> {
        let row = match self.next_row()? {
            Ok(row) => row,
            Err(error) => return Some(Err(error)),
        };
        let fields: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
        let cells = self.places.iter().zip(&self.bytes).zip(&self.names).enumerate();
        let cells = cells.map(|(wanted, ((place, &bytes), names))| {
            let cell = match place.and_then(|place| part(fields.get(place)?, self.inner[wanted].as_deref())) {
                Some(field) if bytes => file(field),
                Some(field) => cell(field),
                None => Cell::Null,
            };
            match names {
                Some(names) => named(cell, names).map_err(|message| {
                    let column = self.wanted[wanted].as_str();
                    RowProblem::new(self.row, Some(column), message)
                }),
                None => Ok(cell),
            }
        });
        Some(Ok(cells.collect::<Result<_, _>>().map(|cells| Record { line: self.row, cells })))
    }

    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn present(&self) -> &[bool] {
        &self.present
    }

    fn class_names(&self, wanted: usize) -> Option<&[String]> {
        self.names.get(wanted)?.as_deref()
    }
}

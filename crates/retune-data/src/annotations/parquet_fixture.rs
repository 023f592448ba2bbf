//! Writes small Parquet files for tests: texts, lists of texts, lists of numbers.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// A column, flat: of a list in a group its leaf.
pub(super) enum Column<'a> {
    Text(&'a [&'a str]),
    Texts(&'a [&'a [&'a str]]),
    Numbers(&'a [&'a [i64]]),
}

/// Levels of required lists: definition, repetition.
fn levels<T>(rows: &[&[T]]) -> (Vec<i16>, Vec<i16>) {
    let row = |row: &&[T]| match row.len() {
        0 => vec![(0, 0)],
        length => (0..length).map(|at| (1, i16::from(at > 0))).collect(),
    };
    rows.iter().flat_map(row).unzip()
}

/// Writes a file; in the schema all is `REQUIRED` but the lists' `REPEATED group list`.
pub(super) fn write(path: &Path, schema: &str, columns: &[Column<'_>], hugging_face: Option<&str>) {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let metadata = hugging_face.map(|text| vec![KeyValue::new("huggingface".to_owned(), text.to_owned())]);
    let properties = WriterProperties::builder().set_key_value_metadata(metadata).build();
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, Arc::new(properties)).unwrap();
    let bytes = |texts: &[&str]| texts.iter().map(|text| ByteArray::from(*text)).collect::<Vec<_>>();
    let mut group = writer.next_row_group().unwrap();
    for column in columns {
        let mut next = group.next_column().unwrap().unwrap();
        match column {
            Column::Text(texts) => next.typed::<ByteArrayType>().write_batch(&bytes(texts), None, None).unwrap(),
            Column::Texts(rows) => {
                let (definition, repetition) = levels(rows);
                let values = bytes(&rows.concat());
                next.typed::<ByteArrayType>().write_batch(&values, Some(&definition), Some(&repetition)).unwrap()
            }
            Column::Numbers(rows) => {
                let (definition, repetition) = levels(rows);
                next.typed::<Int64Type>().write_batch(&rows.concat(), Some(&definition), Some(&repetition)).unwrap()
            }
        };
        next.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

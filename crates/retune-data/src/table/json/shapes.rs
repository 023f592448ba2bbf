//! A table that is one JSON object as a whole: pandas' orientations, and lists inside an object.
//!
//! | object | rows |
//! |---|---|
//! | `{"columns": […], "data": [[…], …]}` | each list of `data` (pandas: `split`) |
//! | `{"schema": …, "data": [{…}, …]}`, or any one key with a list of objects | each object (pandas: `table`) |
//! | `{"text": {"0": …, "1": …}, "label": {…}}` | each inner key (pandas: `columns`) |
//! | `{"0": {"text": …, "label": …}, "1": {…}}` | each value (pandas: `index`) |

use serde_json::{Map, Value};

use crate::error::quoted;
use crate::table::{Wanted, key};

type Object = Map<String, Value>;

/// What an object that is a whole file holds.
pub(super) enum Shape {
    /// One row, itself.
    One(Object),
    /// These rows.
    Rows(Vec<Object>),
    /// Rows that cannot be told apart; what to do.
    Refused(String),
}

/// The rows of an object that is a whole file.
pub(super) fn shape(mut object: Object, wanted: &[Wanted]) -> Shape {
    let required: Vec<&Wanted> = wanted.iter().filter(|column| column.required).collect();
    let has_any = wanted.iter().any(|column| key(&object, &column.name).is_some());
    if is_by_column(&object) && (has_any || wanted.is_empty()) {
        return Shape::Rows(by_column(object));
    }
    if has_any {
        return Shape::One(object);
    }
    if let (Some(Value::Array(columns)), Some(Value::Array(data))) = (object.get("columns"), object.get("data")) {
        let columns: Option<Vec<&str>> = columns.iter().map(Value::as_str).collect();
        if let Some(rows) = columns.and_then(|columns| data.iter().map(|row| split_row(&columns, row)).collect()) {
            return Shape::Rows(rows);
        }
    }
    let is_table =
        |value: &Value| value.as_array().is_some_and(|rows| !rows.is_empty() && rows.iter().all(Value::is_object));
    let tables: Vec<String> = object.iter().filter(|(_, value)| is_table(value)).map(|(key, _)| key.clone()).collect();
    match tables.as_slice() {
        [] => {}
        [one] => {
            let rows =
                object.remove(one).and_then(|rows| if let Value::Array(rows) = rows { Some(rows) } else { None });
            return Shape::Rows(objects(rows.unwrap_or_default()));
        }
        several => {
            return Shape::Refused(format!(
                "holds {} tables ({}); write each into a file of its own, as JSON lines or a list of objects",
                several.len(),
                quoted(several, 8)
            ));
        }
    }
    let is_row =
        |row: &Value| row.as_object().is_some_and(|row| required.iter().all(|column| key(row, &column.name).is_some()));
    if is_by_row(&object) || (!required.is_empty() && !object.is_empty() && object.values().all(is_row)) {
        return Shape::Rows(objects(object.into_iter().map(|(_, row)| row).collect()));
    }
    Shape::One(object)
}

/// Whether all values are objects with the same keys, which then number the rows.
fn is_by_column(object: &Object) -> bool {
    let mut columns = object.values().map(Value::as_object);
    let Some(Some(first)) = columns.next() else { return false };
    !first.is_empty()
        && columns.all(|column| column.is_some_and(|column| column.keys().eq(first.keys())))
        && first.keys().all(|key| key.parse::<i64>().is_ok())
}

fn by_column(object: Object) -> Vec<Object> {
    let keys: Vec<String> =
        object.values().find_map(Value::as_object).into_iter().flat_map(Object::keys).cloned().collect();
    let row = |key: &String| {
        object.iter().map(|(name, column)| (name.clone(), column.get(key).cloned().unwrap_or_default())).collect()
    };
    keys.iter().map(row).collect()
}

/// Whether all values are objects and their keys are those of rows.
fn is_by_row(object: &Object) -> bool {
    !object.is_empty()
        && object.values().all(|row| row.as_object().is_some_and(|row| !row.is_empty()))
        && object.keys().all(|key| key.parse::<i64>().is_ok())
}

fn split_row(columns: &[&str], row: &Value) -> Option<Object> {
    let row = row.as_array().filter(|row| row.len() == columns.len())?;
    Some(columns.iter().zip(row).map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

fn objects(rows: Vec<Value>) -> Vec<Object> {
    rows.into_iter().filter_map(|row| if let Value::Object(row) = row { Some(row) } else { None }).collect()
}

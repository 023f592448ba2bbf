//! Names of label numbers that `datasets` writes into a Parquet file: the `huggingface` entry of its metadata, where a
//! column's feature is a `ClassLabel`, alone or as the element of a list.

use serde_json::Value;

use super::Cell;

/// The names of the numbers in `column`, by number; `described` is the entry.
pub(super) fn class_names(described: &Value, column: &str) -> Option<Vec<String>> {
    let mut feature = &described["info"]["features"][column];
    // A list is `{"feature": …, "_type": "Sequence"}`, `"List"` or an array of one.
    for _ in 0..2 {
        match feature {
            Value::Array(element) => feature = element.first()?,
            Value::Object(list) if list.contains_key("feature") => feature = &list["feature"],
            _ => {}
        }
    }
    if feature["_type"] != "ClassLabel" {
        return None;
    }
    let names: Option<Vec<String>> =
        feature["names"].as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    names.filter(|names| !names.is_empty())
}

/// A number as the name that stands for it; -1 is no label. Lists are named entry by entry.
///
/// # Errors
/// A number without a name.
pub(super) fn named(cell: Cell, names: &[String]) -> Result<Cell, String> {
    match cell {
        Cell::Integer(-1) => Ok(Cell::Null),
        Cell::Integer(number) => {
            let name = usize::try_from(number).ok().and_then(|number| names.get(number));
            name.map(|name| Cell::Text(name.clone())).ok_or_else(|| {
                format!("is {number}, but the file names {} labels, 0 to {}", names.len(), names.len() - 1)
            })
        }
        Cell::List(cells) => cells.into_iter().map(|cell| named(cell, names)).collect::<Result<_, _>>().map(Cell::List),
        cell => Ok(cell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_found_alone_and_in_lists() {
        let label = r#"{"names": ["World", "Sports"], "_type": "ClassLabel"}"#;
        for feature in [
            label.to_owned(),
            format!("[{label}]"),
            format!(r#"{{"feature": {label}, "_type": "List"}}"#),
            format!(r#"{{"feature": {label}, "length": -1, "_type": "Sequence"}}"#),
        ] {
            let features =
                format!(r#"{{"info": {{"features": {{"label": {feature}, "text": {{"_type": "Value"}}}}}}}}"#);
            let features = serde_json::from_str(&features).unwrap();
            assert_eq!(class_names(&features, "label").unwrap(), ["World", "Sports"], "{feature}");
            assert_eq!(class_names(&features, "text"), None);
        }
        assert_eq!(class_names(&Value::Null, "label"), None);
    }

    #[test]
    fn numbers_become_names() {
        let names = ["a".to_owned(), "b".to_owned()];
        let list = Cell::List(vec![Cell::Integer(1), Cell::Integer(0)]);
        let expected = Cell::List(vec![Cell::Text("b".into()), Cell::Text("a".into())]);
        assert_eq!(named(list, &names), Ok(expected));
        assert_eq!(named(Cell::Integer(-1), &names), Ok(Cell::Null));
        assert!(named(Cell::Integer(2), &names).unwrap_err().contains("is 2, but the file names 2 labels, 0 to 1"));
    }
}

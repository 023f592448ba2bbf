//! Names of tags that a file gives by number: in Parquet's metadata, or in a file beside the data.

use std::path::Path;

use serde_json::{Map, Value};

use crate::DataError;
use crate::table::hugging_face_metadata;

/// Files that may stand beside the data.
const BESIDE: [&str; 2] = ["id2label.json", "dataset_info.json"];

/// The names a file, or one beside it, knows for the numbers of a column, with where they stand.
///
/// # Errors
/// A file that is there cannot be read.
pub(super) fn known(file: &Path, column: &str) -> Result<Option<(Vec<String>, String)>, DataError> {
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
        && let Some(metadata) = hugging_face_metadata(file)?
        && let Some(names) = of_features(&metadata, column)
    {
        return Ok(Some((names, format!("the metadata of {}", file.display()))));
    }
    for name in BESIDE {
        let beside = file.with_file_name(name);
        if beside.is_file() {
            let value = parsed(&beside)?;
            if let Some(names) = of_features(&value, column).or_else(|| listed(&value)) {
                return Ok(Some((names, beside.display().to_string())));
            }
        }
    }
    Ok(None)
}

/// The names in a file: a JSON list, `id2label` or `label2id` (also inside a config.json), or a name in each line.
///
/// # Errors
/// The file cannot be read or has no names.
pub fn tag_names_of_file(file: &Path) -> Result<Vec<String>, DataError> {
    let refuse = |message: &str| DataError::Schema { file: file.to_owned(), message: message.to_owned() };
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        let message = "has no names of tags; write a list, or id2label with numbers from 0 and a name for each";
        return listed(&parsed(file)?).ok_or_else(|| refuse(message));
    }
    let mut lines = crate::annotations::lines::TextLines::open(file)?;
    let mut names = Vec::new();
    while let Some((line, text)) = lines.next()? {
        let text =
            text.map_err(|problem| DataError::Malformed { file: file.to_owned(), line, message: problem.message })?;
        names.extend(Some(text.trim()).filter(|name| !name.is_empty()).map(str::to_owned));
    }
    if names.is_empty() { Err(refuse("has no names of tags; write one in each line")) } else { Ok(names) }
}

fn parsed(file: &Path) -> Result<Value, DataError> {
    let bytes = std::fs::read(file).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => DataError::NotFound { file: file.to_owned() },
        _ => DataError::Read { file: file.to_owned(), source },
    })?;
    serde_json::from_slice(&bytes).map_err(|error| DataError::Malformed {
        file: file.to_owned(),
        line: error.line() as u64,
        message: format!("broken JSON: {error}"),
    })
}

/// ClassLabel's names of a column, wherever `features` stands in what `datasets` wrote.
fn of_features(value: &Value, column: &str) -> Option<Vec<String>> {
    let object = value.as_object()?;
    if let Some(feature) = object.get("features").and_then(|features| features.get(column)) {
        return class_names(feature);
    }
    object.values().find_map(|value| of_features(value, column))
}

/// The names of a feature or of what it is a list of.
fn class_names(feature: &Value) -> Option<Vec<String>> {
    match feature {
        Value::Array(items) => class_names(items.first()?),
        Value::Object(object) => match object.get("names") {
            Some(names) => listed(names),
            None => class_names(object.get("feature")?),
        },
        _ => None,
    }
}

/// Names in order: a list, or a map from or to the numbers from 0 without a gap.
fn listed(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(names) => {
            let names: Option<Vec<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
            names.filter(|names| !names.is_empty())
        }
        Value::Object(object) => match (object.get("id2label"), object.get("label2id")) {
            (Some(map), _) | (None, Some(map)) => listed(map),
            (None, None) => numbered(object),
        },
        _ => None,
    }
}

fn numbered(object: &Map<String, Value>) -> Option<Vec<String>> {
    let pairs = object.iter().map(|(key, value)| match value {
        Value::String(name) => key.parse::<usize>().ok().map(|id| (id, name.clone())),
        Value::Number(id) => id.as_u64().and_then(|id| usize::try_from(id).ok()).map(|id| (id, key.clone())),
        _ => None,
    });
    let mut pairs: Vec<(usize, String)> = pairs.collect::<Option<_>>()?;
    pairs.sort();
    let whole = pairs.iter().map(|pair| pair.0).eq(0..pairs.len()) && !pairs.is_empty();
    whole.then(|| pairs.into_iter().map(|pair| pair.1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_stand_in_many_places() {
        let names = Some(vec!["O".to_owned(), "B-A".to_owned()]);
        assert_eq!(listed(&json!(["O", "B-A"])), names);
        assert_eq!(listed(&json!({"1": "B-A", "0": "O"})), names);
        assert_eq!(listed(&json!({"model_type": "bert", "id2label": {"0": "O", "1": "B-A"}})), names);
        assert_eq!(listed(&json!({"label2id": {"B-A": 1, "O": 0}})), names);
        assert_eq!(listed(&json!({"1": "O", "2": "B-A"})), None);
        assert_eq!(listed(&json!({"model_type": "bert"})), None);
        let class = json!({"names": ["O", "B-A"], "_type": "ClassLabel"});
        for feature in [json!({"feature": class, "_type": "Sequence"}), json!([class]), class.clone()] {
            let metadata = json!({"info": {"features": {"id": {"dtype": "string"}, "ner_tags": feature}}});
            assert_eq!(of_features(&metadata, "ner_tags"), names);
            assert_eq!(of_features(&metadata, "id"), None);
        }
    }

    #[test]
    fn a_file_of_names_is_read_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        assert_eq!(tag_names_of_file(&write("a.txt", "O\r\nB-A\n\n")).unwrap(), ["O", "B-A"]);
        assert_eq!(tag_names_of_file(&write("a.json", "{\"0\": \"O\"}")).unwrap(), ["O"]);
        let refused = tag_names_of_file(&write("b.json", "{\"2\": \"O\"}")).unwrap_err().to_string();
        assert!(refused.contains("b.json") && refused.contains("id2label"), "{refused}");
        assert!(tag_names_of_file(&write("c.txt", "\n")).is_err());
    }
}

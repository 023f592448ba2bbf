//! Hugging Face's form: a table with a column `objects` of `bbox` and `category` (or `categories`, `label`, `labels`), as lists
//! beside each other or as a list of objects.

use serde_json::Value;

use super::raw::{RawObject, four};
use crate::error::shortened;

const BOXES: [&str; 4] = ["bbox", "bboxes", "box", "boxes"];
const CLASSES: [&str; 6] = ["category", "categories", "label", "labels", "category_id", "class"];

/// What a cell says of one object.
struct Item<'a> {
    numbers: Option<&'a Value>,
    class: Option<&'a Value>,
    area: Option<&'a Value>,
    crowd: Option<&'a Value>,
}

fn first<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().find_map(|key| value.get(key))
}

/// The objects of a cell; `names` are those of numbers, where they are known.
///
/// # Errors
/// What is wrong with it, as a phrase that follows the place of the row.
pub(super) fn objects(cell: &Value, names: &[String]) -> Result<Vec<RawObject>, String> {
    let parsed;
    let cell = match cell {
        // CSV has only text.
        Value::String(text) => {
            parsed = serde_json::from_str(text).map_err(|error| format!("`objects` is not JSON: {error}"))?;
            &parsed
        }
        other => other,
    };
    let items: Vec<Item<'_>> = match cell {
        Value::Null => Vec::new(),
        Value::Array(items) => items
            .iter()
            .map(|item| Item {
                numbers: first(item, &BOXES),
                class: first(item, &CLASSES),
                area: item.get("area"),
                crowd: item.get("iscrowd"),
            })
            .collect(),
        Value::Object(_) => {
            let list = |keys: &[&str]| first(cell, keys).and_then(Value::as_array);
            let (boxes, classes) = (list(&BOXES), list(&CLASSES));
            let (Some(boxes), Some(classes)) = (boxes, classes) else {
                return Err("`objects` has no lists `bbox` and `category`".to_owned());
            };
            if boxes.len() != classes.len() {
                return Err(format!("`objects` has {} boxes and {} categories", boxes.len(), classes.len()));
            }
            let (areas, crowds) = (list(&["area"]), list(&["iscrowd", "is_crowd"]));
            boxes
                .iter()
                .zip(classes)
                .enumerate()
                .map(|(i, (numbers, class))| Item {
                    numbers: Some(numbers),
                    class: Some(class),
                    area: areas.and_then(|it| it.get(i)),
                    crowd: crowds.and_then(|it| it.get(i)),
                })
                .collect()
        }
        other => return Err(format!("`objects` is {}, neither lists nor objects", shortened(&other.to_string()))),
    };
    let object = |(place, Item { numbers, class, area, crowd }): (usize, Item<'_>)| {
        let name = format!("object {}", place + 1);
        let numbers = four(numbers).ok_or_else(|| format!("{name} has no box of four numbers"))?;
        let class = match class {
            Some(Value::String(text)) if !text.trim().is_empty() => text.trim().to_owned(),
            Some(Value::Number(number)) => {
                let named = number.as_u64().and_then(|number| names.get(number as usize)).cloned();
                named.unwrap_or_else(|| number.to_string())
            }
            _ => return Err(format!("{name} has no category, a name or a number")),
        };
        let crowd = crowd.is_some_and(|it| it.as_bool() == Some(true) || it.as_f64().is_some_and(|it| it != 0.0));
        Ok(RawObject { class, numbers, crowd, area: area.and_then(Value::as_f64).filter(|it| *it > 0.0), name })
    };
    items.into_iter().enumerate().map(object).collect()
}

/// Names of the categories, of what `datasets` wrote about the columns of a Parquet file.
pub(super) fn class_names(metadata: &Value, column: &str) -> Vec<String> {
    fn names(value: &Value) -> Option<Vec<String>> {
        match value {
            Value::Object(map) => match map.get("names").and_then(Value::as_array) {
                Some(list) => list.iter().map(|it| it.as_str().map(str::to_owned)).collect(),
                None => map.values().find_map(names),
            },
            Value::Array(list) => list.iter().find_map(names),
            _ => None,
        }
    }
    metadata.pointer("/info/features").and_then(|features| features.get(column)).and_then(names).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_and_objects_say_the_same() {
        let names = vec!["cat".to_owned(), "dog".to_owned()];
        let lists = json!({"bbox": [[1, 2, 3, 4], [5, 6, 7, 8]], "category": [1, 0], "area": [12, 56]});
        let items = json!([{"bbox": [1, 2, 3, 4], "category": "dog", "area": 12}, {"bbox": [5, 6, 7, 8], "label": "cat", "area": 56}]);
        let read = objects(&lists, &names).unwrap();
        assert_eq!(read, objects(&items, &[]).unwrap());
        assert_eq!(read, objects(&Value::String(items.to_string()), &[]).unwrap());
        assert_eq!((read[0].class.as_str(), read[1].area), ("dog", Some(56.0)));
        assert_eq!(objects(&json!(null), &names).unwrap(), []);
        assert!(
            objects(&json!({"bbox": [[1, 2, 3, 4]], "category": []}), &names).unwrap_err().contains("1 boxes and 0")
        );
        assert!(
            objects(&json!([{"bbox": [1, 2], "category": 1}]), &names).unwrap_err().contains("object 1 has no box")
        );
        let metadata =
            json!({"info": {"features": {"objects": {"category": {"names": ["a", "b"], "_type": "ClassLabel"}}}}});
        assert_eq!(class_names(&metadata, "objects"), ["a", "b"]);
    }
}

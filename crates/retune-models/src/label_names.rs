//! The names of a head's outputs, in all the forms in which configurations state them.
//!
//! Hugging Face writes `id2label` from id to name and `label2id` back. By hand people write lists, ids from 1, or one of both.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

/// What a configuration says about its labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LabelNames {
    /// By output.
    pub(crate) names: Vec<String>,
    /// Whether both fields stand as Hugging Face writes them, or need to be written anew.
    pub(crate) usual: bool,
    /// Worth telling.
    pub(crate) notes: Vec<String>,
}

/// Reads `id2label` and `label2id`; `None` where there is neither.
///
/// # Errors
/// Ids that are no numbering, or two fields that contradict each other.
pub(crate) fn read(config: &Map<String, Value>) -> Result<Option<LabelNames>, String> {
    let empty =
        |value: &Value| value.is_null() || *value == Value::Array(Vec::new()) || *value == Value::Object(Map::new());
    let field = |name: &str| config.get(name).filter(|value| !empty(value));
    let stated = field("id2label").map(|value| Ok::<_, String>((ids_of(value)?, value.is_object()))).transpose()?;
    let back = field("label2id").map(ids_of_names).transpose()?.filter(|back| !back.is_empty());
    let (names, mut notes, mut usual) = match (stated, &back) {
        (None, None) => return Ok(None),
        (Some((stated, object)), _) => {
            let (names, notes) = numbered("id2label", stated)?;
            let usual = object && notes.is_empty();
            (names, notes, usual)
        }
        (None, Some(back)) => {
            let stated = back.iter().map(|(name, id)| (*id, name.clone())).collect();
            let (names, notes) = numbered("label2id", unique_ids(stated)?)?;
            (names, notes, false)
        }
    };
    let mut names = names;
    if let Some(back) = &back {
        let offset = i64::from(!notes.is_empty() && !back.iter().any(|(_, id)| *id == 0));
        let at = |id: i64| usize::try_from(id - offset).ok().and_then(|id| names.get(id));
        let contradiction = back.iter().find(|(name, id)| at(*id) != Some(name));
        if let Some((name, id)) = contradiction
            && !is_generic(back.iter().map(|(name, id)| (*id, name.as_str())))
        {
            let ours = is_generic((0..).zip(names.iter().map(String::as_str)));
            let theirs = unique_ids(back.iter().map(|(name, id)| (*id, name.clone())).collect());
            let theirs = theirs.and_then(|theirs| numbered("label2id", theirs)).ok();
            match theirs.filter(|(theirs, _)| ours && theirs.len() == names.len()) {
                Some((theirs, _)) => {
                    notes.push("id2label of config.json names no labels; those of label2id are used".to_owned());
                    (names, usual) = (theirs, false);
                }
                None => {
                    let stated = at(*id).map_or_else(|| "no label".to_owned(), |name| format!("`{name}`"));
                    return Err(format!("label2id calls label {id} `{name}`, id2label {stated}; mend config.json"));
                }
            }
        }
    }
    Ok(Some(LabelNames { names, usual, notes }))
}

/// Names so that each means one output: those that several outputs have get the output's number. Also says which they were.
pub(crate) fn told_apart(names: Vec<String>) -> (Vec<String>, Vec<String>) {
    let mut count: HashMap<&str, usize> = HashMap::new();
    names.iter().for_each(|name| *count.entry(name).or_default() += 1);
    let mut shared: Vec<String> =
        count.iter().filter(|(_, count)| **count > 1).map(|(&name, _)| name.to_owned()).collect();
    shared.sort();
    let apart = |(id, name): (usize, &String)| {
        if count[name.as_str()] == 1 { name.clone() } else { format!("{name} ({id})") }
    };
    (names.iter().enumerate().map(apart).collect(), shared)
}

/// Whether these are the names of outputs that nobody named.
fn is_generic<'a>(mut names: impl Iterator<Item = (i64, &'a str)>) -> bool {
    names.all(|(id, name)| name == format!("LABEL_{id}"))
}

/// `{"0": "a"}` or `["a"]`.
fn ids_of(value: &Value) -> Result<BTreeMap<i64, String>, String> {
    match value {
        Value::Array(list) => (0..).zip(list).map(|(id, name)| Ok((id, name_of(id, name)?))).collect(),
        Value::Object(map) => {
            let entry = |(id, name): (&String, &Value)| {
                let number = id.trim().parse().map_err(|_| format!("id2label: `{id}` is no number"))?;
                Ok((number, name_of(number, name)?))
            };
            map.iter().map(entry).collect()
        }
        other => Err(format!("id2label is {other}, neither an object nor a list")),
    }
}

fn name_of(id: i64, name: &Value) -> Result<String, String> {
    match name {
        Value::String(name) => Ok(name.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(name.to_string()),
        other => Err(format!("id2label: the name of {id} is {other}")),
    }
}

/// `{"a": 0}`.
fn ids_of_names(value: &Value) -> Result<Vec<(String, i64)>, String> {
    let map = value.as_object().ok_or_else(|| format!("label2id is {value}, not an object"))?;
    let entry = |(name, id): (&String, &Value)| {
        let number = id.as_i64().or_else(|| id.as_str()?.trim().parse().ok());
        Ok((name.clone(), number.ok_or_else(|| format!("label2id: the id of `{name}` is {id}"))?))
    };
    map.iter().map(entry).collect()
}

fn unique_ids(names: Vec<(i64, String)>) -> Result<BTreeMap<i64, String>, String> {
    let mut by_id = BTreeMap::new();
    for (id, name) in names {
        if let Some(other) = by_id.insert(id, name.clone()) {
            return Err(format!("label2id gives `{other}` and `{name}` the same id {id}"));
        }
    }
    Ok(by_id)
}

/// Names in the order of their ids, which run from 0 or from 1.
fn numbered(field: &str, by_id: BTreeMap<i64, String>) -> Result<(Vec<String>, Vec<String>), String> {
    let first = by_id.keys().next().copied().unwrap_or(0);
    if !(0..=1).contains(&first) {
        return Err(format!("{field} begins with {first}; ids run from 0"));
    }
    if let Some(gap) = (first..).zip(by_id.keys()).find(|(expected, id)| expected != *id) {
        return Err(format!("{field} has no name for {}; ids run from 0 without gaps", gap.0));
    }
    let note = (first == 1).then(|| {
        let last = by_id.len();
        format!("{field} of config.json numbers its {last} labels from 1; the first output is taken for label 1")
    });
    Ok((by_id.into_values().collect(), note.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels(config: Value) -> Result<Option<LabelNames>, String> {
        let Value::Object(config) = config else { panic!("an object") };
        read(&config)
    }

    #[test]
    fn every_form_means_the_same_names() {
        for (config, usual, notes) in [
            (json!({"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1}}), true, 0),
            (json!({"id2label": {"1": "b", "0": "a"}}), true, 0),
            (json!({"id2label": {"0": "a", "1": "b"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}), true, 0),
            (json!({"id2label": ["a", "b"]}), false, 0),
            (json!({"id2label": {"1": "a", "2": "b"}}), false, 1),
            (json!({"id2label": {"1": "a", "2": "b"}, "label2id": {"a": 1, "b": 2}}), false, 1),
            (json!({"id2label": {"1": "a", "2": "b"}, "label2id": {"a": 0, "b": 1}}), false, 1),
            (json!({"label2id": {"b": 1, "a": 0}}), false, 0),
            (json!({"label2id": {"b": "1", "a": "0"}, "id2label": null}), false, 0),
            (json!({"label2id": {"a": 1, "b": 2}}), false, 1),
            (json!({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"a": 0, "b": 1}}), false, 1),
        ] {
            let found = labels(config.clone()).unwrap().unwrap();
            assert_eq!((&found.names[..], found.usual), (&["a".to_owned(), "b".to_owned()][..], usual), "{config}");
            assert_eq!(found.notes.len(), notes, "{config} {:?}", found.notes);
        }
        assert_eq!(labels(json!({"id2label": null})).unwrap(), None);
        assert_eq!(labels(json!({"id2label": {}, "label2id": {}})).unwrap(), None);
        assert_eq!(labels(json!({"id2label": {"0": 3}})).unwrap().unwrap().names, ["3"]);
    }

    #[test]
    fn contradictions_are_named() {
        for (config, problem) in [
            (json!({"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}}), "label2id calls label"),
            (json!({"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "c": 2}}), "no label"),
            (json!({"id2label": {"0": "a", "2": "b"}}), "no name for 1"),
            (json!({"id2label": {"2": "a"}}), "begins with 2"),
            (json!({"id2label": {"x": "a"}}), "`x` is no number"),
            (json!({"id2label": {"0": []}}), "the name of 0"),
            (json!({"id2label": 3}), "neither"),
            (json!({"label2id": {"a": 0, "b": 0}}), "the same id 0"),
        ] {
            let error = labels(config.clone()).unwrap_err();
            assert!(error.contains(problem), "{config}: {error}");
        }
    }

    #[test]
    fn outputs_of_one_name_are_told_apart() {
        let names = ["crane", "cat", "crane"].map(str::to_owned).to_vec();
        let (apart, shared) = told_apart(names);
        assert_eq!(apart, ["crane (0)", "cat", "crane (2)"]);
        assert_eq!(shared, ["crane"]);
    }
}

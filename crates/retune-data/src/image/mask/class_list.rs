//! Lists of classes beside masks: `classes.json`, `id2label.json`, `classes.txt`, or a table of names and colours.
//!
//! | form | means |
//! |---|---|
//! | `["sky", "road"]`, lines of text | names by value, from 0 |
//! | `{"0": "sky", "7": "road"}` | names of values |
//! | `{"sky": 0, "road": 7}` | values of names |
//! | `{"sky": [0, 0, 255]}`, `[{"name": "sky", "color": [0, 0, 255], "id": 0}]` | names with colours, in order |
//! | CSV with `name,r,g,b` | the same |
//! | `{"classes": …}`, `{"id2label": …}` | one of these |

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::DataError;
use crate::error::shortened;

/// Names of the files, in the order in which they are looked for.
const NAMES: [&str; 4] = ["classes.json", "id2label.json", "classes.txt", "class_dict.csv"];

/// One class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) name: String,
    /// The value that masks store.
    pub(super) value: u8,
    pub(super) colour: Option<[u8; 3]>,
}

/// The classes of a data set as a file beside it has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassList {
    pub(super) file: PathBuf,
    pub(super) classes: Vec<Class>,
}

impl ClassList {
    /// The list beside a folder or table, or one folder further up; `None` where there is none.
    ///
    /// # Errors
    /// A list that cannot be understood.
    pub fn beside(data: &Path) -> Result<Option<Self>, DataError> {
        let folder = if data.is_dir() { Some(data) } else { data.parent() };
        let above = folder.and_then(|folder| match folder.as_os_str().is_empty() {
            // The current folder, whose parent its name does not say.
            true => Some(Path::new("..")),
            false => folder.parent(),
        });
        for folder in [folder, above].into_iter().flatten() {
            if let Some(file) = NAMES.iter().map(|name| folder.join(name)).find(|file| file.is_file()) {
                return Self::read(&file).map(Some);
            }
        }
        Ok(None)
    }

    /// Reads a list.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub fn read(file: &Path) -> Result<Self, DataError> {
        let text = std::fs::read_to_string(file).map_err(|source| DataError::Read { file: file.to_owned(), source })?;
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or("").to_ascii_lowercase();
        let classes = match ending.as_str() {
            "txt" => named(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned)),
            "csv" => table(&text),
            _ => serde_json::from_str(&text)
                .map_err(|error| format!("is not JSON: {error}"))
                .and_then(|value| understood(&value)),
        };
        let classes = classes.and_then(checked);
        let fail = |message| DataError::Schema { file: file.to_owned(), message };
        Ok(Self { file: file.to_owned(), classes: classes.map_err(fail)? })
    }

    /// The classes of values from 0 on, whose names a file of another form has.
    ///
    /// # Errors
    /// Names that are the same, or too many.
    pub fn of_names(file: &Path, names: &[String]) -> Result<Self, DataError> {
        let fail = |message| DataError::Schema { file: file.to_owned(), message };
        let classes = named(names.iter().cloned()).and_then(checked).map_err(fail)?;
        Ok(Self { file: file.to_owned(), classes })
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The value of a colour.
    pub(super) fn value_of(&self, colour: [u8; 3]) -> Option<u8> {
        self.classes.iter().find(|class| class.colour == Some(colour)).map(|class| class.value)
    }

    /// Whether classes have colours.
    pub(super) fn has_colours(&self) -> bool {
        self.classes.iter().any(|class| class.colour.is_some())
    }
}

fn checked(classes: Vec<Class>) -> Result<Vec<Class>, String> {
    if classes.is_empty() {
        return Err("names no class".to_owned());
    }
    for (index, class) in classes.iter().enumerate() {
        let before = &classes[..index];
        if class.name.trim().is_empty() {
            return Err(format!("the class of value {} has no name", class.value));
        }
        if let Some(other) = before.iter().find(|other| other.value == class.value || other.name == class.name) {
            return Err(format!(
                "`{}` and `{}` are the same value or have the same name; each class needs its own",
                shortened(&other.name),
                shortened(&class.name)
            ));
        }
        if class.colour.is_some() && before.iter().any(|other| other.colour == class.colour) {
            return Err(format!("the colour of `{}` is also that of another class", shortened(&class.name)));
        }
    }
    Ok(classes)
}

fn value(index: usize) -> Result<u8, String> {
    u8::try_from(index).map_err(|_| format!("has a class of value {index}; masks hold values from 0 to 255"))
}

fn named(names: impl Iterator<Item = String>) -> Result<Vec<Class>, String> {
    names.enumerate().map(|(index, name)| Ok(Class { name, value: value(index)?, colour: None })).collect()
}

fn understood(json: &Value) -> Result<Vec<Class>, String> {
    match json {
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| of_item(index, item)).collect(),
        Value::Object(map) => {
            let inner = ["classes", "id2label", "categories", "names"].iter().find_map(|key| map.get(*key));
            match inner.filter(|inner| inner.is_array() || inner.is_object()) {
                Some(inner) => understood(inner),
                None => of_map(map),
            }
        }
        _ => Err("is neither a list nor an object of classes".to_owned()),
    }
}

fn of_item(index: usize, item: &Value) -> Result<Class, String> {
    match item {
        Value::String(name) => Ok(Class { name: name.clone(), value: value(index)?, colour: None }),
        Value::Object(map) => {
            let name = ["name", "label", "class"].iter().find_map(|key| map.get(*key)?.as_str());
            let name = name.ok_or_else(|| format!("the class {index} has no `name`"))?.to_owned();
            let id = ["id", "value", "index"].iter().find_map(|key| map.get(*key)?.as_u64());
            let colour = ["color", "colour", "rgb"].iter().find_map(|key| map.get(*key));
            let value = value(id.map_or(index, |id| id as usize))?;
            Ok(Class { value, colour: colour.map(|it| read_colour(it, &name)).transpose()?, name })
        }
        other => Err(format!("the class {index} is {}, neither a name nor an object", shortened(&other.to_string()))),
    }
}

fn of_map(map: &Map<String, Value>) -> Result<Vec<Class>, String> {
    let mut classes = Vec::new();
    for (index, (key, item)) in map.iter().enumerate() {
        classes.push(match (key.trim().parse::<usize>(), item) {
            (Ok(id), Value::String(name)) => Class { name: name.clone(), value: value(id)?, colour: None },
            (Ok(id), item @ Value::Object(_)) => Class { value: value(id)?, ..of_item(id, item)? },
            (_, Value::Number(id)) => {
                let id = id.as_u64().ok_or_else(|| format!("`{}` has the value {id}", shortened(key)))?;
                Class { name: key.clone(), value: value(id as usize)?, colour: None }
            }
            (_, colour) => Class { name: key.clone(), value: value(index)?, colour: Some(read_colour(colour, key)?) },
        });
    }
    classes.sort_by_key(|class| class.value);
    Ok(classes)
}

/// `[r, g, b]` or `#rrggbb`.
fn read_colour(value: &Value, name: &str) -> Result<[u8; 3], String> {
    let sample = |it: &Value| it.as_u64().and_then(|it| u8::try_from(it).ok());
    let read = match value {
        Value::Array(samples) if samples.len() >= 3 => {
            samples[..3].iter().map(sample).collect::<Option<Vec<u8>>>().and_then(|it| it.try_into().ok())
        }
        Value::String(text) => {
            let digits = text.trim_start_matches('#');
            let number = u32::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 6);
            number.map(|number| [(number >> 16) as u8, (number >> 8) as u8, number as u8])
        }
        _ => None,
    };
    read.ok_or_else(|| {
        let shown = shortened(&value.to_string());
        format!("the colour of `{}` is {shown}, neither [red, green, blue] from 0 to 255 nor #rrggbb", shortened(name))
    })
}

/// CSV whose columns are a name and three samples, under a heading.
fn table(text: &str) -> Result<Vec<Class>, String> {
    let rows = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).skip(1);
    let class = |(index, (line, row)): (usize, (usize, &str))| {
        let cells: Vec<&str> = row.split(',').map(str::trim).collect();
        let problem = || format!("line {}: needs a name and red, green and blue from 0 to 255", line + 1);
        let [name, samples @ ..] = cells.as_slice() else { return Err(problem()) };
        let samples: Vec<u8> = samples.iter().map_while(|sample| sample.parse().ok()).collect();
        let colour = samples.get(..3).and_then(|it| it.try_into().ok()).ok_or_else(problem)?;
        Ok(Class { name: (*name).to_owned(), value: value(index)?, colour: Some(colour) })
    };
    rows.enumerate().map(class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, value and colour of a class.
    type Read = (String, u8, Option<[u8; 3]>);

    fn read(name: &str, text: &str) -> Result<Vec<Read>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let list = ClassList::read(&file).map_err(|error| error.to_string())?;
        Ok(list.classes.into_iter().map(|class| (class.name, class.value, class.colour)).collect())
    }

    #[test]
    fn every_form_gives_names_values_and_colours() {
        let plain = vec![("a".to_owned(), 0, None), ("b".to_owned(), 1, None)];
        for text in [
            "[\"a\", \"b\"]",
            "{\"0\": \"a\", \"1\": \"b\"}",
            "{\"b\": 1, \"a\": 0}",
            "{\"classes\": [\"a\", \"b\"]}",
            "{\"id2label\": {\"1\": \"b\", \"0\": \"a\"}}",
        ] {
            assert_eq!(read("classes.json", text).unwrap(), plain, "{text}");
        }
        assert_eq!(read("classes.txt", "a\n\n b \n").unwrap(), plain);
        assert_eq!(read("classes.json", "{\"3\": \"a\"}").unwrap(), [("a".to_owned(), 3, None)]);
        let coloured = vec![("a".to_owned(), 0, Some([1, 2, 3])), ("b".to_owned(), 1, Some([255, 0, 16]))];
        for (name, text) in [
            ("classes.json", "{\"a\": [1, 2, 3], \"b\": \"#ff0010\"}"),
            (
                "p.json",
                "[{\"name\": \"a\", \"color\": [1,2,3]}, {\"label\": \"b\", \"id\": 1, \"colour\": [255,0,16]}]",
            ),
            ("class_dict.csv", "name,r,g,b\na, 1, 2, 3\nb,255,0,16\n"),
        ] {
            assert_eq!(read(name, text).unwrap(), coloured, "{text}");
        }
    }

    #[test]
    fn lists_that_contradict_themselves_are_refused() {
        for (text, part) in [
            ("[]", "names no class"),
            ("[\"a\", \"a\"]", "the same value or have the same name"),
            ("{\"300\": \"a\"}", "value 300"),
            ("[1]", "neither a name"),
            ("{\"a\": [1, 2]}", "the colour of `a`"),
            ("{\"a\": [1,2,3], \"b\": [1,2,3]}", "is also that of another"),
            ("{", "is not JSON"),
        ] {
            let said = read("classes.json", text).unwrap_err();
            assert!(said.contains(part), "{text}: {said}");
        }
        assert!(read("class_dict.csv", "name,r,g,b\na,1,2\n").unwrap_err().contains("line 2"));
    }

    #[test]
    fn a_list_is_found_one_folder_up() {
        let folder = tempfile::tempdir().unwrap();
        let train = folder.path().join("train");
        std::fs::create_dir(&train).unwrap();
        assert_eq!(ClassList::beside(&train).unwrap(), None);
        std::fs::write(folder.path().join("classes.json"), "[\"up\"]").unwrap();
        assert_eq!(ClassList::beside(&train).unwrap().unwrap().classes[0].name, "up");
        std::fs::write(train.join("id2label.json"), "{\"0\": \"here\"}").unwrap();
        assert_eq!(ClassList::beside(&train.join("t.csv")).unwrap().unwrap().classes[0].name, "here");
    }
}

//! Files of COCO's form: `images`, `annotations` and `categories`, joined by ids that are numbers or texts and may have gaps.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde_json::Value;

use super::located::located;
use crate::DataError;
use crate::error::{quoted, shortened};

/// Names of the file in a folder, the first ones first.
pub(super) const NAMES: [&str; 3] = ["annotations.coco.json", "_annotations.coco.json", "annotations.json"];

/// Ids that a remark lists.
const MOST_IDS: usize = 20;

/// What a document says, joined.
pub(super) struct Coco<'a> {
    /// In the order of the file.
    pub(super) images: Vec<CocoImage<'a>>,
    /// Names of the categories, in the order of their ids.
    pub(super) classes: Vec<String>,
    /// What is wrong that belongs to no image.
    pub(super) problems: Vec<String>,
    /// What a person should know.
    pub(super) remarks: Vec<String>,
}

/// An image of a document.
pub(super) struct CocoImage<'a> {
    pub(super) id: String,
    /// Its path, relative to the folder of images.
    pub(super) path: String,
    /// Width and height, where the file says so.
    pub(super) size: Option<(f64, f64)>,
    pub(super) annotations: Vec<CocoAnnotation<'a>>,
    /// Why it cannot be used.
    pub(super) problems: Vec<String>,
}

/// An object of an image.
pub(super) struct CocoAnnotation<'a> {
    /// How it is called in messages.
    pub(super) name: String,
    /// The name of its category.
    pub(super) class: &'a str,
    fields: &'a Value,
}

impl<'a> CocoAnnotation<'a> {
    /// A field.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.fields.get(key)
    }
}

/// Whether a document is of this form. Lists of texts are the columns of a table.
pub(super) fn is_coco(document: &Value) -> bool {
    let is_list = |key: &str| {
        let list = document.get(key).and_then(Value::as_array);
        list.is_some_and(|list| list.first().is_none_or(Value::is_object))
    };
    is_list("images") && is_list("annotations")
}

/// The document in a file, where it is of this form.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn document(file: &Path) -> Result<Option<Value>, DataError> {
    let text = std::fs::read_to_string(file).map_err(|source| DataError::Read { file: file.to_owned(), source })?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    // Lists are tables, and so may be what is no document.
    let read = if text.starts_with('{') { serde_json::from_str(text).ok() } else { None };
    Ok(read.filter(is_coco))
}

/// Joins a document; paths are relative to `base`.
///
/// # Errors
/// It has no list of categories that can be read.
pub(super) fn read<'a>(file: &Path, base: &Path, document: &'a Value) -> Result<Coco<'a>, DataError> {
    let (mut problems, mut remarks) = (Vec::new(), Vec::new());
    let categories = categories(document, &mut problems);
    if categories.is_empty() {
        let message = "has no `categories` with `id` and `name`; add them".to_owned();
        return Err(DataError::Schema { file: file.to_owned(), message });
    }
    let (classes, one_of_several) = classes(document, &categories);
    if one_of_several {
        remarks.push(format!("{}: categories of the same name are one class", file.display()));
    }
    let mut images = images(document, base, &mut problems);
    let places: HashMap<String, usize> =
        images.iter().enumerate().map(|(place, image)| (image.id.clone(), place)).collect();
    let known: HashMap<&str, &str> = categories.iter().map(|(key, name)| (key.as_str(), *name)).collect();
    for (place, fields) in items(document, "annotations").iter().enumerate() {
        let name = match id(fields.get("id")) {
            Some(key) => format!("annotation {key}"),
            None => format!("annotation number {} of the list", place + 1),
        };
        let shown = |key: Option<String>| key.map_or("none".to_owned(), |key| shortened(&key));
        let image = id(fields.get("image_id"));
        let Some(&place) = image.as_ref().and_then(|key| places.get(key)) else {
            let shown = shown(image);
            problems.push(format!("{name} belongs to the image id {shown}, which is not among `images`"));
            continue;
        };
        let image = &mut images[place];
        let category = id(fields.get("category_id"));
        match category.as_ref().and_then(|key| known.get(key.as_str())) {
            Some(class) => image.annotations.push(CocoAnnotation { name, class, fields }),
            None => {
                let shown = shown(category);
                image.problems.push(format!("{name} has the category id {shown}, which is not among `categories`"));
            }
        }
    }
    let paths = twice(images.iter().map(|image| image.path.clone()));
    problems.extend(paths.into_iter().map(|path| format!("{path} is named by several `images`")));
    // Nothing is found by the id of an annotation, so that no object is lost.
    let doubled = twice(items(document, "annotations").iter().filter_map(|fields| id(fields.get("id"))));
    if !doubled.is_empty() {
        let (count, shown) = (doubled.len(), quoted(&doubled, MOST_IDS));
        let ids = if count == 1 { format!("the id {shown} stands") } else { format!("{count} ids ({shown}) stand") };
        remarks.push(format!("{}: {ids} for several annotations, as after a bad merge; each is read", file.display()));
    }
    Ok(Coco { images, classes, problems, remarks })
}

/// Ids and names of the categories, in the order of the ids.
fn categories<'a>(document: &'a Value, problems: &mut Vec<String>) -> Vec<(String, &'a str)> {
    let mut found: Vec<(f64, String, &str)> = Vec::new();
    for (place, category) in items(document, "categories").iter().enumerate() {
        let name = category.get("name").and_then(Value::as_str).map(str::trim).filter(|name| !name.is_empty());
        let Some((key, name)) = id(category.get("id")).zip(name) else {
            problems.push(format!("category {} of the list has no `id` or no `name`", place + 1));
            continue;
        };
        if found.iter().any(|(_, other, _)| *other == key) {
            problems.push(format!("category id {key} stands for several categories; give each its own"));
            continue;
        }
        let order = category.get("id").and_then(Value::as_f64).unwrap_or(place as f64);
        found.push((order, key, name));
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().map(|(_, key, name)| (key, name)).collect()
}

/// Names of what objects can be, and whether categories share one.
fn classes(document: &Value, categories: &[(String, &str)]) -> (Vec<String>, bool) {
    let of = |key| move |annotation: &Value| id(annotation.get(key));
    let used: HashSet<String> = items(document, "annotations").iter().filter_map(of("category_id")).collect();
    // Some tools list what the others are kinds of as a category of its own, which nothing belongs to. One that is a kind of itself,
    // as COCO's `person` is, is none of those.
    let kind = |category: &Value| {
        let kind = category.get("supercategory")?.as_str()?;
        (category.get("name")?.as_str()? != kind).then(|| kind.to_owned())
    };
    let above: HashSet<String> = items(document, "categories").iter().filter_map(kind).collect();
    let counts = |key: &String, name: &str| used.contains(key) || !above.contains(name) || categories.len() == 1;
    let (mut classes, mut one_of_several) = (Vec::new(), false);
    for (_, name) in categories.iter().filter(|(key, name)| counts(key, name)) {
        match classes.iter().any(|other| other == name) {
            true => one_of_several = true,
            false => classes.push((*name).to_owned()),
        }
    }
    (classes, one_of_several)
}

fn images<'a>(document: &Value, base: &Path, problems: &mut Vec<String>) -> Vec<CocoImage<'a>> {
    let (mut images, mut ids) = (Vec::new(), HashSet::new());
    for (place, image) in items(document, "images").iter().enumerate() {
        let name = image.get("file_name").and_then(Value::as_str).filter(|name| !name.trim().is_empty());
        let Some((id, name)) = id(image.get("id")).zip(name) else {
            problems.push(format!("image {} of the list has no `id` or no `file_name`", place + 1));
            continue;
        };
        if !ids.insert(id.clone()) {
            problems.push(format!("image id {id} stands for several images; give each its own"));
            continue;
        }
        let side = |key: &str| image.get(key).and_then(Value::as_f64);
        let (path, size) = (located(base, name), side("width").zip(side("height")));
        images.push(CocoImage { id, path, size, annotations: Vec::new(), problems: Vec::new() });
    }
    images
}

/// What occurs more than once.
fn twice(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect()
}

/// An id as a key: numbers and texts.
fn id(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// The entries of a list; none where there is none.
fn items<'a>(document: &'a Value, key: &str) -> &'a [Value] {
    document.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_with_gaps_and_problems() {
        let document = json!({
            "images": [{"id": 7, "file_name": "a.png", "width": 10, "height": 20}, {"id": "b", "file_name": "b.png"},
                {"id": 7, "file_name": "c.png"}, {"id": 8}, {"id": 9, "file_name": "b.png"}],
            "categories": [{"id": 0, "name": "animals", "supercategory": "none"},
                {"id": 9, "name": "dog", "supercategory": "animals"}, {"id": "x"},
                {"id": 3, "name": " cat", "supercategory": "animals"}, {"id": 3, "name": "horse"},
                {"id": 12, "name": "dog", "supercategory": "animals"},
                {"id": 15, "name": "person", "supercategory": "person"}],
            "annotations": [
                {"id": 1, "image_id": 7, "category_id": 9},
                {"image_id": "b", "category_id": 3},
                {"id": 3, "image_id": 8, "category_id": 3},
                {"id": 4, "image_id": 7, "category_id": 4},
                {"id": 5, "category_id": 4},
            ],
        });
        assert!(is_coco(&document) && !is_coco(&json!([])));
        assert!(!is_coco(&json!({"images": ["a.png"], "annotations": ["a_mask.png"]})), "columns of a table");
        let coco = read(Path::new("x.json"), Path::new("nowhere"), &document).unwrap();
        assert_eq!(coco.classes, ["cat", "dog", "person"]);
        assert_eq!(coco.remarks, ["x.json: categories of the same name are one class"]);
        assert_eq!((coco.images.len(), coco.images[0].size, coco.images[1].size), (3, Some((10.0, 20.0)), None));
        let named = |image: usize| {
            let annotation = &coco.images[image].annotations[0];
            (annotation.name.as_str(), annotation.class)
        };
        assert_eq!(named(0), ("annotation 1", "dog"));
        assert_eq!(named(1), ("annotation number 2 of the list", "cat"));
        assert_eq!(
            coco.problems,
            [
                "category 3 of the list has no `id` or no `name`",
                "category id 3 stands for several categories; give each its own",
                "image id 7 stands for several images; give each its own",
                "image 4 of the list has no `id` or no `file_name`",
                "annotation 3 belongs to the image id 8, which is not among `images`",
                "annotation 5 belongs to the image id none, which is not among `images`",
                "b.png is named by several `images`",
            ]
        );
        assert_eq!(coco.images[0].problems, ["annotation 4 has the category id 4, which is not among `categories`"]);
        let nothing = json!({"images": [], "annotations": []});
        let nothing = read(Path::new("x.json"), Path::new(""), &nothing);
        assert!(nothing.err().unwrap().to_string().contains("x.json: has no `categories`"));
    }

    #[test]
    fn ids_of_several_annotations_are_told_and_lose_none() {
        let of = |ids: &[Value]| {
            let annotation = |id: &Value| json!({"id": id, "image_id": 1, "category_id": 1});
            let document = json!({
                "images": [{"id": 1, "file_name": "a.png"}],
                "categories": [{"id": 1, "name": "dog"}],
                "annotations": ids.iter().map(annotation).collect::<Vec<_>>(),
            });
            let coco = read(Path::new("x.json"), Path::new("nowhere"), &document).unwrap();
            assert_eq!((coco.images[0].annotations.len(), coco.problems.len()), (ids.len(), 0));
            coco.remarks.join("\n")
        };
        assert_eq!(of(&[json!(1), json!("a"), json!(null), json!(null)]), "");
        let one = "x.json: the id `5` stands for several annotations, as after a bad merge; each is read";
        assert_eq!(of(&[json!(5), json!(6), json!(5), json!("5")]), one);
        let two = of(&[json!("a"), json!(6), json!("a"), json!(6)]);
        assert!(two.contains("2 ids (`6`, `a`) stand for several"), "{two}");
    }
}

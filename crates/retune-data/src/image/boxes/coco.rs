//! COCO's detection format: `images`, `annotations`, `categories`, joined by ids that may have gaps.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde_json::Value;

use super::BoxConvention;
use super::raw::{RawImage, RawObject, RawSet, four, located};
use crate::DataError;
use crate::error::shortened;

/// Whether a document is of this format.
pub(super) fn is_coco(document: &Value) -> bool {
    ["images", "annotations"].iter().all(|key| document.get(key).is_some_and(Value::is_array))
}

/// An id as a key: numbers and texts.
pub(in crate::image) fn id(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// The entries of a list; none where there is none.
pub(in crate::image) fn items<'a>(document: &'a Value, key: &str) -> &'a [Value] {
    document.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// What a message calls an annotation: by its id, else by its `place` in the list.
pub(in crate::image) fn annotation_name(annotation: &Value, place: usize) -> String {
    match id(annotation.get("id")) {
        Some(key) => format!("annotation {key}"),
        None => format!("annotation number {} of the list", place + 1),
    }
}

/// The images and objects of a document.
///
/// # Errors
/// It has no list of categories that can be read.
pub(super) fn read(file: &Path, base: &Path, document: &Value) -> Result<RawSet, DataError> {
    let mut set = RawSet::new(file, base, BoxConvention::Sides);
    let fail = |message: String| DataError::Schema { file: file.to_owned(), message };
    let mut names: Vec<(String, f64, String)> = Vec::new();
    for (place, category) in items(document, "categories").iter().enumerate() {
        let (key, name) = (id(category.get("id")), category.get("name").and_then(Value::as_str));
        match key.zip(name) {
            Some((key, name)) if !name.trim().is_empty() => {
                if names.iter().any(|(other, ..)| *other == key) {
                    set.problem(format!("category id {key} stands for several categories; give each its own"));
                    continue;
                }
                let order = category.get("id").and_then(Value::as_f64).unwrap_or(place as f64);
                names.push((key, order, name.trim().to_owned()));
            }
            _ => set.problem(format!("category {} of the list has no `id` or no `name`", place + 1)),
        }
    }
    if names.is_empty() {
        return Err(fail("has no `categories` with `id` and `name`; add them".to_owned()));
    }
    names.sort_by(|a, b| a.1.total_cmp(&b.1));
    let used: HashSet<String> =
        items(document, "annotations").iter().filter_map(|it| id(it.get("category_id"))).collect();
    // Some tools list what the others are kinds of as a category of its own, which nothing belongs to.
    let above: HashSet<&str> =
        items(document, "categories").iter().filter_map(|it| it.get("supercategory")?.as_str()).collect();
    let kinds = names.len();
    let known: HashMap<String, String> = names.iter().map(|(key, _, name)| (key.clone(), name.clone())).collect();
    names.retain(|(key, _, name)| used.contains(key) || !above.contains(name.as_str()) || kinds == 1);
    for (_, _, name) in &names {
        if !set.classes.contains(name) {
            set.classes.push(name.clone());
        }
    }
    if set.classes.len() < names.len() {
        set.remarks.push(format!("{}: categories of the same name are one class", file.display()));
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    for (place, image) in items(document, "images").iter().enumerate() {
        let name = image.get("file_name").and_then(Value::as_str).filter(|name| !name.trim().is_empty());
        let Some((key, name)) = id(image.get("id")).zip(name) else {
            set.problem(format!("image {} of the list has no `id` or no `file_name`", place + 1));
            continue;
        };
        if places.contains_key(&key) {
            set.problem(format!("image id {key} stands for several images; give each its own"));
            continue;
        }
        let side = |key: &str| image.get(key).and_then(Value::as_f64);
        places.insert(key, set.images.len());
        let size = side("width").zip(side("height"));
        set.images.push(RawImage { path: located(base, name), size, ..RawImage::default() });
    }
    for (place, annotation) in items(document, "annotations").iter().enumerate() {
        let name = annotation_name(annotation, place);
        let image = id(annotation.get("image_id"));
        let Some(&image_place) = image.as_ref().and_then(|key| places.get(key)) else {
            let shown = image.map_or("none".to_owned(), |key| shortened(&key));
            set.problem(format!("{name} belongs to the image id {shown}, which is not among `images`"));
            continue;
        };
        let category = id(annotation.get("category_id"));
        let Some(class) = category.as_ref().and_then(|key| known.get(key)) else {
            let shown = category.map_or("none".to_owned(), |key| shortened(&key));
            let problem = format!("{name} has the category id {shown}, which is not among `categories`");
            set.images[image_place].problems.push(problem);
            continue;
        };
        let Some(numbers) = four(annotation.get("bbox")) else {
            let shown = annotation.get("bbox").map_or("nothing".to_owned(), |it| shortened(&it.to_string()));
            set.images[image_place].problems.push(format!("{name} has as `bbox` {shown}, not four numbers"));
            continue;
        };
        let crowd = annotation.get("iscrowd");
        let crowd = crowd.is_some_and(|it| it.as_bool() == Some(true) || it.as_f64().is_some_and(|it| it != 0.0));
        let area = annotation.get("area").and_then(Value::as_f64).filter(|area| *area > 0.0);
        set.images[image_place].objects.push(RawObject { class: class.clone(), numbers, crowd, area, name });
    }
    let twice = twice(&set.images);
    twice.iter().for_each(|path| set.problem(format!("{path} is named by several `images`")));
    Ok(set)
}

/// Paths that occur more than once.
fn twice(images: &[RawImage]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    images.iter().for_each(|image| *counts.entry(&image.path).or_default() += 1);
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(path, _)| path.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_with_gaps_crowds_and_problems() {
        let document = json!({
            "images": [{"id": 7, "file_name": "a.png", "width": 10, "height": 20}, {"id": "b", "file_name": "b.png"},
                {"id": 7, "file_name": "c.png"}],
            "categories": [{"id": 0, "name": "animals", "supercategory": "none"},
                {"id": 9, "name": "dog", "supercategory": "animals"}, {"id": 3, "name": "cat", "supercategory": "animals"}],
            "annotations": [
                {"id": 1, "image_id": 7, "category_id": 9, "bbox": [1, 2, 3, 4], "area": 5.5, "iscrowd": 1},
                {"image_id": "b", "category_id": 3, "bbox": [1, 2, 3, 4]},
                {"id": 3, "image_id": 8, "category_id": 3, "bbox": [1, 2, 3, 4]},
                {"id": 4, "image_id": 7, "category_id": 4, "bbox": [1, 2, 3, 4]},
                {"id": 5, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3]},
            ],
        });
        assert!(is_coco(&document) && !is_coco(&json!([])));
        let set = read(Path::new("x.json"), Path::new("nowhere"), &document).unwrap();
        assert_eq!(set.classes, ["cat", "dog"]);
        assert_eq!((set.images.len(), set.images[0].size), (2, Some((10.0, 20.0))));
        let crowd = &set.images[0].objects[0];
        assert_eq!(
            (crowd.class.as_str(), crowd.crowd, crowd.area, crowd.name.as_str()),
            ("dog", true, Some(5.5), "annotation 1")
        );
        assert_eq!(set.images[1].objects[0].name, "annotation number 2 of the list");
        let own = &set.images[0].problems;
        for (problem, part) in set.problems.iter().chain(own).zip([
            "x.json: image id 7 stands for several",
            "x.json: annotation 3 belongs to the image id 8",
            "annotation 4 has the category id 4",
            "annotation 5 has as `bbox` [1,2,3]",
        ]) {
            assert!(problem.contains(part), "{problem}");
        }
        assert_eq!((set.problems.len(), own.len()), (2, 2));
    }
}

//! CreateML's format: a list of images, each with `annotations` of `label` and `coordinates` about the middle.

use std::path::Path;

use serde_json::Value;

use super::BoxConvention;
use super::raw::{RawImage, RawObject, RawSet};
use crate::image::located::located;

/// Whether a document is of this format.
pub(super) fn is_create_ml(document: &Value) -> bool {
    let items = document.as_array().filter(|items| !items.is_empty());
    items.is_some_and(|items| items.iter().all(|it| it.get("image").is_some() && it.get("annotations").is_some()))
}

/// The images and objects of a document.
pub(super) fn read(file: &Path, base: &Path, document: &Value) -> RawSet {
    let mut set = RawSet::new(file, base, BoxConvention::Centre);
    for (place, item) in document.as_array().into_iter().flatten().enumerate() {
        let Some(name) = item.get("image").and_then(Value::as_str) else {
            set.problem(format!("element {} has no text as `image`", place + 1));
            continue;
        };
        let mut image = RawImage { path: located(base, name), ..RawImage::default() };
        for (number, annotation) in item.get("annotations").and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            let named = format!("annotation {} of `{name}`", number + 1);
            let side = |key: &str| annotation.get("coordinates")?.get(key)?.as_f64();
            let numbers: Option<Vec<f64>> = ["x", "y", "width", "height"].iter().map(|key| side(key)).collect();
            let label =
                annotation.get("label").and_then(Value::as_str).map(str::trim).filter(|label| !label.is_empty());
            match (label, numbers.and_then(|numbers| numbers.try_into().ok())) {
                (Some(label), Some(numbers)) => image.objects.push(RawObject {
                    class: label.to_owned(),
                    numbers,
                    crowd: false,
                    area: None,
                    name: named,
                }),
                (None, _) => image.problems.push(format!("{named} has no `label`")),
                (_, None) => image.problems.push(format!("{named} has no `coordinates` of x, y, width and height")),
            }
        }
        set.images.push(image);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn boxes_about_their_middle() {
        let document = json!([{"image": "a.jpg", "annotations": [
            {"label": "dog", "coordinates": {"x": 5, "y": 6, "width": 2, "height": 4}}, {"label": "", "coordinates": {}}]},
            {"image": "b.jpg", "annotations": []}]);
        assert!(is_create_ml(&document));
        let set = read(Path::new("x.json"), Path::new("nowhere"), &document);
        assert_eq!((set.images.len(), set.images[0].objects[0].numbers), (2, [5.0, 6.0, 2.0, 4.0]));
        assert!(set.images[0].problems[0].contains("annotation 2 of `a.jpg` has no `label`"), "{set:?}");
    }
}

//! Boxes of COCO's files.

use std::path::Path;

use serde_json::Value;

use super::BoxConvention;
use super::raw::{RawImage, RawObject, RawSet, four};
use crate::DataError;
use crate::error::shortened;
use crate::image::coco::{self, CocoAnnotation};

/// The images and objects of a document.
///
/// # Errors
/// It has no list of categories that can be read.
pub(super) fn read(file: &Path, base: &Path, document: &Value) -> Result<RawSet, DataError> {
    let coco = coco::read(file, base, document)?;
    let mut set = RawSet::new(file, base, BoxConvention::Sides);
    coco.problems.iter().for_each(|problem| set.problem(problem));
    (set.classes, set.remarks) = (coco.classes, coco.remarks);
    for image in coco.images {
        let mut read = RawImage { path: image.path, size: image.size, problems: image.problems, ..RawImage::default() };
        for annotation in image.annotations {
            match object(annotation) {
                Ok(object) => read.objects.push(object),
                Err(problem) => read.problems.push(problem),
            }
        }
        set.images.push(read);
    }
    Ok(set)
}

fn object(annotation: CocoAnnotation<'_>) -> Result<RawObject, String> {
    let sides = annotation.get("bbox");
    let numbers = four(sides).ok_or_else(|| {
        let shown = sides.map_or("nothing".to_owned(), |it| shortened(&it.to_string()));
        format!("{} has as `bbox` {shown}, not four numbers", annotation.name)
    })?;
    let crowd = annotation.get("iscrowd");
    let crowd = crowd.is_some_and(|it| it.as_bool() == Some(true) || it.as_f64().is_some_and(|it| it != 0.0));
    let area = annotation.get("area").and_then(Value::as_f64).filter(|area| *area > 0.0);
    Ok(RawObject { class: annotation.class.to_owned(), numbers, crowd, area, name: annotation.name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn crowds_areas_and_problems() {
        let document = json!({
            "images": [{"id": 7, "file_name": "a.png", "width": 10, "height": 20}],
            "categories": [{"id": 9, "name": "dog"}],
            "annotations": [
                {"id": 1, "image_id": 7, "category_id": 9, "bbox": [1, 2, 3, 4], "area": 5.5, "iscrowd": 1},
                {"id": 2, "image_id": 7, "category_id": 9, "bbox": [1, 2, 3, 4], "area": 0},
                {"id": 3, "image_id": 8, "category_id": 9, "bbox": [1, 2, 3, 4]},
                {"id": 4, "image_id": 7, "category_id": 4, "bbox": [1, 2, 3, 4]},
                {"id": 5, "image_id": 7, "category_id": 9, "bbox": [1, 2, 3]},
            ],
        });
        let set = read(Path::new("x.json"), Path::new("nowhere"), &document).unwrap();
        let image = &set.images[0];
        assert_eq!(
            (set.classes.as_slice(), set.images.len(), image.size),
            (&["dog".to_owned()][..], 1, Some((10.0, 20.0)))
        );
        let read: Vec<_> = image.objects.iter().map(|it| (it.name.as_str(), it.numbers, it.crowd, it.area)).collect();
        let sides = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(read, [("annotation 1", sides, true, Some(5.5)), ("annotation 2", sides, false, None)]);
        assert_eq!(set.problems, ["x.json: annotation 3 belongs to the image id 8, which is not among `images`"]);
        assert!(image.problems[0].contains("annotation 4 has the category id 4"), "{image:?}");
        assert!(image.problems[1].contains("annotation 5 has as `bbox` [1,2,3]"), "{image:?}");
    }
}

//! Masks as COCO has them: polygons and run lengths of objects, painted into the class of each pixel, smaller objects over larger ones.
//! What no object covers is background.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde_json::Value;

use super::boxes::{annotation_name, id, items, located};
use super::mask::{ClassList, Mask, coco_area, coco_runs, mask_png, polygon_runs};
use crate::error::shortened;
use crate::rows::{Builder, Layout, Origin, TableRows};
use crate::table::Cell;
use crate::{DataError, OnBadExample};

/// Names of the file in a folder.
const NAMES: [&str; 3] = ["annotations.coco.json", "_annotations.coco.json", "annotations.json"];
/// Problems that a message lists.
const MOST: usize = 20;

/// An object: its runs, its area and the value of its class.
struct Painted {
    runs: Vec<Vec<u32>>,
    area: u64,
    value: u8,
}

struct Picture {
    path: String,
    size: Option<(usize, usize)>,
    objects: Vec<Painted>,
}

/// The rows of a file of COCO's, or of a folder that holds one and no masks; `None` where a path is neither.
///
/// # Errors
/// A file that cannot be read, objects without an outline, ids that belong to nothing: all of them together.
pub(super) fn read(
    path: &Path,
    layout: &Layout,
    (required, on_bad_example): (bool, OnBadExample),
) -> Result<Option<TableRows>, DataError> {
    let file = match path.is_dir() {
        true => NAMES.iter().map(|name| path.join(name)).find(|file| file.is_file()),
        false => Some(path.to_owned()),
    };
    let is_json = |file: &Path| file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let Some(file) = file.filter(|file| is_json(file) && file.is_file()) else { return Ok(None) };
    let text = std::fs::read_to_string(&file).map_err(|source| DataError::Read { file: file.clone(), source })?;
    // What is no document may be a table.
    let Ok(document) = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) else { return Ok(None) };
    let Some(list) = ClassList::of_coco(&file, &document)? else { return Ok(None) };
    let base = file.parent().unwrap_or(Path::new(""));
    let mut problems = Vec::new();
    let pictures = pictures(&document, base, &list, required, &mut problems);
    if !problems.is_empty() {
        let more = problems.len().saturating_sub(MOST);
        problems.truncate(MOST);
        problems.extend((more > 0).then(|| format!("and {more} more")));
        let lines: Vec<String> = problems.iter().map(|problem| format!("{}: {problem}", file.display())).collect();
        return Err(DataError::Columns { message: lines.join("\n") });
    }
    if let Some(group) = &layout.group {
        let message = format!(
            "{}: has no column `{group}`; write a table with the paths of images and masks, and name it instead",
            file.display()
        );
        return Err(DataError::Columns { message });
    }
    let mut builder = Builder::new(layout.clone(), required)?.on_bad_example(on_bad_example);
    for picture in pictures {
        match picture.size.filter(|_| required) {
            Some(size) => {
                let fail = |message| DataError::Schema { file: file.clone(), message };
                let bytes = painted(&picture.objects, size).map_err(fail)?;
                let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
                builder.push_labelled(picture.path, Cell::File { name, bytes })?;
            }
            None => builder.push_file(picture.path, None)?,
        }
    }
    builder.finish(&file, base.to_owned(), Origin::Folder { classes: false }, Vec::new()).map(Some)
}

/// A mask as a PNG.
fn painted(objects: &[Painted], (width, height): (usize, usize)) -> Result<Vec<u8>, String> {
    let mut classes = vec![0; width * height];
    let mut order: Vec<&Painted> = objects.iter().collect();
    order.sort_by_key(|object| std::cmp::Reverse(object.area));
    for object in order {
        for runs in &object.runs {
            let mut at = 0;
            for (index, &run) in runs.iter().enumerate() {
                for place in at..at + run as usize {
                    if index % 2 == 1 {
                        classes[place % height * width + place / height] = object.value;
                    }
                }
                at += run as usize;
            }
        }
    }
    mask_png(&Mask { classes, width, height })
}

fn pictures(
    document: &Value,
    base: &Path,
    list: &ClassList,
    required: bool,
    problems: &mut Vec<String>,
) -> Vec<Picture> {
    let (mut all, mut places, mut named) = (Vec::new(), HashMap::new(), HashSet::new());
    for (place, image) in items(document, "images").iter().enumerate() {
        let name = image.get("file_name").and_then(Value::as_str).filter(|name| !name.trim().is_empty());
        let Some((key, name)) = id(image.get("id")).zip(name) else {
            problems.push(format!("image {} of the list has no `id` or no `file_name`", place + 1));
            continue;
        };
        let side =
            |key: &str| image.get(key).and_then(Value::as_u64).filter(|&side| side > 0).map(|side| side as usize);
        let size = side("width").zip(side("height"));
        if size.is_none() && required {
            problems.push(format!("image {key} has no `width` or no `height`, without which its mask has no size"));
        }
        if places.insert(key.clone(), all.len()).is_some() {
            problems.push(format!("image id {key} stands for several images; give each its own"));
        }
        if !named.insert(name) {
            problems.push(format!("`{}` is named by several `images`", shortened(name)));
        }
        all.push(Picture { path: located(base, name), size, objects: Vec::new() });
    }
    let categories: HashMap<String, &str> = items(document, "categories")
        .iter()
        .filter_map(|it| Some((id(it.get("id"))?, it.get("name")?.as_str()?)))
        .collect();
    for (place, annotation) in items(document, "annotations").iter().enumerate() {
        let name = annotation_name(annotation, place);
        let image = id(annotation.get("image_id"));
        let Some(&place) = image.as_ref().and_then(|key| places.get(key)) else {
            let shown = image.map_or("none".to_owned(), |key| shortened(&key));
            problems.push(format!("{name} belongs to the image id {shown}, which is not among `images`"));
            continue;
        };
        let category = id(annotation.get("category_id"));
        let Some(value) = category.as_ref().and_then(|key| list.value_of_name(categories.get(key)?)) else {
            let shown = category.map_or("none".to_owned(), |key| shortened(&key));
            problems.push(format!("{name} has the category id {shown}, which is not among `categories`"));
            continue;
        };
        let picture: &mut Picture = &mut all[place];
        let Some(size) = picture.size else { continue };
        match runs(annotation.get("segmentation"), size) {
            Ok(runs) => {
                let area = runs.iter().map(|runs| coco_area(runs)).sum();
                picture.objects.push(Painted { runs, area, value });
            }
            Err(problem) => problems.push(format!("{name} {problem}")),
        }
    }
    all
}

/// The runs of each part of an object.
fn runs(segmentation: Option<&Value>, (width, height): (usize, usize)) -> Result<Vec<Vec<u32>>, String> {
    match segmentation {
        Some(Value::Array(polygons)) if !polygons.is_empty() => {
            let polygon = |polygon: &Value| {
                let numbers: Option<Vec<f64>> = polygon.as_array()?.iter().map(Value::as_f64).collect();
                let numbers = numbers.filter(|it| it.len() >= 6 && it.len() % 2 == 0)?;
                Some(polygon_runs(&numbers, (width, height)))
            };
            let problem = || "has a polygon that is no list of x and y of at least three corners".to_owned();
            polygons.iter().map(|it| polygon(it).ok_or_else(problem)).collect()
        }
        Some(Value::Object(encoded)) => {
            let side = |at: usize| encoded.get("size")?.get(at)?.as_u64();
            if (side(1), side(0)) != (Some(width as u64), Some(height as u64)) {
                let shown = encoded.get("size").map_or("none".to_owned(), |size| shortened(&size.to_string()));
                return Err(format!("has run lengths of the size {shown}, its image is {width} × {height} pixels"));
            }
            let found = encoded.get("counts").and_then(coco_runs);
            let fits = |runs: &Vec<u32>| runs.iter().map(|&run| u64::from(run)).sum::<u64>() == (width * height) as u64;
            found
                .filter(fits)
                .map(|runs| vec![runs])
                .ok_or_else(|| "has run lengths that do not fill its image".to_owned())
        }
        _ => Err("has no `segmentation`; a box alone has no outline".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn smaller_objects_lie_over_larger_ones() {
        let rectangle = |left: f64, top: f64, right: f64, bottom: f64| {
            polygon_runs(&[left, top, right, top, right, bottom, left, bottom], (4, 3))
        };
        let object = |runs: Vec<u32>, value| Painted { area: coco_area(&runs), runs: vec![runs], value };
        let all = [object(rectangle(1.0, 1.0, 3.0, 2.0), 2), object(rectangle(0.0, 0.0, 4.0, 3.0), 1)];
        let png = painted(&all, (4, 3)).unwrap();
        let cells = image::load_from_memory(&png).unwrap().to_luma8().into_raw();
        assert_eq!(cells, [1, 1, 1, 1, 1, 2, 2, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn a_file_gives_masks_and_all_that_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("images")).unwrap();
        std::fs::write(folder.path().join("images/a.png"), crate::image::fixtures::file("rgb.png")).unwrap();
        let file = folder.path().join("annotations.json");
        let write = |annotations: Value| {
            let document = json!({
                "images": [{"id": 1, "file_name": "a.png", "width": 4, "height": 3}],
                "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
                "annotations": annotations,
            });
            std::fs::write(&file, document.to_string()).unwrap();
        };
        let layout = Layout::image("image").masks("mask");
        let rows = |path: &Path| read(path, &layout, (true, OnBadExample::Fail));
        write(json!([
            {"id": 1, "image_id": 1, "category_id": 7, "segmentation": {"size": [3, 4], "counts": "421O20"}},
            {"id": 2, "image_id": 1, "category_id": 3, "segmentation": [[0, 0, 1, 0, 1, 1, 0, 1]]},
        ]));
        for path in [folder.path(), &file] {
            let rows = rows(path).unwrap().unwrap();
            let label = crate::LabelRows::label(&rows, 0).unwrap().unwrap().remove(0);
            let Cell::File { bytes, .. } = label else { panic!("{label:?}") };
            let cells = image::load_from_memory(&bytes).unwrap().to_luma8().into_raw();
            assert_eq!(cells, [1, 0, 0, 0, 0, 2, 2, 0, 0, 2, 0, 2]);
        }
        write(json!([
            {"id": 1, "image_id": 1, "category_id": 7, "bbox": [0, 0, 1, 1]},
            {"id": 2, "image_id": 9, "category_id": 3, "segmentation": [[0, 0, 1, 0, 1, 1]]},
            {"id": 3, "image_id": 1, "category_id": 3, "segmentation": [[0, 0, 1, 0]]},
            {"id": 4, "image_id": 1, "category_id": 3, "segmentation": {"size": [4, 3], "counts": [12]}},
            {"id": 5, "image_id": 1, "category_id": 3, "segmentation": {"size": [3, 4], "counts": [11]}},
        ]));
        let said = rows(&file).err().unwrap().to_string();
        for part in [
            "annotation 1 has no `segmentation`",
            "annotation 2 belongs to the image id 9",
            "annotation 3 has a polygon that is no list",
            "annotation 4 has run lengths of the size [4,3]",
            "annotation 5 has run lengths that do not fill",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

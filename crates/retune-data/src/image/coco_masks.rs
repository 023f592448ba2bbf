//! Masks as COCO has them: polygons and run lengths of objects, painted into the class of each pixel, smaller objects over larger ones.
//! What no object covers is background.

use std::path::Path;

use serde_json::Value;

use super::coco::{self, Coco};
use super::mask::{ClassList, Mask, coco_area, coco_runs, mask_png, polygon_runs};
use crate::error::shortened;
use crate::rows::{Builder, Layout, Origin, TableRows};
use crate::table::Cell;
use crate::{DataError, OnBadExample};

/// What no object covers, of value 0.
const BACKGROUND: &str = "background";
/// Problems that a message lists.
const MOST: usize = 20;

/// An object: its runs, its area and the value of its class.
struct Painted {
    runs: Vec<Vec<u32>>,
    area: u64,
    value: u8,
}

/// The path of an image, and the objects of its mask with its width and height, where masks are read.
type Picture = (String, Option<(Vec<Painted>, (usize, usize))>);

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
        true => coco::NAMES.iter().map(|name| path.join(name)).find(|file| file.is_file()),
        false => Some(path.to_owned()),
    };
    let is_json = |file: &Path| file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let Some(file) = file.filter(|file| is_json(file) && file.is_file()) else { return Ok(None) };
    let Some(document) = coco::document(&file)? else { return Ok(None) };
    let base = file.parent().unwrap_or(Path::new(""));
    let mut coco = coco::read(&file, base, &document)?;
    let remarks = std::mem::take(&mut coco.remarks);
    // The background is 0, whether or not it is among the categories.
    let objects = coco.classes.iter().filter(|name| !is_background(name)).cloned();
    let names: Vec<String> = std::iter::once(BACKGROUND.to_owned()).chain(objects).collect();
    ClassList::of_names(&file, &names)?;
    let (pictures, mut problems) = pictures(coco, &names, required);
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
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
    for (path, mask) in pictures {
        let mask = mask.map(|(objects, size)| painted(&objects, size)).transpose();
        let bytes = mask.map_err(|message| DataError::Schema { file: file.clone(), message })?;
        builder.push_file(path, bytes.map(|bytes| Cell::File { name: name.clone(), bytes }))?;
    }
    let rows = builder.finish(&file, base.to_owned(), Origin::Folder { classes: false }, Vec::new())?;
    Ok(Some(rows.with_remarks(remarks).with_label_names(names)))
}

fn is_background(name: &str) -> bool {
    name.eq_ignore_ascii_case(BACKGROUND)
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

/// Images with the objects of their masks, where those are `required`, and all that is wrong.
fn pictures(coco: Coco<'_>, names: &[String], required: bool) -> (Vec<Picture>, Vec<String>) {
    let (mut pictures, mut problems) = (Vec::new(), coco.problems);
    for image in coco.images {
        problems.extend(image.problems);
        if !required {
            pictures.push((image.path, None));
            continue;
        }
        let whole = |side: f64| side >= 1.0 && side.fract() == 0.0;
        let Some((width, height)) = image.size.filter(|size| whole(size.0) && whole(size.1)) else {
            let id = image.id;
            problems.push(format!("image {id} has no `width` or no `height`, without which its mask has no size"));
            continue;
        };
        let size = (width as usize, height as usize);
        let mut objects = Vec::with_capacity(image.annotations.len());
        for annotation in image.annotations {
            let value = names.iter().position(|name| name == annotation.class).unwrap_or(0) as u8;
            match runs(annotation.get("segmentation"), size) {
                Ok(runs) => {
                    let area = runs.iter().map(|runs| coco_area(runs)).sum();
                    objects.push(Painted { runs, area, value });
                }
                Err(problem) => problems.push(format!("{} {problem}", annotation.name)),
            }
        }
        pictures.push((image.path, Some((objects, size))));
    }
    (pictures, problems)
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

//! Pascal VOC: an XML file for each image, with `size` and `object` elements, corners in pixels.

use std::path::Path;

use super::BoxConvention;
use super::raw::{RawImage, RawObject, RawSet, text};
use crate::DataError;

/// Reads one file, of the image at `path`.
///
/// # Errors
/// It cannot be read; what is wrong inside is a problem of the set.
pub(super) fn read_into(set: &mut RawSet, file: &Path, path: String) -> Result<(), DataError> {
    let mut image = RawImage { path, said_in: Some(file.to_owned()), ..RawImage::default() };
    let shown = file.display();
    let content = text(file)?;
    let document = match roxmltree::Document::parse_with_options(
        content.trim_start_matches('\u{feff}'),
        roxmltree::ParsingOptions { allow_dtd: false, ..roxmltree::ParsingOptions::default() },
    ) {
        Ok(document) => document,
        Err(error) => {
            image.problems.push(format!("{shown} is not XML: {error}"));
            set.images.push(image);
            return Ok(());
        }
    };
    let child = |node: roxmltree::Node<'_, '_>, name: &str| -> Option<String> {
        let found = node.children().find(|it| it.has_tag_name(name))?;
        found.text().map(|text| text.trim().to_owned())
    };
    let number = |node: roxmltree::Node<'_, '_>, name: &str| child(node, name)?.parse::<f64>().ok();
    let root = document.root_element();
    let size = root.children().find(|it| it.has_tag_name("size"));
    image.size =
        size.and_then(|it| number(it, "width").zip(number(it, "height"))).filter(|it| it.0 > 0.0 && it.1 > 0.0);
    for (place, object) in root.children().filter(|it| it.has_tag_name("object")).enumerate() {
        let name = format!("object {}", place + 1);
        let corners = object.children().find(|it| it.has_tag_name("bndbox")).and_then(|it| {
            let numbers: Option<Vec<f64>> =
                ["xmin", "ymin", "xmax", "ymax"].iter().map(|key| number(it, key)).collect();
            numbers?.try_into().ok()
        });
        match (child(object, "name").filter(|name| !name.is_empty()), corners) {
            (Some(class), Some(numbers)) => {
                image.objects.push(RawObject { class, numbers, crowd: false, area: None, name });
            }
            (None, _) => image.problems.push(format!("{shown}: {name} has no `name`")),
            (_, None) => image.problems.push(format!("{shown}: {name} has no `bndbox` of xmin, ymin, xmax and ymax")),
        }
    }
    set.images.push(image);
    Ok(())
}

/// A set of such files.
pub(super) fn set(folder: &Path) -> RawSet {
    RawSet::new(folder, folder, BoxConvention::Corners)
}

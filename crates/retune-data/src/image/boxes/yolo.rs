//! YOLO: a text file for each image, a line `class x y width height` for each object as shares of the image, and a YAML file (or
//! `classes.txt`) with the names of the classes. Outlines, with more numbers, count as the boxes around them.

use std::path::{Path, PathBuf};

use super::BoxConvention;
use super::raw::{RawImage, RawObject, RawSet, text};
use crate::DataError;
use crate::error::shortened;

/// Lists of names, in the order in which they are looked for.
const LISTS: [&str; 7] =
    ["data.yaml", "data.yml", "dataset.yaml", "classes.txt", "obj.names", "labels.txt", "_darknet.labels"];

/// How many of them are YAML.
const YAML: usize = 3;

/// The list of names of a folder, of the one that it lies in, or of the one above: there a YAML file alone, because texts of such
/// names are common.
pub(super) fn list(folder: &Path) -> Option<PathBuf> {
    let lists = |(above, folder): (usize, &Path)| {
        let known = if above < 2 { &LISTS[..] } else { &LISTS[..YAML] };
        known.iter().map(|name| folder.join(name)).find(|it| it.is_file())
    };
    folder.ancestors().take(3).enumerate().find_map(lists)
}

/// Whether a text file is none of the labels of an image by its name: a list of classes, or what tools say of their exports.
pub(super) fn is_no_label(stem: &str) -> bool {
    ["classes", "labels", "obj"].contains(&stem) || stem.to_lowercase().starts_with("readme")
}

/// Names of classes by their numbers.
///
/// # Errors
/// The list cannot be read, or has no names.
pub(super) fn names(list: &Path) -> Result<Vec<String>, DataError> {
    let content = text(list)?;
    let names = match list.extension().and_then(|ending| ending.to_str()) {
        Some("yaml" | "yml") => yaml_names(&content),
        _ => content.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect(),
    };
    let fail = |message: &str| DataError::Schema { file: list.to_owned(), message: message.to_owned() };
    if names.is_empty() || names.iter().any(String::is_empty) {
        return Err(fail("has no `names` of all classes, as a list or by their numbers from 0 on"));
    }
    Ok(names)
}

/// Without quotes and what is remarked behind them.
pub(super) fn scalar(value: &str) -> String {
    let value = value.trim();
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].split(quote).next().unwrap_or("").to_owned(),
        _ => value.split(" #").next().unwrap_or("").trim().to_owned(),
    }
}

/// `names:` as a list in brackets or of dashes, or by numbers.
fn yaml_names(content: &str) -> Vec<String> {
    let mut lines = content.lines().skip_while(|line| !line.starts_with("names:"));
    let Some(first) = lines.next() else { return Vec::new() };
    let mut rest = first["names:".len()..].trim().to_owned();
    if rest.starts_with('[') || rest.starts_with('{') {
        for line in lines.by_ref() {
            if rest.contains([']', '}']) {
                break;
            }
            rest.push_str(line.trim());
        }
        let inside = rest.trim_start_matches(['[', '{']).split([']', '}']).next().unwrap_or("");
        let item = |item: &str| match item.trim().split_once(':') {
            Some((number, name)) if number.trim().parse::<usize>().is_ok() => scalar(name),
            _ => scalar(item),
        };
        return inside.split(',').filter(|part| !part.trim().is_empty()).map(item).collect();
    }
    let mut names: Vec<String> = Vec::new();
    for line in lines {
        let plain = line.trim();
        if plain.is_empty() || plain.starts_with('#') {
            continue;
        }
        if let Some(item) = plain.strip_prefix("- ") {
            names.push(scalar(item));
        } else if let Some((number, name)) = plain.split_once(':').filter(|_| line.starts_with([' ', '\t'])) {
            let Ok(number) = number.trim().parse::<usize>() else { break };
            // A number too large is no place in a list.
            if number >= 100_000 {
                break;
            }
            names.resize(names.len().max(number + 1), String::new());
            names[number] = scalar(name);
        } else {
            break;
        }
    }
    names
}

/// Reads the objects of one image from its file; an image without one has none.
///
/// # Errors
/// It cannot be read; what is wrong inside is a problem of the set.
pub(super) fn read_into(set: &mut RawSet, file: Option<&Path>, path: String) -> Result<(), DataError> {
    let mut image = RawImage { path, ..RawImage::default() };
    let content = file.map(text).transpose()?.unwrap_or_default();
    let shown = file.map(|file| file.display().to_string()).unwrap_or_default();
    for (line, row) in content.lines().enumerate().filter(|(_, row)| !row.trim().is_empty()) {
        let place = format!("{shown}:{}", line + 1);
        let numbers: Option<Vec<f64>> = row.split_whitespace().map(|cell| cell.parse().ok()).collect();
        let Some(numbers) =
            numbers.filter(|numbers| numbers.len() == 5 || (numbers.len() >= 7 && numbers.len() % 2 == 1))
        else {
            let message = "is not a class and x, y, width and height as shares of the image";
            image.problems.push(format!("{place}: `{}` {message}", shortened(row)));
            continue;
        };
        let class = numbers[0];
        let known = (class >= 0.0 && class.fract() == 0.0).then_some(class as usize);
        let Some(class) = known.and_then(|class| set.classes.get(class)).cloned() else {
            image
                .problems
                .push(format!("{place}: the class {class} is not one of the {} that are named", set.classes.len()));
            continue;
        };
        let numbers = match numbers[1..] {
            [x, y, width, height] => [x, y, width, height],
            ref points => around(points),
        };
        image.objects.push(RawObject { class, numbers, crowd: false, area: None, name: format!("line {}", line + 1) });
    }
    set.images.push(image);
    Ok(())
}

/// The box around an outline, about its middle.
fn around(points: &[f64]) -> [f64; 4] {
    let range = |from: usize| {
        let along = points.iter().skip(from).step_by(2);
        along.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &at| (low.min(at), high.max(at)))
    };
    let ((left, right), (top, bottom)) = (range(0), range(1));
    [(left + right) / 2.0, (top + bottom) / 2.0, right - left, bottom - top]
}

/// A set of such files.
pub(super) fn set(folder: &Path) -> RawSet {
    RawSet::new(folder, folder, BoxConvention::CentreOfOne)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_every_form() {
        for text in [
            "train: x\nnames: ['stop sign', \"b\"]\nnc: 2\n",
            "names:\n- stop sign\n- b # second\nnc: 2\n",
            "nc: 2\nnames:\n  0: stop sign\n  1: 'b'\n\nother: 3\n",
            "names: {0: stop sign, 1: b}\n",
            "names: [stop sign,\n  b]\n",
        ] {
            assert_eq!(yaml_names(text), ["stop sign", "b"], "{text}");
        }
        assert!(yaml_names("nc: 2").is_empty());
        assert_eq!(around(&[0.1, 0.5, 0.3, 0.2, 0.2, 0.4]), [0.2, 0.35, 0.19999999999999998, 0.3]);
    }
}

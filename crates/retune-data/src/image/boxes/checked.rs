//! What a file says of objects, beside what the images are: everything that is wrong with it, together.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::convention::{BoxConvention, cut, problem};
use super::raw::{RawSet, in_order};
use super::{Boxes, ImageObject, ObjectRows};
use crate::error::shortened;
use crate::image::Images;
use crate::{BadExample, DataError, Medium};

/// Problems of one image that a message names.
const MOST_NAMED: usize = 3;
/// Boxes that are there twice, of those that a remark lists.
const MOST_TWICE: usize = 10;

/// Objects of images that were decoded, by the names of their classes.
pub struct CheckedBoxes {
    /// Of each row.
    objects: Vec<Vec<(String, ImageObject)>>,
    classes: Vec<String>,
    /// Images that cannot be used, and why.
    bad: Vec<BadExample>,
    /// What is wrong and belongs to no image.
    stray: Vec<String>,
    /// Boxes that were cut at the edges of their images, and the first of them.
    cut: usize,
    first_cut: Option<String>,
    /// Boxes that are there twice, in the same image and class, each with the other one.
    twice: Vec<String>,
    file: PathBuf,
}

impl CheckedBoxes {
    /// Compares what a set says with its images. Boxes are as their format has them, or by `convention`. Those that reach over an
    /// edge are cut there where few do and most of each lies inside.
    ///
    /// # Errors
    /// Nothing says what is in the images; boxes that are of another convention altogether.
    pub fn of(rows: &ObjectRows, images: &Images, convention: Option<BoxConvention>) -> Result<Self, DataError> {
        let Some(set) = &rows.set else {
            let file = rows.rows.layout().input_columns().next().unwrap_or("image").to_owned();
            return Err(DataError::Columns { message: format!("nothing says what is in the column `{file}`") });
        };
        let few = check_convention(set, images, convention.unwrap_or(set.convention), convention.is_some())?;
        let convention = convention.unwrap_or(set.convention);
        let mut checked = Self {
            objects: Vec::with_capacity(set.images.len()),
            classes: classes(set),
            bad: Vec::new(),
            stray: set.problems.clone(),
            cut: 0,
            first_cut: None,
            twice: Vec::new(),
            file: set.file.clone(),
        };
        for (row, image) in set.images.iter().enumerate() {
            let mut objects = Vec::with_capacity(image.objects.len());
            if !images.rows(row).is_empty() {
                let (width, height) = images.original_size(row);
                let mut problems = image.problems.clone();
                let differs = |said: &(f64, f64)| (said.0 as usize, said.1 as usize) != (width, height);
                if let Some((said_width, said_height)) = image.size.filter(differs) {
                    let turned = (said_height as usize, said_width as usize) == (width, height);
                    let turned = if turned { ", turned by its EXIF orientation or by the annotations" } else { "" };
                    let file = image.said_in.as_ref().unwrap_or(&set.file).display();
                    problems.push(format!(
                        "is {width} × {height} pixels, {file} says {said_width} × {said_height}{turned}"
                    ));
                }
                let mut before: HashMap<(&str, [u64; 4], bool), &str> = HashMap::new();
                for object in &image.objects {
                    let mut corners = convention.corners(object.numbers, (width, height));
                    let wrong = problem(corners, (width, height));
                    if let Some(inside) = wrong.and_then(|_| cut(corners, (width, height))).filter(|_| few) {
                        corners = inside;
                        checked.cut += 1;
                        checked.first_cut.get_or_insert_with(|| format!("{} of {}", object.name, image.path));
                    } else if let Some(problem) = wrong {
                        let [a, b, c, d] = object.numbers;
                        problems.push(format!(
                            "{}: its box [{a}, {b}, {c}, {d}] ({}) {problem} (the image is {width} × {height})",
                            object.name,
                            convention.words()
                        ));
                    }
                    let key = (object.class.as_str(), object.numbers.map(f64::to_bits), object.crowd);
                    if let Some(other) = before.insert(key, &object.name) {
                        checked.twice.push(format!("{other} and {} of {}", object.name, image.path));
                    }
                    let [left, top, right, bottom] = corners;
                    let area = object.area.unwrap_or((right - left) * (bottom - top));
                    objects.push((object.class.clone(), ImageObject { class: 0, corners, area, crowd: object.crowd }));
                }
                if !problems.is_empty() {
                    let more = problems.len().saturating_sub(MOST_NAMED);
                    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
                    problems.truncate(MOST_NAMED);
                    checked.bad.push(rows.rows.bad(row, problems.join("; ") + &more)?);
                }
            }
            checked.objects.push(objects);
        }
        Ok(checked)
    }

    /// Names of the classes, in the order of the file where it lists them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// What is wrong and belongs to no image, each naming file and id.
    pub fn stray(&self) -> &[String] {
        &self.stray
    }

    /// Targets of these classes, and the images that cannot be used.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn into_boxes(self, rows: &ObjectRows, names: Vec<String>) -> Result<(Boxes, Vec<BadExample>), DataError> {
        let mut bad = self.bad;
        let mut all = Vec::with_capacity(self.objects.len());
        for (row, objects) in self.objects.into_iter().enumerate() {
            let mut known = Vec::with_capacity(objects.len());
            let mut unknown = HashSet::new();
            for (name, object) in objects {
                match names.iter().position(|it| *it == name) {
                    Some(class) => known.push(ImageObject { class, ..object }),
                    None => {
                        unknown.insert(name);
                    }
                }
            }
            if !unknown.is_empty() && !bad.iter().any(|bad| bad.row == row) {
                let unknown = in_order(unknown).iter().map(|name| format!("`{}`", shortened(name))).collect::<Vec<_>>();
                let reason = format!("has objects of classes that the model does not know: {}", unknown.join(", "));
                bad.push(rows.rows.bad(row, reason)?);
            }
            all.push(known);
        }
        bad.sort_by_key(|bad| bad.row);
        let file = self.file.display();
        let cut = self.first_cut.map(|first| {
            let cut = self.cut;
            let (boxes, are) = if cut == 1 { ("box", "reaches") } else { ("boxes", "reach") };
            format!("{file}: {cut} {boxes} that {are} over the edge of the image, the most inside, cut there (such as {first})")
        });
        let twice = (!self.twice.is_empty()).then(|| {
            let (count, named) = (self.twice.len(), self.twice[..self.twice.len().min(MOST_TWICE)].join("; "));
            let boxes = if count == 1 { "1 box is".to_owned() } else { format!("{count} boxes are") };
            let more = if count > MOST_TWICE { "; …" } else { "" };
            format!(
                "{file}: {boxes} there twice, in the same image and class ({named}{more}); each counts as an object of its own, \
                 both of which nothing can find: remove one"
            )
        });
        Ok((Boxes::new(names, all).with_remarks(cut.into_iter().chain(twice)), bad))
    }
}

/// Those that the file lists, else those that occur.
fn classes(set: &RawSet) -> Vec<String> {
    if !set.classes.is_empty() {
        return set.classes.clone();
    }
    let all = set.images.iter().flat_map(|image| &image.objects).map(|object| object.class.clone());
    in_order(all.collect::<HashSet<_>>())
}

/// The share of a file's boxes that may reach over edges and still be cut there: where more do, something else is wrong.
const MOST_CUT: f64 = 0.25;
/// As many times fewer boxes misfit by another convention for it to be the right one.
const RIVAL: usize = 4;

/// Refuses a file some of whose boxes misfit by this convention, and none or far fewer by another, which is not looked for where
/// this one was `said` and few misfit. Returns whether few do.
fn check_convention(set: &RawSet, images: &Images, convention: BoxConvention, said: bool) -> Result<bool, DataError> {
    let boxes = || {
        let usable = set.images.iter().enumerate().filter(|(row, _)| !images.rows(*row).is_empty());
        usable.flat_map(|(row, image)| {
            image.objects.iter().map(move |object| (object.numbers, images.original_size(row)))
        })
    };
    let misfits =
        |convention: BoxConvention| boxes().filter(|(numbers, size)| !convention.fits(*numbers, *size)).count();
    let (wrong, all) = (misfits(convention), boxes().count());
    let few = wrong as f64 <= all as f64 * MOST_CUT;
    if wrong == 0 || (said && few) {
        return Ok(few);
    }
    let others: Vec<(usize, BoxConvention)> =
        BoxConvention::all().filter(|it| *it != convention).map(|it| (misfits(it), it)).collect();
    let least = others.iter().map(|(misfits, _)| *misfits).min().filter(|misfits| misfits * RIVAL <= wrong);
    let Some(least) = least else { return Ok(few) };
    let best = others.iter().filter(|(misfits, _)| *misfits == least);
    let named: Vec<String> = best.map(|(_, it)| format!("{it} ({})", it.words())).collect();
    let fit = if least == 0 { "all fit".to_owned() } else { format!("all but {least} fit") };
    let keep = if few { format!(", with --box-format {convention} that they reach over edges") } else { String::new() };
    Err(DataError::Schema {
        file: set.file.clone(),
        message: format!(
            "{wrong} of {all} boxes do not fit their images as {}, but {fit} as {}: say so with --box-format{keep}",
            convention.words(),
            named.join(" or ")
        ),
    })
}

//! What a file says of objects, beside what the images are: everything that is wrong with it, together.

use std::collections::HashSet;

use super::convention::{BoxConvention, problem};
use super::raw::{RawSet, in_order};
use super::{Boxes, ImageObject, ObjectRows};
use crate::error::shortened;
use crate::image::Images;
use crate::{BadExample, DataError, Medium};

/// Problems of one image that a message names.
const MOST_NAMED: usize = 3;

/// Objects of images that were decoded, by the names of their classes.
pub struct CheckedBoxes {
    /// Of each row.
    objects: Vec<Vec<(String, ImageObject)>>,
    classes: Vec<String>,
    /// Images that cannot be used, and why.
    bad: Vec<BadExample>,
    /// What is wrong and belongs to no image.
    stray: Vec<String>,
}

impl CheckedBoxes {
    /// Compares what a set says with its images. Boxes are as their format has them, or by `convention`.
    ///
    /// # Errors
    /// Nothing says what is in the images; boxes that are of another convention altogether.
    pub fn of(rows: &ObjectRows, images: &Images, convention: Option<BoxConvention>) -> Result<Self, DataError> {
        let Some(set) = &rows.set else {
            let file = rows.rows.layout().input_columns().next().unwrap_or("image").to_owned();
            return Err(DataError::Columns { message: format!("nothing says what is in the column `{file}`") });
        };
        let convention = convention.unwrap_or(set.convention);
        check_convention(set, images, convention)?;
        let mut checked = Self {
            objects: Vec::with_capacity(set.images.len()),
            classes: classes(set),
            bad: Vec::new(),
            stray: set.problems.clone(),
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
                    problems.push(format!(
                        "is {width} × {height} pixels, {} says {said_width} × {said_height}{turned}",
                        set.file.display()
                    ));
                }
                for object in &image.objects {
                    let corners = convention.corners(object.numbers, (width, height));
                    if let Some(problem) = problem(corners, (width, height)) {
                        let [a, b, c, d] = object.numbers;
                        problems.push(format!(
                            "{}: its box [{a}, {b}, {c}, {d}] ({}) {problem} (the image is {width} × {height})",
                            object.name,
                            convention.words()
                        ));
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
        Ok((Boxes::new(names, all), bad))
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

/// Refuses a file of whose boxes all fit another convention and some do not fit this one.
fn check_convention(set: &RawSet, images: &Images, convention: BoxConvention) -> Result<(), DataError> {
    let boxes = || {
        let usable = set.images.iter().enumerate().filter(|(row, _)| !images.rows(*row).is_empty());
        usable.flat_map(|(row, image)| {
            image.objects.iter().map(move |object| (object.numbers, images.original_size(row)))
        })
    };
    let misfits =
        |convention: BoxConvention| boxes().filter(|(numbers, size)| !convention.fits(*numbers, *size)).count();
    let (wrong, all) = (misfits(convention), boxes().count());
    if wrong == 0 {
        return Ok(());
    }
    let others: Vec<BoxConvention> = BoxConvention::all().filter(|it| *it != convention && misfits(*it) == 0).collect();
    if others.is_empty() {
        return Ok(());
    }
    let named = others.iter().map(|it| format!("{it} ({})", it.words())).collect::<Vec<_>>().join(" or ");
    Err(DataError::Schema {
        file: set.file.clone(),
        message: format!(
            "{wrong} of {all} boxes do not fit their images as {}, but all fit as {named}: say so with --box-format",
            convention.words()
        ),
    })
}

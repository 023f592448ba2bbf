//! Objects of all images as targets, moved as the images are. B images, N objects of an image at most, H × W pixels.

use super::ImageObject;
use crate::image::{ImageSeen, Images, Moves};
use crate::target::IGNORED;
use crate::{Array, Batch, DataError, Fact, FactValue, Targets};

/// The share of an object that must be left in a crop for it to count.
const LEAST_LEFT: f64 = 0.25;
/// Pixels that the sides of what is left must have.
const LEAST_SIDE: f64 = 1.0;

/// The objects of all rows; `class_labels` `[B, N]` i64, [`IGNORED`] where an image has fewer, and `boxes` `[B, N, 4]` f32:
/// middle, width and height as shares of the images of the batch, their padding included.
pub struct Boxes {
    names: Vec<String>,
    objects: Vec<Vec<ImageObject>>,
    /// N, of batches without mosaics and mixup.
    most: usize,
    /// What a person should know about how they were read.
    remarks: Vec<String>,
}

impl Boxes {
    /// Objects by row.
    pub fn new(names: Vec<String>, objects: Vec<Vec<ImageObject>>) -> Self {
        let most = objects.iter().map(Vec::len).max().unwrap_or(0).max(1);
        Self { names, objects, most, remarks: Vec::new() }
    }

    /// With what a person should know about how they were read.
    pub(super) fn with_remarks(self, remarks: impl IntoIterator<Item = String>) -> Self {
        Self { remarks: remarks.into_iter().collect(), ..self }
    }

    /// Names of the classes in the order of the model's outputs.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The objects of an example.
    pub fn objects(&self, example: usize) -> &[ImageObject] {
        &self.objects[example]
    }
}

/// Where objects are behind all steps of an image, as pixels there: those of which enough is left.
fn moved<'a>(objects: &'a [ImageObject], moves: &'a Moves) -> impl Iterator<Item = (usize, [f64; 4])> + 'a {
    objects.iter().filter(|object| !object.crowd).filter_map(|object| {
        let (corners, left) = moves.carry(object.corners)?;
        let [x, y, right, bottom] = corners;
        let counts = left >= LEAST_LEFT && right - x >= LEAST_SIDE && bottom - y >= LEAST_SIDE;
        counts.then_some((object.class, corners))
    })
}

impl Targets<Images> for Boxes {
    type Gold = Vec<ImageObject>;

    fn len(&self) -> usize {
        self.objects.len()
    }

    fn gold(&self, example: usize) -> Result<Vec<ImageObject>, DataError> {
        Ok(self.objects[example].clone())
    }

    fn fill(&self, examples: &[usize], seen: &[ImageSeen], into: &mut Batch) -> Result<(), DataError> {
        let shape = into.inputs.get("pixel_values").map(|pixels| pixels.shape.clone()).expect("images have pixels");
        let (width, height) = (shape[3] as f64, shape[2] as f64);
        let of = |(&example, seen): (&usize, &ImageSeen)| {
            let others = seen.others.iter().flat_map(|(place, moves)| moved(&self.objects[examples[*place]], moves));
            moved(&self.objects[example], &seen.moves).chain(others).collect()
        };
        let all: Vec<Vec<(usize, [f64; 4])>> = examples.iter().zip(seen).map(of).collect();
        let most = self.most.max(all.iter().map(Vec::len).max().unwrap_or(0));
        let mut labels = vec![IGNORED; all.len() * most];
        let mut boxes = vec![0f32; all.len() * most * 4];
        for (row, objects) in all.iter().enumerate() {
            for (place, (class, [left, top, right, bottom])) in objects.iter().enumerate() {
                let at = row * most + place;
                labels[at] = *class as i64;
                let centred = [
                    (left + right) / 2.0 / width,
                    (top + bottom) / 2.0 / height,
                    (right - left) / width,
                    (bottom - top) / height,
                ];
                boxes[at * 4..at * 4 + 4].copy_from_slice(&centred.map(|share| share as f32));
            }
        }
        into.targets.insert("class_labels".to_owned(), Array::integers(&[all.len(), most], labels));
        into.targets.insert("boxes".to_owned(), Array::floats(&[all.len(), most, 4], boxes));
        Ok(())
    }

    /// Objects of both are there, each of which counts as one.
    fn overlays(&self) -> bool {
        true
    }

    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        Ok(format!("Boxes({:?})", self.objects[example]))
    }

    /// The class of the image that the fewest of these have, so that each part of a split has some of every class.
    fn strata(&self, examples: &[usize]) -> Vec<u64> {
        let has = |example: usize, class: usize| self.objects[example].iter().any(|object| object.class == class);
        let images = |class: usize| examples.iter().filter(|&&example| has(example, class)).count();
        let having: Vec<usize> = (0..self.names.len()).map(images).collect();
        let rarest = |&example: &usize| {
            let of = self.objects[example].iter().map(|object| object.class);
            of.min_by_key(|&class| having[class]).unwrap_or(self.names.len()) as u64
        };
        examples.iter().map(rarest).collect()
    }

    /// Objects.
    fn counts(&self, examples: &[usize]) -> Vec<(String, usize)> {
        let mut all = vec![0; self.names.len()];
        let objects = examples.iter().flat_map(|&example| &self.objects[example]);
        objects.for_each(|object| all[object.class] += 1);
        self.names.iter().cloned().zip(all).collect()
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let empty = examples.iter().filter(|&&example| self.objects[example].is_empty()).count();
        let crowds = examples.iter().flat_map(|&example| &self.objects[example]).filter(|object| object.crowd).count();
        let most = examples.iter().map(|&example| self.objects[example].len()).max().unwrap_or(0);
        let mut facts = vec![Fact::new("objects in one image at most", FactValue::Count(most as u64))];
        if empty > 0 {
            facts.push(Fact::new("images without objects", FactValue::Count(empty as u64)));
        }
        if crowds > 0 {
            facts.push(Fact::new("crowds, which are not learnt", FactValue::Count(crowds as u64)));
        }
        facts
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }
}

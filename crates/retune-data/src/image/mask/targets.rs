//! The classes of all pixels as targets, moved as their images are. B images, H × W pixels.

use super::{Mask, MaskClasses, NO_CLASS, RawMasks};
use crate::image::{ImageSeen, Images};
use crate::{Array, Batch, DataError, Fact, FactValue, Targets};

/// The masks of all rows; `labels` `[B, H, W]` u8, [`NO_CLASS`] where a pixel has none or was filled.
pub struct Masks {
    raw: RawMasks,
    classes: MaskClasses,
}

impl Masks {
    /// Masks of classes. Rows whose values are not known must have been left out.
    pub fn new(raw: RawMasks, classes: MaskClasses) -> Self {
        Self { raw, classes }
    }

    /// Names of the classes in the order of the model's outputs.
    pub fn names(&self) -> &[String] {
        self.classes.names()
    }

    /// Pixels of each class of an example, and of those without one.
    pub fn counts(&self, example: usize) -> (Vec<u64>, u64) {
        let (mut counts, mut nothing) = (vec![0; self.names().len()], 0);
        for &(value, count) in &self.raw.entry(example).counts {
            match self.classes.class(value) {
                NO_CLASS => nothing += u64::from(count),
                class => counts[usize::from(class)] += u64::from(count),
            }
        }
        (counts, nothing)
    }

    fn mask(&self, example: usize) -> Result<Mask, DataError> {
        let entry = self.raw.entry(example);
        let mut classes = self.raw.cells(example)?;
        classes.iter_mut().for_each(|cell| *cell = self.classes.class(*cell));
        Ok(Mask { width: entry.width as usize, height: entry.height as usize, classes })
    }
}

impl Targets<Images> for Masks {
    type Gold = Mask;

    fn len(&self) -> usize {
        self.raw.len()
    }

    fn gold(&self, example: usize) -> Result<Mask, DataError> {
        self.mask(example)
    }

    fn fill(&self, examples: &[usize], seen: &[ImageSeen], into: &mut Batch) -> Result<(), DataError> {
        let shape = into.inputs.get("pixel_values").map(|pixels| pixels.shape.clone()).expect("images have pixels");
        let mut labels = Vec::with_capacity(shape[0] * shape[2] * shape[3]);
        for (&example, seen) in examples.iter().zip(seen) {
            let mut cells = seen.moves.pick(&self.mask(example)?.classes, NO_CLASS);
            for (place, moves) in &seen.others {
                let beside = moves.pick(&self.mask(examples[*place])?.classes, NO_CLASS);
                cells.iter_mut().zip(beside).filter(|(_, other)| *other != NO_CLASS).for_each(|(cell, it)| *cell = it);
            }
            labels.extend(cells);
        }
        into.targets.insert("labels".to_owned(), Array::bytes(&[shape[0], shape[2], shape[3]], labels));
        Ok(())
    }

    /// Of the classes of all pixels.
    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        let entry = self.raw.entry(example);
        let classes: Vec<u8> = entry.counts.iter().map(|&(value, _)| self.classes.class(value)).collect();
        Ok(format!("Mask({:016x}, {classes:?})", entry.hash))
    }

    /// The class of the image that the fewest of these have, so that each part of a split has some of every class.
    fn strata(&self, examples: &[usize]) -> Vec<u64> {
        let classes: Vec<Vec<u64>> = examples.iter().map(|&example| self.counts(example).0).collect();
        let images = |class: usize| classes.iter().filter(|counts| counts[class] > 0).count();
        let having: Vec<usize> = (0..self.names().len()).map(images).collect();
        let rarest = |counts: &Vec<u64>| {
            let of = (0..counts.len()).filter(|&class| counts[class] > 0);
            of.min_by_key(|&class| having[class]).unwrap_or(usize::from(NO_CLASS)) as u64
        };
        classes.iter().map(rarest).collect()
    }

    /// Pixels.
    fn counts(&self, examples: &[usize]) -> Vec<(String, usize)> {
        let mut all = vec![0; self.names().len()];
        for &example in examples {
            all.iter_mut().zip(Masks::counts(self, example).0).for_each(|(all, count)| *all += count as usize);
        }
        self.names().iter().cloned().zip(all).collect()
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let (mut nothing, mut all, mut empty) = (0, 0, 0);
        for &example in examples {
            let (classes, without) = Masks::counts(self, example);
            let with: u64 = classes.iter().sum();
            nothing += without;
            all += with + without;
            empty += u64::from(with == 0);
        }
        let mut facts = vec![Fact::new("pixels without a class", FactValue::Part { count: nothing, of: all })];
        if empty > 0 {
            facts.push(Fact::new("masks without any class", FactValue::Count(empty)));
        }
        facts
    }

    fn remarks(&self) -> Vec<String> {
        self.classes.notes().iter().cloned().chain(self.raw.remarks()).collect()
    }
}

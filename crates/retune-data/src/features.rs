//! Rows as the frozen part of a model left them: computed once, kept, and read in place of what they were made from.
//!
//! B rows, T tokens of the longest. Tokens lie side by side in a row, on the side that the mask says, and there they are
//! put again, whatever rows share a batch later on.

mod columns;

use std::collections::BTreeMap;
use std::sync::Arc;

use columns::{Column, Places, Ragged, Token};

use crate::arena::{Arena, ArenaBuilder};
use crate::{Array, Arrays, BadExample, Batch, DataError, Dataset, Pass, Source, Units};

/// One array of what a frozen part of a model returned.
pub struct Computed {
    /// [B, T, ..], fp32.
    pub values: Array,
    /// Name of the mask that says which of T tokens are a row's; `None` where all are.
    pub mask: Option<String>,
}

/// Features being gathered; every row once, in any order.
pub struct FeatureBuilder {
    rows: Arc<dyn Dataset>,
    store: ArenaBuilder,
    /// Of each row: its place among those that came.
    places: Vec<Option<u32>>,
    came: usize,
    masks: BTreeMap<String, Places>,
    ragged: BTreeMap<String, Ragged>,
    inputs: BTreeMap<String, Column>,
    targets: BTreeMap<String, Column>,
    tokens: BTreeMap<String, Token>,
}

impl FeatureBuilder {
    /// For the rows of `rows`. Up to 64 MiB stay in memory, more goes into an unlinked file in the system's folder for
    /// temporary files.
    pub fn new(rows: Arc<dyn Dataset>) -> Self {
        Self {
            store: ArenaBuilder::new(),
            places: vec![None; rows.len()],
            came: 0,
            masks: BTreeMap::new(),
            ragged: BTreeMap::new(),
            inputs: BTreeMap::new(),
            targets: BTreeMap::new(),
            tokens: BTreeMap::new(),
            rows,
        }
    }

    /// Adds what was computed of a batch: `computed` by name, in place of its inputs, and `others`, inputs `[B, ..]` that
    /// stand beside them; `masks` `[B, T]` are those that `computed` names. The targets of the batch are kept whole.
    ///
    /// Panics on arrays that do not fit each other: they come from this workspace.
    ///
    /// # Errors
    /// The store cannot be written, for one because the disk is full.
    pub fn push(
        &mut self,
        batch: &Batch,
        computed: &BTreeMap<String, Computed>,
        masks: &Arrays,
        others: &Arrays,
    ) -> Result<(), DataError> {
        for (name, mask) in masks {
            self.masks.entry(name.clone()).or_default().append(mask);
        }
        for (name, Computed { values, mask }) in computed {
            let places = mask.as_ref().map(|mask| &self.masks[mask]);
            let column = self.ragged.entry(name.clone()).or_insert_with(|| Ragged::new(values, mask.clone()));
            column.append(values, places, self.came, &mut self.store)?;
        }
        for (name, array) in others {
            self.inputs.entry(name.clone()).or_insert_with(|| Column::new(array)).append(array);
        }
        for (name, array) in &batch.targets {
            match array.along {
                None => self.targets.entry(name.clone()).or_insert_with(|| Column::new(array)).append(array),
                Some(along) => {
                    let mask = batch.inputs.get(along.mask).expect("targets lie along a mask of the batch");
                    let mut places = Places::default();
                    places.append(mask);
                    self.tokens.entry(name.clone()).or_insert_with(|| Token::new(along)).append(array, &places);
                }
            }
        }
        for (place, &row) in (self.came..).zip(&batch.rows) {
            self.places[row] = Some(place as u32);
        }
        self.came += batch.rows.len();
        Ok(())
    }

    /// The data set. Panics when a row is missing.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(self) -> Result<Features, DataError> {
        let places = self.places.into_iter().map(|place| place.expect("every row was pushed")).collect();
        let Self { rows, masks, ragged, inputs, targets, tokens, .. } = self;
        Ok(Features { rows, store: self.store.finish()?, places, masks, ragged, inputs, targets, tokens })
    }
}

/// The same rows with features in place of inputs.
pub struct Features {
    rows: Arc<dyn Dataset>,
    store: Arena,
    places: Vec<u32>,
    masks: BTreeMap<String, Places>,
    ragged: BTreeMap<String, Ragged>,
    inputs: BTreeMap<String, Column>,
    targets: BTreeMap<String, Column>,
    tokens: BTreeMap<String, Token>,
}

impl Dataset for Features {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn length(&self, row: usize) -> usize {
        self.rows.length(row)
    }

    fn batch(&self, rows: &[usize], _: Option<Pass>) -> Result<Batch, DataError> {
        let places: Vec<usize> = rows.iter().map(|&row| self.places[row] as usize).collect();
        let mut batch = Batch { rows: rows.to_vec(), ..Batch::default() };
        let mut padded = None;
        for (name, mask) in &self.masks {
            let array = mask.array(&places);
            padded = padded.max(Some(array.data.len()));
            batch.inputs.insert(name.clone(), array);
        }
        for (name, column) in &self.ragged {
            let mask = column.mask().map(|mask| &self.masks[mask]);
            batch.inputs.insert(name.clone(), column.array(&places, mask, &self.store)?);
        }
        batch.inputs.extend(self.inputs.iter().map(|(name, column)| (name.clone(), column.array(&places))));
        batch.targets.extend(self.targets.iter().map(|(name, column)| (name.clone(), column.array(&places))));
        batch.targets.extend(self.tokens.iter().map(|(name, column)| (name.clone(), column.array(&places))));
        let real = rows.iter().map(|&row| self.length(row)).sum();
        batch.extent.input = Units { real, padded: padded.unwrap_or(real) };
        Ok(batch)
    }

    fn example(&self, row: usize) -> usize {
        self.rows.example(row)
    }

    fn examples(&self) -> usize {
        self.rows.examples()
    }

    fn source(&self, example: usize) -> Result<Source, DataError> {
        self.rows.source(example)
    }

    fn remarks(&self) -> Vec<String> {
        self.rows.remarks()
    }

    fn bad_examples(&self) -> &[BadExample] {
        self.rows.bad_examples()
    }
}

#[cfg(test)]
mod tests;

//! Examples of any medium, with targets of any kind: the one data set.

use std::ops::Range;
use std::sync::Arc;

use crate::groups::joined_groups;
use crate::view::View;
use crate::{BadExample, Batch, DataError, Dataset, HeatMap, Medium, Pass, Records, Source, Targets};

/// Examples that can be used; [`Examples::subset`] shares everything with its parent. Cloning is cheap.
pub struct Examples<M, T> {
    records: Arc<dyn Records>,
    medium: Arc<M>,
    targets: Option<Arc<T>>,
    bad: Arc<[BadExample]>,
    view: View,
}

impl<M, T> Clone for Examples<M, T> {
    fn clone(&self) -> Self {
        Self {
            records: Arc::clone(&self.records),
            medium: Arc::clone(&self.medium),
            targets: self.targets.clone(),
            bad: Arc::clone(&self.bad),
            view: self.view.clone(),
        }
    }
}

impl<M: Medium, T: Targets<M>> Examples<M, T> {
    /// Puts records, their encoded inputs and their targets together, where they have targets. Panics where they are not
    /// as many: all come from this workspace.
    ///
    /// # Errors
    /// A medium that mixes rows, or lays them over each other, whose targets cannot be.
    pub fn new(records: Arc<dyn Records>, medium: M, targets: Option<T>) -> Result<Self, DataError> {
        assert_eq!(records.len(), medium.examples(), "every record was encoded");
        if let Some(targets) = &targets {
            assert_eq!(records.len(), targets.len(), "every record has a target");
            if medium.mixes() && !targets.mixes() {
                let message = "mixup and cutmix need classes; leave them out where something else is predicted";
                return Err(DataError::Augmentation { message: message.to_owned() });
            }
            if medium.overlays() && !targets.overlays() {
                let message = "images that are laid over each other (mixup of scenes) need boxes; leave it out where \
                               something else is predicted";
                return Err(DataError::Augmentation { message: message.to_owned() });
            }
        }
        Ok(Self {
            bad: merged(records.left_out(), medium.bad_examples()).into(),
            view: View::whole(&medium),
            medium: Arc::new(medium),
            targets: targets.map(Arc::new),
            records,
        })
    }

    /// The medium, whose rows and examples are those of the whole file.
    pub fn medium(&self) -> &M {
        &self.medium
    }

    /// The targets of all examples of the file, if they have any.
    pub fn targets(&self) -> Option<&T> {
        self.targets.as_deref()
    }

    /// The target of an example; `None` where examples have no targets.
    ///
    /// # Errors
    /// No such example, or its target cannot be read.
    pub fn gold(&self, example: usize) -> Result<Option<T::Gold>, DataError> {
        let inner = self.view.checked(example)?;
        self.targets.as_ref().map(|targets| targets.gold(inner)).transpose()
    }

    /// The targets of all examples, in their order; nothing where they have no targets.
    ///
    /// # Errors
    /// A target that cannot be read.
    pub fn golds(&self) -> Result<Vec<T::Gold>, DataError> {
        (0..self.examples()).filter_map(|example| self.gold(example).transpose()).collect()
    }

    /// The same data set restricted to these of its examples, in that order. Nothing is copied.
    ///
    /// # Errors
    /// An example beyond the end.
    pub fn subset(&self, examples: &[usize]) -> Result<Self, DataError> {
        Ok(Self { view: self.view.subset(self.medium(), examples)?, ..self.clone() })
    }

    /// The rows of an example, adjacent: one, or one for each of its windows. Panics beyond the end.
    pub fn rows_of(&self, example: usize) -> Range<usize> {
        self.view.rows_of(example)
    }

    /// Where the pieces of a row are when it is alone in a batch, without a pass.
    ///
    /// # Errors
    /// No such row, or what it is made from cannot be read again.
    pub fn seen(&self, row: usize) -> Result<M::Seen, DataError> {
        self.medium.seen(self.inner_row(row)?)
    }

    /// Equal for examples with equal input. Panics beyond the end.
    pub fn content_hash(&self, example: usize) -> u64 {
        self.medium.hash(self.view.example(example))
    }

    /// Hash of the example's group, if there are groups. Panics beyond the end.
    pub fn group(&self, example: usize) -> Option<u64> {
        self.records.group(self.view.example(example))
    }

    /// What is known of the examples of the file beside their inputs.
    pub fn records(&self) -> &dyn Records {
        self.records.as_ref()
    }

    /// What that group is called, where it is known. Panics beyond the end.
    pub fn group_name(&self, example: usize) -> Option<&str> {
        self.records.group_name(self.view.example(example))
    }

    /// How large an example is, in the medium's unit. Panics beyond the end.
    pub fn size(&self, example: usize) -> usize {
        self.medium.size(self.view.example(example))
    }

    /// Text that changes with the target of an example: `None`, or `Some(…)` with [`Targets::fingerprint`] in it.
    ///
    /// # Errors
    /// As [`Examples::gold`].
    pub fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        let inner = self.view.checked(example)?;
        let Some(targets) = &self.targets else { return Ok("None".to_owned()) };
        Ok(format!("Some({})", targets.fingerprint(inner)?))
    }

    /// Stratum of each example for [`crate::stratified_group_split`]. All 0 without targets.
    pub fn strata(&self) -> Vec<u64> {
        let examples = self.inner_examples();
        self.targets.as_ref().map_or_else(|| vec![0; examples.len()], |targets| targets.strata(&examples))
    }

    /// Group of each example for [`crate::stratified_group_split`]: examples of one group and those with equal input
    /// share one.
    pub fn split_groups(&self) -> Vec<u64> {
        let hashes: Vec<u64> = (0..self.examples()).map(|example| self.content_hash(example)).collect();
        joined_groups(&hashes, &|example| self.group(example))
    }

    /// A PNG of an example; see [`Medium::picture`].
    ///
    /// # Errors
    /// No such example, or what it is made from cannot be read again.
    pub fn picture(
        &self,
        example: usize,
        most_side: usize,
        heat: Option<&HeatMap>,
    ) -> Result<Option<Vec<u8>>, DataError> {
        self.medium.picture(self.view.checked(example)?, most_side, heat)
    }

    /// A small WAV file of an example; see [`Medium::sound`].
    ///
    /// # Errors
    /// No such example, or what it is made from cannot be read again.
    pub fn sound(&self, example: usize) -> Result<Option<Vec<u8>>, DataError> {
        self.medium.sound(self.view.checked(example)?)
    }

    /// The examples of the whole file that this data set shows.
    pub fn inner_examples(&self) -> Vec<usize> {
        (0..self.examples()).map(|example| self.view.example(example)).collect()
    }

    /// The place of an example in the whole file, as medium and records count. Panics beyond the end.
    pub fn inner_example(&self, example: usize) -> usize {
        self.view.example(example)
    }

    fn inner_row(&self, row: usize) -> Result<usize, DataError> {
        let missing = DataError::NoSuchRow { row, rows: self.len() };
        if row < self.len() { Ok(self.view.row(row).0) } else { Err(missing) }
    }
}

/// What was left out when records were read, and when they were encoded, in the order of the file.
pub(crate) fn merged(read: &[BadExample], encoded: &[BadExample]) -> Vec<BadExample> {
    let mut all = read.to_vec();
    let mut before = 0;
    for example in encoded {
        // The encoded one counts records that could be read; its place counts the others too.
        while read.get(before).is_some_and(|left_out| left_out.row <= example.row + before) {
            before += 1;
        }
        all.push(BadExample { row: example.row + before, ..example.clone() });
    }
    all.sort_by_key(|example| example.row);
    all
}

impl<M: Medium, T: Targets<M>> Dataset for Examples<M, T> {
    fn len(&self) -> usize {
        self.view.rows()
    }

    fn length(&self, row: usize) -> usize {
        self.medium.length(self.view.row(row).0)
    }

    fn batch(&self, rows: &[usize], pass: Option<Pass>) -> Result<Batch, DataError> {
        let inner = rows.iter().map(|&row| self.inner_row(row)).collect::<Result<Vec<usize>, _>>()?;
        let mut batch = Batch { rows: rows.to_vec(), ..Batch::default() };
        let seen = self.medium.fill(&inner, pass, &mut batch)?;
        if let Some(targets) = &self.targets {
            let examples: Vec<usize> = rows.iter().map(|&row| self.view.example(self.view.row(row).1)).collect();
            targets.fill(&examples, &seen, &mut batch)?;
        }
        Ok(batch)
    }

    fn example(&self, row: usize) -> usize {
        self.view.row(row).1
    }

    fn examples(&self) -> usize {
        self.view.examples()
    }

    fn source(&self, example: usize) -> Result<Source, DataError> {
        self.records.source(self.view.checked(example)?)
    }

    fn remarks(&self) -> Vec<String> {
        let mut remarks = self.records.remarks();
        remarks.extend(self.targets.iter().flat_map(|targets| targets.remarks()));
        remarks.extend(self.medium.remarks(self.records.file()));
        remarks
    }

    fn bad_examples(&self) -> &[BadExample] {
        &self.bad
    }

    fn varies(&self) -> bool {
        self.medium.varies()
    }

    fn one_input_a_row(&self) -> bool {
        self.medium.one_input_a_row()
    }

    fn loader_threads(&self, free: usize) -> usize {
        self.medium.loader_threads(free)
    }

    fn tokens_in_use(&self) -> Result<Option<Vec<i64>>, DataError> {
        self.medium.tokens_in_use(&mut (0..self.len()).map(|row| self.view.row(row).0))
    }
}

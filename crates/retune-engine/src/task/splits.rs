//! The data of a run, and what all tasks do with it: hold rows out, look for leaks, recognize the data again.

use super::{Data, Task};
use crate::Recipe;
use anyhow::{Context, Result, bail, ensure};
use retune_data::{BadExample, DataFacts, Dataset, Examples, Medium, Records, Targets, stratified_group_split};
use retune_kernels::random;
use std::path::Path;
use std::sync::Arc;

/// A part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Learnt from.
    Train,
    /// Chooses the checkpoint.
    Validation,
    /// Measured once; all that is there of data for a saved model.
    Test,
}

impl Split {
    /// As in messages about reading: `training`, not `train`.
    pub fn whole_name(self) -> &'static str {
        if self == Self::Train { "training" } else { self.name() }
    }

    /// As in files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// The data of a run.
pub struct Splits<T: Task> {
    train: Option<Arc<Data<T>>>,
    validation: Option<Arc<Data<T>>>,
    test: Option<Arc<Data<T>>>,
    /// What is known of it.
    pub about: About,
}

/// What is known of the data of a run, whatever it is made of.
#[derive(Default)]
pub struct About {
    /// Examples that cannot be used and were left out, with the split that they were read for.
    pub left_out: Vec<(&'static str, BadExample)>,
    /// What is in the splits.
    pub facts: DataFacts,
    /// Changes when any training row does: a run resumes only on the same data.
    pub fingerprint: u64,
    /// Things a person should know, such as truncation.
    pub notes: Vec<String>,
}

impl<T: Task> Splits<T> {
    /// The rows of a split.
    pub fn get(&self, split: Split) -> Option<&Arc<Data<T>>> {
        match split {
            Split::Train => self.train.as_ref(),
            Split::Validation => self.validation.as_ref(),
            Split::Test => self.test.as_ref(),
        }
    }

    /// The same data for another task.
    pub(super) fn shared(&self) -> Self {
        let Self { train, validation, test, about } = self;
        let about = About { fingerprint: about.fingerprint, ..About::default() };
        Self { train: train.clone(), validation: validation.clone(), test: test.clone(), about }
    }

    /// Data for a saved model.
    pub(super) fn of_part(data: Data<T>) -> Self {
        Self { train: None, validation: None, test: Some(Arc::new(data)), about: About::default() }
    }

    /// Training and validation data as they are.
    #[cfg(test)]
    pub(super) fn of(train: Data<T>, validation: Data<T>) -> Self {
        let (train, validation) = (Some(Arc::new(train)), Some(Arc::new(validation)));
        Self { train, validation, test: None, about: About::default() }
    }

    /// What is learnt from.
    pub(super) fn train(&self) -> &Data<T> {
        self.train.as_ref().expect("a run has training data")
    }
}

/// The encoded data of a run, before rows are held out.
pub(super) struct Encoded<D> {
    /// The training file.
    pub(super) train: D,
    /// The validation file.
    pub(super) validation: Option<D>,
    /// The test file.
    pub(super) test: Option<D>,
}

impl<D> Encoded<D> {
    /// What the recipe names, read but not encoded: a typo in the last file costs nothing.
    pub(super) fn read(recipe: &Recipe, read: impl Fn(&Path) -> Result<D>) -> Result<Self> {
        let data = &recipe.data;
        Ok(Self {
            train: read(data.train.as_deref().context("training data")?)?,
            validation: data.validation.as_deref().map(&read).transpose()?,
            test: data.test.as_deref().map(&read).transpose()?,
        })
    }

    /// Those that there are.
    pub(super) fn iter(&self) -> impl Iterator<Item = &D> {
        std::iter::once(&self.train).chain(&self.validation).chain(&self.test)
    }

    /// Each of them as something else.
    pub(super) fn map<E>(self, each: impl Fn(Split, D) -> Result<E>) -> Result<Encoded<E>> {
        Ok(Encoded {
            train: each(Split::Train, self.train)?,
            validation: self.validation.map(|data| each(Split::Validation, data)).transpose()?,
            test: self.test.map(|data| each(Split::Test, data)).transpose()?,
        })
    }
}

impl<M: Medium + 'static, G: Targets<M> + 'static> Encoded<Examples<M, G>> {
    /// The first examples of the training data, which validate too.
    fn few(self, count: u64, notes: &mut Vec<String>) -> Result<Self> {
        let all = self.train.examples();
        let count = all.min(usize::try_from(count).unwrap_or(all));
        notes
            .push(format!("overfit: the first {count} of {all} training examples are learnt and evaluated, unchanged"));
        let first: Vec<usize> = (0..count).collect();
        Ok(Self { train: self.train.subset(&first)?, validation: Some(self.train.subset(&first)?), test: None })
    }

    /// Holds rows out where no file validates, and gathers what is in the data and what a person should know about it, after
    /// `notes`. `settings` changes with whatever the encoding of a row depends on.
    ///
    /// # Errors
    /// A split without a usable example; too few rows to hold some out; a store that cannot be read.
    pub(super) fn splits<T>(self, recipe: &Recipe, settings: u64, mut notes: Vec<String>) -> Result<Splits<T>>
    where
        T: Task<Medium = M, Targets = G>,
    {
        check_groups(recipe, self.train.records())?;
        let Self { train: whole, validation, test } = match recipe.run.overfit {
            Some(count) => self.few(count, &mut notes)?,
            None => self,
        };
        let mut left_out = Vec::new();
        let mut look = |data: &Examples<M, G>, split, notes: &mut Vec<String>| {
            // What holds for all splits is said once.
            data.remarks().into_iter().for_each(|said| {
                if !notes.contains(&said) {
                    notes.push(said)
                }
            });
            leave_out(data, split, &mut left_out, notes)
        };
        look(&whole, "train", &mut notes)?;
        let (train, validation) = match validation {
            Some(validation) => {
                look(&validation, "validation", &mut notes)?;
                (whole, validation)
            }
            None => hold_out(recipe, &whole, &mut notes)?,
        };
        test.iter().try_for_each(|test| look(test, "test", &mut notes))?;
        let mut parts = vec![("train", &train), ("validation", &validation)];
        parts.extend(test.as_ref().map(|test| ("test", test)));
        let facts = DataFacts::gather(&parts)?;
        notes.extend(leak_notes(&facts).filter(|_| recipe.run.overfit.is_none()));
        let about = About { left_out, fingerprint: fingerprint(&train, settings)?, facts, notes };
        Ok(Splits {
            train: Some(Arc::new(train)),
            validation: Some(Arc::new(validation)),
            test: test.map(Arc::new),
            about,
        })
    }
}

/// Refuses a group column that the training data have not, or that nothing reads: its groups would stand on both sides unnoticed.
///
/// # Errors
/// There is one.
pub(super) fn check_groups(recipe: &Recipe, train: &dyn Records) -> Result<()> {
    if let Some(column) = recipe.data.group_column.as_ref().filter(|_| !train.groups_by_column()) {
        bail!(
            "group-column: {} has no column `{column}` by which {} could group; name another, or leave it out",
            train.file().display(),
            recipe.data.task
        );
    }
    Ok(())
}

/// Examples that train and examples that validate, when no file does. Those of one group, and equal ones, stay on one side: a
/// copy in the validation part would make it too easy.
fn hold_out<M: Medium, G: Targets<M>>(
    recipe: &Recipe,
    whole: &Examples<M, G>,
    notes: &mut Vec<String>,
) -> Result<(Examples<M, G>, Examples<M, G>)> {
    let (fraction, seed) = (recipe.data.validation_fraction, recipe.run.seed);
    let (train, validation) = stratified_group_split(&whole.strata(), &whole.split_groups(), fraction, seed)?;
    let (held, all) = (validation.len(), whole.examples());
    notes.push(format!("no validation file: {held} of {all} training rows validate (stratified, seed {seed})"));
    Ok((whole.subset(&train)?, whole.subset(&validation)?))
}

/// Examples of a split that cannot be used, with a note about them.
///
/// # Errors
/// None is left.
fn leave_out(
    data: &dyn Dataset,
    split: &'static str,
    left_out: &mut Vec<(&'static str, BadExample)>,
    notes: &mut Vec<String>,
) -> Result<()> {
    let bad = data.bad_examples();
    let first: String = bad.iter().take(10).map(|bad| format!("\n  {bad}")).collect();
    ensure!(!data.is_empty(), "{split}: none of the {} examples can be used:{first}", bad.len());
    if !bad.is_empty() {
        notes.push(format!(
            "{split}: {} of {} examples cannot be used and are left out:{first}",
            bad.len(),
            bad.len() + data.len()
        ));
    }
    left_out.extend(bad.iter().map(|bad| (split, bad.clone())));
    Ok(())
}

/// Notes about each pair of splits that share inputs or groups.
fn leak_notes(facts: &DataFacts) -> impl Iterator<Item = String> + '_ {
    facts.leakage.iter().flat_map(|leak| {
        let shared = |number: usize, what: &str| {
            (number > 0).then(|| match number {
                1 => format!("1 {what} of {} is also in {}: its result is too good", leak.b, leak.a),
                _ => format!("{number} {what}s of {} are also in {}: its result is too good", leak.b, leak.a),
            })
        };
        [shared(leak.examples, "row"), shared(leak.groups.unwrap_or(0), "group")].into_iter().flatten()
    })
}

/// A number that changes with the inputs, what is right, and the order of examples, and with `settings` of their encoding.
fn fingerprint<M: Medium, G: Targets<M>>(train: &Examples<M, G>, settings: u64) -> Result<u64> {
    (0..train.examples()).try_fold(settings, |state, example| {
        let target = random::name_key(&train.fingerprint(example)?);
        Ok(random::mix(&[state, train.content_hash(example), target]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_data::Leak;

    #[test]
    fn common_rows_and_common_groups_are_noted() {
        let leak =
            |rows, groups| Leak { a: "train".into(), b: "test".into(), examples: rows, shown: Vec::new(), groups };
        let notes = |leak| leak_notes(&DataFacts { splits: Vec::new(), leakage: vec![leak] }).collect::<Vec<_>>();
        assert_eq!(notes(leak(0, Some(3))), ["3 groups of test are also in train: its result is too good"]);
        assert_eq!(notes(leak(2, None)), ["2 rows of test are also in train: its result is too good"]);
        let both = notes(leak(1, Some(1)));
        assert_eq!(both[0], "1 row of test is also in train: its result is too good");
        assert_eq!(both[1], "1 group of test is also in train: its result is too good");
        assert!(notes(leak(0, Some(0))).is_empty());
    }
}

//! What a kind of input (texts, images) has to do to become a data set: encode examples into rows, and fill batches with
//! them. [`crate::Examples`] makes a [`crate::Dataset`] of it.
//!
//! Rows and examples are those of the whole file, numbered as its [`crate::Records`].

use std::ops::Range;
use std::path::Path;

use crate::{BadExample, Batch, DataError, Fact, HeatMap, Pass};

/// Encoded inputs.
pub trait Medium: Send + Sync {
    /// Where the pieces of a row went in a batch, so that targets can be placed on them.
    type Seen: Seen;

    /// Number of examples, those included that cannot be used.
    fn examples(&self) -> usize;

    /// The rows of an example: one, or one for each of its windows; none where it cannot be used.
    fn rows(&self, example: usize) -> Range<usize> {
        example..example + 1
    }

    /// Examples that cannot be used, in their order.
    fn bad_examples(&self) -> &[BadExample] {
        &[]
    }

    /// Units of work of a row (tokens, patches), for bucketing.
    fn length(&self, row: usize) -> usize;

    /// Adds inputs and their extent to a batch; see [`crate::Dataset::batch`].
    ///
    /// # Errors
    /// What rows are made from cannot be read again.
    fn fill(&self, rows: &[usize], pass: Option<Pass>, into: &mut Batch) -> Result<Vec<Self::Seen>, DataError>;

    /// Where the pieces of a row are when it is alone in a batch, without a pass.
    ///
    /// # Errors
    /// As [`Medium::fill`].
    fn seen(&self, row: usize) -> Result<Self::Seen, DataError>;

    /// Equal for examples with equal input.
    fn hash(&self, example: usize) -> u64;

    /// How large an example is, in [`Medium::unit`].
    fn size(&self, example: usize) -> usize;

    /// What sizes count: `tokens`, `pixels of the shorter side`.
    fn unit(&self) -> &'static str;

    /// What a person should know about these examples.
    fn facts(&self, _examples: &[usize]) -> Vec<Fact> {
        Vec::new()
    }

    /// A PNG of an example, its longer side at most `most_side` pixels, where examples can be shown so; `heat` is shown
    /// over what a model sees of it.
    ///
    /// # Errors
    /// As [`Medium::fill`].
    fn picture(
        &self,
        _example: usize,
        _most_side: usize,
        _heat: Option<&HeatMap>,
    ) -> Result<Option<Vec<u8>>, DataError> {
        Ok(None)
    }

    /// A small WAV file of an example, where examples can be heard.
    ///
    /// # Errors
    /// As [`Medium::fill`].
    fn sound(&self, _example: usize) -> Result<Option<Vec<u8>>, DataError> {
        Ok(None)
    }

    /// Whether a pass mixes rows with each other, see [`Mixed`].
    fn mixes(&self) -> bool {
        false
    }

    /// Whether a pass lays rows over each other, all of which are to be learnt.
    fn overlays(&self) -> bool {
        false
    }

    /// Whether a row is another one in each pass.
    fn varies(&self) -> bool {
        false
    }

    /// See [`crate::Dataset::one_input_a_row`].
    fn one_input_a_row(&self) -> bool {
        true
    }

    /// See [`crate::Dataset::loader_threads`].
    fn loader_threads(&self, _free: usize) -> usize {
        1
    }

    /// What a person should know about how inputs were read; each begins with the name of the file.
    fn remarks(&self, _file: &Path) -> Vec<String> {
        Vec::new()
    }

    /// See [`crate::Dataset::tokens_in_use`], for these rows.
    ///
    /// # Errors
    /// As [`Medium::fill`].
    fn tokens_in_use(&self, _rows: &mut dyn Iterator<Item = usize>) -> Result<Option<Vec<i64>>, DataError> {
        Ok(None)
    }
}

/// What any medium says of a row that it put into a batch.
pub trait Seen: Send + Sync {
    /// The row it was mixed with, if any.
    fn mixed(&self) -> Option<Mixed> {
        None
    }
}

/// A row that took a share of another one (mixup, CutMix); its target takes the same share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixed {
    /// The share that is still its own, from 0 to 1.
    pub own: f64,
    /// Place in the batch of the row that the rest is of.
    pub other: usize,
}

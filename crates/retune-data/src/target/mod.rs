//! What examples should give: classes, sets of classes, numbers, tags of words, answers in a text; and helpers for integers on tokens.

mod class_sets;
mod classes;
mod integers;
mod labels;
mod mixed;
mod numbers;
mod properties;
#[cfg(feature = "text")]
mod similarities;
#[cfg(feature = "text")]
mod spans;
#[cfg(feature = "audio")]
mod spoken_texts;
#[cfg(feature = "text")]
mod tags;
#[cfg(feature = "audio")]
mod transcripts;
#[cfg(feature = "text")]
mod written_texts;

use crate::{Batch, DataError, Fact, Medium};

#[cfg(all(test, feature = "text"))]
pub(crate) use labels::encode as encode_labels;

pub use class_sets::ClassSets;
pub use classes::Classes;
#[cfg(feature = "text")]
pub use integers::on_tokens;
pub use integers::{IGNORED, on_rows};
pub use numbers::Numbers;
pub use properties::Properties;
#[cfg(feature = "text")]
pub use similarities::{Similarities, Similarity};
#[cfg(feature = "text")]
pub use spans::Spans;
#[cfg(feature = "audio")]
pub use spoken_texts::{Framing, SpokenTexts};
#[cfg(feature = "text")]
pub use tags::{GoldTags, Tags, entities_of_classes};
#[cfg(feature = "audio")]
pub use transcripts::{Transcripts, transcripts};
#[cfg(feature = "text")]
pub(crate) use written_texts::put_written;
#[cfg(feature = "text")]
pub use written_texts::{DecoderInput, WrittenTexts, references};

/// The targets of all examples of a file, over a medium `M`. Examples beyond the end panic.
pub trait Targets<M: Medium>: Send + Sync {
    /// What a scorer compares with.
    type Gold;

    /// Number of examples.
    fn len(&self) -> usize;

    /// True when there are no examples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The target of an example.
    ///
    /// # Errors
    /// It lies on disk and cannot be read.
    fn gold(&self, example: usize) -> Result<Self::Gold, DataError>;

    /// Adds `targets` to a batch that has its inputs: `examples[i]` is the example that element i is of, and `seen[i]`
    /// says where its pieces are.
    ///
    /// # Errors
    /// A target that cannot be read, or that lies on no piece.
    fn fill(&self, examples: &[usize], seen: &[M::Seen], into: &mut Batch) -> Result<(), DataError>;

    /// Text that changes with the target of an example. Runs remember a hash of it, so that it stays the same for good:
    /// a run resumes only on the same data.
    ///
    /// # Errors
    /// As [`Targets::gold`].
    fn fingerprint(&self, example: usize) -> Result<String, DataError>;

    /// Stratum of each of these examples for [`crate::stratified_group_split`].
    fn strata(&self, examples: &[usize]) -> Vec<u64> {
        vec![0; examples.len()]
    }

    /// How often each class (or type) occurs in these examples, in the order of the model's outputs.
    fn counts(&self, _examples: &[usize]) -> Vec<(String, usize)> {
        Vec::new()
    }

    /// What else a person should know about the targets of these examples.
    fn facts(&self, _examples: &[usize]) -> Vec<Fact> {
        Vec::new()
    }

    /// What a person should know about how targets were read, each a sentence that begins with the name of the file.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether targets of mixed rows have a meaning; see [`crate::Mixed`].
    fn mixes(&self) -> bool {
        false
    }

    /// Whether targets of rows that lie over each other do; see [`Medium::overlays`].
    fn overlays(&self) -> bool {
        false
    }
}

#[cfg(test)]
pub(crate) mod tests {
    //! A medium of nothing, for tests of targets alone.

    use crate::{Batch, DataError, Medium, Pass, Seen};

    pub(crate) struct Nothing;

    impl Seen for () {}

    impl Medium for Nothing {
        type Seen = ();

        fn examples(&self) -> usize {
            0
        }
        fn length(&self, _row: usize) -> usize {
            0
        }
        fn fill(&self, _rows: &[usize], _pass: Option<Pass>, _into: &mut Batch) -> Result<Vec<()>, DataError> {
            Ok(Vec::new())
        }
        fn seen(&self, _row: usize) -> Result<(), DataError> {
            Ok(())
        }
        fn hash(&self, _example: usize) -> u64 {
            0
        }
        fn size(&self, _example: usize) -> usize {
            0
        }
        fn unit(&self) -> &'static str {
            "nothing"
        }
    }
}

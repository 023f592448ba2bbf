//! What is known of the examples of a file apart from what a model reads: where they stand, and who shows them.

use std::path::Path;

use crate::{BadExample, DataError, Source};

/// Examples as a file or folder holds them.
pub trait Records: Send + Sync {
    /// The file (or folder) the examples came from.
    fn file(&self) -> &Path;

    /// Number of examples that can be used.
    fn len(&self) -> usize;

    /// True when there are no examples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The line where an example starts, from 1; its number for Parquet and elements of a JSON array, 0 where an example
    /// is a file of its own. Panics beyond the end.
    fn line(&self, example: usize) -> u64;

    /// The example as the user knows it.
    ///
    /// # Errors
    /// No such example, or the temporary store cannot be read.
    fn source(&self, example: usize) -> Result<Source, DataError>;

    /// Hash of the example's group (a patient, an author), when there is a group column and every example has a value in
    /// it. Panics beyond the end.
    fn group(&self, _example: usize) -> Option<u64> {
        None
    }

    /// Whether groups are the values of the column that the user named, not something that the examples have of themselves.
    fn groups_by_column(&self) -> bool {
        !self.is_empty() && self.group(0).is_some()
    }

    /// What that group is called, for people; not all of many groups are known. Panics beyond the end.
    fn group_name(&self, _example: usize) -> Option<&str> {
        None
    }

    /// Examples that are not among these because they cannot be used, in the order of the file.
    fn left_out(&self) -> &[BadExample] {
        &[]
    }

    /// What a person should know about how the file was read, each a sentence that begins with its name.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}

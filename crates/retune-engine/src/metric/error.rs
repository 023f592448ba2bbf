//! What can be wrong with the arrays a metric is given.

use thiserror::Error;

/// An array does not have the shape or the range that the metric was made for.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MetricError {
    /// Two arrays that describe the same examples differ in length.
    #[error(
        "{what} has {found} numbers where {expected} were expected; pass one row per label, {columns} column(s) each"
    )]
    Length {
        /// The array that is too long or too short.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that the other array asks for.
        expected: usize,
        /// Numbers per example.
        columns: usize,
    },
    /// A label names a class that does not exist.
    #[error(
        "label {label} of row {row} is outside the {classes} classes; encode labels as 0..{classes}, negative to ignore"
    )]
    Label {
        /// The row inside the batch, from 0.
        row: usize,
        /// The label found.
        label: i64,
        /// The number of classes.
        classes: usize,
    },
    /// There is nothing to compare.
    #[error("no rows to compare; evaluate both models on the same, non-empty split")]
    Empty,
}

/// Checks that `found` numbers are `rows` rows of `columns`.
pub(super) fn expect_length(what: &'static str, found: usize, rows: usize, columns: usize) -> Result<(), MetricError> {
    let expected = rows * columns;
    if found == expected {
        return Ok(());
    }
    Err(MetricError::Length { what, found, expected, columns })
}

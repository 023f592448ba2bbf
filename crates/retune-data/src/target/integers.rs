//! Integers as targets: one for each row (a start position), or one for each token (the tag of a word).
//!
//! B rows, T tokens of the longest, padding included.

#[cfg(feature = "text")]
use crate::{Along, Place, TextSeen};
use crate::{Array, Batch};

/// What losses skip, PyTorch's `ignore_index`.
pub const IGNORED: i64 = -100;

/// Adds the target `name`, `[B]` i64: a number for each row of the batch. Panics on another count of them.
pub fn on_rows(into: &mut Batch, name: &str, values: Vec<i64>) {
    into.targets.insert(name.to_owned(), Array::integers(&[into.rows.len()], values));
}

/// Adds the target `name`, `[B, T]` i64: what `of` says of each token, by the row's place in the batch, the token's in the
/// row and where it stands in the text; [`IGNORED`] where it says nothing, and on padding.
///
/// Panics where the batch has no `attention_mask`, or tokens have no places ([`crate::TextOptions::keep_offsets`]).
#[cfg(feature = "text")]
pub fn on_tokens(
    into: &mut Batch,
    name: &str,
    seen: &[TextSeen],
    mut of: impl FnMut(usize, usize, &Place) -> Option<i64>,
) {
    const MASK: &str = "attention_mask";
    let shape = into.inputs.get(MASK).map(|mask| mask.shape.clone()).expect("texts have a mask");
    let mut values = vec![IGNORED; shape.iter().product()];
    for (row, seen) in seen.iter().enumerate() {
        assert_eq!(seen.places.len(), seen.length, "places were kept");
        for (token, place) in seen.places.iter().enumerate() {
            values[row * shape[1] + seen.first + token] = of(row, token, place).unwrap_or(IGNORED);
        }
    }
    let array = Array::integers(&shape, values).along(Along { mask: MASK, fill: IGNORED });
    into.targets.insert(name.to_owned(), array);
}

//! Draws for a row: anew in each pass, and always the same where nothing is learnt.

use crate::{Pass, Random};

/// The pass of rows that nothing is learnt from.
const FIXED: u64 = u64::MAX;

/// `row` tells rows of a pass apart, `content` those of none, and `kind` these draws from others.
pub(super) fn of_row(pass: Option<Pass>, row: u64, content: u64, kind: u64) -> Random {
    match pass {
        Some(pass) => Random::at(&[pass.seed, pass.epoch, row, kind]),
        None => Random::at(&[FIXED, content, kind]),
    }
}

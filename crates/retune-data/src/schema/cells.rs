//! Cells in messages, and as numbers.

use crate::error::shortened;
use crate::table::Cell;

/// A cell as it is shown in a message.
pub(super) fn shown(cell: &Cell) -> String {
    cell.name().map_or_else(|| "a list".to_owned(), |name| format!("`{}`", shortened(&name)))
}

/// The whole number that a cell is, as people write class ids: `3`, `3.0`, but not `3E0`.
pub(super) fn whole(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Text(text) => {
            let text = text.trim();
            let digits = text.split_once('.').filter(|(_, zeros)| zeros.bytes().all(|b| b == b'0'));
            digits.map_or(text, |(digits, _)| digits).parse().ok()
        }
        cell => cell.integer(),
    }
}

//! Cells in messages.

use crate::error::shortened;
use crate::table::Cell;

/// A cell as it is shown in a message.
pub(super) fn shown(cell: &Cell) -> String {
    cell.name().map_or_else(|| "a list".to_owned(), |name| format!("`{}`", shortened(&name)))
}

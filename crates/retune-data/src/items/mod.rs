//! Items that people met, one after another: tables of interactions, catalogues, and histories as a medium.

mod catalogue;
mod events;
mod histories;
mod item_tokens;
mod names;
mod next_items;
mod sequences;
mod time;

pub use catalogue::Catalogue;
pub use events::{EventColumns, Events};
pub use histories::{HistoryOptions, HistorySeen, ItemHistories};
pub use item_tokens::ItemTokens;
pub use names::Names;
pub use next_items::NextItems;
pub use sequences::{Asked, HistoryRow, Sequences};

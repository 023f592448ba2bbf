//! Text: rows of a table, their tokens, and the data set made of them.

mod dataset;
mod encoded;
mod remarks;
mod rows;
mod token_cache;
mod tokenizer;
mod tokenizer_files;

pub use dataset::TextDataset;
pub use rows::{TextColumns, TextLines, TextRows};
pub use tokenizer::{Side, Tokenizer, Tokens};

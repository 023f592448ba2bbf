//! Texts with entities, or words with tags: what token classification learns from.
//!
//! | files | what they hold |
//! |---|---|
//! | `.conll`, `.iob`, `.bio`, `.txt`, `.tsv` without such a header | a word and its tag in each line, blank lines between sentences |
//! | `.txt` without columns, to predict | a text in each line |
//! | `.jsonl`, `.json`, `.parquet`, `.csv`, `.tsv` | lists `tokens` and `ner_tags` (names, or ids where names are known), or `text` and `entities` |
//! | the same | a word and its tag in each row, and a column that says which rows are one sentence |
//! | Label Studio's JSON, doccano's JSON lines | `data.text` and `annotations`; `text` and `label` |
//!
//! [`TaggedFile::read`] gives [`Tagged`] examples; tags are IOB2 whatever the file's scheme was.

mod align;
mod by_word;
mod check;
mod conll;
mod entities;
mod file;
mod join;
mod label_studio;
mod marked;
mod names;
mod parts;
mod plain;
#[cfg(feature = "text")]
mod records;
mod scheme;
mod split;
mod tag;
mod tagged;
mod understand;
mod words;

pub use align::{IGNORED, Misfit, OnMisfit, align, inside_classes, tag_words, words_without_tokens};
pub use check::unknown_labels;
pub use entities::{entities_lenient, entities_strict, in_characters};
pub use join::token_context;
pub use names::tag_names_of_file;
pub use parts::{TagOptions, TaggedFile};
#[cfg(feature = "text")]
pub use records::TaggedLines;
pub use scheme::{Broken, TagScheme, to_iob2};
pub use split::split_words;
pub use tag::{Entity, Mark, Tag, tag_names};
pub use tagged::{Gold, Tagged};

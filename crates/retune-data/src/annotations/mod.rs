//! Texts with marked parts: sequences of tags and entities ([`tags`]), questions with answers in a context ([`answers`]).
//!
//! Files become plain values, checked and with their lines; nothing here knows tokenizers, models or batches. Offsets are
//! characters (Unicode scalar values, as Python counts them), from 0, the end behind the last.

pub mod answers;
mod lines;
pub(crate) mod literal;
#[cfg(test)]
mod parquet_fixture;
mod repair;
mod span;
pub mod tags;

pub use repair::Repair;
pub use span::{Characters, Span};

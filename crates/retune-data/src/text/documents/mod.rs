//! Documents of plain text: read from files, tokenized once, and cut into blocks for language models.
//!
//! | file | holds |
//! |---|---|
//! | `read` | documents of a text file or a table |
//! | `store` | the tokens of all documents |
//! | `cut` | which pieces of which documents a block is made of |
//! | `draws` | draws for a row, of a pass or of none |
//! | `masking` | which tokens are hidden from a model, drawn anew in each pass |
//! | `blocks` | blocks, and where they come from |
//! | `medium` | what a batch holds of them |
//! | `seen` | where the pieces of a block went |
//! | `noise` | which pieces are taken out for a model to write again |
//! | `noised` | blocks that were made noisy, and what they are to become again |
//! | `masked_words` | the hidden tokens as targets |
//! | `next_words` | the next tokens as targets |

mod blocks;
mod cut;
mod draws;
mod masked_words;
mod masking;
mod medium;
mod next_words;
mod noise;
mod noised;
mod read;
mod seen;
mod store;

pub use blocks::{BlockOptions, Blocks};
pub use cut::Cut;
pub use masked_words::MaskedWords;
pub use masking::{MaskOptions, Masking};
pub use medium::DOCUMENTS;
pub use next_words::NextWords;
pub use noise::{NoiseOptions, NoiseTokens, SentenceOrder};
pub use noised::{NoisedBlocks, NoisedSeen, Restored};
pub use read::read_documents;
pub use seen::{BlockSeen, Masked, SeenPiece};
pub use store::Documents;

#[cfg(test)]
mod tests;

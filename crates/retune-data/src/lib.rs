//! Files in, batches out: readers, tokenization, samplers, loader threads and the hub client.
//!
//! The crate knows nothing of tensors, models or training; its product is the [`Batch`], a set of
//! named plain arrays. Everything random is a pure function of `(seed, epoch, row)`, so resuming
//! a run is recomputing it.
//!
//! ```
//! # #[cfg(feature = "text")] fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use retune_data::{
//!     Dataset, LabelSchema, SamplerOptions, TextColumns, TextDataset, TextRows, Tokenizer, epoch_batches,
//! };
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nbad\nfilm\n")?;
//! std::fs::write(folder.path().join("train.csv"), "text,label\nGood film,yes\nBad,no\n")?;
//!
//! let columns = TextColumns::new("text", "label");
//! let rows = TextRows::read(folder.path().join("train.csv"), &columns, true)?;
//! let schema = LabelSchema::infer(&rows, None)?;
//! assert_eq!(schema, LabelSchema::SingleLabel { names: vec!["no".into(), "yes".into()] });
//!
//! let tokenizer = Tokenizer::load(folder.path())?;
//! let dataset = TextDataset::encode(rows, &tokenizer, &schema, 128, &|_done, _total| ())?;
//! let options = SamplerOptions { batch_size: 2, seed: 1, bucket: true };
//! let batches = epoch_batches(&|row| dataset.length(row), dataset.len(), 0, &options);
//! let batch = dataset.batch(&batches[0], None)?;
//! assert_eq!(batch.arrays["input_ids"].shape, [2, 4]); // [CLS] good film [SEP]
//! assert_eq!((batch.tokens, batch.padded), (7, 8));
//! # Ok(()) }
//! # #[cfg(not(feature = "text"))] fn main() {}
//! ```

mod batch;
mod dataset;
mod error;
mod loader;
mod random;
mod sampler;
mod split;

#[cfg(feature = "text")]
mod arena;
#[cfg(feature = "text")]
mod facts;
#[cfg(feature = "text")]
mod problems;
#[cfg(feature = "text")]
mod schema;
#[cfg(feature = "text")]
pub mod table;
#[cfg(feature = "text")]
mod text;

#[cfg(feature = "hub")]
pub mod hub;

pub use batch::{Array, ArrayData, Batch};
pub use dataset::{Dataset, Pass, Source};
pub use error::{DataError, RowProblem};
pub use loader::Loader;
pub use random::Random;
pub use sampler::{SamplerOptions, epoch_batches, evaluation_batches};
pub use split::{stratified_group_split, stratified_split};

#[cfg(feature = "text")]
pub use facts::{DataFacts, Leak, SplitFacts, TargetFacts};
#[cfg(feature = "text")]
pub use schema::{EncodedLabel, LabelSchema, Problem};
#[cfg(feature = "text")]
pub use table::Cell;
#[cfg(feature = "text")]
pub use text::{Side, TextColumns, TextDataset, TextRows, Tokenizer, Tokens};

//! Files in, batches out: readers, tokenization, samplers, loader threads and the hub client.
//!
//! The crate knows nothing of tensors, models or training; its product is the [`Batch`], a set of
//! named plain arrays. Everything random is a pure function of `(seed, epoch, row)`, so resuming
//! a run is recomputing it.
//!
//! ```
//! # #[cfg(feature = "text")] fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use retune_data::{
//!     Batching, Dataset, LabelSchema, SamplerOptions, TextColumns, TextDataset, TextRows, Tokenizer, epoch_batches,
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
//! let dataset = TextDataset::encode(rows, &tokenizer, Some(&schema), 128, &|_done, _total| ())?;
//! let options = SamplerOptions { batch_size: 2, seed: 1, batching: Batching::Examples };
//! let batches = epoch_batches(&|row| dataset.length(row), dataset.len(), 0, &options);
//! let batch = dataset.batch(&batches[0], None)?;
//! assert_eq!(batch.arrays["input_ids"].shape, [2, 4]); // [CLS] good film [SEP]
//! assert_eq!((batch.tokens, batch.padded), (7, 8));
//! # Ok(()) }
//! # #[cfg(not(feature = "text"))] fn main() {}
//! ```
//!
//! Images come from class folders or tables and go through the same schema, sampler and loader:
//!
//! ```
//! # #[cfg(feature = "image")] fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use retune_data::{
//!     Dataset, ImageColumns, ImageDataset, ImageOptions, ImageProcessor, ImageRows, LabelSchema, Pass,
//! };
//!
//! let folder = tempfile::tempdir()?;
//! for class in ["day", "night"] {
//!     std::fs::create_dir(folder.path().join(class))?;
//!     // A 1 × 1 pixel GIF.
//!     let gif = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
//!     std::fs::write(folder.path().join(class).join("1.gif"), gif)?;
//! }
//!
//! let rows = ImageRows::read(folder.path(), &ImageColumns::new("image", "label"), true)?;
//! let schema = LabelSchema::infer(&rows, None)?;
//! // The model's folder has no preprocessor_config.json: 32 × 32, values from -1 to 1.
//! let processor = ImageProcessor::load(folder.path(), (32, 32), 3)?;
//! let options = ImageOptions { augmentation: "light".parse()?, ..ImageOptions::default() };
//! let dataset = ImageDataset::encode(rows, &processor, Some(&schema), &options, &|_done, _total| ())?;
//! let training = dataset.batch(&[0, 1], Some(Pass { seed: 1, epoch: 0 }))?;
//! assert_eq!(training.arrays["pixel_values"].shape, [2, 3, 32, 32]);
//! # Ok(()) }
//! # #[cfg(not(feature = "image"))] fn main() {}
//! ```

mod bad_example;
mod batch;
mod dataset;
mod error;
mod loader;
mod random;
mod sampler;
mod split;
mod user_cache;

#[cfg(feature = "table")]
mod arena;
#[cfg(feature = "table")]
mod facts;
#[cfg(feature = "table")]
mod features;
#[cfg(feature = "table")]
mod groups;
#[cfg(feature = "table")]
mod heat_map;
#[cfg(feature = "image")]
mod image;
#[cfg(feature = "table")]
mod labels;
#[cfg(feature = "table")]
mod problems;
#[cfg(feature = "table")]
mod rows;
#[cfg(feature = "table")]
mod schema;
#[cfg(feature = "table")]
pub mod table;
#[cfg(feature = "text")]
mod text;
#[cfg(feature = "table")]
mod threads;

#[cfg(feature = "hub")]
pub mod hub;

pub use bad_example::{BadExample, OnBadExample};
pub use batch::{Array, ArrayData, Batch};
pub use dataset::{Dataset, Pass, Source};
pub use error::{DataError, RowProblem};
pub use loader::Loader;
pub use random::Random;
pub use sampler::{Batching, SamplerOptions, epoch_batches, evaluation_batches};
pub use split::{stratified_group_split, stratified_split};
pub use user_cache::user_cache;

#[cfg(feature = "table")]
pub use facts::{DataFacts, Described, Leak, SplitFacts, TargetFacts};
#[cfg(feature = "table")]
pub use features::{Computed, FeatureBuilder, Features};
#[cfg(feature = "table")]
pub use heat_map::HeatMap;
#[cfg(feature = "image")]
pub use image::{
    Augmentation, ColorJitter, GreyRange, ImageColumns, ImageDataset, ImageLines, ImageOptions, ImageProcessor,
    ImageRows, Pixels, RandAugment, RandomErasing, RandomResizedCrop, Resample, resize,
};
#[cfg(feature = "table")]
pub use rows::LabelRows;
#[cfg(feature = "table")]
pub use schema::{EncodedLabel, LabelNumbers, LabelSchema, Problem};
#[cfg(feature = "table")]
pub use table::Cell;
#[cfg(feature = "text")]
pub use text::{Side, TextColumns, TextDataset, TextLines, TextRows, Tokenizer, Tokens};
#[cfg(feature = "table")]
pub use threads::set_encoding_threads;

//! Files in, batches out: readers, tokenization, samplers, loader threads and the hub client.
//!
//! The crate knows nothing of tensors, models or training; its product is the [`Batch`], a set of
//! named plain arrays. Everything random is a pure function of `(seed, epoch, row)`, so resuming
//! a run is recomputing it.
//!
//! A [`Medium`] encodes inputs ([`Text`], [`Images`]), [`Targets`] hold what they should give ([`Classes`], [`ClassSets`],
//! [`Numbers`]), and [`Examples`] make a [`Dataset`] of both:
//!
//! ```
//! # #[cfg(feature = "text")] fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use retune_data::{
//!     Batching, Classes, Dataset, Examples, LabelSchema, Layout, OnBadExample, SamplerOptions, TableRows, Text,
//!     TextOptions, Tokenizer, Units, epoch_batches,
//! };
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nbad\nfilm\n")?;
//! std::fs::write(folder.path().join("train.csv"), "text,label\nGood film,yes\nBad,no\n")?;
//!
//! let layout = Layout::text("text").labels(["label"]);
//! let rows = Arc::new(TableRows::read(folder.path().join("train.csv"), &layout, true, OnBadExample::Fail)?);
//! let schema = LabelSchema::infer(&*rows, None)?;
//! assert_eq!(schema, LabelSchema::SingleLabel { names: vec!["no".into(), "yes".into()] });
//!
//! let tokenizer = Tokenizer::load(folder.path())?;
//! let texts = Text::encode(&*rows, &tokenizer, &TextOptions::new(128), &|_done, _total| ())?;
//! let classes = Classes::read(&*rows, schema.names())?;
//! let dataset = Examples::new(rows, texts, classes)?;
//! let options = SamplerOptions { batch_size: 2, seed: 1, batching: Batching::Examples };
//! let batches = epoch_batches(&|row| dataset.length(row), dataset.len(), 0, &options);
//! let batch = dataset.batch(&batches[0], None)?;
//! assert_eq!(batch.inputs["input_ids"].shape, [2, 4]); // [CLS] good film [SEP]
//! assert_eq!(batch.targets["labels"].shape, [2]);
//! assert_eq!(batch.extent.input, Units { real: 7, padded: 8 });
//! # Ok(()) }
//! # #[cfg(not(feature = "text"))] fn main() {}
//! ```
//!
//! Images come from class folders or tables and go through the same schema, sampler and loader:
//!
//! ```
//! # #[cfg(feature = "image")] fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use retune_data::{
//!     Classes, Dataset, Examples, ImageOptions, ImageProcessor, Images, LabelSchema, Layout, OnBadExample, Pass, read_images,
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
//! let layout = Layout::image("image").labels(["label"]);
//! let rows = Arc::new(read_images(folder.path(), &layout, true, OnBadExample::Fail)?);
//! let schema = LabelSchema::infer(&*rows, None)?;
//! // The model's folder has no preprocessor_config.json: 32 × 32, values from -1 to 1.
//! let processor = ImageProcessor::load(folder.path(), (32, 32), 3)?;
//! let options = ImageOptions { augmentation: "light".parse()?, ..ImageOptions::default() };
//! let images = Images::encode(&rows, &processor, &options, &|_done, _total| ())?;
//! let classes = Classes::read(&*rows, schema.names())?;
//! let dataset = Examples::new(rows, images, classes)?;
//! let training = dataset.batch(&[0, 1], Some(Pass { seed: 1, epoch: 0 }))?;
//! assert_eq!(training.inputs["pixel_values"].shape, [2, 3, 32, 32]);
//! # Ok(()) }
//! # #[cfg(not(feature = "image"))] fn main() {}
//! ```

mod bad_example;
mod batch;
mod dataset;
mod error;
mod loader;
mod on_bad_example;
mod random;
mod sampler;
mod split;
mod user_cache;

#[cfg(feature = "table")]
pub mod annotations;
#[cfg(feature = "table")]
mod arena;
#[cfg(feature = "audio")]
mod audio;
#[cfg(feature = "table")]
mod examples;
#[cfg(feature = "table")]
mod fact;
#[cfg(feature = "table")]
mod facts;
#[cfg(feature = "table")]
mod features;
#[cfg(any(feature = "image", feature = "audio"))]
mod files;
#[cfg(feature = "table")]
mod groups;
#[cfg(feature = "table")]
mod heat_map;
#[cfg(feature = "image")]
mod image;
#[cfg(feature = "table")]
mod items;
#[cfg(any(feature = "image", feature = "audio"))]
mod kept_rows;
#[cfg(feature = "table")]
mod medium;
#[cfg(feature = "table")]
pub mod molecule;
#[cfg(feature = "table")]
mod ngrams;
#[cfg(feature = "table")]
mod problems;
#[cfg(feature = "table")]
mod rows;
#[cfg(feature = "table")]
mod schema;
#[cfg(feature = "table")]
pub mod table;
#[cfg(feature = "table")]
mod target;
#[cfg(feature = "text")]
mod text;
#[cfg(feature = "table")]
mod threads;
#[cfg(feature = "table")]
mod view;

#[cfg(feature = "hub")]
pub mod hub;

pub use bad_example::BadExample;
pub use batch::{Along, Array, ArrayData, Arrays, Batch, Extent, Units};
pub use dataset::{Dataset, Pass, Source};
pub use error::{DataError, RowProblem};
pub use loader::Loader;
pub use on_bad_example::OnBadExample;
pub use random::Random;
pub use sampler::{Batching, SamplerOptions, epoch_batches, evaluation_batches};
pub use split::{stratified_group_split, stratified_split};
pub use user_cache::user_cache;

#[cfg(feature = "audio")]
pub use audio::{
    AudioAugmentation, AudioLength, AudioOptions, AudioProcessor, AudioSeen, Casing, CtcVocabulary, Decoded,
    FeatureKind, LeastRate, LongSounds, Sounds, Spelled, decode_audio, plain, read_audio, resample, split_values,
};
#[cfg(feature = "table")]
pub use examples::Examples;
#[cfg(feature = "table")]
pub use fact::{Fact, FactValue};
#[cfg(feature = "table")]
pub use facts::{CONFLICTING, DUPLICATES, DataFacts, GROUPS, Leak, Sizes, SplitFacts};
#[cfg(feature = "table")]
pub use features::{Computed, FeatureBuilder, Features};
#[cfg(feature = "table")]
pub use heat_map::HeatMap;
#[cfg(feature = "image")]
pub use image::{
    Augmentation, BoxConvention, Boxes, CheckedBoxes, ClassList, ColorJitter, DrawnBox, GreyRange, IgnoredClasses,
    ImageObject, ImageOptions, ImageProcessor, ImageSeen, Images, Mask, MaskClasses, MaskReading, Masks, Moves,
    NO_CLASS, ObjectRows, Pixels, RandAugment, RandomErasing, RandomResizedCrop, RawMasks, Resample, TrainingSizes,
    ZoomOut, class_colour, coco_counts, coco_string, draw_boxes, mask_png, read_images, read_objects, resize, swatch,
};
#[cfg(feature = "table")]
pub use items::{
    Asked, Catalogue, EventColumns, Events, HistoryOptions, HistoryRow, HistorySeen, ItemHistories, ItemTokens, Names,
    NextItems, Sequences,
};
#[cfg(feature = "table")]
pub use medium::{Medium, Mixed, Seen};
#[cfg(feature = "table")]
pub use ngrams::{NGramContext, NGrams};
#[cfg(feature = "table")]
pub use rows::{LabelNumbers, LabelRows, Layout, ParallelFiles, Part, Records, TableLines, TableRows, column_list};
#[cfg(feature = "table")]
pub use schema::{LabelSchema, Problem};
#[cfg(feature = "table")]
pub use table::{Cell, TextsOf, column_names, inner_keys};
#[cfg(feature = "table")]
pub use target::{ClassSets, Classes, IGNORED, Numbers, Properties, Targets, on_rows};
#[cfg(feature = "text")]
pub use target::{
    DecoderInput, GoldTags, Similarities, Similarity, Spans, Tags, WrittenTexts, entities_of_classes, on_tokens,
    references,
};
#[cfg(feature = "audio")]
pub use target::{Framing, SpokenTexts, Transcripts, transcripts};
#[cfg(feature = "text")]
pub use text::{
    Bare, BlockOptions, BlockSeen, Blocks, ChatColumns, ChatTemplate, ChatTokens, ChatWriter, Conversation,
    ConversationLines, Conversations, Cut, DOCUMENTS, Documents, Frame, LanguagePlace, Languages, MaskOptions, Masked,
    MaskedWords, Masking, MoleculeForm, MoleculeRows, Molecules, NextWords, NoiseOptions, NoiseTokens, NoisedBlocks,
    NoisedSeen, Place, Prefixed, Reading, Rendered, Restored, SeenPiece, SentenceOrder, SeveralSeen, SeveralTexts,
    Side, SpecialTokens, TRUNCATED, Text, TextAs, TextInput, TextOptions, TextSeen, Texts, Tokenizer, TokenizerKind,
    TokenizerPlan, Tokens, UNKNOWN_TOKENS, WINDOWS, Window, Windows, Worded, WordedSeen, Words, read_documents,
};
#[cfg(feature = "table")]
pub use threads::set_encoding_threads;

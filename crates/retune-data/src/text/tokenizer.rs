//! Text to token ids, exactly as Hugging Face's fast tokenizers do it (the `tokenizers` crate).

mod bare;
mod languages;
mod pieces;
mod windows;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokenizers::tokenizer::{Encoding, TruncationDirection, TruncationParams, TruncationStrategy};
use tokenizers::utils::truncation::truncate_encodings;

use super::tokenizer_files::{Part, TokenizerFiles, failed};
use crate::DataError;
use pieces::Backend;

pub use bare::{Bare, Frame};
use languages::LanguageKind;
pub use languages::{LanguagePlace, Languages};
pub use windows::{Window, Windows};

/// Which side of a text or batch something happens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// At the beginning.
    Left,
    /// At the end.
    Right,
}

/// A model's tokenizer. Cloning is cheap.
#[derive(Clone)]
pub struct Tokenizer {
    backend: Arc<Backend>,
    folder: PathBuf,
    files: Vec<PathBuf>,
    vocabulary_size: usize,
    pad_id: Option<u32>,
    unknown_id: Option<u32>,
    mask_id: Option<u32>,
    end_id: Option<u32>,
    padding_side: Side,
    truncation_side: Side,
    model_max_length: Option<usize>,
    token_types: bool,
    cache: Option<PathBuf>,
    prefix_space: bool,
    language_kinds: Vec<LanguageKind>,
    /// Of what is read and of what is written.
    usual_languages: [Option<String>; 2],
}

/// The tokens of one text or pair.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokens {
    /// Token ids, special tokens included.
    pub ids: Vec<u32>,
    /// 0 for tokens of the first text, 1 for the second where the tokenizer tells them apart.
    pub type_ids: Vec<u32>,
    /// True when tokens were cut off to fit.
    pub truncated: bool,
    /// Tokens that stand for unknown pieces of text.
    pub unknown: usize,
    /// Tokens that are not special ones.
    pub words: usize,
}

impl Tokenizer {
    /// Loads the tokenizer of a model's folder: `tokenizer.json`, BERT's `vocab.txt`, RoBERTa's
    /// `vocab.json` and `merges.txt`, a SentencePiece model, or a file of ranks as tiktoken has it, with
    /// `tokenizer_config.json` and `special_tokens_map.json` where present.
    ///
    /// # Errors
    /// None of the files, or a broken one.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::load_part(folder.as_ref(), Part::Source)
    }

    /// Loads the tokenizer of what the model writes, which some models (Marian) cut in another way than what they read.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_target(folder: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::load_part(folder.as_ref(), Part::Target)
    }

    fn load_part(folder: &Path, part: Part) -> Result<Self, DataError> {
        let TokenizerParts { backend, files } = TokenizerParts::read(folder, part)?;
        let id = |name: &str| files.special_token(name).and_then(|token| backend.token_to_id(token));
        let first = |names: &[&str]| names.iter().find_map(|name| backend.token_to_id(name));
        let side = |name: &str| match files.config.get(name).and_then(|side| side.as_str()) {
            Some("left") => Side::Left,
            _ => Side::Right,
        };
        let pad_id = id("pad_token").or_else(|| first(&["[PAD]", "<pad>"])).or_else(|| id("eos_token"));
        let unknown_id = id("unk_token").or_else(|| first(&["[UNK]", "<unk>"]));
        let mask_id = id("mask_token").or_else(|| first(&["[MASK]", "<mask>"]));
        // Hugging Face writes 1e30 for `no limit`.
        let model_max_length = files
            .config
            .get("model_max_length")
            .and_then(|length| length.as_f64())
            .filter(|length| (1.0..1e9).contains(length))
            .map(|length| length as usize);
        let vocabulary_size = backend.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1);
        let text = |map: &serde_json::Map<String, serde_json::Value>, key: &str| {
            map.get(key).and_then(serde_json::Value::as_str).map(str::to_owned)
        };
        let (class, kind) = (text(&files.config, "tokenizer_class"), text(files.model(), "model_type"));
        let legacy = files.config.get("legacy_behaviour").and_then(serde_json::Value::as_bool).unwrap_or(false);
        let language_kinds = LanguageKind::of(class.as_deref(), kind.as_deref(), legacy);
        let usual_languages = ["src_lang", "tgt_lang"].map(|key| text(&files.config, key));
        let token_types = token_types(&files, &backend).map_err(|error| failed(folder, error.to_string()))?;
        Ok(Self {
            folder: folder.to_owned(),
            vocabulary_size,
            pad_id,
            unknown_id,
            mask_id,
            end_id: id("eos_token"),
            padding_side: side("padding_side"),
            truncation_side: side("truncation_side"),
            model_max_length,
            token_types,
            files: files.files,
            backend: Arc::new(backend),
            cache: None,
            prefix_space: false,
            language_kinds,
            usual_languages,
        })
    }

    /// One more than the largest token id, so the rows an embedding table needs.
    pub fn vocabulary_size(&self) -> usize {
        self.vocabulary_size
    }

    /// Id that fills up a batch: the padding token, else the end-of-text token, else 0.
    pub fn pad_id(&self) -> u32 {
        self.pad_id.unwrap_or(0)
    }

    /// The same with another id that fills up batches: the one that a model takes for padding.
    #[must_use]
    pub fn with_pad_id(self, id: u32) -> Self {
        Self { pad_id: Some(id), ..self }
    }

    /// Id of the end of a text, if the tokenizer has one.
    pub fn end_id(&self) -> Option<u32> {
        self.end_id
    }

    /// Whether it has a padding token of its own.
    pub fn has_padding_token(&self) -> bool {
        self.pad_id.is_some() && self.pad_id != self.end_id
    }

    /// Id that stands for unknown text, if the tokenizer has one.
    pub fn unknown_id(&self) -> Option<u32> {
        self.unknown_id
    }

    /// Id that stands for a hidden token, if the tokenizer has one.
    pub fn mask_id(&self) -> Option<u32> {
        self.mask_id
    }

    /// The spelling of a token; `None` for an id that is none.
    pub fn token(&self, id: u32) -> Option<String> {
        self.backend.id_to_token(id)
    }

    /// Longest input the tokenizer's configuration allows, in tokens; `None` if it names none.
    pub fn model_max_length(&self) -> Option<usize> {
        self.model_max_length
    }

    /// The side batches are padded on.
    pub fn padding_side(&self) -> Side {
        self.padding_side
    }

    /// True when batches carry `token_type_ids`: `model_input_names` decides, else the tokenizer
    /// class, else whether the second text of a pair gets another type.
    pub fn token_types(&self) -> bool {
        self.token_types
    }

    /// Overrides [`Tokenizer::token_types`], for a model that does or does not take them.
    pub fn with_token_types(mut self, token_types: bool) -> Self {
        self.token_types = token_types;
        self
    }

    /// Keeps the tokens of data sets in `folder`, and takes them from there instead of cutting the same texts again.
    pub fn with_cache(mut self, folder: PathBuf) -> Self {
        self.cache = Some(folder);
        self
    }

    /// Where tokens are kept between runs.
    pub(super) fn cache(&self) -> Option<&Path> {
        self.cache.as_deref()
    }

    /// The tokenizer's files, to be copied verbatim into a saved model.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The folder the tokenizer was loaded from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Id of a token, by its exact spelling.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.backend.token_to_id(token)
    }

    /// Text of token ids, special tokens left out.
    ///
    /// # Errors
    /// The tokenizer cannot decode them.
    pub fn decode(&self, ids: &[u32]) -> Result<String, DataError> {
        self.backend.decode(ids, true).map_err(|error| failed(&self.folder, error.to_string()))
    }

    /// Text of token ids, special tokens included.
    ///
    /// # Errors
    /// The tokenizer cannot decode them.
    pub fn spelled(&self, ids: &[u32]) -> Result<String, DataError> {
        self.backend.decode(ids, false).map_err(|error| failed(&self.folder, error.to_string()))
    }

    /// Special tokens added around a single text, or around a pair.
    pub fn special_tokens(&self, pair: bool) -> usize {
        use tokenizers::PostProcessor as _;
        self.backend.get_post_processor().map_or(0, |processor| processor.added_tokens(pair))
    }

    /// Checks that `max_length` leaves room for text.
    ///
    /// # Errors
    /// It is no larger than the number of special tokens (plus one token per text).
    pub fn check_max_length(&self, max_length: usize, pair: bool) -> Result<(), DataError> {
        let least = self.special_tokens(pair) + 1 + usize::from(pair);
        if max_length >= least {
            return Ok(());
        }
        let message =
            format!("a maximum length of {max_length} leaves no room for text; give at least {least} (--max-length)");
        Err(failed(&self.folder, message))
    }

    /// Tokens of a text or pair, cut to `max_length` (special tokens included) from the longer
    /// text first (HF: `longest_first`).
    ///
    /// # Errors
    /// The tokenizer fails on the text, or `max_length` leaves no room for any.
    pub fn encode(&self, text: &str, pair: Option<&str>, max_length: usize) -> Result<Tokens, DataError> {
        self.check_max_length(max_length, pair.is_some())?;
        self.encode_unchecked(text, pair, max_length).map_err(|error| failed(&self.folder, error.to_string()))
    }

    fn encode_unchecked(&self, text: &str, pair: Option<&str>, max_length: usize) -> tokenizers::Result<Tokens> {
        let mut first = self.backend.encode_fast(text, false)?;
        let mut second = match pair {
            Some(pair) => {
                let mut second = self.backend.encode_fast(pair, false)?;
                second.set_type_ids(vec![1; second.len()]);
                Some(second)
            }
            None => None,
        };
        let room = max_length - self.special_tokens(pair.is_some());
        let truncated = first.len() + second.as_ref().map_or(0, Encoding::len) > room;
        if truncated {
            let params = TruncationParams {
                direction: match self.truncation_side {
                    Side::Left => TruncationDirection::Left,
                    Side::Right => TruncationDirection::Right,
                },
                max_length: room,
                strategy: TruncationStrategy::LongestFirst,
                stride: 0,
            };
            (first, second) = truncate_encodings(first, second, &params)?;
            // The pieces cut off would all go through the post-processor, for nothing.
            first.take_overflowing();
            if let Some(second) = &mut second {
                second.take_overflowing();
            }
        }
        let count = |encoding: &Encoding| match self.unknown_id {
            Some(unknown) => encoding.get_ids().iter().filter(|&&id| id == unknown).count(),
            None => 0,
        };
        let unknown = count(&first) + second.as_ref().map_or(0, count);
        let words = first.len() + second.as_ref().map_or(0, Encoding::len);
        let whole = self.backend.post_process(first, second, true)?;
        Ok(Tokens { ids: whole.get_ids().to_vec(), type_ids: whole.get_type_ids().to_vec(), truncated, unknown, words })
    }
}

/// Files and the tokenizer made of them.
struct TokenizerParts {
    files: TokenizerFiles,
    backend: Backend,
}

impl TokenizerParts {
    fn read(folder: &Path, part: Part) -> Result<Self, DataError> {
        let mut files = TokenizerFiles::read(folder, part)?;
        let backend = match files.pieces.take() {
            Some(pieces) => pieces::around(pieces, &files.document),
            None => Backend::from_bytes(files.document.to_string()),
        };
        let backend = backend.map_err(|error| {
            failed(&folder.join("tokenizer.json"), format!("is not a tokenizer this program knows: {error}"))
        })?;
        // Numbers are given out in order; a file that means another would have the model read another word.
        for token in &files.added {
            let id = backend.token_to_id(&token.content);
            if id.map(u64::from) != Some(token.id) {
                let (content, wanted, file) = (&token.content, token.id, token.file);
                let got = id.map_or_else(|| "none".to_owned(), |id| id.to_string());
                let message = format!(
                    "the added token `{content}` has the number {wanted}, but {got} is the next free one; open the tokenizer \
                     in transformers with AutoTokenizer and save_pretrained it into this folder"
                );
                return Err(failed(&folder.join(file), message));
            }
        }
        Ok(Self { files, backend })
    }
}

fn token_types(files: &TokenizerFiles, backend: &Backend) -> tokenizers::Result<bool> {
    if let Some(names) = files.config.get("model_input_names").and_then(|names| names.as_array()) {
        return Ok(names.iter().any(|name| name == "token_type_ids"));
    }
    let class = files.config.get("tokenizer_class").and_then(|class| class.as_str()).unwrap_or("");
    if class.starts_with("DistilBert") {
        // Its post-processor is BERT's, but the model has no type embeddings.
        return Ok(false);
    }
    let encoding = backend.encode_fast(("a", "a"), true)?;
    Ok(encoding.get_type_ids().contains(&1) && backend.get_post_processor().is_some())
}

#[cfg(test)]
mod sentencepiece_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tiktoken_tests;

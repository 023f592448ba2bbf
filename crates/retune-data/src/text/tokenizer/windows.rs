//! One example to several rows that overlap, as `tokenizer(…, stride=…, return_overflowing_tokens=True)` of transformers
//! makes them, with offsets in characters (`return_offsets_mapping=True`).

use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::tokenizer::{
    Encoding, Model as _, OffsetType, PreTokenizer as _, TruncationDirection, TruncationParams, TruncationStrategy,
};
use tokenizers::utils::truncation::truncate_encodings;

use super::{Side, Tokenizer, failed};
use crate::DataError;
use crate::text::{Place, TextInput, TextOptions};

/// The tokens of one row, special ones included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    /// Token ids.
    pub ids: Vec<u32>,
    /// 0 for tokens of the first text, 1 for the second where the tokenizer tells them apart.
    pub type_ids: Vec<u32>,
    /// Where the tokens stand; nothing unless offsets were asked for.
    pub places: Vec<Place>,
}

/// The rows of one example.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Windows {
    /// At least one; in the tokenizer's order, which is from the end where it truncates on the left.
    pub rows: Vec<Window>,
    /// Whether tokens were cut off to fit.
    pub truncated: bool,
    /// Tokens that stand for unknown pieces of text.
    pub unknown: usize,
    /// Tokens that are not special ones, each counted once.
    pub words: usize,
}

impl Tokenizer {
    /// The same tokenizer, with a space before each text and word where it is one that tells words apart by the space
    /// before them (byte-level BPE; transformers' `add_prefix_space`).
    ///
    /// # Errors
    /// The tokenizer cannot be changed so.
    pub fn with_prefix_space(&self) -> Result<Self, DataError> {
        let failed = |error: serde_json::Error| failed(&self.folder, error.to_string());
        let Some(step) = self.backend.get_pre_tokenizer() else { return Ok(self.clone()) };
        let mut changed = serde_json::to_value(step).map_err(failed)?;
        if !add_prefix_space(&mut changed) {
            return Ok(self.clone());
        }
        let mut backend = (*self.backend).clone();
        backend.with_pre_tokenizer(Some(serde_json::from_value::<PreTokenizerWrapper>(changed).map_err(failed)?));
        if let Some(processor) = self.backend.get_post_processor() {
            // It trims spaces off offsets, and must know that the first one stands in no text.
            let mut changed = serde_json::to_value(processor).map_err(failed)?;
            add_prefix_space(&mut changed);
            backend.with_post_processor(Some(serde_json::from_value::<PostProcessorWrapper>(changed).map_err(failed)?));
        }
        Ok(Self { backend: backend.into(), prefix_space: true, ..self.clone() })
    }

    /// Whether [`Tokenizer::with_prefix_space`] changed it.
    pub(in crate::text) fn prefix_space(&self) -> bool {
        self.prefix_space
    }

    /// The rows of an example, or why it has none.
    ///
    /// # Errors
    /// The tokenizer fails on the text, or the longest row leaves no room for any.
    pub fn windows(&self, input: &TextInput, options: &TextOptions) -> Result<Result<Windows, String>, DataError> {
        self.check_max_length(options.max_length, matches!(input, TextInput::Pair(..)))?;
        self.windows_unchecked(input, options).map_err(|error| failed(&self.folder, error.to_string()))
    }

    fn windows_unchecked(
        &self,
        input: &TextInput,
        options: &TextOptions,
    ) -> tokenizers::Result<Result<Windows, String>> {
        let kind = if options.keep_offsets { OffsetType::Char } else { OffsetType::None };
        let (mut first, mut second) = match input {
            TextInput::Text(text) => (self.pieces(text, None, kind)?, None),
            TextInput::Words(words) => {
                let words = words.iter().zip(0..).map(|(word, place)| self.pieces(word, Some(place), kind));
                (words.collect::<tokenizers::Result<Encoding>>()?, None)
            }
            TextInput::Pair(text, pair) => {
                let mut second = self.pieces(pair, None, kind)?;
                second.set_type_ids(vec![1; second.len()]);
                (self.pieces(text, None, kind)?, Some(second))
            }
        };
        let mut windows = Windows::default();
        let room = options.max_length - self.special_tokens(second.is_some());
        if first.len() + second.as_ref().map_or(0, Encoding::len) > room {
            if let Some(stride) = options.stride {
                self.count(&first, second.as_ref(), &mut windows);
                let left = if second.is_some() { room.saturating_sub(first.len()) } else { room };
                if stride >= left {
                    return Ok(Err(no_room(first.len(), second.is_some(), left, stride)));
                }
            }
            let strategy = match (options.stride, &second) {
                (Some(_), Some(_)) => TruncationStrategy::OnlySecond,
                _ => TruncationStrategy::LongestFirst,
            };
            let direction = match self.truncation_side {
                Side::Left => TruncationDirection::Left,
                Side::Right => TruncationDirection::Right,
            };
            let stride = options.stride.unwrap_or(0);
            let params = TruncationParams { direction, max_length: room, strategy, stride };
            (first, second) = truncate_encodings(first, second, &params)?;
            if options.stride.is_none() {
                windows.truncated = true;
                // The pieces cut off would all go through the post-processor, for nothing.
                first.take_overflowing();
                if let Some(second) = &mut second {
                    second.take_overflowing();
                }
            }
        }
        if windows.words == 0 {
            self.count(&first, second.as_ref(), &mut windows);
        }
        let mut whole = self.backend.post_process(first, second, true)?;
        let others = whole.take_overflowing();
        windows.rows = std::iter::once(whole).chain(others).map(|it| window(&it, options.keep_offsets)).collect();
        Ok(Ok(windows))
    }

    /// The tokens of a text or word before any is added or cut off. A post-processor looks at the whole only: it trims
    /// offsets, and a second time would trim them again.
    pub(super) fn pieces(&self, text: &str, word: Option<u32>, offsets: OffsetType) -> tokenizers::Result<Encoding> {
        let mut pieces = self.backend.get_added_vocabulary().extract_and_normalize(self.backend.get_normalizer(), text);
        if let Some(step) = self.backend.get_pre_tokenizer() {
            step.pre_tokenize(&mut pieces)?;
        }
        pieces.tokenize(|piece| self.backend.get_model().tokenize(piece.get()))?;
        pieces.into_encoding(word, 0, offsets)
    }

    fn count(&self, first: &Encoding, second: Option<&Encoding>, into: &mut Windows) {
        for encoding in std::iter::once(first).chain(second) {
            into.words += encoding.len();
            into.unknown += encoding.get_ids().iter().filter(|&&id| Some(id) == self.unknown_id).count();
        }
    }
}

fn no_room(first: usize, pair: bool, left: usize, stride: usize) -> String {
    if pair {
        format!(
            "has {first} tokens in its first text, which leaves {left} of a window for the second, no more than the {stride} \
             that windows have in common; shorten it, or change --max-length or --doc-stride"
        )
    } else {
        format!(
            "is cut into windows of {left} tokens, no more than the {stride} that they have in common; change --max-length \
             or --stride"
        )
    }
}

fn window(encoding: &Encoding, keep_offsets: bool) -> Window {
    let places = if keep_offsets { places(encoding) } else { Vec::new() };
    Window { ids: encoding.get_ids().to_vec(), type_ids: encoding.get_type_ids().to_vec(), places }
}

fn places(encoding: &Encoding) -> Vec<Place> {
    let sequences = encoding.get_sequence_ids();
    let special = encoding.get_special_tokens_mask();
    let (offsets, words) = (encoding.get_offsets(), encoding.get_word_ids());
    let place = |(token, sequence): (usize, Option<usize>)| {
        // What a post-processor adds is of no text. A special token that the text spells is.
        let Some(sequence) = sequence.filter(|_| special[token] == 0) else { return Place::default() };
        let (start, end) = offsets[token];
        Place { start: start as u32, end: end as u32, sequence: Some(sequence as u8), word: words[token] }
    };
    sequences.into_iter().enumerate().map(place).collect()
}

/// Sets `add_prefix_space` of byte-level steps; whether that changed anything.
fn add_prefix_space(step: &mut serde_json::Value) -> bool {
    if matches!(step["type"].as_str(), Some("ByteLevel" | "RobertaProcessing")) && step["add_prefix_space"] == false {
        step["add_prefix_space"] = true.into();
        return true;
    }
    let steps = ["pretokenizers", "processors"].into_iter().find(|name| step[*name].is_array());
    let Some(steps) = steps.and_then(|name| step[name].as_array_mut()) else { return false };
    let mut changed = false;
    for step in steps {
        changed |= add_prefix_space(step);
    }
    changed
}

#[cfg(test)]
mod tests;

//! An encoder of histories whose vectors of items are made by a text encoder that learns with it (Recformer, Li et al. 2023, and
//! UniSRec, Hou et al. 2022, end to end). The blocks of the text encoder come first, then one that makes vectors of items of
//! what it said and lays them along the histories, then those of [`ItemEncoder`].
//!
//! In training a batch brings the texts of the items that it names. Without texts, what was kept of the encoder is read, so that
//! all items can be ranked. B batch, T items of a history, U distinct items of a batch, L tokens, E width of the text encoder,
//! D hidden size.

use super::ItemEncoder;
use crate::heads::ITEM_CANDIDATES;
use crate::item_texts::{ITEM_ATTENTION_MASK, ITEM_HAS_TEXT, ITEM_INPUT_IDS, ITEM_NUMBERS, ItemTexts, rows_of};
use crate::{Body, Head, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::tch::{Kind, Tensor};
use std::ops::Range;

/// Items of the histories [B, T], beside what the text encoder computes.
const HISTORY: &str = "history.items";
/// Their mask [B, T].
const HISTORY_MASK: &str = "history.attention_mask";
/// In front of what is beside for the histories alone.
const OF_HISTORY: &str = "history.";

/// The encoder.
pub struct TextItemEncoder {
    texts: Box<dyn Body>,
    /// Makes a vector of a text.
    pooling: Box<dyn Head>,
    items: ItemEncoder,
}

impl TextItemEncoder {
    /// A text encoder with its pooling below an encoder of histories, which begins above its last block.
    pub fn new(texts: Box<dyn Body>, pooling: Box<dyn Head>, items: ItemEncoder) -> Self {
        Self { texts, pooling, items }
    }

    /// The block that makes vectors of items of texts.
    fn front(&self) -> usize {
        self.items.first_block()
    }

    /// Vectors of texts [U, E], zeros where there are none.
    fn pooled(&self, state: &State, has_text: &Tensor, train: bool) -> Result<Tensor, ModelError> {
        let said = self.pooling.forward(state, train)?;
        Ok(said.get("sentence_embedding")?.f_mul(&has_text.to_kind(Kind::Float).unsqueeze(-1))?)
    }

    fn enter(&self, state: &State, train: bool) -> Result<State, ModelError> {
        let ids = state.beside.get(HISTORY)?;
        let vectors = self.items.vectors();
        let (x, candidates, mask) = match state.beside.optional(ITEM_NUMBERS) {
            Some(numbers) => {
                let pooled = self.pooled(state, state.beside.get(ITEM_HAS_TEXT)?, train)?;
                let candidates = vectors.made_of(&pooled, train); // [U, D]
                let rows = rows_of(ids, numbers);
                let x = candidates.f_index_select(0, &rows.flatten(0, -1))?;
                let (batch, places) = ids.size2()?;
                (x.view([batch, places, -1]), Some(candidates), state.beside.optional(HISTORY_MASK))
            }
            None => (vectors.made_of(&state.hidden, train), None, state.mask.as_ref()),
        };
        let hidden = self.items.enter(&x, ids, train);
        let mask = mask.map(Tensor::shallow_clone);
        let beside = state.beside.iter().filter(|(name, _)| !name.starts_with(OF_HISTORY));
        let mut beside: Tensors = beside.map(|(name, it)| (name.to_owned(), it.shallow_clone())).collect();
        beside.extend(candidates.map(|it| (ITEM_CANDIDATES.to_owned(), it)));
        Ok(State { hidden, mask, beside })
    }
}

/// The inputs of the text encoder.
fn of_texts(inputs: &Tensors, tokens: &Tensor) -> Result<Tensors, ModelError> {
    let mask = inputs.get(ITEM_ATTENTION_MASK)?;
    Ok(Tensors::from([("input_ids", tokens.shallow_clone()), ("attention_mask", mask.shallow_clone())]))
}

impl Body for TextItemEncoder {
    fn blocks(&self) -> usize {
        self.items.blocks()
    }

    fn width(&self) -> i64 {
        self.items.width()
    }

    /// `input_ids` and `attention_mask` [B, T], and for training the texts of their items.
    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let ids = inputs.get("input_ids")?;
        let mask = inputs.optional("attention_mask").map(Tensor::shallow_clone);
        let Some(tokens) = inputs.optional(ITEM_INPUT_IDS) else {
            let kept = self.items.vectors().kept(ids).ok_or_else(|| {
                ModelError::of_field("item_features", "is missing: nothing was kept of the texts of items".to_owned())
            })?;
            let beside = Tensors::from([(HISTORY, ids.shallow_clone())]);
            return Ok(State { mask, beside, ..State::new(kept) });
        };
        let mut state = self.texts.begin(&of_texts(inputs, tokens)?, mode)?;
        state.beside.insert(HISTORY, ids.shallow_clone());
        state.beside.extend(mask.map(|mask| (HISTORY_MASK.to_owned(), mask)));
        for name in [ITEM_NUMBERS, ITEM_HAS_TEXT] {
            state.beside.insert(name, inputs.get(name)?.shallow_clone());
        }
        Ok(state)
    }

    fn run(&self, from: State, blocks: Range<usize>, reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let (mut state, front) = (from, self.front());
        let below = blocks.start..blocks.end.min(front);
        if !below.is_empty() && state.beside.optional(ITEM_NUMBERS).is_some() {
            state = self.texts.run(state, below, self.pooling.reads(), mode)?;
        }
        if blocks.contains(&front) {
            state = mode.block(front, |train| self.enter(&state, train))?;
        }
        let above = blocks.start.max(front + 1)..blocks.end;
        if above.is_empty() { Ok(state) } else { self.items.run(state, above, reads, mode) }
    }

    /// That of the histories: how many texts a batch holds depends on all of its rows.
    fn work(&self, items: f64, reads: Reads) -> f64 {
        self.items.work(items, reads)
    }

    fn item_texts(&self) -> Option<&dyn ItemTexts> {
        Some(self)
    }
}

impl ItemTexts for TextItemEncoder {
    fn encode(&self, inputs: &Tensors) -> Result<Tensor, ModelError> {
        let mode = Mode::evaluation();
        let state = self.texts.begin(&of_texts(inputs, inputs.get(ITEM_INPUT_IDS)?)?, &mode)?;
        let state = self.texts.run(state, 1..self.texts.blocks() + 1, self.pooling.reads(), &mode)?;
        self.pooled(&state, inputs.get(ITEM_HAS_TEXT)?, false)
    }

    fn keep(&self, items: &Tensor, said: &Tensor) -> Result<(), ModelError> {
        self.items.vectors().keep(items, said)
    }
}

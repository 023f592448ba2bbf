//! An encoder, and a decoder that reads what it returns (Vaswani et al. 2017): any body may be the encoder whose result is
//! [B, S, D]; its blocks come first, those of the decoder are numbered on from them.
//!
//! B batch, S tokens (or frames) of the source, T tokens of the target, D hidden size.

use super::{LAST, Stack};
use crate::cache::{Cache, Memory, seen};
use crate::target_begin::TargetBegin;
use crate::{Body, Continues, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::tch::{Kind, Tensor};
use std::ops::Range;

/// What the decoder reads of its own text [B, T]: an input, or beside hidden states.
const IDS: &str = "decoder_input_ids";
/// Which of these are no padding [B, T]: an input, or beside hidden states.
const MASK: &str = "decoder_attention_mask";
/// Beside hidden states of the decoder: what the encoder returned [B, S, D].
const ENCODED: &str = "encoder_last_hidden_state";
/// Beside them: which of its tokens are no padding [B, S].
const ENCODED_MASK: &str = "encoder_attention_mask";

/// What a decoder reads where inputs hold no `decoder_input_ids`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecoderInput {
    /// The target (`labels`), moved on by one.
    Target,
    /// The same, and the source where there is no target (BART).
    TargetOrSource,
    /// The source, moved on by one, token by token: nothing is written, and its states are what a head for texts reads. `labels` are
    /// those of the head.
    Source {
        /// The token that ends texts, where a row is read by it.
        end: Option<i64>,
    },
}

/// Both.
pub struct EncoderDecoder {
    encoder: Box<dyn Body>,
    decoder: Stack,
    /// The table that scores of words may be tied to.
    target_table: String,
    begin: Option<TargetBegin>,
    input: DecoderInput,
}

impl EncoderDecoder {
    /// Blocks of `decoder` follow those of `encoder`; its token table has the full name `target_table`. `begin` makes inputs of
    /// targets, where inputs hold nothing but targets.
    pub fn new(encoder: Box<dyn Body>, decoder: Stack, target_table: String, begin: Option<TargetBegin>) -> Self {
        Self { encoder, decoder, target_table, begin, input: DecoderInput::Target }
    }

    /// The same, which reads something else where it is given nothing.
    #[must_use]
    pub fn reading(self, input: DecoderInput) -> Self {
        Self { input, ..self }
    }

    /// `decoder_input_ids`, or what they are made of.
    fn ids(&self, inputs: &Tensors) -> Result<Tensor, ModelError> {
        if let Some(ids) = inputs.optional(IDS) {
            return Ok(ids.shallow_clone());
        }
        let (target, source) = (|| inputs.optional("labels"), || inputs.optional("input_ids"));
        let read = match self.input {
            DecoderInput::Target => target(),
            DecoderInput::TargetOrSource => target().or_else(source),
            DecoderInput::Source { .. } => source(),
        };
        match (self.begin, read) {
            (Some(begin), Some(read)) => Ok(begin.shift(read)),
            _ => inputs.get(IDS).map(Tensor::shallow_clone),
        }
    }

    /// Checks that the decoder reads what the encoder does, and notes where each row ends, if it is read by that.
    fn read_source(&self, inputs: &Tensors, end: Option<i64>, state: &mut State) -> Result<(), ModelError> {
        let (source, read) = (inputs.get("input_ids")?, state.beside.get(IDS)?);
        if read.size() != source.size() {
            let problem =
                format!("the decoder of this model reads what its encoder does, of shape {:?}", source.size());
            return Err(ModelError::InputShape { name: IDS.to_owned(), shape: read.size(), problem });
        }
        if let Some(end) = end {
            state.beside.insert(LAST, last_ends(source, state.mask.as_ref(), end));
        }
        Ok(())
    }

    /// The state in front of the decoder's first layer.
    fn cross(&self, state: State, mode: &Mode) -> Result<State, ModelError> {
        let encoded = self.encoder.last_hidden_state(&state);
        let mut beside = state.beside;
        let ids = beside.get(IDS)?.to_kind(Kind::Int64);
        let x = mode.block(self.encoder.blocks() + 1, |train| self.decoder.embed(&ids, 0, train))?;
        beside.insert(ENCODED, encoded);
        if self.reads_source_again() {
            return Ok(State { hidden: x, mask: state.mask, beside });
        }
        if let Some(mask) = state.mask {
            beside.insert(ENCODED_MASK, mask);
        }
        Ok(State { hidden: x, mask: None, beside })
    }

    /// Whether the tokens of the decoder are those of the encoder: then one mask tells of both.
    fn reads_source_again(&self) -> bool {
        matches!(self.input, DecoderInput::Source { .. })
    }
}

/// 1 at the last token of each row [B, S] of `ids` that is `end` and no padding by `mask` [B, S], 0 elsewhere.
fn last_ends(ids: &Tensor, mask: Option<&Tensor>, end: i64) -> Tensor {
    let ends = ids.eq(end);
    let ends = match mask {
        Some(mask) => ends.logical_and(&mask.to_device(ids.device()).ne(0)),
        None => ends,
    };
    let places = Tensor::arange_start(1, ids.size()[1] + 1, (Kind::Int64, ids.device()));
    // Of rows without it place 0, which is none.
    let (last, _) = (&places * ends.to_kind(Kind::Int64)).max_dim(-1, true);
    places.unsqueeze(0).eq_tensor(&last).to_kind(Kind::Int64)
}

impl Body for EncoderDecoder {
    fn blocks(&self) -> usize {
        self.encoder.blocks() + self.decoder.layers()
    }

    fn width(&self) -> i64 {
        self.decoder.width()
    }

    /// Inputs of the encoder; `decoder_input_ids` [B, T], or what [`DecoderInput`] says that they are made of;
    /// `decoder_attention_mask` [B, T] where it is given.
    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let mut state = self.encoder.begin(inputs, mode)?;
        let ids = self.ids(inputs)?;
        if ids.dim() != 2 || ids.size()[0] != state.hidden.size()[0] || ids.size()[1] == 0 {
            let problem = format!("is not [examples, tokens] of {} examples", state.hidden.size()[0]);
            return Err(ModelError::InputShape { name: IDS.to_owned(), shape: ids.size(), problem });
        }
        if let Some(mask) = inputs.optional(MASK) {
            if mask.size() != ids.size() {
                let problem = format!("{IDS} has {:?}", ids.size());
                return Err(ModelError::InputShape { name: MASK.to_owned(), shape: mask.size(), problem });
            }
            state.beside.insert(MASK, mask.shallow_clone());
        }
        state.beside.insert(IDS, ids);
        if let DecoderInput::Source { end } = self.input {
            self.read_source(inputs, end, &mut state)?;
        }
        Ok(state)
    }

    fn run(&self, from: State, blocks: Range<usize>, _reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let first = self.encoder.blocks() + 1;
        let mut state = from;
        if blocks.start < first {
            state = self.encoder.run(state, blocks.start..blocks.end.min(first), Reads::All, mode)?;
        }
        if blocks.end <= first {
            return Ok(state);
        }
        if blocks.start <= first {
            state = self.cross(state, mode)?;
        }
        let State { hidden: mut x, mask, beside } = state;
        // Else what the mask of a kept state tells of is not these tokens.
        let of_both = mask.filter(|_| self.reads_source_again());
        let (encoded, own) = (beside.get(ENCODED)?.to_kind(x.kind()), beside.optional(MASK));
        let shared = self.decoder.causal(&x, own, 0)?;
        let mask = seen(of_both.as_ref().or(beside.optional(ENCODED_MASK)), &x)?;
        for depth in blocks.start.max(first)..blocks.end {
            let read = Some((&encoded, &mask));
            x = mode.block(depth, |train| self.decoder.layer(depth - first, &x, &shared, read, None, train));
        }
        Ok(State { hidden: x, mask: of_both, beside })
    }

    fn other_states(&self, state: &State) -> Tensors {
        state
            .beside
            .optional(ENCODED)
            .map(|encoded| (ENCODED.to_owned(), encoded.shallow_clone()))
            .into_iter()
            .collect()
    }

    fn work(&self, tokens: f64, reads: Reads) -> f64 {
        self.encoder.work(tokens, reads)
    }

    fn target_work(&self, source: f64, target: f64) -> Option<f64> {
        let read = if self.reads_source_again() { source } else { target };
        Some(self.decoder.work(read, Some(source)))
    }

    fn begin_is_costly(&self) -> bool {
        self.encoder.begin_is_costly()
    }

    fn score_table(&self) -> Option<&str> {
        Some(&self.target_table)
    }

    /// Nothing where nothing is written.
    fn continues(&self) -> Option<&dyn Continues> {
        match self.input {
            DecoderInput::Target | DecoderInput::TargetOrSource => Some(self),
            DecoderInput::Source { .. } => None,
        }
    }
}

impl Continues for EncoderDecoder {
    fn read(&self, inputs: &Tensors) -> Result<Option<Tensors>, ModelError> {
        let (mode, end) = (Mode::evaluation(), self.encoder.blocks() + 1);
        let (begin, state) = match State::of(inputs) {
            Some((begin, _)) if begin >= end => return Ok(None),
            Some((begin, state)) => (begin, State { hidden: state.hidden.to_kind(self.decoder.kind()), ..state }),
            // What is to be written may be known.
            None if self.ids(inputs).is_ok() => (1, self.begin(inputs, &mode)?),
            None => (1, self.encoder.begin(inputs, &mode)?),
        };
        Ok(Some(self.encoder.run(state, begin..end, Reads::All, &mode)?.into_tensors(end)))
    }

    fn cache(&self, inputs: &Tensors) -> Result<Cache, ModelError> {
        let read = self.read(inputs)?;
        let (_, state) = State::of(read.as_ref().unwrap_or(inputs)).expect("what an encoder returned");
        let kind = self.decoder.kind();
        let memory = match state.beside.optional(ENCODED) {
            Some(encoded) => {
                let mask = state.beside.optional(ENCODED_MASK).map(Tensor::shallow_clone);
                Memory::new(encoded.to_kind(kind), mask)?
            }
            None => {
                let state = State { hidden: state.hidden.to_kind(kind), ..state };
                Memory::new(self.encoder.last_hidden_state(&state), state.mask)?
            }
        };
        Ok(Cache::new((0..self.decoder.layers()).map(|_| None)).over(memory))
    }

    fn longest(&self) -> Option<i64> {
        self.decoder.longest()
    }

    fn go_on(&self, input_ids: &Tensor, attention_mask: &Tensor, cache: &mut Cache) -> Result<State, ModelError> {
        let past = cache.length();
        let (mask, _) = cache.extend(attention_mask);
        let mut x = self.decoder.embed(input_ids, past, false)?;
        let shared = self.decoder.causal(&x, Some(&mask), past)?;
        let Cache { layers, memory, .. } = cache;
        let memory = memory.as_ref().expect("a cache over what the encoder read");
        for (index, layer) in layers.iter_mut().enumerate() {
            let read = Some((memory.states(), memory.mask()));
            x = self.decoder.layer(index, &x, &shared, read, Some(layer), false);
        }
        Ok(State::new(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_end_at_their_last_end_that_is_no_padding() {
        let ids = Tensor::from_slice2(&[[5i64, 2, 6, 2], [2, 7, 2, 2], [5, 6, 7, 8]]);
        let mask = Tensor::from_slice2(&[[1i64, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]]);
        let rows = |it: Tensor| Vec::<i64>::try_from(it.view([-1])).unwrap();
        assert_eq!(rows(last_ends(&ids, Some(&mask), 2)), [0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0]);
        assert_eq!(rows(last_ends(&ids, None, 2)), [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]);
    }
}

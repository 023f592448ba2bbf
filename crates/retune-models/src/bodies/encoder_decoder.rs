//! An encoder, and a decoder that reads what it returns (Vaswani et al. 2017): any body may be the encoder whose result is
//! [B, S, D]; its blocks come first, those of the decoder are numbered on from them.
//!
//! B batch, S tokens (or frames) of the source, T tokens of the target, D hidden size.

use super::Stack;
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

/// Both.
pub struct EncoderDecoder {
    encoder: Box<dyn Body>,
    decoder: Stack,
    /// The table that scores of words may be tied to.
    target_table: String,
    begin: Option<TargetBegin>,
    /// Whether a decoder that is given nothing reads the source, moved on by one (BART).
    reads_source: bool,
}

impl EncoderDecoder {
    /// Blocks of `decoder` follow those of `encoder`; its token table has the full name `target_table`. `begin` makes inputs of
    /// targets, where inputs hold nothing but targets.
    pub fn new(encoder: Box<dyn Body>, decoder: Stack, target_table: String, begin: Option<TargetBegin>) -> Self {
        Self { encoder, decoder, target_table, begin, reads_source: false }
    }

    /// The same, which reads the source where it is given nothing.
    #[must_use]
    pub fn reading_the_source(self) -> Self {
        Self { reads_source: true, ..self }
    }

    /// `decoder_input_ids`, or what they are for `labels`.
    fn ids(&self, inputs: &Tensors) -> Result<Tensor, ModelError> {
        if let Some(ids) = inputs.optional(IDS) {
            return Ok(ids.shallow_clone());
        }
        let source = || inputs.optional("input_ids").filter(|_| self.reads_source);
        match (self.begin, inputs.optional("labels").or_else(source)) {
            (Some(begin), Some(targets)) => Ok(begin.shift(targets)),
            _ => inputs.get(IDS).map(Tensor::shallow_clone),
        }
    }

    /// The state in front of the decoder's first layer.
    fn cross(&self, state: State, mode: &Mode) -> Result<State, ModelError> {
        let encoded = self.encoder.last_hidden_state(&state);
        let mut beside = state.beside;
        let ids = beside.get(IDS)?.to_kind(Kind::Int64);
        let x = mode.block(self.encoder.blocks() + 1, |train| self.decoder.embed(&ids, 0, train))?;
        beside.insert(ENCODED, encoded);
        if let Some(mask) = state.mask {
            beside.insert(ENCODED_MASK, mask);
        }
        Ok(State { hidden: x, mask: None, beside })
    }
}

impl Body for EncoderDecoder {
    fn blocks(&self) -> usize {
        self.encoder.blocks() + self.decoder.layers()
    }

    fn width(&self) -> i64 {
        self.decoder.width()
    }

    /// Inputs of the encoder; `decoder_input_ids` [B, T], or `labels` that they are made of; `decoder_attention_mask` [B, T]
    /// where it is given.
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
        let State { hidden: mut x, beside, .. } = state;
        let (encoded, own) = (beside.get(ENCODED)?.to_kind(x.kind()), beside.optional(MASK));
        let shared = self.decoder.causal(&x, own, 0)?;
        let mask = seen(beside.optional(ENCODED_MASK), &x)?;
        for depth in blocks.start.max(first)..blocks.end {
            let read = Some((&encoded, &mask));
            x = mode.block(depth, |train| self.decoder.layer(depth - first, &x, &shared, read, None, train));
        }
        // What the mask of a kept state tells of is not these tokens.
        Ok(State { hidden: x, mask: None, beside })
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
        Some(self.decoder.work(target, Some(source)))
    }

    fn begin_is_costly(&self) -> bool {
        self.encoder.begin_is_costly()
    }

    fn score_table(&self) -> Option<&str> {
        Some(&self.target_table)
    }

    fn continues(&self) -> Option<&dyn Continues> {
        Some(self)
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

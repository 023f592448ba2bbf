//! Encoder–decoders over texts as data. Each of them has a head for the text that is written, and heads over the text that is read
//! where Hugging Face has classes for them.

use super::{Becomes, Family, Fresh, Serving, TensorNames, served};
use crate::bodies::{DecoderInput, EncoderDecoder, SequenceEncoder, Stack, StackNames, StackSizes};
use crate::checkpoint::{Init, Weights};
use crate::heads::{
    QUESTION_ANSWERING, SEQUENCE_CLASSIFICATION, SEQUENCE_TO_SEQUENCE, SequencePlan, SpanPlan, TargetTokenPlan,
};
use crate::target_begin::token;
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes, TargetBegin};
use retune_kernels::Table;
use retune_kernels::tch::{Kind, Tensor};
use serde_json::Value;

/// Path of the table that both stacks share, below the base.
const SHARED: &str = "shared";
/// Path of a table of its own, below a stack.
const OWN: &str = "embed_tokens";

/// One stack.
pub struct StackPlan {
    /// Its path below the base.
    pub path: &'static str,
    /// How its tensors are called.
    pub names: StackNames,
    /// Its sizes.
    pub sizes: StackSizes,
    /// Rows of its token table.
    pub vocabulary: i64,
}

/// What config.json says of a model.
pub struct EncoderDecoderPlan {
    /// Reads.
    pub encoder: StackPlan,
    /// Writes.
    pub decoder: StackPlan,
    /// Which token tables there are.
    pub tables: Tables,
    /// The token of padding: its embedding learns nothing.
    pub padding: Option<i64>,
    /// Longest source, where there is an end.
    pub longest: Option<usize>,
}

/// Which token tables there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// One for both stacks, unless the file holds others.
    Tied,
    /// One for each stack, where the file holds them, beside one that is not read.
    Untied,
    /// One for each stack.
    Apart,
}

/// What a decoder is for, and its heads.
pub enum DecoderUse {
    /// It writes.
    Writes {
        /// By this head.
        head: TargetTokenPlan,
        /// Whether a decoder that is given nothing reads the source.
        reads_source: bool,
    },
    /// It reads the source, too.
    Reads {
        /// A class for each text.
        sequence: Option<SequencePlan>,
        /// Answers to questions.
        spans: Option<SpanPlan>,
    },
}

/// A family of encoder–decoders.
pub struct EncoderDecoderFamily {
    /// `model_type`.
    pub model_type: &'static str,
    /// How the names of Hugging Face's classes begin.
    pub class: &'static str,
    /// How the class for writing ends.
    pub ending: &'static str,
    /// How tensors are called.
    pub names: TensorNames,
    /// What its decoder is for.
    pub decoder: DecoderUse,
    /// What serves other purposes in its place.
    pub others: Serving,
    /// What the configuration class assumes.
    pub defaults: fn() -> Vec<(&'static str, Value)>,
    /// Reads the sizes.
    pub plan: fn(&ModelConfig) -> Result<EncoderDecoderPlan, ModelError>,
    /// How targets become inputs of the decoder.
    pub begin: fn(&ModelConfig) -> Result<TargetBegin, ModelError>,
    /// How it is made from nothing.
    pub fresh: Option<Fresh>,
}

/// The full name of the table at a path.
fn weight_of(at: &Weights<'_>) -> String {
    format!("{}.weight", at.path())
}

impl EncoderDecoderPlan {
    fn table(&self, at: &Weights<'_>, rows: i64) -> Result<Table, ModelError> {
        let init = Init::Normal(at.initializer_range());
        Ok(at.table("weight", [rows, self.encoder.sizes.layer.hidden], init)?.with_padding(self.padding))
    }

    /// The token table of an encoder without its decoder, and its name.
    pub(super) fn source_table(&self, weights: &Weights<'_>) -> Result<(Table, String), ModelError> {
        let (shared, own) = (weights.at(SHARED), weights.at(self.encoder.path).at(OWN));
        let has_own = self.tables != Tables::Tied || own.differs("weight", &weight_of(&shared))?;
        let chosen = if has_own { own } else { shared };
        Ok((self.table(&chosen, self.encoder.vocabulary)?, weight_of(&chosen)))
    }

    /// The token tables of encoder and decoder, and the name of the one that scores may be tied to: the decoder's own where stacks are
    /// untied, else the shared one, also where the file holds another for the decoder. `blocks` are those of the encoder.
    fn tables(&self, weights: &Weights<'_>, blocks: usize) -> Result<(Table, Table, String), ModelError> {
        let width = self.encoder.sizes.layer.hidden;
        let load = |at: &Weights<'_>, rows: i64| self.table(at, rows);
        let shared = weights.at(SHARED);
        let name = weight_of;
        let own = |stack: &StackPlan, depth: usize| weights.at(stack.path).at(OWN).depth(depth);
        let (of_encoder, of_decoder) = (own(&self.encoder, 0), own(&self.decoder, blocks + 1));
        let (rows, target_rows) = (self.encoder.vocabulary, self.decoder.vocabulary);
        if self.tables == Tables::Apart {
            let tables = (load(&of_encoder, rows)?, load(&of_decoder, target_rows)?);
            return Ok((tables.0, tables.1, name(&of_decoder)));
        }
        let untied = self.tables == Tables::Untied;
        let has_own = |at: &Weights<'_>| match untied {
            true => Ok(at.is_at_hand("weight")),
            false => at.differs("weight", &name(&shared)),
        };
        let apart = [has_own(&of_encoder)?, has_own(&of_decoder)?];
        let unshared = untied && apart == [true, true];
        if unshared && shared.is_stored("weight") {
            // transformers stores it, and nothing reads it.
            shared.fixed("weight", Tensor::zeros([rows, width], (Kind::Float, weights.device())))?;
        }
        let both = if unshared { None } else { Some(load(&shared, rows)?) };
        let choose = |has_own: bool, at: &Weights<'_>, rows: i64| match &both {
            Some(both) if !has_own => Ok(both.clone()),
            _ => load(at, rows),
        };
        let (source, target) = (choose(apart[0], &of_encoder, rows)?, choose(apart[1], &of_decoder, target_rows)?);
        let scored = if untied && apart[1] { name(&of_decoder) } else { name(&shared) };
        Ok((source, target, scored))
    }
}

impl Family for EncoderDecoderFamily {
    fn model_type(&self) -> &'static str {
        self.model_type
    }

    fn class(&self) -> &'static str {
        self.class
    }

    fn architecture(&self, _config: &ModelConfig, purpose: &Purpose) -> String {
        let ending = if *purpose == SEQUENCE_TO_SEQUENCE { self.ending } else { purpose.class_ending };
        format!("{}{ending}", self.class)
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        let mut heads: Vec<(&'static Purpose, Box<dyn HeadPlan>)> = Vec::new();
        match self.decoder {
            DecoderUse::Writes { head, .. } => heads.push((&SEQUENCE_TO_SEQUENCE, Box::new(head))),
            DecoderUse::Reads { sequence, spans } => {
                heads.extend(sequence.map(|plan| (&SEQUENCE_CLASSIFICATION, Box::new(plan) as _)));
                heads.extend(spans.map(|plan| (&QUESTION_ANSWERING, Box::new(plan) as _)));
            }
        }
        heads
    }

    fn becomes(&self, purpose: Option<&Purpose>) -> Option<Becomes> {
        served(self.others, purpose)
    }

    fn names(&self) -> &TensorNames {
        &self.names
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        (self.defaults)()
    }

    fn fresh(&self) -> Option<Fresh> {
        self.fresh
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let plan = (self.plan)(config)?;
        Ok(Takes::Tokens { longest: plan.longest, vocabulary: plan.encoder.vocabulary as usize })
    }

    fn target_begin(&self, config: &ModelConfig) -> Option<Result<TargetBegin, ModelError>> {
        Some((self.begin)(config))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let plan = (self.plan)(config)?;
        let at_base = weights.at(self.names.base);
        let blocks = plan.encoder.sizes.layers;
        let (source, target, target_name) = plan.tables(&at_base, blocks)?;
        let EncoderDecoderPlan { encoder, decoder, .. } = plan;
        let encoder = Stack::load(&at_base.at(encoder.path), &encoder.names, encoder.sizes, source, (0, 1))?;
        let first = blocks + 1;
        let decoder = Stack::load(&at_base.at(decoder.path), &decoder.names, decoder.sizes, target, (first, first))?;
        let (begin, input) = match self.decoder {
            // Without a begin, inputs of the decoder have to be given.
            DecoderUse::Writes { reads_source: false, .. } => ((self.begin)(config).ok(), DecoderInput::Target),
            DecoderUse::Writes { reads_source: true, .. } => ((self.begin)(config).ok(), DecoderInput::TargetOrSource),
            DecoderUse::Reads { sequence, .. } => {
                let end = sequence.map(|_| token(config, "eos_token_id")).transpose()?;
                (Some((self.begin)(config)?), DecoderInput::Source { end })
            }
        };
        let encoder = Box::new(SequenceEncoder::new(encoder));
        Ok(Box::new(EncoderDecoder::new(encoder, decoder, target_name, begin).reading(input)))
    }
}

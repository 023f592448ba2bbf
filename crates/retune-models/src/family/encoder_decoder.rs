//! Encoder–decoders over texts as data. Each of them has a head for the text that is written.

use super::{Family, Fresh, TensorNames};
use crate::bodies::{EncoderDecoder, SequenceEncoder, Stack, StackNames, StackSizes};
use crate::checkpoint::{Init, Weights};
use crate::heads::{SEQUENCE_TO_SEQUENCE, TargetTokenPlan};
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
    /// The head.
    pub target_token: TargetTokenPlan,
    /// What the configuration class assumes.
    pub defaults: fn() -> Vec<(&'static str, Value)>,
    /// Reads the sizes.
    pub plan: fn(&ModelConfig) -> Result<EncoderDecoderPlan, ModelError>,
    /// How targets become inputs of the decoder.
    pub begin: fn(&ModelConfig) -> Result<TargetBegin, ModelError>,
    /// Whether a decoder that is given nothing reads the source.
    pub reads_source: bool,
    /// How it is made from nothing.
    pub fresh: Option<Fresh>,
}

impl EncoderDecoderPlan {
    /// The token tables of encoder and decoder, and the name of the one that scores may be tied to: the decoder's own where stacks are
    /// untied, else the shared one, also where the file holds another for the decoder. `blocks` are those of the encoder.
    fn tables(&self, weights: &Weights<'_>, blocks: usize) -> Result<(Table, Table, String), ModelError> {
        let init = Init::Normal(weights.initializer_range());
        let width = self.encoder.sizes.layer.hidden;
        let load = |at: &Weights<'_>, rows: i64| {
            Ok::<_, ModelError>(at.table("weight", [rows, width], init)?.with_padding(self.padding))
        };
        let shared = weights.at(SHARED);
        let name = |at: &Weights<'_>| format!("{}.weight", at.path());
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

    fn architecture(&self, _config: &ModelConfig, _purpose: &Purpose) -> String {
        format!("{}{}", self.class, self.ending)
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&SEQUENCE_TO_SEQUENCE, Box::new(self.target_token))]
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
        // Without it, inputs of the decoder have to be given.
        let begin = (self.begin)(config).ok();
        let body = EncoderDecoder::new(Box::new(SequenceEncoder::new(encoder)), decoder, target_name, begin);
        Ok(Box::new(if self.reads_source { body.reading_the_source() } else { body }))
    }
}

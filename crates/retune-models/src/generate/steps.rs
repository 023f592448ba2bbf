//! What a search asks of a model: scores of the next token, one step at a time.

use crate::cache::Cache;
use crate::{Continues, Head, ModelError, Network, State, Tensors};
use retune_kernels::tch::{Kind, Tensor, no_grad};

/// A model that writes several texts at once. R rows, T tokens, V vocabulary. An encoder–decoder has read its sources before, and
/// keeps keys and values of its cross-attention beside those of the texts.
pub trait Steps {
    /// Takes the next tokens of each row, int64 [R, T] (at first whole prompts, afterwards one token each); returns the scores of
    /// the token after them, fp32 [R, V].
    ///
    /// # Errors
    /// Texts that are too long.
    fn step(&mut self, tokens: &Tensor) -> Result<Tensor, ModelError>;
    /// Goes on with these of its rows, in this order: int64 \[R\]. A row may come several times, or no more.
    fn choose(&mut self, rows: &Tensor);
    /// Longest text that there are positions for, where there is an end.
    fn longest(&self) -> Option<usize>;
}

/// A decoder, alone or over an encoder.
pub struct DecoderSteps<'a> {
    body: &'a dyn Continues,
    head: &'a dyn Head,
    cache: Cache,
    /// Which tokens of the prompts are no padding, int64 [R, T], until they have been read.
    prompts: Option<Tensor>,
}

impl<'a> DecoderSteps<'a> {
    /// For prompts with this `attention_mask`, int64 [R, T]; padding stands before them.
    ///
    /// # Errors
    /// A network that does not continue texts.
    pub fn new(network: &'a Network, attention_mask: &Tensor) -> Result<Self, ModelError> {
        let steps = Self::over(network, &Tensors::default())?;
        Ok(Self { prompts: Some(attention_mask.shallow_clone()), ..steps })
    }

    /// For texts that are written about `inputs` of an encoder, which reads them here; their prompts have no padding.
    ///
    /// # Errors
    /// A network that does not continue texts, inputs that are missing or do not fit.
    pub fn over(network: &'a Network, inputs: &Tensors) -> Result<Self, ModelError> {
        let (Some(body), Some(head)) = (network.body.continues(), &network.head) else {
            return Err(ModelError::Generation(
                "this model does not continue texts; its head is for something else".into(),
            ));
        };
        let cache = no_grad(|| body.cache(inputs))?;
        Ok(Self { body, head: head.as_ref(), cache, prompts: None })
    }
}

impl Steps for DecoderSteps<'_> {
    fn step(&mut self, tokens: &Tensor) -> Result<Tensor, ModelError> {
        no_grad(|| {
            let mask = self.prompts.take().unwrap_or_else(|| tokens.ones_like());
            let State { hidden, mask, beside } = self.body.go_on(tokens, &mask, &mut self.cache)?;
            let last = State { hidden: hidden.narrow(1, hidden.size()[1] - 1, 1), mask, beside };
            Ok(self.head.forward(&last, false)?.get("logits")?.squeeze_dim(1).to_kind(Kind::Float))
        })
    }

    fn choose(&mut self, rows: &Tensor) {
        no_grad(|| self.cache.choose(rows));
    }

    fn longest(&self) -> Option<usize> {
        self.body.longest().map(|longest| longest as usize)
    }
}

//! What a model says of a row: how likely its tokens were, how it answers its prompt, or how it goes on.

use crate::metric::TokenSums;
use anyhow::Result;
use retune_kernels::tch::{Kind, Tensor};
use retune_models::generate::{Continuation, DecoderSteps, GenerationSettings, Prompts, generate};
use retune_models::{Network, Tensors};

/// Of one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// How likely its tokens were, and what was answered to its prompt where that was asked.
    Scored {
        /// Of the tokens that count.
        sums: TokenSums,
        /// The answer.
        written: Option<Written>,
    },
    /// What follows it.
    Written(Written),
}

/// New tokens.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written {
    /// Their ids.
    pub(super) tokens: Vec<u32>,
    /// Their summed log-probability.
    pub(super) score: f64,
}

impl From<Continuation> for Written {
    fn from(one: Continuation) -> Self {
        Self { tokens: one.tokens.into_iter().map(|token| token as u32).collect(), score: one.score }
    }
}

/// Continues the rows of a batch, which has padding behind them; `keys` stand for them in draws.
pub(super) fn continued(
    network: &Network,
    inputs: &Tensors,
    settings: &GenerationSettings,
    keys: Vec<u64>,
) -> Result<Vec<Answer>> {
    let ids = inputs.get("input_ids")?;
    let mask = inputs.get("attention_mask")?.f_to_device(ids.device())?.f_to_kind(Kind::Int64)?;
    let (ids, mask) = before(ids, &mask)?;
    let found = written(network, (&ids, &mask), settings, keys)?;
    Ok(found.into_iter().map(Answer::Written).collect())
}

/// What follows prompts [R, T] with their padding before them; `mask` says what is none.
pub(super) fn written(
    network: &Network,
    (ids, mask): (&Tensor, &Tensor),
    settings: &GenerationSettings,
    keys: Vec<u64>,
) -> Result<Vec<Written>> {
    let mut steps = DecoderSteps::new(network, mask)?;
    let found = generate(&mut steps, &Prompts::new(ids, mask, keys)?, settings, &mut |_, _| ())?;
    Ok(found.into_iter().map(Written::from).collect())
}

/// The same rows with their padding before them.
fn before(ids: &Tensor, mask: &Tensor) -> Result<(Tensor, Tensor)> {
    // A stable order that puts padding, which is 0, before the rest.
    let (_, order) = mask.f_sort_stable(true, 1, false)?;
    Ok((ids.f_gather(1, &order, false)?, mask.f_gather(1, &order, false)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_goes_before_the_text() {
        let ids = Tensor::from_slice2(&[[5i64, 6, 0], [7, 8, 9]]);
        let mask = Tensor::from_slice2(&[[1i64, 1, 0], [1, 1, 1]]);
        let (ids, mask) = before(&ids, &mask).unwrap();
        assert_eq!(Vec::<i64>::try_from(ids.view([-1])).unwrap(), [0, 5, 6, 7, 8, 9]);
        assert_eq!(Vec::<i64>::try_from(mask.view([-1])).unwrap(), [0, 1, 1, 1, 1, 1]);
    }
}

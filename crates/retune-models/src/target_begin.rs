//! How the text that a decoder writes begins, and what it reads while it learns: the target, moved on by one.

use crate::ModelError;
use crate::config::ModelConfig;
use retune_kernels::loss::IGNORE_INDEX;
use retune_kernels::tch::{Kind, Tensor};

/// What stands before the first token of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstToken {
    /// Always the same.
    Fixed(i64),
    /// The last one of the target itself: a language code, or the end (mBART).
    LastOfTarget,
}

/// How targets become the input of a decoder: transformers' `shift_tokens_right`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetBegin {
    /// What stands before the first token.
    pub first: FirstToken,
    /// The token of padding, which stands where there is no target.
    pub padding: i64,
}

impl TargetBegin {
    /// `decoder_start_token_id` and `pad_token_id` of config.json.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn fixed(config: &ModelConfig) -> Result<Self, ModelError> {
        let first = FirstToken::Fixed(token(config, "decoder_start_token_id")?);
        Ok(Self { first, padding: token(config, "pad_token_id")? })
    }

    /// The last token of the target, and `pad_token_id` of config.json.
    ///
    /// # Errors
    /// It is not there.
    pub fn last_of_target(config: &ModelConfig) -> Result<Self, ModelError> {
        Ok(Self { first: FirstToken::LastOfTarget, padding: token(config, "pad_token_id")? })
    }

    /// `decoder_input_ids` for `labels` [B, T], where [`IGNORE_INDEX`] is no target.
    pub fn shift(&self, labels: &Tensor) -> Tensor {
        let ids = labels.masked_fill(&labels.eq(IGNORE_INDEX), self.padding);
        let (rows, tokens) = (ids.size()[0], ids.size()[1]);
        let first = match self.first {
            FirstToken::Fixed(token) => Tensor::full([rows, 1], token, (Kind::Int64, ids.device())),
            FirstToken::LastOfTarget => {
                let count = ids.ne(self.padding).sum_dim_intlist([1i64].as_slice(), true, Kind::Int64);
                ids.gather(1, &(count - 1).remainder(tokens), false)
            }
        };
        Tensor::cat(&[first, ids.narrow(1, 0, tokens - 1)], 1)
    }

    /// The same of one row, whose `target` has no padding.
    pub fn shift_row(&self, target: &[i64]) -> Vec<i64> {
        let first = match self.first {
            FirstToken::Fixed(token) => Some(token),
            FirstToken::LastOfTarget => target.last().copied(),
        };
        first.into_iter().chain(target.iter().copied()).take(target.len()).collect()
    }
}

/// A token of config.json.
pub(crate) fn token(config: &ModelConfig, field: &str) -> Result<i64, ModelError> {
    let value = config.number(field)?;
    if value >= 0.0 && value.fract() == 0.0 {
        return Ok(value as i64);
    }
    Err(ModelError::Config { field: field.to_owned(), problem: format!("is {value}, which is no token") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_move_on_by_one() {
        let labels = Tensor::from_slice2(&[[5i64, 6, 7], [8, 9, IGNORE_INDEX]]);
        let shifted = |first| {
            let begin = TargetBegin { first, padding: 1 };
            let rows = [&[5i64, 6, 7][..], &[8, 9]].map(|row| begin.shift_row(row));
            let whole = Vec::<i64>::try_from(begin.shift(&labels).view([-1])).unwrap();
            assert_eq!(rows[0], whole[..3]);
            assert_eq!(rows[1], whole[3..5]);
            whole
        };
        assert_eq!(shifted(FirstToken::Fixed(2)), [2, 5, 6, 2, 8, 9]);
        assert_eq!(shifted(FirstToken::LastOfTarget), [7, 5, 6, 9, 8, 9]);
    }
}

//! The one mask convention of the workspace: `true` where a token may be attended to.

use crate::KernelError;
use tch::{Device, Kind, Tensor};

/// Which keys each query may attend to, broadcast over heads and queries.
#[derive(Debug)]
pub struct AttentionMask {
    allowed: Tensor, // bool [B, 1, 1, S]
    trivial: bool,
}

impl AttentionMask {
    /// From Hugging Face's `attention_mask` [B, S], 1 for a token and 0 for padding.
    ///
    /// Rows that attend to nothing are refused; on an accelerator the check is left to the host side that made
    /// the batch, because it would wait for the device.
    pub fn padding(attention_mask: &Tensor) -> Result<Self, KernelError> {
        let allowed = attention_mask.to_kind(Kind::Bool);
        let mut trivial = false;
        if allowed.device() == Device::Cpu {
            let tokens = allowed.sum_dim_intlist([1i64].as_slice(), false, Kind::Int64);
            if let Some(row) = Vec::<i64>::try_from(&tokens)?.iter().position(|&n| n == 0) {
                return Err(KernelError::EmptyMaskRow { row: row as i64 });
            }
            trivial = tokens.min().int64_value(&[]) == allowed.size()[1];
        }
        Ok(Self { allowed: allowed.unsqueeze(1).unsqueeze(1), trivial })
    }

    /// Every key may be attended to, known without looking at a device.
    pub fn is_trivial(&self) -> bool {
        self.trivial
    }

    /// Whether each key may be attended to, bool [B, S].
    pub(crate) fn keys(&self) -> Tensor {
        self.allowed.squeeze_dim(1).squeeze_dim(1)
    }

    /// 0 where attention is allowed and the lowest finite number elsewhere, [B, 1, 1, S].
    pub fn additive(&self, kind: Kind) -> Tensor {
        let lowest = match kind {
            Kind::Half => -65504.0,
            // Finite in bf16 too.
            _ => -3.0e38,
        };
        Tensor::zeros_like(&self.allowed).to_kind(kind).masked_fill(&self.allowed.logical_not(), lowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_padding_is_refused() {
        let mask = Tensor::from_slice2(&[[1i64, 1], [0, 0]]);
        assert!(matches!(AttentionMask::padding(&mask), Err(KernelError::EmptyMaskRow { row: 1 })));
    }

    #[test]
    fn padding_gets_the_lowest_score() {
        let mask = AttentionMask::padding(&Tensor::from_slice2(&[[1i64, 0], [1, 1]])).unwrap();
        assert!(!mask.is_trivial());
        let additive = mask.additive(Kind::Float);
        assert_eq!(additive.double_value(&[0, 0, 0, 0]), 0.0);
        assert!(additive.double_value(&[0, 0, 0, 1]) < -1e38);
    }
}

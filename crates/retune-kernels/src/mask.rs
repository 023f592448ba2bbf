//! The one mask convention of the workspace: `true` where a token may be attended to.

use crate::{KernelError, Packing, device};
use tch::{Device, Kind, Tensor};

/// Which keys each query may attend to, the same for all heads.
#[derive(Debug)]
pub struct AttentionMask(Allowed);

#[derive(Debug)]
enum Allowed {
    /// Those that are no padding.
    Keys {
        open: Tensor, // bool [B, S]
        trivial: bool,
    },
    /// Those of its own sequence.
    Sequence(Packing),
}

impl AttentionMask {
    /// From Hugging Face's `attention_mask` [B, S], 1 for a token and 0 for padding, for activations on `device`. Best
    /// given on the host: what is elsewhere is waited for.
    ///
    /// Rows that attend to nothing are refused.
    pub fn padding(attention_mask: &Tensor, device: Device) -> Result<Self, KernelError> {
        let open = attention_mask.f_to_device(Device::Cpu)?.f_to_kind(Kind::Bool)?;
        let tokens = open.sum_dim_intlist([1i64].as_slice(), false, Kind::Int64);
        if let Some(row) = Vec::<i64>::try_from(&tokens)?.iter().position(|&n| n == 0) {
            return Err(KernelError::EmptyMaskRow { row: row as i64 });
        }
        let trivial = tokens.min().int64_value(&[]) == open.size()[1];
        Ok(Self(Allowed::Keys { open: device::send(&open, device)?, trivial }))
    }

    /// For a packed batch.
    pub fn packed(packing: Packing) -> Self {
        Self(Allowed::Sequence(packing))
    }

    /// Every key may be attended to.
    pub fn is_trivial(&self) -> bool {
        matches!(self.0, Allowed::Keys { trivial: true, .. })
    }

    /// How the batch is packed, if it is.
    pub fn packing(&self) -> Option<&Packing> {
        match &self.0 {
            Allowed::Sequence(packing) => Some(packing),
            Allowed::Keys { .. } => None,
        }
    }

    /// Whether each key may be attended to, bool [B, S]; `None` for a packed batch.
    pub(crate) fn keys(&self) -> Option<&Tensor> {
        match &self.0 {
            Allowed::Keys { open, .. } => Some(open),
            Allowed::Sequence(_) => None,
        }
    }

    /// 0 where attention of `queries` tokens to `tokens` is allowed and the lowest finite number elsewhere:
    /// [B, 1, 1, S], packed [1, 1, M, N].
    pub fn additive(&self, (queries, tokens): (i64, i64), kind: Kind) -> Tensor {
        let allowed = match &self.0 {
            Allowed::Keys { open, .. } => open.unsqueeze(1).unsqueeze(1),
            Allowed::Sequence(packing) => packing.allowed(queries, tokens),
        };
        let lowest = match kind {
            Kind::Half => -65504.0,
            // Finite in bf16 too.
            _ => -3.0e38,
        };
        Tensor::zeros_like(&allowed).to_kind(kind).masked_fill(&allowed.logical_not(), lowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_padding_is_refused() {
        let mask = Tensor::from_slice2(&[[1i64, 1], [0, 0]]);
        assert!(matches!(AttentionMask::padding(&mask, Device::Cpu), Err(KernelError::EmptyMaskRow { row: 1 })));
    }

    #[test]
    fn padding_gets_the_lowest_score() {
        let mask = AttentionMask::padding(&Tensor::from_slice2(&[[1i64, 0], [1, 1]]), Device::Cpu).unwrap();
        assert!(!mask.is_trivial());
        let additive = mask.additive((2, 2), Kind::Float);
        assert_eq!(additive.double_value(&[0, 0, 0, 0]), 0.0);
        assert!(additive.double_value(&[0, 0, 0, 1]) < -1e38);
    }
}

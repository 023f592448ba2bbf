//! The one mask convention of the workspace: `true` where a token may be attended to.
//!
//! B batch, T tokens that attend (queries), S tokens that are attended to (keys).

use crate::{KernelError, Packing, device};
use tch::{Device, Kind, Tensor};

/// Which keys each query may attend to, the same for all heads.
#[derive(Debug)]
pub struct AttentionMask {
    allowed: Allowed,
    /// Number of keys before that of the first query, where no query looks ahead.
    causal: Option<i64>,
}

#[derive(Debug)]
enum Allowed {
    /// All of them.
    All,
    /// Those that are no padding.
    Keys {
        open: Tensor, // bool [B, S]
        trivial: bool,
    },
    /// Those of its own sequence.
    Sequence(Packing),
}

impl AttentionMask {
    /// Lets every query attend to every key.
    pub fn open() -> Self {
        Self { allowed: Allowed::All, causal: None }
    }

    /// Reads Hugging Face's `attention_mask` of the keys [B, S], 1 for a token and 0 for padding, for activations on
    /// `device`. Queries may be others than these tokens, as in cross attention. Best given on the host: what is elsewhere
    /// is waited for.
    ///
    /// # Errors
    /// Rows that attend to nothing are refused.
    pub fn padding(attention_mask: &Tensor, device: Device) -> Result<Self, KernelError> {
        let open = attention_mask.f_to_device(Device::Cpu)?.f_to_kind(Kind::Bool)?;
        let tokens = open.sum_dim_intlist([1i64].as_slice(), false, Kind::Int64);
        if let Some(row) = Vec::<i64>::try_from(&tokens)?.iter().position(|&n| n == 0) {
            return Err(KernelError::EmptyMaskRow { row: row as i64 });
        }
        let trivial = tokens.min().int64_value(&[]) == open.size()[1];
        Ok(Self { allowed: Allowed::Keys { open: device::send(&open, device)?, trivial }, causal: None })
    }

    /// Keeps each query of a packed batch in its own sequence.
    pub fn packed(packing: Packing) -> Self {
        Self { allowed: Allowed::Sequence(packing), causal: None }
    }

    /// The same mask without looking ahead: the query at place i attends to keys up to place `past` + i, where `past` is
    /// the number of keys from before these queries (a cache; 0 where there is none).
    ///
    /// # Errors
    /// Where `past` is below 0, or above it with packed sequences.
    pub fn causal(self, past: i64) -> Result<Self, KernelError> {
        let packed = matches!(self.allowed, Allowed::Sequence(_));
        if past < 0 || (packed && past > 0) {
            return Err(KernelError::Causal { past, packed });
        }
        Ok(Self { causal: Some(past), ..self })
    }

    /// Whether every key may be attended to by every query.
    pub fn is_trivial(&self) -> bool {
        self.causal.is_none() && matches!(self.allowed, Allowed::All | Allowed::Keys { trivial: true, .. })
    }

    /// Whether nothing but looking ahead is forbidden, with no keys from before.
    pub(crate) fn is_only_causal(&self) -> bool {
        self.causal == Some(0) && matches!(self.allowed, Allowed::All | Allowed::Keys { trivial: true, .. })
    }

    /// Whether a query has to be kept from looking ahead: the only query of a step of generation is not.
    pub(crate) fn looks_back_only(&self, keys: i64) -> bool {
        self.causal.is_some_and(|past| past < keys - 1)
    }

    /// How the batch is packed, if it is.
    pub fn packing(&self) -> Option<&Packing> {
        match &self.allowed {
            Allowed::Sequence(packing) => Some(packing),
            Allowed::All | Allowed::Keys { .. } => None,
        }
    }

    /// Which keys are no padding, bool [B, S], where some are.
    pub(crate) fn keys(&self) -> Option<&Tensor> {
        match &self.allowed {
            Allowed::Keys { open, trivial: false } => Some(open),
            _ => None,
        }
    }

    /// Whether each query may attend to each key, bool and broadcastable to [B, 1, T, S] ([1, 1, T, S] of a packed batch);
    /// `None` where all may.
    pub fn allowed(&self, (queries, keys): (i64, i64), device: Device) -> Option<Tensor> {
        let of_keys = match &self.allowed {
            Allowed::Sequence(packing) => {
                return Some(packing.allowed(queries, keys, self.causal.is_some()));
            }
            _ => self.keys().map(|open| open.unsqueeze(1).unsqueeze(1)),
        };
        let Some(past) = self.causal.filter(|_| self.looks_back_only(keys)) else { return of_keys };
        let places = |count: i64| Tensor::arange(count, (Kind::Int64, device));
        let behind = places(keys).unsqueeze(0).le_tensor(&(places(queries) + past).unsqueeze(1));
        Some(match of_keys {
            Some(open) => open.logical_and(&behind),
            None => behind.unsqueeze(0).unsqueeze(0),
        })
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
    fn padding_is_not_attended_to() {
        let mask = AttentionMask::padding(&Tensor::from_slice2(&[[1i64, 0], [1, 1]]), Device::Cpu).unwrap();
        assert!(!mask.is_trivial());
        let allowed = mask.allowed((3, 2), Device::Cpu).unwrap();
        assert_eq!(allowed.size(), [2, 1, 1, 2]);
        assert_eq!(Vec::<bool>::try_from(allowed.view([-1])).unwrap(), [true, false, true, true]);
        let whole = AttentionMask::padding(&Tensor::from_slice2(&[[1i64, 1]]), Device::Cpu).unwrap();
        assert!(whole.is_trivial() && whole.allowed((2, 2), Device::Cpu).is_none());
    }

    #[test]
    fn the_last_query_looks_at_all_keys() {
        let mask = AttentionMask::open().causal(4).unwrap();
        assert!(mask.allowed((1, 5), Device::Cpu).is_none() && !mask.is_trivial());
        let allowed = mask.allowed((2, 6), Device::Cpu).unwrap();
        assert_eq!(allowed.size(), [1, 1, 2, 6]);
        let open = [true, true, true, true, true, false, true, true, true, true, true, true];
        assert_eq!(Vec::<bool>::try_from(allowed.view([-1])).unwrap(), open);
        assert!(AttentionMask::open().causal(-1).is_err());
        let packing = || Packing::new(&Tensor::from_slice2(&[[1i64, 0], [1, 1]]), Device::Cpu).unwrap().unwrap();
        assert!(AttentionMask::packed(packing()).causal(1).is_err());
        // The first token of a sequence has nothing before itself.
        let firsts = AttentionMask::packed(packing()).causal(0).unwrap().allowed((2, 64), Device::Cpu).unwrap();
        let rows = firsts.sum_dim_intlist([3i64].as_slice(), false, Kind::Int64);
        assert_eq!(Vec::<i64>::try_from(rows.view([-1])).unwrap(), [1, 1]);
    }
}

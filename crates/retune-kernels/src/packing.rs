//! Sequences side by side without padding: a batch as one row of tokens. Everything but attention is computed token by
//! token and does not notice; attention is told where sequences begin.
//!
//! B sequences, T places of the padded batch for each, N tokens in all, D hidden size. N is rounded up, by a sequence that
//! nothing reads: libraries choose how to multiply by size, and remember it.

use crate::{KernelError, device};
use tch::{Device, Kind, Tensor};

/// Where the tokens of a padded batch lie when it is packed.
#[derive(Debug)]
pub struct Packing {
    /// Place of each token among the B·T padded ones, int64 \[N\]; `None` where they are all of them.
    places: Option<Tensor>,
    /// First token of each sequence, and N; int32 [B + 2].
    pub(crate) starts: Tensor,
    /// The same where each sequence has one token, and the one that nothing reads has none: 0, 1, …, B, B.
    pub(crate) ones: Tensor,
    /// First token of each sequence, int64 \[B\].
    firsts: Tensor,
    /// Tokens of the longest sequence.
    pub(crate) longest: i64,
    /// B and T.
    padded: (i64, i64),
    /// Tokens without the sequence that nothing reads.
    tokens: i64,
}

/// N is a multiple of this.
const ROUND: usize = 64;

impl Packing {
    /// From Hugging Face's `attention_mask` [B, T], 1 for a token and 0 for padding, for activations on `device`. Best given
    /// on the host: what is elsewhere is waited for. `None` where a sequence does not begin with a token, which heads read.
    pub fn new(attention_mask: &Tensor, device: Device) -> Result<Option<Self>, KernelError> {
        let (batch, width) = attention_mask.size2()?;
        let mask = attention_mask.f_to_device(Device::Cpu)?.f_ne(0)?.f_to_kind(Kind::Int64)?;
        let mask = Vec::<i64>::try_from(mask.f_view([-1])?)?;
        let rows: Vec<&[i64]> = mask.chunks(width.max(1) as usize).collect();
        if rows.iter().any(|row| row[0] == 0) {
            return Ok(None);
        }
        let lengths: Vec<i64> = rows.iter().map(|row| row.iter().sum()).collect();
        let mut starts = vec![0];
        starts.extend(lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        }));
        let mut places: Vec<i64> = (0..).zip(&mask).filter(|(_, token)| **token == 1).map(|(place, _)| place).collect();
        let whole = places.len() == mask.len() && places.len().is_multiple_of(ROUND);
        let tokens = places.len();
        places.resize(tokens.next_multiple_of(ROUND), 0);
        starts.push(places.len() as i64);
        let ones: Vec<i64> = (0..=batch).chain([batch]).collect();
        // One copy to the device for all of them.
        let joined = [&starts, &ones, &places].map(|part| Tensor::from_slice(part));
        let joined = device::send(&Tensor::f_cat(&joined, 0)?, device)?;
        let parts = joined.f_split_with_sizes([batch + 2, batch + 2, places.len() as i64], 0)?;
        Ok(Some(Self {
            firsts: parts[0].f_narrow(0, 0, batch)?,
            starts: parts[0].f_to_kind(Kind::Int)?,
            ones: parts[1].f_to_kind(Kind::Int)?,
            longest: lengths.into_iter().chain([(places.len() - tokens) as i64]).max().unwrap_or(0),
            places: (!whole).then(|| parts[2].shallow_clone()),
            padded: (batch, width),
            tokens: tokens as i64,
        }))
    }

    /// `x` [B, T, D] without padding, [1, N, D].
    pub fn pack(&self, x: &Tensor) -> Tensor {
        let (batch, width, size) = x.size3().expect("[B, T, D]");
        let rows = x.reshape([batch * width, size]);
        self.places.as_ref().map_or(rows.shallow_clone(), |places| rows.index_select(0, places)).unsqueeze(0)
    }

    /// The padded batch [B, T, D] of `x` [1, N, D], with zeros for padding.
    pub fn unpack(&self, x: &Tensor) -> Tensor {
        let ((batch, width), size) = (self.padded, x.size()[2]);
        let Some(places) = &self.places else { return x.reshape([batch, width, size]) };
        let padded = x.new_zeros([batch * width, size], (x.kind(), x.device()));
        let (places, rows) = (places.narrow(0, 0, self.tokens), x.squeeze_dim(0).narrow(0, 0, self.tokens));
        padded.index_copy(0, &places, &rows).view([batch, width, size])
    }

    /// The first token of each sequence of `x` [1, N, D], [1, B, D].
    pub fn firsts(&self, x: &Tensor) -> Tensor {
        x.index_select(1, &self.firsts)
    }

    /// Which of N tokens each of `queries` tokens may attend to, those of its sequence: bool [1, 1, queries, N]. Queries are
    /// all tokens, or the first one of each sequence; `causal` ones do not look ahead.
    pub(crate) fn allowed(&self, queries: i64, tokens: i64, causal: bool) -> Tensor {
        let count = |count: i64| Tensor::arange(count, (Kind::Int, self.starts.device()));
        // The number of the sequence of each token: how many begin at or before it.
        let sequence = |starts: &Tensor, tokens: i64| {
            let begun = starts.narrow(0, 0, starts.size()[0] - 1).le_tensor(&count(tokens).unsqueeze(1));
            begun.sum_dim_intlist([1i64].as_slice(), false, Kind::Int64)
        };
        let all = queries == tokens;
        let of_queries = sequence(if all { &self.starts } else { &self.ones }, queries);
        let allowed = of_queries.unsqueeze(1).eq_tensor(&sequence(&self.starts, tokens).unsqueeze(0));
        let allowed = if causal {
            let places = if all { count(queries) } else { self.starts.narrow(0, 0, queries) };
            allowed.logical_and(&count(tokens).unsqueeze(0).le_tensor(&places.unsqueeze(1)))
        } else {
            allowed
        };
        allowed.unsqueeze(0).unsqueeze(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_keep_their_order_and_padding_goes() {
        let mask = Tensor::from_slice2(&[[1i64, 1, 0], [1, 0, 0], [1, 1, 1]]);
        let packing = Packing::new(&mask, Device::Cpu).unwrap().unwrap();
        let x = Tensor::arange(9, (Kind::Float, Device::Cpu)).view([3, 3, 1]);
        let packed = packing.pack(&x);
        assert_eq!(packed.size(), [1, 64, 1]);
        assert_eq!(Vec::<f32>::try_from(packed.view([-1])).unwrap()[..6], [0.0, 1.0, 3.0, 6.0, 7.0, 8.0]);
        assert_eq!(Vec::<f32>::try_from(packing.firsts(&packed).view([-1])).unwrap(), [0.0, 3.0, 6.0]);
        assert_eq!(Vec::<i64>::try_from(&packing.starts).unwrap(), [0, 2, 3, 6, 64]);
        assert_eq!(packing.longest, 58);
        let padded = x.view([9]) * mask.view([9]).to_kind(Kind::Float);
        assert_eq!(packing.unpack(&packed).view([9]), padded);
        let x = Tensor::arange(64, (Kind::Float, Device::Cpu)).view([4, 16, 1]);
        let whole = Packing::new(&x.ones_like().squeeze_dim(2), Device::Cpu).unwrap().unwrap();
        assert_eq!(whole.pack(&x).view([4, 16, 1]), x);
        assert_eq!(whole.unpack(&whole.pack(&x)), x);
    }

    #[test]
    fn padding_on_the_left_is_not_packed() {
        let mask = Tensor::from_slice2(&[[0i64, 1], [1, 1]]);
        assert!(Packing::new(&mask, Device::Cpu).unwrap().is_none());
    }
}

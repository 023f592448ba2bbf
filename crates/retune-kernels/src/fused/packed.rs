//! Attention within sequences that lie side by side, on a GPU: flash attention (Dao 2023) in bf16, memory-efficient attention
//! (Rabe & Staats 2021) in fp32. The reference is that of [`mod@super::attention`], with a mask of all pairs of tokens.
//!
//! M tokens that attend, N tokens in all, H heads, K head size, D = H·K.

use super::switched_on;
use crate::attention::{AttentionOptions, repeat_heads};
use crate::{dropout, shim};
use tch::{Device, Kind, Tensor};

/// Whether batches on `device` are to be packed for attention with heads of this size.
pub fn suits(device: Device, head_size: i64) -> bool {
    matches!(device, Device::Cuda(_)) && switched_on() && head_size % 8 == 0 && head_size <= 256
}

/// `softmax(q kᵀ · scale) v` per head within each sequence, with dropout on the probabilities when `train`.
///
/// `query` [1, M, D] of all tokens or of one for each sequence, `key` and `value` [1, N, D] or fewer heads; returns
/// [1, M, D]. `None` where [`suits`] says no, of other dtypes than fp32 and bf16, with a bias or capped scores, and where the first tokens
/// alone may not look ahead.
pub(super) fn attention(
    [query, key, value]: [&Tensor; 3],
    heads: i64,
    options: &AttentionOptions<'_>,
    train: bool,
) -> Option<Tensor> {
    let mask = options.mask?;
    let packing = mask.packing()?;
    let (size, tokens) = (query.size()[2] / heads, key.size()[1]);
    let (all, causal) = (query.size()[1] == tokens, mask.depends_on_queries(tokens));
    let takes = suits(query.device(), size) && matches!(query.kind(), Kind::Float | Kind::BFloat16);
    if !takes || options.bias.is_some() || options.softcap.is_some() || (causal && !all) {
        return None;
    }
    let p = if train { options.dropout } else { 0.0 };
    if p > 0.0 {
        dropout::seed_device();
    }
    let (starts, longest) = if all { (&packing.starts, packing.longest) } else { (&packing.ones, 1) };
    let rows = [query, key, value].map(|x| {
        let of_heads = x.reshape([-1, 1, x.size()[2] / size, size]).transpose(1, 2); // [N, G, 1, K]
        repeat_heads(&of_heads, heads).squeeze_dim(2)
    });
    let attended = shim::device::packed_attention(
        rows.each_ref(),
        [starts, &packing.starts],
        [longest, packing.longest],
        causal,
        p,
        options.scale.unwrap_or_else(|| 1.0 / (size as f64).sqrt()),
    );
    Some(attended.expect("projections of one shape").reshape(query.size()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::{AttentionMask, Packing, fused};

    /// A batch of lengths 3, 1, 7 and 5, and its padded mask.
    fn mask() -> Tensor {
        let lengths = Tensor::from_slice(&[3i64, 1, 7, 5]).unsqueeze(1);
        Tensor::arange(7, (Kind::Int64, Device::Cpu)).unsqueeze(0).lt_tensor(&lengths).to_kind(Kind::Int64)
    }

    /// Packed attention of padded projections, padded again at their first tokens, or at all with zeros elsewhere.
    fn packed(t: &[Tensor], few: bool) -> Tensor {
        let mask = mask();
        let packing = Packing::new(&mask, t[0].device()).unwrap().unwrap();
        let [mut query, key, value] = [&t[0], &t[1], &t[2]].map(|x| packing.pack(x));
        if few {
            query = packing.firsts(&query);
        }
        let mask = AttentionMask::packed(packing);
        let attended = fused::attention(
            &query,
            &key,
            &value,
            2,
            &AttentionOptions { mask: Some(&mask), ..Default::default() },
            true,
        );
        if few {
            return attended.transpose(0, 1);
        }
        let places = mask_places(t[0].device());
        let tokens = attended.squeeze_dim(0).narrow(0, 0, places.size()[0]);
        Tensor::zeros([28, 16], (t[0].kind(), t[0].device())).index_copy(0, &places, &tokens).view([4, 7, 16])
    }

    fn mask_places(device: Device) -> Tensor {
        mask().view([-1]).nonzero().view([-1]).to_device(device)
    }

    fn padded(t: &[Tensor], few: bool) -> Tensor {
        let open = mask();
        let query = if few { t[0].narrow(1, 0, 1) } else { t[0].shallow_clone() };
        let mask = AttentionMask::padding(&open, query.device()).unwrap();
        let options = AttentionOptions { mask: Some(&mask), ..Default::default() };
        let y = fused::attention::reference::attention(&query, &t[1], &t[2], 2, &options, true);
        if few { y } else { y * open.to_device(query.device()).unsqueeze(2).to_kind(query.kind()) }
    }

    #[test]
    fn equals_the_padded_batch_in_fp64() {
        for kind in [Kind::Float, Kind::BFloat16] {
            for few in [false, true] {
                let input = |seed| leaf_on(test_device(), seed, &[4, 7, 16], kind);
                let inputs: Vec<Tensor> = (1..=3).map(input).collect();
                agree(kind, &inputs, |t, fused| if fused { packed(t, few) } else { padded(t, few) });
            }
        }
    }
}

//! Places of a text whose logits are wanted: the product with the vocabulary costs more than a small encoder, and training
//! reads few places of it. B batch, T tokens, P places of a row at most, M in all, D hidden size.

use crate::ModelError;
use retune_kernels::tch::{Kind, Tensor};

/// An optional input beside Hugging Face's, int64 [B, P]: places of each row, counted from 0, in any order; -1 fills rows that
/// have fewer. With it `logits` are [M, V], of these places only, row after row; without it they are [B, T, V], as in Hugging
/// Face's classes. Best given on the host: what is elsewhere is waited for.
pub const LOGIT_POSITIONS: &str = "logit_positions";

/// The hidden states [B, T, D] at `positions`, [M, D]; all of them as they are without positions.
///
/// # Errors
/// Positions of another number of rows, or behind the last token.
pub fn pick(hidden: &Tensor, positions: Option<&Tensor>) -> Result<Tensor, ModelError> {
    let Some(positions) = positions else { return Ok(hidden.shallow_clone()) };
    let [batch, tokens, width] = hidden.size()[..] else { panic!("hidden states have three dimensions") };
    let wrong =
        |problem: String| ModelError::InputShape { name: LOGIT_POSITIONS.to_owned(), shape: positions.size(), problem };
    if positions.kind() != Kind::Int64 || positions.dim() != 2 || positions.size()[0] != batch {
        return Err(wrong(format!("places are whole numbers of 64 bits in {batch} rows, as the texts are")));
    }
    if positions.numel() > 0 && positions.max().int64_value(&[]) >= tokens {
        return Err(wrong(format!("a place lies behind the last of {tokens} tokens")));
    }
    let begins = Tensor::arange(batch, (Kind::Int64, positions.device())).unsqueeze(1) * tokens;
    let places = (positions + begins).masked_select(&positions.ge(0)).to_device(hidden.device());
    Ok(hidden.reshape([-1, width]).f_index_select(0, &places)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_kernels::tch::Device;

    #[test]
    fn places_are_picked_row_after_row() {
        let hidden = Tensor::arange(2 * 3 * 2, (Kind::Float, Device::Cpu)).view([2, 3, 2]);
        let picked = pick(&hidden, Some(&Tensor::from_slice2(&[[2i64, -1], [1, 0]]))).unwrap();
        assert_eq!(Vec::<f32>::try_from(picked.view([-1])).unwrap(), [4.0, 5.0, 8.0, 9.0, 6.0, 7.0]);
        assert_eq!(pick(&hidden, None).unwrap(), hidden);
        let none = pick(&hidden, Some(&Tensor::zeros([2, 0], (Kind::Int64, Device::Cpu)))).unwrap();
        assert_eq!(none.size(), [0, 2]);
    }

    #[test]
    fn places_outside_of_the_text_are_refused() {
        let hidden = Tensor::zeros([2, 3, 2], (Kind::Float, Device::Cpu));
        // It would be a place of the next row.
        let behind = pick(&hidden, Some(&Tensor::from_slice2(&[[3i64], [0]]))).unwrap_err().to_string();
        assert!(behind.contains("logit_positions") && behind.contains("3 tokens"), "{behind}");
        assert!(pick(&hidden, Some(&Tensor::from_slice2(&[[0i64]]))).is_err());
    }
}

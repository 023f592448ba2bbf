//! An fp32 value in two halves of 16 bits: the bf16 number that it rounds to, which the forward pass reads, and what that lacks. Together
//! they take the room of the value alone, where a rounded copy beside the value takes half as much again.
//!
//! As whole numbers, `bits(value) = bits(rounded) · 2¹⁶ + rest`. Of the 2¹⁶ + 1 values that round to an even number the largest does
//! not fit: half-way to the next one. It is kept as its neighbour below, 6e-8 of itself away. The kernel of AdamW does the same
//! arithmetic (shim/adamw.cpp).

use tch::{Kind, Tensor, no_grad};

/// What `rounded` (bf16, to nearest) lacks of `value` (fp32), int16 of the same shape.
pub(crate) fn rest(value: &Tensor, rounded: &Tensor) -> Tensor {
    no_grad(|| (value.view_dtype(Kind::Int) - upper(rounded)).clamp(-0x8000, 0x7fff).to_kind(Kind::Int16))
}

/// The fp32 value again.
pub(crate) fn join(rounded: &Tensor, rest: &Tensor) -> Tensor {
    no_grad(|| (upper(rounded) + rest).view_dtype(Kind::Float))
}

fn upper(rounded: &Tensor) -> Tensor {
    rounded.detach().to_kind(Kind::Float).view_dtype(Kind::Int)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[test]
    fn two_halves_are_the_value() {
        let values: Vec<f32> = random::normal(1, 5000).into_iter().map(|x| x * x * x * 100.0).collect();
        let values =
            [&values[..], &[0.0, -0.0, 1e-40, -1e-40, f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::INFINITY]].concat();
        let value = Tensor::from_slice(&values);
        let rounded = value.to_kind(Kind::BFloat16);
        let again = join(&rounded, &rest(&value, &rounded));
        assert_eq!(Vec::<f32>::try_from(again).unwrap(), values);
    }

    #[test]
    fn half_way_is_kept_to_a_last_digit() {
        for bits in [0x3f80_8000u32, 0x3f81_8000, 0xbf80_8000, 0xbf81_8000] {
            let value = Tensor::from_slice(&[f32::from_bits(bits)]);
            let rounded = value.to_kind(Kind::BFloat16);
            let again = join(&rounded, &rest(&value, &rounded));
            let off = f32::try_from(again.shallow_clone()).unwrap().to_bits().abs_diff(bits);
            assert_eq!(off, u32::from(bits >> 16 & 1 == 0));
            assert_eq!(again.to_kind(Kind::BFloat16), rounded, "what was kept rounds to the same number");
        }
    }
}

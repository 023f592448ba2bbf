//! LoRA (Hu et al. 2021), PEFT's `lora.Linear`: `y + scale · B A dropout(x)` beside a frozen `y = x Wᵀ + b`.

use super::{Beside, Linear};
use crate::{Weight, dropout, fused};
use tch::Tensor;

/// Low-rank update of a frozen weight: `ΔW = scale · B A`.
#[derive(Debug)]
pub struct Lora {
    /// `lora_A` [rank, in].
    pub a: Weight,
    /// `lora_B` [out, rank].
    pub b: Weight,
    /// `alpha / rank`, or `alpha / √rank` (rsLoRA, Kalajdzievski 2023).
    pub scale: f64,
    /// Dropout on the adapter's input while training.
    pub dropout: f64,
}

impl Beside for Lora {
    fn forward(&self, x: &Tensor, layer: Linear<'_>, train: bool) -> Tensor {
        let y = layer.forward(x);
        let down = fused::linear(&dropout::dropout(x, self.dropout, train), &self.a, None); // [.., rank]
        y + fused::linear(&(down * self.scale), &self.b, None)
    }
}

impl Lora {
    /// Two factors of the product of `x` [.., in] with the layer, in their dtype: `[x, scale · A dropout(x)]` [.., in + rank] and
    /// `[W, B]` [out, in + rank]. For products that are never held as a whole.
    pub fn factors(&self, x: &Tensor, weight: &Tensor, train: bool) -> (Tensor, Tensor) {
        let down = fused::linear(&dropout::dropout(x, self.dropout, train), &self.a, None) * self.scale;
        (Tensor::cat(&[x, &down], -1), Tensor::cat(&[weight, &self.b.to_kind(weight.kind())], 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::testing::{leaf_on, test_device};
    use crate::{Activation, Dense};
    use tch::Kind;

    #[test]
    fn is_an_update_of_the_weight() {
        let random = |seed, shape: &[i64]| leaf_on(test_device(), seed, shape, Kind::Float);
        let (x, weight, bias) = (random(1, &[3, 5, 16]), random(2, &[8, 16]), random(3, &[8]));
        let (a, b) = (random(4, &[4, 16]), random(5, &[8, 4]));
        let lora = Lora { a: a.shallow_clone().into(), b: b.shallow_clone().into(), scale: 0.5, dropout: 0.0 };
        let dense = Dense::new(weight.shallow_clone(), Some(bias.shallow_clone().into())).with_beside(Box::new(lora));
        let double = |t: &Tensor| t.to_kind(Kind::Double);
        let merged = double(&weight) + double(&b).matmul(&double(&a)) * 0.5;
        let expected = double(&x).matmul(&merged.tr()) + double(&bias);
        let apart = |y: Tensor, expected: &Tensor| (y - expected).abs().max().double_value(&[]);
        assert!(apart(dense.forward(&x, true), &expected) < 1e-4);
        assert!(apart(dense.forward_activated(&x, Activation::Relu, true), &expected.relu()) < 1e-4);
        let lora = Lora { a: a.into(), b: b.into(), scale: 0.5, dropout: 0.0 };
        let (left, right) = lora.factors(&x, &weight, true);
        assert!(apart(left.matmul(&right.tr()) + &bias, &expected) < 1e-4);
    }
}

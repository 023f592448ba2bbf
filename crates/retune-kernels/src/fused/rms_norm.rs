//! Root mean square norm (Zhang & Sennrich 2019) as one node: nothing is kept for the backward pass but its input, which the residual
//! keeps anyway, and one number a row. On a CPU.
//!
//! D row width. Rows may have any leading dimensions; the weight is fp32.

use super::takes;
use crate::shim;
use tch::{Kind, Tensor};

/// The plain composition.
pub mod reference {
    use super::*;

    /// `x / √(mean(x²) + ε) · (offset + w)`, in fp32 at least, as `kind`.
    pub fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f64, offset: f64, kind: Kind) -> Tensor {
        let exact = if x.kind() == Kind::Double { x.shallow_clone() } else { x.to_kind(Kind::Float) };
        let variance = exact.square().mean_dim([-1i64].as_slice(), true, exact.kind());
        let normed = exact * (variance + epsilon).rsqrt();
        if offset != 0.0 {
            return (normed * (weight + offset)).to_kind(kind);
        }
        (normed.to_kind(kind) * weight).to_kind(kind)
    }
}

/// `x / √(mean(x²) + ε) · (offset + w)` of `x` [.., D] and `weight` \[D\], as `kind`; shape of `x`.
pub fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f64, offset: f64, kind: Kind) -> Tensor {
    let fits = takes(&[x]) && takes(&[weight]) && weight.kind() == Kind::Float && weight.dim() == 1;
    let known =
        matches!((x.kind(), kind), (Kind::Float, Kind::Float | Kind::BFloat16) | (Kind::BFloat16, Kind::BFloat16));
    if !fits || !known || x.size().last() != weight.size().last() {
        return reference::rms_norm(x, weight, epsilon, offset, kind);
    }
    shim::decoders::rms_norm(x, &weight.contiguous(), epsilon, offset, kind == Kind::BFloat16)
        .expect("checked arguments")
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn equals_the_composition_in_fp64() {
        for kind in [Kind::Float, Kind::BFloat16] {
            for shape in [&[3i64, 35, 384][..], &[70, 37], &[1, 1, 5], &[2, 3, 2, 64], &[0, 4, 48]] {
                for offset in [0.0, 1.0] {
                    let inputs = [leaf(1, shape, kind), leaf(2, &shape[shape.len() - 1..], Kind::Float)];
                    agree(kind, &inputs, |t, fused| {
                        let function = if fused { rms_norm } else { reference::rms_norm };
                        function(&t[0], &t[1], 1e-6, offset, t[0].kind())
                    });
                }
            }
        }
    }

    /// A residual in fp32 between layers in bf16.
    #[test]
    fn takes_fp32_to_bf16() {
        let (x, weight) = (leaf(1, &[70, 37], Kind::Float), leaf(2, &[37], Kind::Float));
        let run = |function: fn(&Tensor, &Tensor, f64, f64, Kind) -> Tensor| {
            let y = function(&x, &weight, 1e-6, 0.0, Kind::BFloat16);
            assert_eq!(y.kind(), Kind::BFloat16);
            let direction = leaf(3, &[70, 37], Kind::BFloat16).detach();
            let mut all = Tensor::run_backward(&[(&y * direction).sum(Kind::Float)], &[&x, &weight], false, false);
            assert_eq!(all[0].kind(), Kind::Float);
            all.push(y.detach());
            all
        };
        for (a, b) in run(rms_norm).iter().zip(&run(reference::rms_norm)) {
            let apart = ((a - b).abs() / (b.abs() + 1.0)).max().to_kind(Kind::Double).double_value(&[]);
            assert!(apart < 0.02, "{apart}");
        }
    }

    #[test]
    fn frozen_parts_get_no_gradient() {
        let (x, weight) = (leaf(1, &[9, 8], Kind::Float), leaf(2, &[8], Kind::Float));
        for frozen in 0..2 {
            let tensors: Vec<Tensor> =
                [&x, &weight].iter().enumerate().map(|(i, t)| t.detach().set_requires_grad(i != frozen)).collect();
            rms_norm(&tensors[0], &tensors[1], 1e-6, 0.0, Kind::Float).sum(Kind::Float).backward();
            for (i, tensor) in tensors.iter().enumerate() {
                assert_eq!(tensor.grad().defined(), i != frozen);
            }
        }
        assert!(!tch::no_grad(|| rms_norm(&x, &weight, 1e-6, 0.0, Kind::Float)).requires_grad());
    }

    #[test]
    fn does_not_depend_on_threads_nor_on_layout() {
        let (x, weight) = (leaf(1, &[64, 100], Kind::Float), leaf(2, &[64], Kind::Float));
        on_threads(|| {
            let y = rms_norm(&x.tr(), &weight, 1e-6, 0.0, Kind::Float);
            assert_eq!(y, rms_norm(&x.tr().contiguous(), &weight, 1e-6, 0.0, Kind::Float));
            let mut all = Tensor::run_backward(&[y.square().sum(Kind::Float)], &[&x, &weight], false, false);
            all.push(y.detach());
            all
        });
    }
}

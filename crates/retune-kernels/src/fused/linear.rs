//! Linear layer with bias and activation in one node.
//!
//! The product is one of our own on processors with AVX-512 (bf16: with AVX-512 BF16 and without AMX), which finishes its
//! sums before they reach memory (shim/product.cpp); elsewhere libtorch's, with bias and activation in one pass over it.
//! What the backward pass needs of the activation is kept as its derivative, in the memory that the pre-activation would take.
//! On a GPU the node holds libtorch's products, so that the host has less to do; what is left of the backward pass, the
//! gradient before the activation and that of the bias, is one kernel (shim/cuda/linear.cuh).

use super::takes_on;
use crate::{Activation, shim};
use tch::{Device, Tensor};

/// The plain composition.
pub mod reference {
    use super::*;

    /// `activation(x Wᵀ + b)`.
    pub fn linear_activation(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Tensor {
        activation.forward(&x.linear(weight, bias))
    }
}

/// `x Wᵀ + b`: `x` [.., in], `weight` [out, in], `bias` \[out\], one dtype.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    linear_activation(x, weight, bias, Activation::Identity)
}

/// `activation(x Wᵀ + b)`; shapes as in [`linear`].
pub fn linear_activation(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Tensor {
    let Some(number) = number(activation) else {
        return reference::linear_activation(x, weight, bias, activation);
    };
    let mut tensors = vec![x, weight];
    tensors.extend(bias);
    let known = matches!(x.device(), Device::Cpu | Device::Cuda(_));
    if !known || !takes_on(x.device(), &tensors) || weight.dim() != 2 || x.size().last() != weight.size().last() {
        return reference::linear_activation(x, weight, bias, activation);
    }
    shim::linear(x, weight, bias, number).expect("checked arguments")
}

/// That of shim/kernels.h, where the kernels have the activation.
pub(super) fn number(activation: Activation) -> Option<i64> {
    match activation {
        Activation::Identity => Some(-1),
        Activation::Gelu => Some(0),
        Activation::GeluTanh => Some(1),
        Activation::Relu => Some(2),
        Activation::Silu => Some(3),
        Activation::QuickGelu
        | Activation::Tanh
        | Activation::Sigmoid
        | Activation::SquaredRelu
        | Activation::Relu6
        | Activation::LeakyRelu
        | Activation::HardSwish
        | Activation::Mish => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use tch::Kind;

    #[test]
    fn equals_the_composition_in_fp64() {
        for kind in [Kind::Float, Kind::BFloat16] {
            for activation in ACTIVATIONS {
                let shapes = [
                    (&[2i64, 33, 48][..], 40),
                    (&[1, 17], 21),
                    (&[0, 3, 8], 16),
                    (&[131, 70], 98),
                    (&[70, 40], 300),
                    (&[3, 35, 600], 36),
                ];
                for (shape, width) in shapes {
                    let depth = *shape.last().unwrap();
                    let leaf = |seed, shape: &[i64]| leaf_on(test_device(), seed, shape, kind);
                    let weight = (leaf(2, &[width, depth]) / (depth as f64).sqrt()).detach();
                    let inputs = [leaf(1, shape), weight.set_requires_grad(true), leaf(3, &[width])];
                    for bias in [true, false] {
                        agree(kind, &inputs[..2 + usize::from(bias)], |t, fused| {
                            let function = if fused { linear_activation } else { reference::linear_activation };
                            let y = function(&t[0], &t[1], t.get(2), activation);
                            if activation == Activation::Relu { &y * far_from_the_kink(t).to_kind(y.kind()) } else { y }
                        });
                    }
                }
            }
        }
    }

    /// Where rounding of `x Wᵀ`, which libtorch's products do before the bias is added, cannot decide on which side of 0
    /// the pre-activation lies.
    fn far_from_the_kink(t: &[Tensor]) -> Tensor {
        let t: Vec<Tensor> = t.iter().map(|t| t.detach().to_kind(Kind::Double)).collect();
        t[0].linear(&t[1], t.get(2)).abs().gt(0.05)
    }

    /// The approximation itself, without a product that would hide its error.
    #[test]
    fn activations_are_exact_to_fp32() {
        let x = Tensor::linspace(-12.0, 12.0, 40_001, (Kind::Double, Device::Cpu));
        let x = Tensor::cat(&[x, Tensor::from_slice(&[-1e30, -88.0, 88.0, 1e30])], 0).to_kind(Kind::Float);
        let one = Tensor::ones([1, 1], (Kind::Float, Device::Cpu));
        for activation in ACTIVATIONS {
            let column = x.reshape([-1, 1]).set_requires_grad(true);
            let y = linear_activation(&column, &one, None, activation);
            let slope = Tensor::run_backward(&[y.sum(Kind::Float)], &[&column], false, false).remove(0);
            let exact = x.to_kind(Kind::Double).reshape([-1, 1]).set_requires_grad(true);
            let expected = activation.forward(&exact);
            let expected_slope = Tensor::run_backward(&[expected.sum(Kind::Double)], &[&exact], false, false).remove(0);
            let scale = exact.abs().clamp_min(1.0);
            let error = |a: &Tensor, b: &Tensor| ((a - b) / &scale).abs().max().double_value(&[]);
            let (value, slope) = (error(&y, &expected), error(&slope, &expected_slope));
            assert!(value < 2e-7 && slope < 6e-7, "{activation:?}: {value:e} {slope:e}");
        }
    }

    /// In bf16 GELU may be off by 5e-4 of itself beside rounding, also where it is small.
    #[test]
    fn gelu_is_exact_to_bf16() {
        let options = (Kind::BFloat16, Device::Cpu);
        let x = Tensor::linspace(-12.0, 12.0, 40_001, (Kind::Double, Device::Cpu));
        let x = Tensor::cat(&[x, Tensor::from_slice(&[-1e30, -88.0, 88.0, 1e30])], 0).to_kind(Kind::BFloat16);
        // Alone, and behind a product.
        let columns = [x.reshape([-1, 1]), x.narrow(0, 0, 40_000).reshape([-1, 32])];
        for column in columns.map(|x| x.set_requires_grad(true)) {
            let identity = Tensor::eye(column.size()[1], options);
            let y = linear_activation(&column, &identity, None, Activation::Gelu);
            let slope = Tensor::run_backward(&[y.sum(Kind::Float)], &[&column], false, false).remove(0);
            let exact = column.detach().to_kind(Kind::Double).set_requires_grad(true);
            let half = exact.detach() * std::f64::consts::FRAC_1_SQRT_2;
            let expected = exact.detach() * (-half).special_erfc() * 0.5;
            let worst = ((&y - &expected).abs() / (expected.abs() + 1e-30)).max().double_value(&[]);
            assert!(worst < 2f64.powi(-8) + 5e-4, "{worst:e}");
            let expected = exact.gelu("none");
            let expected = Tensor::run_backward(&[expected.sum(Kind::Double)], &[&exact], false, false).remove(0);
            let worst = ((&slope - &expected).abs() / (expected.abs() + 0.05)).max().double_value(&[]);
            assert!(worst < 2f64.powi(-8) + 1e-3, "{worst:e}");
        }
    }

    #[test]
    fn bad_numbers_stay_bad() {
        for kind in [Kind::Float, Kind::BFloat16] {
            let one = Tensor::ones([1, 1], (kind, Device::Cpu));
            for activation in ACTIVATIONS {
                let x = Tensor::from_slice(&[f32::NAN, 1.0]).reshape([-1, 1]).to_kind(kind);
                let y = linear_activation(&x, &one, None, activation);
                assert!(y.double_value(&[0, 0]).is_nan(), "{kind:?} {activation:?}");
            }
        }
    }

    #[test]
    fn frozen_parts_get_no_gradient() {
        let (x, weight, bias) =
            (leaf(1, &[9, 8], Kind::Float), leaf(2, &[4, 8], Kind::Float), leaf(3, &[4], Kind::Float));
        for frozen in 0..3 {
            let tensors = [&x, &weight, &bias].map(Tensor::detach);
            let tensors: Vec<Tensor> =
                tensors.into_iter().enumerate().map(|(i, t)| t.set_requires_grad(i != frozen)).collect();
            let y = linear_activation(&tensors[0], &tensors[1], Some(&tensors[2]), Activation::Gelu);
            y.sum(Kind::Float).backward();
            for (i, tensor) in tensors.iter().enumerate() {
                assert_eq!(tensor.grad().defined(), i != frozen);
            }
        }
        assert!(!tch::no_grad(|| linear(&x, &weight, Some(&bias))).requires_grad());
    }

    #[test]
    fn does_not_depend_on_threads() {
        let (x, weight, bias) =
            (leaf(1, &[300, 40], Kind::BFloat16), leaf(2, &[50, 40], Kind::BFloat16), leaf(3, &[50], Kind::BFloat16));
        on_threads(|| {
            let y = linear_activation(&x, &weight, Some(&bias), Activation::Gelu);
            Tensor::run_backward(&[y.sum(Kind::Float)], &[&bias], false, false)
        });
    }
}

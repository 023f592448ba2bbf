//! How the fused kernels are compared with their references.

use crate::{Activation, device, dropout, random};
use tch::{Device, Kind, Tensor};

/// Those that the kernels have, and some of those that they leave to libtorch.
pub(crate) const ACTIVATIONS: [Activation; 7] = [
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::Silu,
    Activation::QuickGelu,
    Activation::Tanh,
    Activation::Identity,
];

/// Where tests of both run: the CPU, or what `RETUNE_DEVICE` names. Whatever runs first in the process has to ask for it before
/// it computes a gradient: libtorch looks for its CUDA library once.
pub(crate) fn test_device() -> Device {
    device::of_environment().expect("a device that is there")
}

/// Standard normal numbers that need a gradient, on the CPU.
pub(crate) fn leaf(seed: u64, shape: &[i64], kind: Kind) -> Tensor {
    test_device();
    let count = shape.iter().product::<i64>() as usize;
    Tensor::from_slice(&random::normal(seed, count)).reshape(shape).to_kind(kind).set_requires_grad(true)
}

/// The same elsewhere.
pub(crate) fn leaf_on(device: Device, seed: u64, shape: &[i64], kind: Kind) -> Tensor {
    leaf(seed, shape, kind).detach().to_device(device).set_requires_grad(true)
}

/// Runs `function(inputs, true)`, the kernel, and `function(inputs, false)`, its reference on the same values in fp64,
/// with the same dropout masks. The output, of dtype `kind`, and all gradients must agree to its rounding.
pub(crate) fn agree(kind: Kind, inputs: &[Tensor], function: impl Fn(&[Tensor], bool) -> Tensor) {
    let exact: Vec<Tensor> = inputs.iter().map(|t| t.detach().to_kind(Kind::Double).set_requires_grad(true)).collect();
    let run = |inputs: &[Tensor], fused: bool| {
        dropout::set_stream(17);
        let y = function(inputs, fused);
        let direction = leaf(99, &y.size(), kind).detach().to_device(y.device()).to_kind(y.kind());
        // Inputs that the case does not use have no gradient.
        for input in inputs {
            let mut input = input.shallow_clone();
            input.zero_grad();
        }
        (&y * direction).sum(y.kind()).backward();
        let gradients: Vec<Tensor> = inputs.iter().map(Tensor::grad).collect();
        (y.detach(), gradients)
    };
    let (y, gradients) = run(inputs, true);
    let (expected, expected_gradients) = run(&exact, false);
    assert_eq!(y.kind(), kind);
    assert_eq!(y.size(), expected.size());
    close("output", kind, &y, &expected);
    for (i, (got, expected)) in gradients.iter().zip(&expected_gradients).enumerate() {
        assert_eq!(got.defined(), expected.defined(), "gradient of input {i}");
        if got.defined() {
            assert_eq!(got.kind(), inputs[i].kind(), "gradient of input {i}");
            let got = if got.is_sparse() { got.to_dense(None, false) } else { got.shallow_clone() };
            close(&format!("gradient of input {i}"), kind, &got, expected);
        }
    }
}

/// Largest difference against the size of the expected values.
fn close(what: &str, kind: Kind, got: &Tensor, expected: &Tensor) {
    if expected.numel() == 0 {
        return;
    }
    let difference = (got.to_kind(Kind::Double) - expected).abs();
    let scale = expected.square().mean(Kind::Double).sqrt().double_value(&[]) + 1e-3;
    let (worst, tolerance) = match kind {
        Kind::Float => ((difference / (expected.abs() + scale)).max().double_value(&[]), 1e-5),
        _ => ((difference / (expected.abs() + scale)).max().double_value(&[]), 0.04),
    };
    assert!(worst < tolerance, "{what} {kind:?} {:?}: off by {worst:e}", expected.size());
}

/// The same bits on one thread and on several.
pub(crate) fn on_threads(run: impl Fn() -> Vec<Tensor>) {
    let threads = tch::get_num_threads();
    tch::set_num_threads(1);
    let one = run();
    tch::set_num_threads(3);
    let three = run();
    tch::set_num_threads(threads);
    assert!(one.iter().zip(&three).all(|(a, b)| a == b));
}

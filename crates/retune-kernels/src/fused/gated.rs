//! The gate of a feed-forward network (SwiGLU, GeGLU; Shazeer 2020) as one node, which keeps gate and up for the backward pass and
//! nothing that is computed from them. On a CPU.
//!
//! F intermediate width.

use super::linear::number;
use super::takes;
use crate::{Activation, shim};
use tch::Tensor;

/// The plain compositions.
pub mod reference {
    use super::*;

    /// `activation(gate) · up`.
    pub fn gated(gate: &Tensor, up: &Tensor, activation: Activation) -> Tensor {
        activation.forward(gate) * up
    }

    /// The same of both side by side.
    pub fn gated_joint(both: &Tensor, gate_first: bool, activation: Activation) -> Tensor {
        let sides = both.chunk(2, -1);
        let (gate, up) = if gate_first { (&sides[0], &sides[1]) } else { (&sides[1], &sides[0]) };
        gated(gate, up, activation)
    }
}

/// The kernel's number of an activation that it computes; gates without one are products, which libtorch has.
fn of_kernel(activation: Activation) -> Option<i64> {
    number(activation).filter(|_| activation != Activation::Identity)
}

/// `activation(gate) · up`, both [.., F] of one dtype, which is the result's too.
pub fn gated(gate: &Tensor, up: &Tensor, activation: Activation) -> Tensor {
    match of_kernel(activation) {
        Some(number) if takes(&[gate, up]) && gate.size() == up.size() && gate.dim() > 0 => {
            shim::decoders::gated(gate, Some(up), true, number).expect("checked arguments")
        }
        _ => reference::gated(gate, up, activation),
    }
}

/// The same of gate and up side by side, [.., 2 F], the gate first or second; returns [.., F].
pub fn gated_joint(both: &Tensor, gate_first: bool, activation: Activation) -> Tensor {
    match of_kernel(activation) {
        Some(number) if takes(&[both]) && both.size().last().is_some_and(|width| width % 2 == 0) => {
            shim::decoders::gated(both, None, gate_first, number).expect("checked arguments")
        }
        _ => reference::gated_joint(both, gate_first, activation),
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
                for shape in [&[3i64, 35, 384][..], &[70, 38], &[1, 1, 6], &[0, 4, 48]] {
                    agree(kind, &[leaf(1, shape, kind), leaf(2, shape, kind)], |t, fused| {
                        let function = if fused { gated } else { reference::gated };
                        function(&t[0], &t[1], activation)
                    });
                    for gate_first in [true, false] {
                        agree(kind, &[leaf(1, shape, kind)], |t, fused| {
                            let function = if fused { gated_joint } else { reference::gated_joint };
                            function(&t[0], gate_first, activation)
                        });
                    }
                }
            }
        }
    }

    #[test]
    fn one_side_may_be_frozen() {
        for frozen in 0..2 {
            let sides: Vec<Tensor> =
                (0..2u64).map(|i| leaf(i + 1, &[5, 12], Kind::Float).detach().set_requires_grad(i != frozen)).collect();
            gated(&sides[0], &sides[1], Activation::Silu).sum(Kind::Float).backward();
            for (i, side) in (0..).zip(&sides) {
                assert_eq!(side.grad().defined(), i != frozen);
            }
        }
    }

    #[test]
    fn does_not_depend_on_threads_nor_on_layout() {
        let (gate, up) = (leaf(1, &[64, 300], Kind::Float), leaf(2, &[64, 300], Kind::Float));
        on_threads(|| {
            let y = gated(&gate.tr(), &up.tr(), Activation::Silu);
            assert_eq!(y, gated(&gate.tr().contiguous(), &up.tr().contiguous(), Activation::Silu));
            let mut all = Tensor::run_backward(&[y.square().sum(Kind::Float)], &[&gate, &up], false, false);
            all.push(y.detach());
            all
        });
    }
}

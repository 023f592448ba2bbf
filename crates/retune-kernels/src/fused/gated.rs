//! The gate of a feed-forward network (SwiGLU, GeGLU; Shazeer 2020) as one node, which keeps gate and up for the backward pass and
//! nothing that is computed from them; with the layer behind it, not even what that multiplies. On a CPU.
//!
//! D hidden size, F intermediate width.

use super::linear::number;
use super::takes;
use crate::{Activation, shim};
use tch::Tensor;

/// The plain compositions.
pub mod reference {
    use super::*;

    /// `activation(gate) · up`.
    pub fn gated(sides: Sides<'_>, activation: Activation) -> Tensor {
        match sides {
            Sides::Apart(gate, up) => activation.forward(gate) * up,
            Sides::Joint(both, gate_first) => {
                let halves = both.chunk(2, -1);
                let (gate, up) = if gate_first { (&halves[0], &halves[1]) } else { (&halves[1], &halves[0]) };
                gated(Sides::Apart(gate, up), activation)
            }
        }
    }

    /// `(activation(gate) · up) Wᵀ`.
    pub fn gated_linear(sides: Sides<'_>, activation: Activation, weight: &Tensor) -> Tensor {
        gated(sides, activation).linear::<&Tensor>(weight, None)
    }
}

/// Gate and up.
#[derive(Debug, Clone, Copy)]
pub enum Sides<'a> {
    /// Both [.., F].
    Apart(&'a Tensor, &'a Tensor),
    /// Side by side, [.., 2 F], the gate first or second.
    Joint(&'a Tensor, bool),
}

/// The kernel's number of an activation that it computes; gates without one are products, which libtorch has.
fn of_kernel(activation: Activation) -> Option<i64> {
    number(activation).filter(|_| activation != Activation::Identity)
}

impl Sides<'_> {
    /// Gate (or both), up and whether the gate is first, where the kernel takes them.
    fn of_kernel(&self) -> Option<(&Tensor, Option<&Tensor>, bool)> {
        match self {
            Self::Apart(gate, up) => {
                let fits = takes(&[gate, up]) && gate.size() == up.size() && gate.dim() > 0;
                fits.then_some((*gate, Some(*up), true))
            }
            Self::Joint(both, gate_first) => {
                let fits = takes(&[both]) && both.size().last().is_some_and(|width| width % 2 == 0);
                fits.then_some((*both, None, *gate_first))
            }
        }
    }

    fn width(&self) -> i64 {
        match self {
            Self::Apart(gate, _) => gate.size().last().copied().unwrap_or(0),
            Self::Joint(both, _) => both.size().last().copied().unwrap_or(0) / 2,
        }
    }
}

/// `activation(gate) · up` of one dtype, which is that of the result [.., F], too.
pub fn gated(sides: Sides<'_>, activation: Activation) -> Tensor {
    if let (Some(number), Some((gate, up, gate_first))) = (of_kernel(activation), sides.of_kernel()) {
        return shim::decoders::gated(gate, up, gate_first, number).expect("checked arguments");
    }
    reference::gated(sides, activation)
}

/// `(activation(gate) · up) Wᵀ` of one dtype: `weight` [D, F]; returns [.., D].
pub fn gated_linear(sides: Sides<'_>, activation: Activation, weight: &Tensor) -> Tensor {
    let fits = takes(&[weight]) && weight.dim() == 2 && weight.size()[1] == sides.width();
    if let (true, Some(number), Some((gate, up, gate_first))) = (fits, of_kernel(activation), sides.of_kernel())
        && gate.kind() == weight.kind()
    {
        return shim::decoders::gated_linear(gate, up, weight, gate_first, number).expect("checked arguments");
    }
    super::linear(&gated(sides, activation).to_kind(weight.kind()), weight, None)
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
                    let sides = [leaf(1, shape, kind), leaf(2, shape, kind)];
                    agree(kind, &sides, |t, fused| {
                        let function = if fused { gated } else { reference::gated };
                        function(Sides::Apart(&t[0], &t[1]), activation)
                    });
                    for gate_first in [true, false] {
                        agree(kind, &[leaf(1, shape, kind)], |t, fused| {
                            let function = if fused { gated } else { reference::gated };
                            function(Sides::Joint(&t[0], gate_first), activation)
                        });
                    }
                }
            }
        }
    }

    #[test]
    fn the_layer_behind_equals_the_composition_in_fp64() {
        for kind in [Kind::Float, Kind::BFloat16] {
            for (shape, width) in [(&[3i64, 35, 96][..], 40), (&[70, 38], 21), (&[0, 4, 48], 16)] {
                let depth = *shape.last().unwrap();
                let function = |fused: bool| if fused { gated_linear } else { reference::gated_linear };
                let weight = |depth: i64| {
                    let weight = leaf(3, &[width, depth], kind) / (depth as f64).sqrt();
                    weight.detach().set_requires_grad(true)
                };
                let apart = [leaf(1, shape, kind), leaf(2, shape, kind), weight(depth)];
                agree(kind, &apart, |t, fused| function(fused)(Sides::Apart(&t[0], &t[1]), Activation::Silu, &t[2]));
                let joint = [leaf(1, shape, kind), weight(depth / 2)];
                agree(kind, &joint, |t, fused| function(fused)(Sides::Joint(&t[0], false), Activation::Gelu, &t[1]));
            }
        }
    }

    #[test]
    fn any_part_may_be_frozen() {
        for learns in 1..8 {
            let shapes: [&[i64]; 3] = [&[5, 12], &[5, 12], &[4, 12]];
            let t: Vec<Tensor> = (0..3)
                .map(|i| leaf(i as u64, shapes[i], Kind::Float).detach().set_requires_grad(learns >> i & 1 == 1))
                .collect();
            let sides = Sides::Apart(&t[0], &t[1]);
            let y = gated_linear(sides, Activation::Silu, &t[2]) + gated(sides, Activation::Silu).sum(Kind::Float);
            y.sum(Kind::Float).backward();
            for (i, tensor) in t.iter().enumerate() {
                assert_eq!(tensor.grad().defined(), learns >> i & 1 == 1);
            }
        }
    }

    #[test]
    fn does_not_depend_on_threads_nor_on_layout() {
        let (gate, up) = (leaf(1, &[64, 300], Kind::Float), leaf(2, &[64, 300], Kind::Float));
        on_threads(|| {
            let y = gated(Sides::Apart(&gate.tr(), &up.tr()), Activation::Silu);
            let (flat_gate, flat_up) = (gate.tr().contiguous(), up.tr().contiguous());
            assert_eq!(y, gated(Sides::Apart(&flat_gate, &flat_up), Activation::Silu));
            let mut all = Tensor::run_backward(&[y.square().sum(Kind::Float)], &[&gate, &up], false, false);
            all.push(y.detach());
            all
        });
    }
}

//! Rotary position embeddings (Su et al. 2021) as one node. On a CPU.
//!
//! B batch, T tokens, H heads, K head size, R pairs of dimensions that turn, 2 R ≤ K.

use super::takes;
use crate::shim;
use tch::{Kind, Tensor};

/// The plain composition.
pub mod reference {
    use super::*;

    /// As [`super::rotary`]; dtypes below fp32 are turned in fp32.
    pub fn rotary(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Tensor {
        let half = cos.size()[3];
        let (first, second) = (x.narrow(3, 0, half), x.narrow(3, half, half));
        let [a, b] = [&first * cos - &second * sin, &second * cos + &first * sin].map(|it| it.to_kind(x.kind()));
        let rest = x.size()[3] - 2 * half;
        if rest == 0 { Tensor::cat(&[a, b], 3) } else { Tensor::cat(&[a, b, x.narrow(3, 2 * half, rest)], 3) }
    }
}

/// Turns the first 2 R dimensions of `x` [B, T, H, K] as pairs of two halves, by angles whose `cos` and `sin` [1 or B, T, 1, R] need no
/// gradient; the others stay. Shape and dtype of `x`.
pub fn rotary(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Tensor {
    let (size, angles) = (x.size(), cos.size());
    let fits = takes(&[x])
        && takes(&[cos, sin])
        && cos.kind() == Kind::Float
        && !(cos.requires_grad() || sin.requires_grad())
        && sin.size() == angles
        && matches!((&size[..], &angles[..]), (&[batch, tokens, _, width], &[rows, of, 1, half])
            if (rows == 1 || rows == batch) && of == tokens && 2 * half <= width && half > 0);
    if !fits {
        return reference::rotary(x, cos, sin);
    }
    shim::decoders::rotary(x, &cos.contiguous(), &sin.contiguous()).expect("checked arguments")
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn angles(rows: i64, tokens: i64, half: i64) -> [Tensor; 2] {
        let angles = leaf(7, &[rows, tokens, 1, half], Kind::Float).detach();
        [angles.cos(), angles.sin()]
    }

    #[test]
    fn equals_the_composition_in_fp64() {
        for kind in [Kind::Float, Kind::BFloat16] {
            for ([batch, tokens, heads, width], half) in
                [([3, 35, 4, 64], 32), ([2, 7, 3, 40], 20), ([1, 5, 2, 10], 3), ([2, 1, 1, 6], 3), ([0, 4, 2, 8], 4)]
            {
                for rows in [1, batch] {
                    let [cos, sin] = angles(rows, tokens, half);
                    agree(kind, &[leaf(1, &[batch, tokens, heads, width], kind)], |t, fused| {
                        let function = if fused { rotary } else { reference::rotary };
                        function(&t[0], &cos, &sin)
                    });
                }
            }
        }
    }

    /// Heads of one product of queries, keys and values, and the gradient of a transposed result.
    #[test]
    fn takes_parts_and_transposed_gradients() {
        let joint = leaf(1, &[2, 6, 5, 16], Kind::Float);
        let [cos, sin] = angles(1, 6, 8);
        let run = |rotate: &dyn Fn(&Tensor) -> Tensor| {
            let y = rotate(&joint.narrow(2, 1, 3)).transpose(1, 2);
            let direction = leaf(3, &[2, 3, 6, 16], Kind::Float).detach();
            let gradient =
                Tensor::run_backward(&[(&y * direction).sum(Kind::Float)], &[&joint], false, false).remove(0);
            [y.detach(), gradient]
        };
        let (fused, plain) = (run(&|x| rotary(x, &cos, &sin)), run(&|x| reference::rotary(x, &cos, &sin)));
        for (a, b) in fused.iter().zip(&plain) {
            assert!((a - b).abs().max().double_value(&[]) < 1e-6);
        }
    }
}

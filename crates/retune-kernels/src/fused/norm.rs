//! Dropout, residual sum and layer norm (Ba et al. 2016) in one pass, as an encoder block ends; on the CPU and on GPUs.
//!
//! D row width. Rows may have any leading dimensions; weight and bias are fp32.

use super::{next_drop, takes_on};
use crate::shim::{self, NormKind};
use crate::{LayerNorm, dropout};
use tch::{Device, Kind, Tensor};

/// Wider rows take the plain composition.
pub(super) const WIDEST: i64 = 8192;

/// The plain compositions.
pub mod reference {
    use super::*;

    /// `norm(residual + dropout(x))`.
    pub fn dropout_residual_norm(x: &Tensor, residual: &Tensor, norm: &LayerNorm, p: f64, train: bool) -> Tensor {
        norm.plain(&(residual + dropout::dropout(x, p, train)))
    }

    /// `dropout(norm(x))`.
    pub fn norm_dropout(x: &Tensor, norm: &LayerNorm, p: f64, train: bool) -> Tensor {
        dropout::dropout(&norm.plain(x), p, train)
    }
}

/// Whether the kernel can take these activations, all of one size.
fn fits(activations: &[&Tensor], norm: &LayerNorm) -> bool {
    let (weight, bias, _) = norm.parts();
    let (width, device) = (weight.size()[0], weight.device());
    let runs = match device {
        Device::Cpu => width <= WIDEST,
        Device::Cuda(index) => shim::device::norm_on_device(index, width),
        _ => false,
    };
    let size = activations[0].size();
    runs && takes_on(device, activations)
        && weight.kind() == Kind::Float
        && bias.kind() == Kind::Float
        && bias.device() == device
        && size.last() == Some(&width)
        && activations.iter().all(|t| t.size() == size)
}

/// `norm(residual + dropout(x))`, both [.., D] of one dtype, which is the result's too.
pub fn dropout_residual_norm(x: &Tensor, residual: &Tensor, norm: &LayerNorm, p: f64, train: bool) -> Tensor {
    if !fits(&[x, residual], norm) {
        return reference::dropout_residual_norm(x, residual, norm, p, train);
    }
    shim::norm(x, Some(residual), norm.parts(), next_drop(p, train), NormKind::DropAddNorm).expect("checked arguments")
}

/// `dropout(norm(x))` of `x` [.., D].
pub fn norm_dropout(x: &Tensor, norm: &LayerNorm, p: f64, train: bool) -> Tensor {
    if !fits(&[x], norm) {
        return reference::norm_dropout(x, norm, p, train);
    }
    shim::norm(x, None, norm.parts(), next_drop(p, train), NormKind::NormDrop).expect("checked arguments")
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn compare(kind: Kind, shape: &[i64], p: f64, residual: bool) {
        let width = *shape.last().unwrap();
        let inputs = vec![
            leaf_on(test_device(), 1, shape, kind),
            leaf_on(test_device(), 2, shape, kind),
            leaf_on(test_device(), 3, &[width], Kind::Float),
            leaf_on(test_device(), 4, &[width], Kind::Float),
        ];
        agree(kind, &inputs, |t, fused| {
            let norm = LayerNorm::new(t[2].shallow_clone(), t[3].shallow_clone(), 1e-12);
            match (residual, fused) {
                (true, true) => dropout_residual_norm(&t[0], &t[1], &norm, p, true),
                (true, false) => reference::dropout_residual_norm(&t[0], &t[1], &norm, p, true),
                (false, true) => norm_dropout(&t[0], &norm, p, true),
                (false, false) => reference::norm_dropout(&t[0], &norm, p, true),
            }
        });
    }

    #[test]
    fn equals_the_composition_in_fp64() {
        // The same masks in fp64 are drawn on the CPU only.
        let probabilities: &[f64] = if test_device() == Device::Cpu { &[0.0, 0.1] } else { &[0.0] };
        for kind in [Kind::Float, Kind::BFloat16] {
            for residual in [true, false] {
                for &p in probabilities {
                    compare(kind, &[3, 35, 384], p, residual);
                    compare(kind, &[70, 37], p, residual);
                    compare(kind, &[1, 1, 5], p, residual);
                    compare(kind, &[0, 4, 48], p, residual);
                }
            }
        }
    }

    /// Of rows so many that each warp of a GPU has several, with the masks that the CPU draws.
    #[test]
    fn devices_agree() {
        let run = |device: Device| {
            let [x, residual] = [1, 2].map(|seed| leaf_on(device, seed, &[3000, 96], Kind::Float));
            let [weight, bias] = [3, 4].map(|seed| leaf_on(device, seed, &[96], Kind::Float));
            let norm = LayerNorm::new(weight.shallow_clone(), bias.shallow_clone(), 1e-5);
            crate::dropout::set_stream(5);
            let y = norm_dropout(&dropout_residual_norm(&x, &residual, &norm, 0.2, true), &norm, 0.3, true);
            let loss = (&y * y.detach().roll(&[1i64][..], &[0i64][..])).sum(Kind::Float);
            let mut all = Tensor::run_backward(&[loss], &[&x, &residual, &weight, &bias], false, false);
            all.push(y.detach());
            all
        };
        for (here, cpu) in run(test_device()).iter().zip(run(Device::Cpu)) {
            let apart = (here.to_device(Device::Cpu) - &cpu).abs().max() / cpu.abs().max();
            assert!(apart.double_value(&[]) < 1e-5, "{apart:?}");
        }
    }

    #[test]
    fn does_not_depend_on_threads_nor_on_layout() {
        let norm = LayerNorm::new(leaf(3, &[64], Kind::Float), leaf(4, &[64], Kind::Float), 1e-5);
        let (x, residual) = (leaf(1, &[64, 100], Kind::Float), leaf(2, &[64, 100], Kind::Float));
        let run = || {
            crate::dropout::set_stream(5);
            let y = dropout_residual_norm(&x.tr(), &residual.tr(), &norm, 0.2, true);
            let loss = (&y * y.detach().roll(&[1i64][..], &[0i64][..])).sum(Kind::Float);
            let (weight, bias, _) = norm.parts();
            let mut all = Tensor::run_backward(&[loss], &[&x, &residual, weight, bias], false, false);
            all.push(y.detach());
            all
        };
        on_threads(run);
    }
}

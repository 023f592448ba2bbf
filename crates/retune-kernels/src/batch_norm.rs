//! Batch normalisation (Ioffe & Szegedy 2015), PyTorch's `nn.BatchNorm2d`.
//!
//! B batch, C channels, H and W feature map.

use crate::{Weight, replay};
use tch::{Tensor, no_grad};

/// Norm over batch and places of each channel. While training, the statistics are the batch's own and the running ones
/// follow them; otherwise, and where a channel has one value alone, the running ones are used. All of it is computed in fp32.
#[derive(Debug)]
pub struct BatchNorm {
    /// Scale \[C\].
    pub weight: Weight,
    /// Shift \[C\].
    pub bias: Weight,
    /// `running_mean` \[C\], written by each forward pass of training.
    pub mean: Weight,
    /// `running_var` \[C\], likewise.
    pub variance: Weight,
    /// `num_batches_tracked`, a whole number; nothing reads it where there is a momentum.
    pub batches: Weight,
    /// Added to variances.
    pub epsilon: f64,
    /// Share of the batch in the running statistics.
    pub momentum: f64,
}

impl BatchNorm {
    /// `x` [B, C, H, W] in fp32 or bf16; the same shape and dtype out. A pass of training must be the only one at the time.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        // One value has no variance, where PyTorch's module refuses to train.
        let train = train && x.numel() as i64 > x.size()[1];
        let counts = train && !replay::is_on();
        if counts {
            let mut batches = self.batches.shallow_clone();
            let _counted = no_grad(|| batches.g_add_scalar_(1));
        }
        x.batch_norm(
            Some(&*self.weight),
            Some(&*self.bias),
            Some(&*self.mean),
            Some(&*self.variance),
            train,
            if counts { self.momentum } else { 0.0 },
            self.epsilon,
            true,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::testing::test_device;
    use tch::Kind;

    #[test]
    fn running_statistics_follow_batches_and_are_used_afterwards() {
        let options = (Kind::Float, test_device());
        let of = |values: &[f32]| Weight::from(Tensor::from_slice(values).to_device(test_device()));
        let norm = BatchNorm {
            weight: of(&[2.0]),
            bias: of(&[1.0]),
            mean: of(&[0.0]),
            variance: of(&[1.0]),
            batches: Tensor::zeros([0i64; 0], (Kind::Int64, test_device())).into(),
            epsilon: 0.0,
            momentum: 0.1,
        };
        // Mean 5, variance 5 (6.67 without bias).
        let x = Tensor::from_slice(&[2.0f32, 4.0, 6.0, 8.0]).view([1, 1, 2, 2]).to_device(test_device());
        let value = |tensor: &Tensor| tensor.double_value(&[0]);
        let first = |y: Tensor| y.view([-1]).double_value(&[0]);
        assert!((first(norm.forward(&x, false)) - 5.0).abs() < 1e-6);
        assert_eq!((value(&norm.mean), norm.batches.int64_value(&[])), (0.0, 0));
        assert!((first(norm.forward(&x, true)) - (1.0 - 2.0 * 3.0 / 5f64.sqrt())).abs() < 1e-5);
        assert!((value(&norm.mean) - 0.5).abs() < 1e-6);
        assert!((value(&norm.variance) - (0.9 + 20.0 / 3.0 / 10.0)).abs() < 1e-6);
        assert_eq!(norm.batches.int64_value(&[]), 1);
        let expected = 1.0 + 2.0 * (2.0 - 0.5) / value(&norm.variance).sqrt();
        assert!((first(norm.forward(&x, false)) - expected).abs() < 1e-5);
        assert_eq!(norm.forward(&Tensor::zeros([2, 1, 3, 3], options), false).size(), [2, 1, 3, 3]);
        let alone = x.narrow(2, 0, 1).narrow(3, 0, 1);
        assert_eq!(norm.forward(&alone, true), norm.forward(&alone, false));
        assert_eq!(norm.batches.int64_value(&[]), 1);
    }
}

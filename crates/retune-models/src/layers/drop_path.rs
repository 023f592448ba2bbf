//! Stochastic depth (Huang et al. 2016): a residual branch is left out for whole examples while training.

use retune_kernels::dropout::dropout;
use retune_kernels::tch::Tensor;

/// Zeroes `x` [B, ..] for each example with probability `p` and scales the others by 1/(1-p); the identity unless `train`.
pub fn drop_path(x: &Tensor, p: f64, train: bool) -> Tensor {
    if !train || p == 0.0 {
        return x.shallow_clone();
    }
    let mut shape = vec![1; x.dim()];
    shape[0] = x.size()[0];
    x * dropout(&Tensor::ones(&shape, (x.kind(), x.device())), p, train)
}

/// Probabilities that grow linearly from 0 in the first block to `last` in the last one.
pub fn linear_rates(last: f64, blocks: usize) -> Vec<f64> {
    (0..blocks).map(|i| last * i as f64 / blocks.saturating_sub(1).max(1) as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_kernels::tch::{Device, Kind};

    #[test]
    fn whole_examples_are_dropped_and_the_mean_stays() {
        retune_kernels::dropout::set_stream(5);
        let x = Tensor::ones([4000, 2, 3], (Kind::Float, Device::Cpu));
        let y = drop_path(&x, 0.25, true);
        let per_example = y.view([4000, 6]);
        let (least, most) = (per_example.amin([1], false), per_example.amax([1], false));
        assert_eq!(least, most, "an example was dropped in part");
        assert!((y.mean(Kind::Double).double_value(&[]) - 1.0).abs() < 0.03);
        assert!((y.max().double_value(&[]) - 4.0 / 3.0).abs() < 1e-6 && y.min().double_value(&[]) == 0.0);
        assert_eq!(drop_path(&x, 0.25, false), x);
    }

    #[test]
    fn rates_end_at_the_configured_one() {
        assert_eq!(linear_rates(0.5, 3), [0.0, 0.25, 0.5]);
        assert_eq!(linear_rates(0.3, 1), [0.0]);
    }
}

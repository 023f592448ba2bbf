//! LayerDrop (Fan et al. 2019): whole layers are left out of a pass while training.

use retune_kernels::{dropout, random};

/// Whether a layer is left out of this pass, with probability `p`, by the stream of dropout; never unless `train`.
pub fn is_left_out(p: f64, train: bool) -> bool {
    train && p > 0.0 && random::uniform(dropout::next_seed(), 1)[0] < p
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_left_out_as_often_as_said_and_only_while_training() {
        dropout::set_stream(3);
        let count = |p: f64, train: bool| (0..2000).filter(|_| is_left_out(p, train)).count();
        assert!((440..560).contains(&count(0.25, true)));
        assert_eq!((count(0.25, false), count(0.0, true)), (0, 0));
    }
}

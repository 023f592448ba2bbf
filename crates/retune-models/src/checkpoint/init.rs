//! Values of parameters that no checkpoint gives: pure functions of a seed.

use retune_kernels::random;

/// Values of a parameter that the checkpoint does not give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Normal with this standard deviation (Hugging Face's `initializer_range`).
    Normal(f64),
    /// Uniform in ± this bound.
    Uniform(f64),
    /// All the same.
    Constant(f64),
    /// Of offsets [heads · maps · points · 2]: each head looks into another direction, each of its points further (Zhu et al.
    /// 2020, §4.1).
    Directions {
        /// Heads.
        heads: i64,
        /// Points of a head on each map.
        points: i64,
    },
}

impl Init {
    /// Uniform, so that neither what comes in nor the gradient changes its variance (Glorot & Bengio 2010; PyTorch's
    /// `xavier_uniform_`).
    pub fn even(inputs: i64, outputs: i64) -> Self {
        Self::Uniform((6.0 / (inputs + outputs) as f64).sqrt())
    }

    /// So many of them; a seed tells tensors apart.
    pub(super) fn values(self, seed: u64, count: usize) -> Vec<f32> {
        match self {
            Self::Constant(value) => vec![value as f32; count],
            Self::Directions { heads, points } => {
                let of = |i: i64| {
                    let (head, point, axis) = (i / (count as i64 / heads), i / 2 % points, i % 2);
                    let angle = head as f64 * std::f64::consts::TAU / heads as f64;
                    let step = [angle.cos(), angle.sin()];
                    (step[axis as usize] / step[0].abs().max(step[1].abs()) * (point + 1) as f64) as f32
                };
                (0..count as i64).map(of).collect()
            }
            Self::Normal(std) => random::normal(seed, count).into_iter().map(|x| x * std as f32).collect(),
            Self::Uniform(bound) => {
                random::uniform(seed, count).into_iter().map(|x| ((2.0 * x - 1.0) * bound) as f32).collect()
            }
        }
    }
}

//! Rotary position embeddings (Su et al. 2021), with what stretches them to longer texts.
//!
//! transformers' `LlamaRotaryEmbedding` and `modeling_rope_utils`: linear, dynamic NTK, YaRN (Peng et al. 2023), Llama 3,
//! LongRoPE (Ding et al. 2024). B batch, T tokens, H heads, K head size, R ≤ K how much of it is rotated.

use retune_kernels::fused;
use retune_kernels::tch::{Device, Kind, Tensor};
use std::f64::consts::PI;

/// How frequencies are changed for texts longer than those of pretraining.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All divided by a factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// The base grows with the text, once it is longer than in pretraining.
    Dynamic {
        /// The factor.
        factor: f64,
        /// Longest text of pretraining.
        longest: i64,
    },
    /// Low frequencies are divided, high ones stay, a ramp between them.
    Yarn {
        /// The factor.
        factor: f64,
        /// What cosines and sines are multiplied by.
        attention: f64,
        /// Rotations over the original length: from where the ramp begins to where it ends.
        beta: (f64, f64),
        /// Longest text of pretraining.
        longest: i64,
        /// Whether the ends of the ramp are whole dimensions.
        truncate: bool,
    },
    /// As YaRN, with a ramp by wavelength.
    Llama3 {
        /// The factor.
        factor: f64,
        /// Factors of low and of high frequencies.
        bands: (f64, f64),
        /// Longest text of pretraining.
        longest: i64,
    },
    /// A factor for each frequency, one list for short and one for long texts.
    LongRope {
        /// Divisors in texts that are not longer than in pretraining.
        short: Vec<f64>,
        /// Divisors in longer texts.
        long: Vec<f64>,
        /// What cosines and sines are multiplied by.
        attention: f64,
        /// Longest text of pretraining.
        longest: i64,
    },
}

/// Rotary embeddings of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// R.
    pub size: i64,
    /// The base θ of wavelengths.
    pub base: f64,
    /// For longer texts.
    pub scaling: RopeScaling,
}

/// Cosines and sines of a batch's positions.
#[derive(Debug)]
pub struct Angles {
    cos: Tensor, // [B or 1, T, 1, R / 2]
    sin: Tensor,
    neighbours: bool,
}

impl Rotary {
    /// R / 2 frequencies, rounded up, for texts of this length, in fp32.
    fn frequencies(&self, length: i64, device: Device) -> Tensor {
        let half =
            Tensor::arange_start_step(0, self.size, 2, (Kind::Int64, device)).to_kind(Kind::Float) / self.size as f64;
        let wavelengths = |base: f64| Tensor::pow_scalar(base, &half); // over 2π
        let plain = || wavelengths(self.base).reciprocal();
        match &self.scaling {
            RopeScaling::None => plain(),
            RopeScaling::Linear { factor } => plain() / *factor,
            RopeScaling::Dynamic { factor, longest } => {
                let size = self.size as f64;
                let grown = factor * length.max(*longest) as f64 / *longest as f64 - (factor - 1.0);
                wavelengths(self.base * grown.powf(size / (size - 2.0))).reciprocal()
            }
            RopeScaling::Yarn { factor, beta, longest, truncate, .. } => {
                let size = self.size as f64;
                let dimension =
                    |turns: f64| size * (*longest as f64 / (turns * 2.0 * PI)).ln() / (2.0 * self.base.ln());
                let (mut low, mut high) = (dimension(beta.0), dimension(beta.1));
                if *truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                let (low, mut high) = (low.max(0.0), high.min(size - 1.0));
                if low == high {
                    high += 0.001;
                }
                let places = Tensor::arange(self.size / 2, (Kind::Float, device));
                let stay = rest(&((places - low) / (high - low)).clamp(0.0, 1.0));
                let divided: Tensor = (wavelengths(self.base) * *factor).reciprocal();
                divided * rest(&stay) + plain() * &stay
            }
            RopeScaling::Llama3 { factor, bands: (low, high), longest } => {
                let plain = plain();
                let wavelength = plain.reciprocal() * (2.0 * PI);
                let longest = *longest as f64;
                let smooth: Tensor = (wavelength.reciprocal() * longest - *low) / (high - low);
                let smoothed = rest(&smooth) * &plain / *factor + &smooth * &plain;
                let divided = &plain / *factor;
                let changed = divided.where_self(&wavelength.gt(longest / low), &plain);
                let medium = wavelength.lt(longest / high).logical_not() * wavelength.gt(longest / low).logical_not();
                smoothed.where_self(&medium, &changed)
            }
            RopeScaling::LongRope { short, long, longest, .. } => {
                let divisors: Vec<f32> =
                    (if length > *longest { long } else { short }).iter().map(|&divisor| divisor as f32).collect();
                (Tensor::from_slice(&divisors).to_device(device) * wavelengths(self.base)).reciprocal()
            }
        }
    }

    fn attention(&self) -> f64 {
        match &self.scaling {
            RopeScaling::Yarn { attention, .. } | RopeScaling::LongRope { attention, .. } => *attention,
            _ => 1.0,
        }
    }

    /// Whether frequencies depend on how long the text is.
    pub fn depends_on_length(&self) -> bool {
        matches!(self.scaling, RopeScaling::Dynamic { .. } | RopeScaling::LongRope { .. })
    }

    /// Of `positions` int64 [B or 1, T], the last of which is `length` - 1.
    pub fn angles(&self, positions: &Tensor, length: i64) -> Angles {
        self.turned(positions, &self.frequencies(length, positions.device()))
    }

    /// Of `positions` int64 [B, T] in texts of these lengths, one for each row.
    pub fn angles_of_rows(&self, positions: &Tensor, lengths: &[i64]) -> Angles {
        if !self.depends_on_length() {
            return self.angles(positions, 0);
        }
        let of_rows = lengths.iter().map(|&length| self.frequencies(length, positions.device()));
        self.turned(positions, &Tensor::stack(&of_rows.collect::<Vec<_>>(), 0).unsqueeze(1))
    }

    fn turned(&self, positions: &Tensor, frequencies: &Tensor) -> Angles {
        let angles = positions.unsqueeze(-1).to_kind(Kind::Float) * frequencies; // [B, T, R / 2]
        let of = |x: Tensor| (x * self.attention()).unsqueeze(2);
        Angles { cos: of(angles.cos()), sin: of(angles.sin()), neighbours: false }
    }
}

/// 1 - x.
fn rest(x: &Tensor) -> Tensor {
    x.ones_like() - x
}

impl Angles {
    /// The same, which turn pairs of neighbouring dimensions in place of those of two halves.
    #[must_use]
    pub fn of_neighbours(self) -> Self {
        Self { neighbours: true, ..self }
    }

    /// Rotates the first R of `x` [B, T, H, K] as pairs of its halves, or of neighbours; same shape and dtype out.
    pub fn rotate(&self, x: &Tensor) -> Tensor {
        if !self.neighbours {
            return fused::rotary(x, &self.cos, &self.sin);
        }
        let half = self.cos.size()[3];
        let [cos, sin] = [&self.cos, &self.sin].map(|it| it.to_kind(x.kind()));
        let turned = x.narrow(3, 0, 2 * half);
        let (first, second) = (turned.slice(3, 0, None, 2), turned.slice(3, 1, None, 2));
        let rotated = [&first * &cos - &second * &sin, &second * &cos + &first * &sin];
        let turned = Tensor::stack(&rotated, 4).flatten(3, 4);
        let rest = x.size()[3] - 2 * half;
        if rest == 0 { turned } else { Tensor::cat(&[turned, x.narrow(3, 2 * half, rest)], 3) }
    }
}

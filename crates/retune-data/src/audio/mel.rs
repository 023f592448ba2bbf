//! Triangular filters on the mel scales that feature extractors use.

/// A mel scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Linear up to 1 kHz, then logarithmic (Slaney 1998), filters of equal area; triangles in hertz.
    Slaney,
    /// Logarithmic throughout, filters of equal height; triangles in mel.
    Kaldi,
}

/// The weights of one filter, from its first frequency on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    pub(super) first: usize,
    pub(super) weights: Vec<f64>,
}

impl Filter {
    /// Of a power spectrum.
    pub(super) fn apply(&self, power: &[f64]) -> f64 {
        power[self.first..].iter().zip(&self.weights).map(|(power, weight)| power * weight).sum()
    }
}

impl Scale {
    fn of_hertz(self, hertz: f64) -> f64 {
        match self {
            Self::Kaldi => 1127.0 * (1.0 + hertz / 700.0).ln(),
            Self::Slaney if hertz < 1000.0 => 3.0 * hertz / 200.0,
            Self::Slaney => 15.0 + (hertz / 1000.0).ln() * 27.0 / 6.4f64.ln(),
        }
    }

    fn to_hertz(self, mel: f64) -> f64 {
        match self {
            Self::Kaldi => 700.0 * ((mel / 1127.0).exp() - 1.0),
            Self::Slaney if mel < 15.0 => 200.0 * mel / 3.0,
            Self::Slaney => 1000.0 * ((mel - 15.0) * 6.4f64.ln() / 27.0).exp(),
        }
    }

    /// `count` filters over `frequencies` places from 0 to half of `rate`, between `lowest` and `highest` hertz.
    pub(super) fn filters(
        self,
        (count, frequencies): (usize, usize),
        (lowest, highest): (f64, f64),
        rate: u32,
    ) -> Vec<Filter> {
        let (low, high) = (self.of_hertz(lowest), self.of_hertz(highest));
        let mels = |i: usize| low + (high - low) * i as f64 / (count + 1) as f64;
        let hertz = |i: usize| f64::from(rate) / 2.0 * i as f64 / (frequencies - 1) as f64;
        let (places, corners): (Vec<f64>, Vec<f64>) = match self {
            Self::Slaney => {
                ((0..frequencies).map(hertz).collect(), (0..count + 2).map(|i| self.to_hertz(mels(i))).collect())
            }
            Self::Kaldi => {
                ((0..frequencies).map(|i| self.of_hertz(hertz(i))).collect(), (0..count + 2).map(mels).collect())
            }
        };
        let filter = |i: usize| {
            let (left, middle, right) = (corners[i], corners[i + 1], corners[i + 2]);
            let area = if self == Self::Slaney { 2.0 / (right - left) } else { 1.0 };
            let weight = |&place: &f64| {
                let (up, down) = ((place - left) / (middle - left), (right - place) / (right - middle));
                up.min(down).max(0.0) * area
            };
            let weights: Vec<f64> = places.iter().map(weight).collect();
            let first = weights.iter().position(|&weight| weight > 0.0).unwrap_or(0);
            let end = weights.iter().rposition(|&weight| weight > 0.0).map_or(first, |last| last + 1);
            Filter { first, weights: weights[first..end].to_vec() }
        };
        (0..count).map(filter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_go_both_ways() {
        for scale in [Scale::Slaney, Scale::Kaldi] {
            for hertz in [20.0, 500.0, 999.0, 1000.0, 4000.0, 8000.0] {
                assert!((scale.to_hertz(scale.of_hertz(hertz)) - hertz).abs() < 1e-9);
            }
        }
        assert!((Scale::Slaney.of_hertz(6400.0) - 42.0).abs() < 1e-9);
    }
}

//! What a metric is called, which way it should move, and what range it stays in. Each is a constant beside its code.

/// Whether larger or smaller values are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Larger is better.
    Higher,
    /// Smaller is better.
    Lower,
}

impl Direction {
    /// Whether `new` beats `old`; a NaN beats nothing.
    pub fn improves(self, new: f64, old: f64) -> bool {
        match self {
            Self::Higher => new > old,
            Self::Lower => new < old,
        }
    }

    /// How much better `new` is than `old`: negative where it is worse.
    pub fn gain(self, new: f64, old: f64) -> f64 {
        match self {
            Self::Higher => new - old,
            Self::Lower => old - new,
        }
    }
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its key in `metrics.json`, and for `--best-by`.
    pub key: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// Which way it should move.
    pub direction: Direction,
    /// The values that it cannot leave.
    pub range: (f64, f64),
}

/// The loss per target, without smoothing or class weights: every task has it.
pub const LOSS: Metric = Metric::error("loss", "Loss");

impl Metric {
    /// A share from 0 to 1, the larger the better.
    pub const fn share(key: &'static str, name: &'static str) -> Self {
        Self { key, name, direction: Direction::Higher, range: (0.0, 1.0) }
    }

    /// A correlation from −1 to 1, the larger the better.
    pub const fn correlation(key: &'static str, name: &'static str) -> Self {
        Self { key, name, direction: Direction::Higher, range: (-1.0, 1.0) }
    }

    /// A size from 0 on, the smaller the better.
    pub const fn error(key: &'static str, name: &'static str) -> Self {
        Self { key, name, direction: Direction::Lower, range: (0.0, f64::INFINITY) }
    }

    /// A share of mistakes from 0 to 1, the smaller the better.
    pub const fn mistakes(key: &'static str, name: &'static str) -> Self {
        Self { key, name, direction: Direction::Lower, range: (0.0, 1.0) }
    }

    /// Whether it goes from 0 to 1 and larger is better, so that it is best shown on that whole scale.
    pub fn is_share(&self) -> bool {
        self.range == (0.0, 1.0) && self.direction == Direction::Higher
    }
}

/// The metric of a key among `known`.
pub fn find(known: &[&'static Metric], key: &str) -> Option<&'static Metric> {
    known.iter().find(|metric| metric.key == key).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_improves_nothing() {
        assert!(Direction::Higher.improves(0.2, 0.1));
        assert!(Direction::Lower.improves(0.1, 0.2));
        assert!(!Direction::Higher.improves(f64::NAN, 0.1));
        assert!(!Direction::Lower.improves(f64::NAN, 0.1));
    }

    #[test]
    fn a_gain_is_positive_where_the_new_value_is_better() {
        assert_eq!((Direction::Higher.gain(3.0, 1.0), Direction::Lower.gain(3.0, 1.0)), (2.0, -2.0));
    }
}

//! Closed-form 95 % intervals: Wilson for a proportion, Newcombe and exact McNemar for two models
//! scored on the same rows.

use serde::{Deserialize, Serialize};

use super::error::{MetricError, expect_length};

/// The 97.5 % point of the normal distribution.
pub(super) const Z: f64 = 1.959_963_984_540_054;

/// Wilson's score interval (1927) for `successes` out of `total`; none for an empty total.
pub fn wilson(successes: u64, total: u64) -> Option<(f64, f64)> {
    if total == 0 {
        return None;
    }
    let n = total as f64;
    let p = successes as f64 / n;
    let scale = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    // Rounding must not push the bound past the proportion it surrounds.
    Some(((centre - half).max(0.0).min(p), (centre + half).min(1.0).max(p)))
}

/// How much better one model is than another on the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Accuracy of the first minus accuracy of the second.
    pub difference: f64,
    /// Lower end of its 95 % interval (Newcombe 1998, method 10).
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Two-sided exact McNemar test of "both are equally often right".
    pub p_value: f64,
}

/// Compares two models row by row; `correct_a[i]` and `correct_b[i]` are about the same example.
///
/// # Errors
/// The two differ in length, or are empty.
pub fn paired_accuracy_difference(correct_a: &[bool], correct_b: &[bool]) -> Result<Difference, MetricError> {
    expect_length("the second model's results", correct_b.len(), correct_a.len(), 1)?;
    let (mut both, mut only_a, mut only_b, mut neither) = (0u64, 0u64, 0u64, 0u64);
    for (a, b) in correct_a.iter().zip(correct_b) {
        match (a, b) {
            (true, true) => both += 1,
            (true, false) => only_a += 1,
            (false, true) => only_b += 1,
            (false, false) => neither += 1,
        }
    }
    let total = correct_a.len() as u64;
    let (Some((low_a, high_a)), Some((low_b, high_b))) = (wilson(both + only_a, total), wilson(both + only_b, total))
    else {
        return Err(MetricError::Empty);
    };
    let n = total as f64;
    let (a, b) = ((both + only_a) as f64 / n, (both + only_b) as f64 / n);
    let phi = correlation(both as f64, only_a as f64, only_b as f64, neither as f64);
    let spread = |x: f64, y: f64| (x * x - 2.0 * phi * x * y + y * y).max(0.0).sqrt();
    let difference = (only_a as f64 - only_b as f64) / n;
    Ok(Difference {
        difference,
        low: (difference - spread(a - low_a, high_b - b)).max(-1.0),
        high: (difference + spread(high_a - a, b - low_b)).min(1.0),
        p_value: mcnemar(only_a, only_b),
    })
}

/// The phi coefficient of the 2×2 table, with Newcombe's continuity correction.
fn correlation(both: f64, only_a: f64, only_b: f64, neither: f64) -> f64 {
    let margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither);
    if margins <= 0.0 {
        return 0.0;
    }
    let product = both * neither - only_a * only_b;
    let half = (both + only_a + only_b + neither) / 2.0;
    let corrected = if product > 0.0 { (product - half).max(0.0) } else { product };
    corrected / margins.sqrt()
}

/// Twice the lower binomial tail at one half, at most 1.
fn mcnemar(only_a: u64, only_b: u64) -> f64 {
    let n = only_a + only_b;
    let fewer = only_a.min(only_b);
    // ln of C(n, k) / 2^n, stepping k up from 0; the largest term is the last one.
    let mut term = -(n as f64) * std::f64::consts::LN_2;
    let mut terms = vec![term];
    for k in 1..=fewer {
        term += ((n - k + 1) as f64).ln() - (k as f64).ln();
        terms.push(term);
    }
    let sum: f64 = terms.iter().map(|t| (t - term).exp()).sum();
    (2.0 * sum * term.exp()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::bootstrap::Random;
    use super::*;

    #[test]
    fn wilson_matches_published_values() {
        // Newcombe 1998 (Statistics in Medicine 17:857), table I: 81/263, 15/148, 0/20, 1/29.
        for (successes, total, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let found = wilson(successes, total).unwrap();
            assert!((found.0 - low).abs() < 5e-5, "{found:?}");
            assert!((found.1 - high).abs() < 5e-5, "{found:?}");
        }
        assert_eq!(wilson(0, 0), None);
        assert_eq!(wilson(20, 20).unwrap().1, 1.0);
    }

    #[test]
    fn mcnemar_is_the_binomial_tail() {
        assert_eq!(mcnemar(0, 0), 1.0);
        assert!((mcnemar(5, 0) - 2.0 / 32.0).abs() < 1e-15);
        // 2 · (1 + 10 + 45) / 1024
        assert!((mcnemar(2, 8) - 112.0 / 1024.0).abs() < 1e-14);
        assert_eq!(mcnemar(7, 7), 1.0);
        assert!(mcnemar(100_000, 101_000).is_finite());
    }

    #[test]
    fn difference_of_a_model_with_itself_is_nil() {
        let rows = [true, false, true, true];
        let same = paired_accuracy_difference(&rows, &rows).unwrap();
        assert_eq!((same.difference, same.p_value), (0.0, 1.0));
        assert!(same.low <= 0.0 && same.high >= 0.0);
    }

    #[test]
    fn bad_input_is_an_error() {
        assert_eq!(paired_accuracy_difference(&[], &[]), Err(MetricError::Empty));
        assert!(paired_accuracy_difference(&[true], &[true, false]).is_err());
    }

    #[test]
    fn paired_interval_covers_the_truth_as_often_as_it_says() {
        // Each row: both right 0.6, only a 0.2, only b 0.08, neither 0.12; the truth is 0.12.
        let mut random = Random::new(7);
        let mut covered = 0;
        for _ in 0..1000 {
            let (a, b): (Vec<bool>, Vec<bool>) = (0..80)
                .map(|_| match random.below(100) {
                    0..60 => (true, true),
                    60..80 => (true, false),
                    80..88 => (false, true),
                    _ => (false, false),
                })
                .unzip();
            let d = paired_accuracy_difference(&a, &b).unwrap();
            assert!(d.low <= d.difference && d.difference <= d.high);
            covered += u32::from(d.low <= 0.12 && 0.12 <= d.high);
        }
        assert!((930..=980).contains(&covered), "{covered}");
    }
}

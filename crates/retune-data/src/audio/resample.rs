//! Samples at another rate, by a windowed sinc: torchaudio's `sinc_interp_kaiser` with the values that librosa calls
//! `kaiser_best`, computed in double precision.
//!
//! A sample between others is their sum, each weighted by sinc(t)·kaiser(t/64), t in periods of the lower rate; what lies above
//! 95 % of half the lower rate is removed.

/// Zero crossings of the sinc on either side.
const ZEROS: f64 = 64.0;
/// The share of half the lower rate that passes.
const ROLLOFF: f64 = 0.947_593_716_739_959_6;
/// Of the Kaiser window: how steep the filter is.
const BETA: f64 = 14.769_656_459_379_492;
/// Weights that are kept for all places between two samples, at most.
const MOST_KEPT: usize = 8 << 20;

/// `samples` at `from` samples a second, as they would have been taken at `to`.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    if from == to || samples.is_empty() {
        return samples.to_vec();
    }
    let divisor = greatest_common_divisor(from, to);
    let (old, new) = ((from / divisor) as usize, (to / divisor) as usize);
    let passes = old.min(new) as f64 * ROLLOFF;
    let reach = (ZEROS * old as f64 / passes).ceil() as usize;
    let taps = 2 * reach + 1;
    // The weights of the samples around the place `phase / new` behind a sample, in samples.
    let weights = |phase: usize| -> Vec<f64> {
        let between = phase as f64 / new as f64;
        let weight =
            |tap: usize| kernel((tap as f64 - reach as f64 - between) * passes / old as f64) * passes / old as f64;
        (0..taps).map(weight).collect()
    };
    let kept: Vec<Vec<f64>> = if new * taps <= MOST_KEPT { (0..new).map(weights).collect() } else { Vec::new() };
    let count = (samples.len() * new).div_ceil(old);
    let mut resampled = Vec::with_capacity(count);
    for place in 0..count {
        // Its place among the old samples: a whole number of them, and a part in units of 1 / new.
        let (whole, phase) = (place * old / new, place * old % new);
        let computed;
        let weights = match kept.get(phase) {
            Some(weights) => weights,
            None => {
                computed = weights(phase);
                &computed
            }
        };
        let first = whole.saturating_sub(reach);
        let end = (whole + reach + 1).min(samples.len());
        let skipped = first + reach - whole;
        let around = samples[first.min(end)..end].iter().zip(&weights[skipped..]);
        resampled.push(around.map(|(&sample, &weight)| f64::from(sample) * weight).sum::<f64>() as f32);
    }
    resampled
}

/// sinc(t) under the window, 0 beyond it.
fn kernel(t: f64) -> f64 {
    let inside = 1.0 - (t / ZEROS).powi(2);
    if inside < 0.0 {
        return 0.0;
    }
    let window = bessel(BETA * inside.sqrt()) / bessel(BETA);
    let angle = std::f64::consts::PI * t;
    if t == 0.0 { window } else { window * angle.sin() / angle }
}

/// The modified Bessel function of the first kind and order 0, by its series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term, half) = (1.0, 1.0, x / 2.0);
    for k in 1..200 {
        term *= (half / f64::from(k)).powi(2);
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    sum
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::super::wav::{fixture, sine};
    use super::*;

    fn floats(name: &str) -> Vec<f32> {
        let bytes = std::fs::read(fixture(name)).unwrap();
        bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
    }

    /// torchaudio's formula, computed with NumPy and SciPy.
    #[test]
    fn the_reference_is_met_within_a_millionth() {
        let noise = floats("noise.f32");
        for (from, to) in [(8000, 16_000), (44_100, 16_000), (48_000, 16_000), (11_025, 16_000), (22_050, 8000)] {
            let expected = floats(&format!("noise_{from}_{to}.f32"));
            let found = resample(&noise, from, to);
            assert_eq!(found.len(), expected.len());
            let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "{from} to {to}: {worst}");
        }
    }

    #[test]
    fn what_both_rates_can_hold_stays_and_the_rest_goes() {
        for (from, to) in [(44_100u32, 16_000u32), (8000, 16_000), (44_101, 16_000)] {
            let hertz = 0.35 * f64::from(from.min(to));
            let found = resample(&sine(hertz, from, from as usize / 4), from, to);
            let expected = sine(hertz, to, found.len());
            // At the ends, silence stands for what is not there.
            let (edge, count) = (400, found.len());
            let inside = found[edge..count - edge].iter().zip(&expected[edge..count - edge]);
            let worst = inside.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{from} to {to}: {worst}");
        }
        let above = resample(&sine(9000.0, 44_100, 11_025), 44_100, 16_000);
        let left = above[400..3600].iter().fold(0.0f32, |most, sample| most.max(sample.abs()));
        assert!(left < 1e-4, "{left}");
        assert_eq!(resample(&[0.5, 0.25], 8000, 8000), [0.5, 0.25]);
        assert!(resample(&[], 8000, 16_000).is_empty());
        assert_eq!(resample(&[1.0], 44_100, 8000).len(), 1);
    }
}

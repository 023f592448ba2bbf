//! Higher or lower sounds of the same length: resampled, then brought back to their length by overlapping pieces, each taken where
//! it goes on best from the one before (WSOLA, Verhelst & Roelands 1993), as SoX does it.

use std::f64::consts::TAU;

use super::resample::resample;

/// Seconds of a piece; half of each overlaps the next.
const PIECE: f64 = 0.03;
/// Seconds that a piece may begin earlier or later than its place; a period of the lowest voices fits in.
const REACH: f64 = 0.01;
/// Samples that a first search for where a piece goes on best skips.
const COARSE: isize = 4;
/// Pitches are hundredths of the frequency, so that resampling has few phases.
const STEPS: f64 = 100.0;
/// Semitones of an octave, which doubles frequencies.
const OCTAVE: f64 = 12.0;

/// A sound so many semitones higher, of as many samples as before; `rate` are samples a second.
pub(super) fn pitched(samples: &[f32], semitones: f64, rate: u32) -> Vec<f32> {
    let factor = ((semitones / OCTAVE).exp2() * STEPS).round() as u32;
    if f64::from(factor) == STEPS {
        return samples.to_vec();
    }
    stretched(&resample(samples, factor, STEPS as u32), samples.len(), rate)
}

/// As long as asked for, at the same pitch.
fn stretched(samples: &[f32], length: usize, rate: u32) -> Vec<f32> {
    let hop = ((PIECE / 2.0 * f64::from(rate)) as usize).max(1);
    let reach = (REACH * f64::from(rate)) as isize;
    if samples.is_empty() {
        return vec![0.0; length];
    }
    let at = |place: isize| usize::try_from(place).ok().and_then(|place| samples.get(place)).copied().unwrap_or(0.0);
    // Hann's window: with its neighbours, half a piece away, it adds up to one.
    let window: Vec<f32> =
        (0..2 * hop).map(|i| (0.5 - 0.5 * (TAU * i as f64 / (2 * hop) as f64).cos()) as f32).collect();
    let mut stretched = vec![0.0; length];
    // The first piece begins half before the sound, so that its beginning is whole.
    let mut taken = -(hop as isize);
    for (index, begin) in (0..length + hop).step_by(hop).enumerate() {
        if index > 0 {
            let share = (begin as f64 - hop as f64) / length as f64;
            let place = (share * samples.len() as f64).round() as isize;
            let goes_on: Vec<f32> = (0..2 * hop as isize).map(|i| at(taken + hop as isize + i)).collect();
            taken = best(&at, &goes_on, place, reach);
        }
        for (i, weight) in window.iter().enumerate() {
            // Places of the result are half a piece behind those of pieces.
            let Some(sample) = (begin + i).checked_sub(hop).and_then(|place| stretched.get_mut(place)) else {
                continue;
            };
            *sample += weight * at(taken + i as isize);
        }
    }
    stretched
}

/// Where a piece around `place` is most like `goes_on`; of several, the one nearest to it.
fn best(at: &impl Fn(isize) -> f32, goes_on: &[f32], place: isize, reach: isize) -> isize {
    let around: Vec<f32> = (0..=2 * reach + goes_on.len() as isize).map(|i| at(place - reach + i)).collect();
    let alike = |shift: isize, step: usize| {
        let piece = around[(reach + shift) as usize..][..goes_on.len()].iter().step_by(step);
        let (mut product, mut power) = (0.0f32, f32::MIN_POSITIVE);
        for (a, b) in piece.zip(goes_on.iter().step_by(step)) {
            product += a * b;
            power += a * a;
        }
        product / power.sqrt()
    };
    let among = |shifts: &mut dyn Iterator<Item = isize>, step: usize| {
        let (mut found, mut most) = (0, f32::NEG_INFINITY);
        for shift in shifts {
            let alike = alike(shift, step);
            if alike > most {
                (found, most) = (shift, alike);
            }
        }
        found
    };
    // Roughly over all of them, then exactly around the best.
    let nearest_first = (0..=reach / COARSE).flat_map(|it| if it == 0 { vec![0] } else { vec![it, -it] });
    let rough = among(&mut nearest_first.map(|it| it * COARSE), COARSE as usize);
    let found = among(&mut (rough - COARSE..=rough + COARSE).filter(|it| it.abs() <= reach), 1);
    place + found
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 8000;

    fn tone(frequency: f64, count: usize) -> Vec<f32> {
        (0..count).map(|i| (TAU * frequency * i as f64 / f64::from(RATE)).sin() as f32 * 0.3).collect()
    }

    /// Upward crossings of zero a second, between the first and the last of them.
    fn frequency(samples: &[f32]) -> f64 {
        let crossings: Vec<f64> = (1..samples.len())
            .filter(|&i| samples[i - 1] < 0.0 && samples[i] >= 0.0)
            .map(|i| i as f64 - f64::from(samples[i] / (samples[i] - samples[i - 1])))
            .collect();
        let [first, .., last] = crossings[..] else { panic!("no tone") };
        (crossings.len() - 1) as f64 * f64::from(RATE) / (last - first)
    }

    #[test]
    fn tones_become_higher_and_keep_their_length_and_power() {
        let power = |samples: &[f32]| samples.iter().map(|x| f64::from(x * x)).sum::<f64>() / samples.len() as f64;
        for (before, semitones) in [(440.0, 3.0), (220.0, -4.0), (900.0, 7.0), (150.0, -1.0)] {
            let given = tone(before, 6001);
            assert!((frequency(&given) - before).abs() < 0.01 * before);
            let changed = pitched(&given, semitones, RATE);
            let (expected, found) = (before * f64::exp2(semitones / 12.0), frequency(&changed[200..5800]));
            assert_eq!(changed.len(), given.len());
            assert!((found / expected - 1.0).abs() < 0.01, "{before} Hz by {semitones}: {found}, not {expected}");
            let share = power(&changed[200..5800]) / power(&given);
            assert!((0.9..1.1).contains(&share), "{before} Hz by {semitones}: {share} of its power");
        }
    }

    #[test]
    fn nothing_and_little_stay_what_they_are() {
        assert_eq!(pitched(&tone(300.0, 50), 0.0, RATE), tone(300.0, 50));
        assert_eq!(pitched(&[], 3.0, RATE), Vec::<f32>::new());
        assert_eq!(pitched(&[0.5; 7], 3.0, RATE).len(), 7);
        assert!(pitched(&[0.0; 900], 3.0, RATE).iter().all(|&sample| sample == 0.0));
    }
}

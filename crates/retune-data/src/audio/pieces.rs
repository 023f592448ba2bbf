//! Sounds that are longer than what a model reads at once become pieces, one behind the other. A cut is where the sound is quietest
//! in the last third of what could be read, so that it seldom goes through a word.

use std::ops::Range;

/// Samples over which loudness is measured, and from one measurement to the next, as parts of a second.
const STEPS_A_SECOND: u32 = 50;
/// Steps around a place that count as its loudness: a fifth of a second.
const AROUND: usize = 10;

/// Where pieces of at most `longest` samples begin and end; `rate` are samples a second.
pub(super) fn pieces(samples: &[f32], longest: usize, rate: u32) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    while samples.len() - begin > longest {
        let end = begin + cut(&samples[begin..begin + longest], rate);
        pieces.push(begin..end);
        begin = end;
    }
    pieces.push(begin..samples.len());
    pieces
}

/// Where a piece ends, above two thirds of its samples; the last of equally quiet places.
fn cut(samples: &[f32], rate: u32) -> usize {
    let step = (rate / STEPS_A_SECOND).max(1) as usize;
    let first = samples.len() - samples.len() / 3;
    let energy = |step: &[f32]| step.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
    let steps: Vec<f64> = samples[first..].chunks_exact(step).map(energy).collect();
    if steps.len() < AROUND {
        return samples.len();
    }
    let around = steps.windows(AROUND).map(|near| near.iter().sum::<f64>()).enumerate();
    let quietest = around.min_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map_or(0, |(place, _)| place);
    first + (quietest + AROUND / 2) * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_in_pauses_and_nothing_is_lost() {
        let rate = 1000;
        // Ten seconds of a tone with pauses of 0.4 seconds behind 2.5, 5 and 8 of them.
        let pause = |i: usize| [2500, 5000, 8000].iter().any(|&at| (at..at + 400).contains(&i));
        let samples: Vec<f32> = (0..10_000).map(|i| if pause(i) { 0.0 } else { (i as f32 * 0.9).sin() }).collect();
        let found = pieces(&samples, 3000, rate);
        assert_eq!((found[0].start, found.last().unwrap().end), (0, 10_000));
        assert!(found.windows(2).all(|pair| pair[0].end == pair[1].start), "{found:?}");
        assert!(found.iter().all(|piece| piece.len() <= 3000 && !piece.is_empty()), "{found:?}");
        assert!((2600..=2800).contains(&found[0].end) && (5100..=5300).contains(&found[1].end), "{found:?}");
        assert!(matches!(pieces(&samples[..3000], 3000, rate)[..], [Range { start: 0, end: 3000 }]));
        assert_eq!(pieces(&[0.5; 50], 20, rate), [0..20, 20..40, 40..50]);
    }
}

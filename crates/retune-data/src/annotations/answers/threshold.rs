//! The threshold of "no answer" with the best score, as SQuAD 2.0's official script searches it (`find_best_thresh`).

/// A question as the search sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoAnswerCase {
    /// How much "no answer" exceeds the best answer; the greater, the surer that there is none.
    pub null_difference: f64,
    /// What the best answer scores (exact match or F1, from 0 to 1) if it is given; not read for unanswerable questions.
    pub score: f64,
    /// Whether the question has an answer.
    pub answerable: bool,
}

/// The best threshold, and what it gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestThreshold {
    /// Answers are given whose difference is at most this.
    pub threshold: f64,
    /// The mean score with it, from 0 to 1.
    pub score: f64,
}

/// Searches the threshold; of equally good ones the lowest. `None` without questions, or if a difference or a score is not
/// finite.
///
/// Questions with equal differences are answered all or none, which the official script does not mind; where never to answer
/// is best, the threshold is 1 below the smallest difference (the script gives 0, which is right for probabilities only).
pub fn best_threshold(cases: &[NoAnswerCase]) -> Option<BestThreshold> {
    if cases.is_empty() || cases.iter().any(|it| !it.null_difference.is_finite() || !it.score.is_finite()) {
        return None;
    }
    let mut order: Vec<&NoAnswerCase> = cases.iter().collect();
    order.sort_by(|a, b| a.null_difference.total_cmp(&b.null_difference));
    let mut score = cases.iter().filter(|it| !it.answerable).count() as f64;
    let mut best = (score, order[0].null_difference - 1.0);
    for (place, case) in order.iter().enumerate() {
        score += if case.answerable { case.score } else { -1.0 };
        let last = order.get(place + 1).is_none_or(|next| next.null_difference > case.null_difference);
        if last && score > best.0 {
            best = (score, case.null_difference);
        }
    }
    Some(BestThreshold { threshold: best.1, score: best.0 / cases.len() as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn case(null_difference: f64, score: f64, answerable: bool) -> NoAnswerCase {
        NoAnswerCase { null_difference, score, answerable }
    }

    fn scored(cases: &[NoAnswerCase], threshold: f64) -> f64 {
        let one = |it: &NoAnswerCase| match (it.null_difference <= threshold, it.answerable) {
            (true, true) => it.score,
            (false, false) => 1.0,
            _ => 0.0,
        };
        cases.iter().map(one).sum::<f64>() / cases.len() as f64
    }

    #[test]
    fn the_best_threshold_is_found() {
        let cases = [case(-3.0, 1.0, true), case(-1.0, 0.5, true), case(0.5, 0.0, false), case(2.0, 1.0, true)];
        assert_eq!(best_threshold(&cases), Some(BestThreshold { threshold: -1.0, score: 0.625 }));
        let never = [case(-3.0, 0.0, false), case(1.0, 0.25, true)];
        assert_eq!(best_threshold(&never), Some(BestThreshold { threshold: -4.0, score: 0.5 }));
        assert_eq!(best_threshold(&[]), None);
        assert_eq!(best_threshold(&[case(f64::NAN, 1.0, true)]), None);
    }

    proptest! {
        #[test]
        fn no_other_threshold_is_better(cases in prop::collection::vec((-4i8..4, 0u8..5, any::<bool>()), 1..12)) {
            let cases: Vec<NoAnswerCase> =
                cases.iter().map(|&(at, score, has)| case(f64::from(at), f64::from(score) / 4.0, has)).collect();
            let best = best_threshold(&cases).unwrap();
            prop_assert!((scored(&cases, best.threshold) - best.score).abs() < 1e-12);
            for other in -12..12 {
                prop_assert!(scored(&cases, f64::from(other) / 2.0) <= best.score + 1e-12);
            }
        }
    }
}

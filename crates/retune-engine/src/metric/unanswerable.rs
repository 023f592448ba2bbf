//! Questions without an answer: from how much doubt on the empty answer should be given (SQuAD 2.0's search for the best
//! threshold).

use serde::Serialize;

use super::detail::{Axis, Block, Detail, Plot, Series};
use super::score::Score;

/// Points of the curves that are drawn, at most.
const MAX_POINTS: usize = 400;

/// A question, and the best words that the model found for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doubted {
    /// How much rather the model would give no answer.
    pub(crate) doubt: f64,
    /// Whether there is an answer.
    pub(crate) answerable: bool,
    /// Whether the model found any words.
    pub(crate) said: bool,
    /// How good they are.
    pub(crate) score: Score,
}

/// The best that a threshold on the doubt reaches on these questions; answers with more doubt than it are empty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Best {
    /// Mean over the questions.
    best: f64,
    /// `None`: no answer is better than none at all.
    threshold: Option<f64>,
}

/// Mean score at each threshold that can be told from the next: first with every answer empty, then by rising doubt.
/// Questions of equal doubt are answered together; SQuAD's script, which goes through them one by one, can stop between
/// them, at a value that no threshold reaches.
fn curve(questions: &[Doubted], value: impl Fn(&Score) -> f64) -> Vec<(Option<f64>, f64)> {
    let mut sorted: Vec<&Doubted> = questions.iter().collect();
    sorted.sort_by(|a, b| a.doubt.total_cmp(&b.doubt));
    let mut sum = sorted.iter().filter(|question| !question.answerable).count() as f64;
    let all = sorted.len() as f64;
    let mut points = vec![(None, sum / all)];
    for tie in sorted.chunk_by(|a, b| a.doubt == b.doubt) {
        for question in tie {
            sum += match (question.answerable, question.said) {
                (true, _) => value(&question.score),
                (false, true) => -1.0,
                (false, false) => 0.0,
            };
        }
        points.push((Some(tie[0].doubt), sum / all));
    }
    points
}

fn best(points: &[(Option<f64>, f64)]) -> Best {
    // Of equal ones the first, which answers the fewest questions.
    let first = points.iter().fold(&points[0], |best, point| if point.1 > best.1 + 1e-12 { point } else { best });
    Best { best: first.1, threshold: first.0 }
}

/// The threshold on the doubt with the best F1, of equal ones the lowest; below every doubt where it is best never to answer.
/// `None` without questions.
pub(crate) fn best_threshold(questions: &[Doubted]) -> Option<f64> {
    let smallest = questions.iter().map(|question| question.doubt).min_by(f64::total_cmp)?;
    Some(best(&curve(questions, |score| score.f1)).threshold.unwrap_or(smallest - 1.0))
}

/// The best thresholds for both metrics, and what each threshold does.
pub(super) fn best_thresholds(questions: &[Doubted]) -> Detail {
    #[derive(Serialize)]
    struct Thresholds {
        best_exact: f64,
        best_exact_thresh: Option<f64>,
        best_f1: f64,
        best_f1_thresh: Option<f64>,
    }
    let exact_curve = curve(questions, |score| f64::from(u8::from(score.exact)));
    let f1_curve = curve(questions, |score| score.f1);
    let (exact, f1) = (best(&exact_curve), best(&f1_curve));
    let drawn = |points: &[(Option<f64>, f64)]| {
        let stride = points.len().div_ceil(MAX_POINTS).max(1);
        points.iter().step_by(stride).filter_map(|(doubt, value)| Some(((*doubt)?, *value))).collect()
    };
    let mut series = vec![
        Series::Line("F1".to_owned(), drawn(&f1_curve)),
        Series::Line("exact match".to_owned(), drawn(&exact_curve)),
    ];
    series.extend(f1.threshold.map(|doubt| Series::Ring("best F1".to_owned(), (doubt, f1.best))));
    let plot = Plot {
        caption: "Answering below each doubt".to_owned(),
        spoken: "F1 and exact match at every threshold on the doubt".to_owned(),
        x: Axis::named("doubt"),
        y: Axis::unit(""),
        series,
        numbers: None,
    };
    let best = f1.threshold.map_or_else(
        || "No answer at all would be best here.".to_owned(),
        |doubt| format!("An F1 of {:.3} would be reached by no answer above a doubt of {doubt:.3}.", f1.best),
    );
    let words =
        format!("{best} That threshold is chosen on these very questions, so that its value is somewhat too good.");
    let value = Thresholds {
        best_exact: exact.best,
        best_exact_thresh: exact.threshold,
        best_f1: f1.best,
        best_f1_thresh: f1.threshold,
    };
    let shown = vec![Block::Plot(plot), Block::Words(words)];
    Detail::new("best_threshold", "When to give no answer", &value, shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubted(doubt: f64, answerable: bool, exact: bool) -> Doubted {
        Doubted { doubt, answerable, said: true, score: Score { exact, f1: f64::from(u8::from(exact)) } }
    }

    #[test]
    fn the_best_threshold_lies_before_the_questions_without_answer() {
        let questions = [doubted(-2.0, true, true), doubted(1.0, false, false), doubted(-1.0, true, true)];
        let found = best(&curve(&questions, |score| score.f1));
        assert_eq!(found, Best { best: 1.0, threshold: Some(-1.0) });
        let hopeless = [doubted(-2.0, false, false), doubted(1.0, true, true)];
        assert_eq!(best(&curve(&hopeless, |score| score.f1)), Best { best: 0.5, threshold: None });
        assert_eq!((best_threshold(&questions), best_threshold(&hopeless)), (Some(-1.0), Some(-3.0)));
        assert_eq!(best_threshold(&[]), None);
    }

    #[test]
    fn equal_doubts_cannot_be_parted() {
        let questions = [doubted(0.0, true, true), doubted(0.0, false, false), doubted(0.0, false, false)];
        let found = best(&curve(&questions, |score| score.f1));
        assert_eq!(found, Best { best: 2.0 / 3.0, threshold: None });
    }
}

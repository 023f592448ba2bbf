//! From logits to answers: the best parts of each window, and of all windows of a question together.
//!
//! As `postprocess_qa_predictions` of transformers (`utils_qa.py`) does it.

use std::cmp::Ordering;

use crate::annotations::Span;

/// How answers are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerOptions {
    /// How many starts and ends of a window are combined, and how many answers are kept.
    pub n_best: usize,
    /// Tokens of the longest answer.
    pub longest: usize,
    /// Whether "no answer" is an answer (SQuAD 2.0).
    pub unanswerable: bool,
}

impl Default for AnswerOptions {
    fn default() -> Self {
        Self { n_best: 20, longest: 30, unanswerable: false }
    }
}

/// What a model says about one window.
#[derive(Debug, Clone, Copy)]
pub struct WindowLogits<'a> {
    /// A logit for each token as the start of the answer.
    pub start: &'a [f32],
    /// A logit for each token as its end.
    pub end: &'a [f32],
    /// Where each token of the context stands, in characters; `None` for all other tokens.
    pub offsets: &'a [Option<Span>],
    /// The token that stands for "no answer": the classification token, 0 unless padding stands on the left.
    pub null: usize,
}

/// A part of the context that may be the answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Where it stands, in characters of the context.
    pub span: Span,
    /// The logit of its first token as the start.
    pub start_logit: f32,
    /// The logit of its last token as the end.
    pub end_logit: f32,
}

impl Candidate {
    /// The sum of both logits.
    pub fn score(&self) -> f32 {
        self.start_logit + self.end_logit
    }
}

/// The best candidates of a window, the best first, and its score of "no answer".
#[derive(Debug, Clone, PartialEq)]
pub struct WindowAnswers {
    /// The candidates.
    pub candidates: Vec<Candidate>,
    /// The sum of the logits of the token that stands for "no answer".
    pub null_score: f32,
}

/// An answer with its share of the probability among those that are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankedAnswer {
    /// Where it stands, in characters of the context; `None` for "no answer".
    pub span: Option<Span>,
    /// The sum of its logits.
    pub score: f32,
    /// The softmax of the scores of the answers that are kept.
    pub probability: f64,
}

/// The answers to a question, of all its windows.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedAnswers {
    /// The best ones, the best first; "no answer" is among them if it may be, at the end if it is none of the best.
    pub n_best: Vec<RankedAnswer>,
    /// How much "no answer" (of the window that is surest of the contrary) exceeds the best answer: what a threshold is
    /// compared with. `None` unless "no answer" may be one and there is another.
    pub null_difference: Option<f64>,
}

impl RankedAnswers {
    /// One answer without any doubt; `None` says that there is none.
    pub fn certain(span: Option<Span>) -> Self {
        Self { n_best: vec![RankedAnswer { span, score: 0.0, probability: 1.0 }], null_difference: None }
    }

    /// The best answer that is a part of the context, whatever "no answer" scores.
    pub fn best(&self) -> Option<&RankedAnswer> {
        self.n_best.iter().find(|answer| answer.span.is_some())
    }

    /// The answer: `None` if "no answer" exceeds the best part by more than the threshold (0 unless it was tuned).
    pub fn answer(&self, threshold: f64) -> Option<&RankedAnswer> {
        self.best().filter(|_| self.null_difference.is_none_or(|difference| difference <= threshold))
    }
}

/// The best parts of the context in one window.
///
/// # Panics
/// Logits and offsets of different lengths.
pub fn window_answers(window: &WindowLogits<'_>, options: &AnswerOptions) -> WindowAnswers {
    let WindowLogits { start, end, offsets, null } = *window;
    assert!(start.len() == end.len() && start.len() == offsets.len(), "a window has as many offsets as logits");
    let ends = highest(end, options.n_best);
    let mut candidates = Vec::new();
    for first in highest(start, options.n_best) {
        for &last in &ends {
            let (Some(from), Some(to)) = (offsets[first], offsets[last]) else {
                continue;
            };
            let span = Span::new(from.start, to.end);
            if last >= first && last - first < options.longest && !span.is_empty() {
                candidates.push(Candidate { span, start_logit: start[first], end_logit: end[last] });
            }
        }
    }
    candidates.sort_by(|a, b| descending(a.score(), b.score()));
    candidates.truncate(options.n_best);
    let null_score = start.get(null).copied().unwrap_or(0.0) + end.get(null).copied().unwrap_or(0.0);
    WindowAnswers { candidates, null_score }
}

/// The places of the highest values, the highest first; of equal ones the first.
fn highest(values: &[f32], most: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|&a, &b| descending(values[a], values[b]));
    places.truncate(most);
    places
}

fn descending(a: f32, b: f32) -> Ordering {
    b.total_cmp(&a)
}

/// Joins the windows of a question, given in order.
pub fn join_windows(windows: &[WindowAnswers], options: &AnswerOptions) -> RankedAnswers {
    let mut all: Vec<(Option<Candidate>, f32)> =
        windows.iter().flat_map(|window| &window.candidates).map(|&it| (Some(it), it.score())).collect();
    let null = windows.iter().map(|window| window.null_score).min_by(f32::total_cmp).filter(|_| options.unanswerable);
    all.extend(null.map(|score| (None, score)));
    all.sort_by(|a, b| descending(a.1, b.1));
    all.truncate(options.n_best);
    if let Some(score) = null
        && all.iter().all(|it| it.0.is_some())
    {
        all.push((None, score));
    }
    let best = all.iter().find_map(|it| it.0);
    let null_difference =
        null.zip(best).map(|(null, best)| f64::from(null) - f64::from(best.start_logit) - f64::from(best.end_logit));
    let most = all.iter().map(|it| f64::from(it.1)).fold(f64::NEG_INFINITY, f64::max);
    let shares: Vec<f64> = all.iter().map(|it| (f64::from(it.1) - most).exp()).collect();
    let sum: f64 = shares.iter().sum();
    let ranked = all.iter().zip(shares);
    let n_best = ranked.map(|((candidate, score), share)| RankedAnswer {
        span: candidate.map(|it| it.span),
        score: *score,
        probability: share / sum,
    });
    RankedAnswers { n_best: n_best.collect(), null_difference }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offsets(context: &[(usize, usize)]) -> Vec<Option<Span>> {
        let spans = context.iter().map(|&(start, end)| Some(Span::new(start, end)));
        [None, None].into_iter().chain(spans).chain([None]).collect()
    }

    fn window(start: &[f32], end: &[f32], offsets: &[Option<Span>], options: &AnswerOptions) -> WindowAnswers {
        window_answers(&WindowLogits { start, end, offsets, null: 0 }, options)
    }

    #[test]
    fn windows_are_joined_and_the_null_score_is_the_smallest() {
        let options = AnswerOptions { unanswerable: true, ..AnswerOptions::default() };
        let one = offsets(&[(0, 2), (3, 5)]);
        let other = offsets(&[(3, 5), (6, 9)]);
        let windows = [
            window(&[2.0, 9.0, 1.0, 0.5, 0.0], &[1.5, 0.0, 0.25, 1.0, 9.0], &one, &options),
            window(&[0.5, 0.0, 0.75, 2.0, 0.0], &[0.5, 0.0, 0.0, 3.0, 0.0], &other, &options),
        ];
        assert_eq!((windows[0].null_score, windows[1].null_score), (3.5, 1.0));
        let ranked = join_windows(&windows, &options);
        let spans: Vec<Option<Span>> = ranked.n_best.iter().map(|it| it.span).collect();
        let span = |start, end| Some(Span::new(start, end));
        assert_eq!(spans, [span(6, 9), span(3, 9), span(0, 5), span(3, 5), span(0, 2), None, span(3, 5)]);
        assert_eq!(ranked.null_difference, Some(-4.0));
        assert!((ranked.n_best.iter().map(|it| it.probability).sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(ranked.answer(0.0).unwrap().span, span(6, 9));
        assert_eq!(ranked.answer(-4.0).unwrap().span, span(6, 9));
        assert_eq!(ranked.answer(-4.5), None);
        let sure = join_windows(&windows, &AnswerOptions::default());
        assert_eq!((sure.n_best.len(), sure.null_difference), (6, None));
    }

    #[test]
    fn no_answer_is_kept_though_it_is_not_among_the_best() {
        let options = AnswerOptions { n_best: 1, unanswerable: true, ..AnswerOptions::default() };
        let offsets = offsets(&[(0, 2)]);
        let ranked =
            join_windows(&[window(&[0.0, 0.0, 3.0, 0.0], &[0.0, 0.0, 3.0, 0.0], &offsets, &options)], &options);
        assert_eq!(ranked.n_best.iter().map(|it| it.span).collect::<Vec<_>>(), [Some(Span::new(0, 2)), None]);
        let none = join_windows(&[window(&[0.0; 4], &[0.0; 4], &[None; 4], &options)], &options);
        assert_eq!((none.answer(0.0), none.null_difference), (None, None));
        assert!(join_windows(&[], &options).n_best.is_empty());
    }

    proptest! {
        #[test]
        fn the_best_is_the_best_of_all_allowed_pairs(
            logits in prop::collection::vec((0u8..40, 0u8..40), 1..12), longest in 1usize..5,
        ) {
            let context: Vec<(usize, usize)> = (0..logits.len()).map(|at| (at * 2, at * 2 + 1)).collect();
            let offsets = offsets(&context);
            let lay = |values: Vec<f32>| -> Vec<f32> { [50.0, 50.0].into_iter().chain(values).chain([50.0]).collect() };
            let start = lay(logits.iter().map(|it| f32::from(it.0)).collect());
            let end = lay(logits.iter().map(|it| f32::from(it.1)).collect());
            let options = AnswerOptions { longest, ..AnswerOptions::default() };
            let ranked = join_windows(&[window(&start, &end, &offsets, &options)], &options);
            let mut best = f32::NEG_INFINITY;
            for first in 0..logits.len() {
                for last in first..logits.len().min(first + longest) {
                    best = best.max(f32::from(logits[first].0) + f32::from(logits[last].1));
                }
            }
            prop_assert_eq!(ranked.best().unwrap().score, best);
            prop_assert!(ranked.n_best.windows(2).all(|pair| pair[0].score >= pair[1].score));
        }
    }
}

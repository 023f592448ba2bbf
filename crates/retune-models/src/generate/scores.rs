//! What settings make of scores before a token is chosen, in the order of transformers' logits processors; unlike them no rule counts the
//! padding before a prompt, so that an answer does not depend on what is asked beside it.
//!
//! R rows, V vocabulary.

use super::rows::{Limits, NEVER, Row};
use super::times::timed;
use super::{GenerationSettings, Sampling};
use retune_kernels::tch::{Kind, Tensor};
use std::collections::HashSet;

/// `scores` [R, V] of `rows` after all rules but those of drawing.
pub(super) fn ruled(mut scores: Tensor, rows: &[Row], settings: &GenerationSettings, limits: Limits) -> Tensor {
    let length = rows.first().map_or(0, |row| row.tokens.len());
    let penalty = settings.repetition_penalty;
    if penalty != 1.0 {
        for (index, row) in rows.iter().enumerate() {
            let seen: HashSet<i64> = row.real().iter().copied().collect();
            let seen = on(&scores, &seen.into_iter().collect::<Vec<_>>());
            let mut of_row = scores.get(index as i64);
            let old = of_row.index_select(0, &seen);
            let new = (&old * penalty).where_self(&old.lt(0.0), &(&old / penalty));
            let _ = of_row.index_copy_(0, &seen, &new);
        }
    }
    let size = settings.no_repeat_ngram;
    if size > 0 {
        for (index, row) in rows.iter().enumerate() {
            ban(&scores, index, &after_same_run(row.real(), size));
        }
    }
    // An end is never banned.
    let banned = settings.banned.iter().map(Vec::as_slice).filter(|run| !is_end(run, settings));
    let (single, runs): (Vec<&[i64]>, Vec<&[i64]>) = banned.partition(|run| run.len() == 1);
    if !single.is_empty() {
        scores = scores.index_fill(1, &on(&scores, &single.concat()), NEVER);
    }
    if !runs.is_empty() {
        for (index, row) in rows.iter().enumerate() {
            ban(&scores, index, &completing(row.real(), &runs));
        }
    }
    let all_new = length - limits.prompt < settings.min_new_tokens;
    for (index, row) in rows.iter().enumerate().filter(|_| !settings.ends.is_empty()) {
        if all_new || row.real().len() < settings.min_length {
            ban(&scores, index, &settings.ends);
        }
    }
    if let Some(begin) = settings.forced_begin.filter(|_| length == 1) {
        scores = only(&scores, begin);
    }
    if let Some(end) = settings.forced_end {
        for (index, _) in rows.iter().enumerate().filter(|(_, row)| length + 1 == limits.of(row)) {
            let _ = scores.get(index as i64).fill_(NEVER).narrow(0, end, 1).fill_(0.0);
        }
    }
    if !settings.suppressed.is_empty() {
        scores = scores.index_fill(1, &on(&scores, &settings.suppressed), NEVER);
    }
    let begins_late = limits.prompt <= 1 && settings.forced_begin.is_some();
    if !settings.suppressed_at_begin.is_empty() && length == limits.prompt + usize::from(begins_late) {
        scores = scores.index_fill(1, &on(&scores, &settings.suppressed_at_begin), NEVER);
    }
    if let Some(times) = settings.times {
        let end = settings.ends.first().copied().unwrap_or(times.first);
        scores = timed(&scores, rows, times, end, limits);
    }
    if settings.renormalize { scores.log_softmax(-1, Kind::Float) } else { scores }
}

fn is_end(run: &[i64], settings: &GenerationSettings) -> bool {
    matches!(run, [one] if settings.ends.contains(one))
}

/// Tokens that would complete one of these runs.
fn completing(tokens: &[i64], runs: &[&[i64]]) -> Vec<i64> {
    let last = |run: &&&[i64]| run.split_last().filter(|(_, before)| tokens.ends_with(before)).map(|(last, _)| *last);
    runs.iter().filter_map(|run| last(&run)).collect()
}

/// `scores` [R, V] of which tokens may be drawn.
pub(super) fn drawable(scores: Tensor, sampling: &Sampling) -> Tensor {
    let vocabulary = scores.size()[1];
    let mut scores = if sampling.temperature == 1.0 { scores } else { scores / sampling.temperature };
    if sampling.top_k > 0 {
        let (best, _) = scores.topk(sampling.top_k.min(vocabulary), -1, true, true);
        let least = best.narrow(1, best.size()[1] - 1, 1);
        scores = scores.masked_fill(&scores.lt_tensor(&least), NEVER);
    }
    if sampling.top_p < 1.0 {
        let (sorted, order) = scores.sort(-1, false);
        let far = sorted.softmax(-1, Kind::Float).cumsum(-1, Kind::Float).le(1.0 - sampling.top_p);
        let _ = far.narrow(1, vocabulary - 1, 1).fill_(0);
        scores = scores.masked_fill(&far.scatter(1, &order, &far), NEVER);
    }
    if sampling.min_p > 0.0 {
        let shares = scores.softmax(-1, Kind::Float);
        let least = shares.amax([-1i64].as_slice(), true) * sampling.min_p;
        scores = scores.masked_fill(&shares.lt_tensor(&least), NEVER);
    }
    scores
}

/// Tokens that would repeat a run of `size` tokens.
fn after_same_run(tokens: &[i64], size: usize) -> Vec<i64> {
    if tokens.len() < size {
        return Vec::new();
    }
    let last = &tokens[tokens.len() + 1 - size..];
    tokens.windows(size).filter(|run| run[..size - 1] == *last).map(|run| run[size - 1]).collect()
}

fn on(like: &Tensor, tokens: &[i64]) -> Tensor {
    Tensor::from_slice(tokens).to_device(like.device())
}

fn ban(scores: &Tensor, row: usize, tokens: &[i64]) {
    if !tokens.is_empty() {
        let _ = scores.get(row as i64).index_fill_(0, &on(scores, tokens), NEVER);
    }
}

fn only(scores: &Tensor, token: i64) -> Tensor {
    scores.full_like(NEVER).index_fill(1, &on(scores, &[token]), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(sampling: &Sampling) -> Vec<f64> {
        let scores = Tensor::from_slice(&[0.4f32, 0.3, 0.2, 0.06, 0.04]).log().unsqueeze(0);
        Vec::try_from(drawable(scores, sampling).softmax(-1, Kind::Double).view([-1])).unwrap()
    }

    #[test]
    fn only_some_tokens_may_be_drawn() {
        let all = Sampling { top_k: 0, ..Sampling::default() };
        let open = |sampling: &Sampling| shares(sampling).iter().filter(|share| **share > 0.0).count();
        assert_eq!(open(&all), 5);
        assert_eq!(open(&Sampling { top_k: 2, ..all }), 2);
        // The smallest set of at least this probability.
        assert_eq!(open(&Sampling { top_p: 0.65, ..all }), 2);
        assert_eq!(open(&Sampling { top_p: 0.75, ..all }), 3);
        assert_eq!(open(&Sampling { top_p: 1e-9, ..all }), 1);
        assert_eq!(open(&Sampling { min_p: 0.49, ..all }), 3);
        let sharp = shares(&Sampling { temperature: 0.5, ..all });
        assert!((sharp[0] / sharp[1] - (0.4f64 / 0.3).powi(2)).abs() < 1e-4, "{sharp:?}");
    }

    #[test]
    fn runs_are_not_completed() {
        let runs: [&[i64]; 4] = [&[5], &[1, 2, 3], &[2, 4], &[7, 8]];
        assert_eq!(completing(&[1, 2], &runs), [5, 3, 4]);
        assert_eq!(completing(&[2], &runs), [5, 4]);
    }

    #[test]
    fn runs_that_are_there_do_not_come_again() {
        assert_eq!(after_same_run(&[1, 2, 3, 1, 2], 3), [3]);
        assert_eq!(after_same_run(&[1, 2, 1, 2, 1], 2), [2, 2]);
        assert_eq!(after_same_run(&[4, 4], 1), [4, 4]);
        assert!(after_same_run(&[1, 2], 3).is_empty());
    }
}

//! Tokens that are times in a text, as Whisper writes them (Radford et al. 2022, §2.3): which may follow which.
//!
//! transformers' `WhisperTimeStampLogitsProcessor`. R rows, V vocabulary.

use super::rows::{Limits, NEVER, Row};
use retune_kernels::tch::{Kind, Tensor};

/// Tokens of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// From this token on, tokens are times, in their order.
    pub first: i64,
    /// The token that says that there are none.
    pub none: i64,
    /// How many steps behind the first the time may be that a text begins with.
    pub most_initial: Option<i64>,
}

/// `scores` [R, V] of which times may come next, and whether one has to; `end` ends a text.
pub(super) fn timed(scores: &Tensor, rows: &[Row], times: Times, end: i64, limits: Limits) -> Tensor {
    let (scores, vocabulary, first) = (scores.copy(), scores.size()[1], times.first);
    let is_time = |token: &i64| *token >= first;
    for (index, row) in rows.iter().enumerate() {
        let of_row = scores.get(index as i64);
        let close = |from: i64, to: i64| {
            let (from, to) = (from.clamp(0, vocabulary), to.clamp(0, vocabulary));
            if from < to {
                let _ = of_row.narrow(0, from, to - from).fill_(NEVER);
            }
        };
        close(times.none, times.none + 1);
        let written = &row.tokens[limits.prompt..];
        let ends_in_time = written.last().is_some_and(is_time);
        // Times come in pairs: the end of what was said, and the begin of what follows.
        let is_pair = ends_in_time && (written.len() < 2 || is_time(&written[written.len() - 2]));
        if is_pair {
            close(first, vocabulary);
        } else if ends_in_time {
            close(0, end);
        }
        if let Some(&latest) = written.iter().rev().find(|token| is_time(token)) {
            // The begin of a part may be the end of the one before; nothing else is at the same time.
            close(first, if ends_in_time && !is_pair { latest } else { latest + 1 });
        }
        if written.is_empty() {
            close(0, first);
            if let Some(most) = times.most_initial {
                close(first + most + 1, vocabulary);
            }
        }
    }
    // Where times together are likelier than any other token, it is time for one.
    let log = scores.log_softmax(-1, Kind::Float);
    let of_times = log.narrow(1, first, vocabulary - first).logsumexp([-1i64].as_slice(), true);
    let of_text = log.narrow(1, 0, first).amax([-1i64].as_slice(), true);
    let due = of_times.gt_tensor(&of_text);
    let text = scores.narrow(1, 0, first).masked_fill(&due, NEVER);
    Tensor::cat(&[text, scores.narrow(1, first, vocabulary - first)], 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens 0 to 3 are text, 2 ends it, 4 says that there are no times, 5 to 9 are times.
    fn open(written: &[i64], scores: [f32; 10]) -> Vec<i64> {
        let row = Row { tokens: [&[3][..], written].concat(), padding: 0 };
        let times = Times { first: 5, none: 4, most_initial: Some(1) };
        let scores = Tensor::from_slice(&scores).unsqueeze(0);
        let ruled = timed(&scores, &[row], times, 2, Limits { prompt: 1, longest: 20, own: None });
        (0..10).filter(|&token| ruled.double_value(&[0, token]) > NEVER).collect()
    }

    #[test]
    fn times_come_in_pairs_and_never_go_back() {
        let even = [5.0, 5.0, 5.0, 5.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        // A text begins with a time that is not late; then something is said.
        assert_eq!(open(&[], even), [5, 6]);
        assert_eq!(open(&[6], even), [0, 1, 2, 3]);
        assert_eq!(open(&[6, 0], even), [0, 1, 2, 3, 7, 8, 9]);
        // Behind the end of a part the next begins, no earlier, or all ends.
        assert_eq!(open(&[6, 0, 8], even), [2, 3, 8, 9]);
        assert_eq!(open(&[6, 0, 8, 8], even), [0, 1, 2, 3]);
        assert_eq!(open(&[6, 0, 8, 8, 1], even), [0, 1, 2, 3, 9]);
        // Together they are likelier than any other token.
        let likely = [1.0, 1.0, 1.0, 1.0, 9.0, 0.5, 0.5, 0.5, 0.5, 0.5];
        assert_eq!(open(&[6, 0], likely), [7, 8, 9]);
    }
}

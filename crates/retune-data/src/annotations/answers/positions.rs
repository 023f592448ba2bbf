//! Where an answer stands among the tokens of a window.

use crate::annotations::Span;

/// The first and last token of an answer, as `run_qa.py` of transformers finds them: the last token that starts at or before
/// the answer, the first that ends at or after it. `null` twice (the classification token) if there is no answer or this
/// window does not have the whole of it.
///
/// `offsets` are those of tokens of the context, in characters, and `None` for all others (the question, special tokens,
/// padding), which therefore never belong to an answer; in `run_qa.py` an answer that begins with the window's last token
/// runs on into the padding.
pub fn answer_positions(offsets: &[Option<Span>], answer: Option<Span>, null: usize) -> (usize, usize) {
    let place = |answer: Span| {
        let first = offsets.iter().position(Option::is_some)?;
        let last = offsets.iter().rposition(Option::is_some)?;
        let of = |token: usize| offsets[token].unwrap_or(answer);
        if of(first).start > answer.start || of(last).end < answer.end {
            return None;
        }
        let start = (first..=last).take_while(|&token| of(token).start <= answer.start).last()?;
        let end = (first..=last).rev().take_while(|&token| of(token).end >= answer.end).last()?;
        Some((start, end))
    };
    answer.and_then(place).unwrap_or((null, null))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(start: usize, end: usize) -> Option<Span> {
        Some(Span::new(start, end))
    }

    #[test]
    fn answers_stand_on_their_tokens_or_on_none() {
        // [CLS] q [SEP] I n-Paris now [SEP] [PAD]
        let offsets = [None, None, None, span(0, 1), span(2, 4), span(4, 7), span(8, 11), None, None];
        assert_eq!(answer_positions(&offsets, span(4, 7), 0), (5, 5));
        assert_eq!(answer_positions(&offsets, span(2, 7), 0), (4, 5));
        // Inside of a token, and across the space between two.
        assert_eq!(answer_positions(&offsets, span(5, 6), 0), (5, 5));
        assert_eq!(answer_positions(&offsets, span(5, 9), 0), (5, 6));
        assert_eq!(answer_positions(&offsets, span(8, 11), 0), (6, 6));
        // Not in this window, or not all of it, or none at all.
        assert_eq!(answer_positions(&offsets, span(8, 12), 0), (0, 0));
        assert_eq!(answer_positions(&offsets, None, 2), (2, 2));
        assert_eq!(answer_positions(&[None, None], span(0, 1), 0), (0, 0));
    }

    proptest! {
        #[test]
        fn tokens_cover_the_answer_and_no_token_too_many(
            lengths in prop::collection::vec((1usize..4, 0usize..2), 1..10), from in 0usize..20, length in 1usize..8, lead in 1usize..4,
        ) {
            let mut offsets = vec![None; lead];
            let mut at = 0;
            for &(length, gap) in &lengths {
                offsets.push(span(at, at + length));
                at += length + gap;
            }
            offsets.push(None);
            let answer = Span::new(from, from + length);
            let (start, end) = answer_positions(&offsets, Some(answer), 0);
            let last = offsets.iter().rev().flatten().next().unwrap().end;
            prop_assert_eq!((start, end) == (0, 0), answer.end > last);
            if start > 0 {
                prop_assert!(offsets[start].unwrap().start <= answer.start && offsets[end].unwrap().end >= answer.end);
                prop_assert!(offsets[start + 1].is_none_or(|next| next.start > answer.start));
                prop_assert!(offsets[end - 1].is_none_or(|before| before.end < answer.end));
            }
        }
    }
}

//! Segments of a text with times: what a model wrote of a window, cut where it says that a part ends, and where the next window
//! begins: behind the last part that is whole.
//!
//! transformers' `_retrieve_segment`, openai's `transcribe`.

/// A part of what was written, with its times in steps from the begin of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: i64,
    pub(super) end: i64,
    /// Its tokens, times among them.
    pub(super) tokens: Vec<i64>,
}

/// Cuts `tokens`, without the end, of a window of so many `steps`; from `first` on tokens are times. Also says how many steps
/// later the next window begins: `None` behind all of this one.
pub(super) fn cut(tokens: &[i64], first: i64, steps: i64) -> (Vec<Part>, Option<i64>) {
    let is_time = |token: &i64| *token >= first;
    let count = tokens.len();
    let ends_in_one_time = count >= 2 && !is_time(&tokens[count - 2]) && is_time(&tokens[count - 1]);
    // Two times side by side: the end of one part, and the begin of the next.
    let mut ends: Vec<usize> = (1..count).filter(|&i| is_time(&tokens[i - 1]) && is_time(&tokens[i])).collect();
    if ends.is_empty() {
        let said = tokens.iter().rev().find(|token| is_time(token)).filter(|&&last| last != first);
        let end = said.map_or(steps, |last| last - first);
        return (vec![Part { start: 0, end, tokens: tokens.to_vec() }], None);
    }
    if ends_in_one_time {
        ends.push(count);
    }
    let mut parts = Vec::new();
    let mut begin = 0;
    for &end in &ends {
        let tokens = &tokens[begin..end];
        let [start, last] = [0, tokens.len() - 1].map(|place| tokens[place] - first);
        parts.push(Part { start, end: last, tokens: tokens.to_vec() });
        begin = end;
    }
    // What follows the last whole part was cut by the end of the window, and is read again.
    let next = parts.last().map(|part| part.end).filter(|&next| !ends_in_one_time && next > 0);
    (parts, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times are 100 and above.
    fn parts(tokens: &[i64]) -> (Vec<(i64, i64, usize)>, Option<i64>) {
        let (parts, next) = cut(tokens, 100, 1500);
        (parts.into_iter().map(|part| (part.start, part.end, part.tokens.len())).collect(), next)
    }

    #[test]
    fn parts_are_between_pairs_of_times() {
        // Whole parts, then one that is cut by the end of the window.
        assert_eq!(parts(&[100, 1, 2, 150, 150, 3, 180, 180]), (vec![(0, 50, 4), (50, 80, 3)], Some(80)));
        assert_eq!(parts(&[100, 1, 150, 160, 3]), (vec![(0, 50, 3)], Some(50)));
        // A single time at the end: there is nothing behind it.
        assert_eq!(parts(&[100, 1, 150, 150, 3, 180]), (vec![(0, 50, 3), (50, 80, 3)], None));
        // One part alone, until its time, or until the end of the window.
        assert_eq!(parts(&[100, 1, 2, 170]), (vec![(0, 70, 4)], None));
        assert_eq!(parts(&[100, 1, 2]), (vec![(0, 1500, 3)], None));
        assert_eq!(parts(&[]), (vec![(0, 1500, 0)], None));
    }
}

//! Which of overlapping windows is heard about a word: the one in which it has the most context.

/// How much context a token has in its window of `length` tokens, as BERT's `_check_is_max_context` counts it: the tokens on
/// its poorer side, and a little for a longer window. Greater is better.
pub fn token_context(token: usize, length: usize) -> (usize, usize) {
    let behind = length.saturating_sub(token + 1);
    (token.min(behind), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_poorer_side_counts_and_longer_windows_decide() {
        assert!(token_context(2, 6) > token_context(4, 6));
        assert_eq!(token_context(2, 6), token_context(3, 6));
        assert!(token_context(1, 9) > token_context(1, 5));
        assert_eq!(token_context(5, 3), (0, 3));
    }
}

//! What overlapping windows say about the same words, joined: the window in which a word has the most context counts.

/// How much context a token has in its window of `length` tokens, as BERT's `_check_is_max_context` counts it: the tokens on
/// its poorer side, and a little for a longer window. Greater is better.
pub fn token_context(token: usize, length: usize) -> (usize, usize) {
    let behind = length.saturating_sub(token + 1);
    (token.min(behind), length)
}

/// How much context a word has in a window, and what the window says about it.
type Heard = ((usize, usize), Vec<f32>);

/// The distributions over labels of an example's words, gathered window by window.
#[derive(Debug, Clone)]
pub struct WordJoin {
    best: Vec<Option<Heard>>,
}

impl WordJoin {
    /// For an example of so many words.
    pub fn new(words: usize) -> Self {
        Self { best: vec![None; words] }
    }

    /// Adds what a window says about a word that has this context in it. Of two windows with the same context the first
    /// counts; a word the example does not have is not counted.
    pub fn add(&mut self, word: usize, context: (usize, usize), distribution: &[f32]) {
        if let Some(best) = self.best.get_mut(word)
            && best.as_ref().is_none_or(|known| context > known.0)
        {
            *best = Some((context, distribution.to_vec()));
        }
    }

    /// The distribution of each word; `None` for words that no window has.
    pub fn finish(self) -> Vec<Option<Vec<f32>>> {
        self.best.into_iter().map(|best| best.map(|it| it.1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_window_with_most_context_counts() {
        let mut join = WordJoin::new(3);
        join.add(0, token_context(4, 6), &[1.0]);
        join.add(0, token_context(2, 6), &[2.0]);
        join.add(0, token_context(3, 6), &[3.0]);
        join.add(1, token_context(1, 5), &[4.0]);
        join.add(1, token_context(1, 9), &[5.0]);
        join.add(7, token_context(1, 9), &[6.0]);
        assert_eq!(join.finish(), [Some(vec![2.0]), Some(vec![5.0]), None]);
        assert_eq!(token_context(5, 3), (0, 3));
    }

    proptest! {
        #[test]
        fn every_word_of_a_long_text_is_answered_where_it_stands_best(
            words in 1usize..60, length in 4usize..20, stride in 1usize..4,
        ) {
            let mut join = WordJoin::new(words);
            let step = length - stride;
            let starts: Vec<usize> = (0..words).step_by(step).collect();
            let context = |start: usize, word: usize| {
                let size = length.min(words - start);
                (word >= start && word < start + size).then(|| token_context(word - start, size))
            };
            for &start in &starts {
                for word in start..words.min(start + length) {
                    join.add(word, context(start, word).unwrap(), &[start as f32]);
                }
            }
            for (word, answer) in join.finish().into_iter().enumerate() {
                let used = answer.unwrap()[0] as usize;
                let most = starts.iter().filter_map(|&start| context(start, word)).max();
                prop_assert_eq!(context(used, word), most);
            }
        }
    }
}

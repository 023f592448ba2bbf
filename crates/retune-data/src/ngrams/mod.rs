//! N-gram language models with back-off weights (Katz 1987): how likely a word is behind those before it.
//!
//! | file | holds |
//! |---|---|
//! | `arpa` | files of them in the ARPA format |

mod arpa;

use std::collections::HashMap;
use std::f32::consts::LN_10;

/// Before the first word of a text, and behind its last.
const BEGIN: &str = "<s>";
const END: &str = "</s>";
/// What stands for every other word.
const UNKNOWN: [&str; 2] = ["<unk>", "<UNK>"];
/// The logarithm to base 10 of the probability of an unknown word, where the file does not say it; KenLM assumes the same.
const UNSEEN: f32 = -100.0;

/// N-grams of a file; all logarithms are natural.
#[derive(Debug, Clone)]
pub struct NGrams {
    order: usize,
    /// Words that texts are made of, in their order, with their numbers.
    words: Vec<(Box<str>, u32)>,
    begin: u32,
    end: u32,
    unknown: u32,
    /// Words first, by their numbers.
    nodes: Vec<Node>,
    /// The n-gram that continues another one by a word.
    longer: HashMap<(u32, u32), u32>,
}

/// An n-gram.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// Of its last word behind the others; `None` where it stands for longer ones alone, as pruned files leave it out.
    log: Option<f32>,
    /// What is added where its words are followed by one that no n-gram has behind them.
    back_off: f32,
}

/// The last words of a text, as far as they count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NGramContext(Vec<u32>);

impl NGrams {
    /// Words of the longest n-grams.
    pub fn order(&self) -> usize {
        self.order
    }

    /// Words that texts are made of, in their order.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|(word, _)| &**word)
    }

    /// Before the first word of a text.
    pub fn start(&self) -> NGramContext {
        NGramContext([self.begin].into_iter().take(self.order - 1).collect())
    }

    /// Whether this is one of the words.
    pub fn knows(&self, word: &str) -> bool {
        self.number(word).is_some()
    }

    /// Whether one of the words begins so.
    pub fn begins(&self, part: &str) -> bool {
        let first = self.words.partition_point(|(word, _)| &**word < part);
        self.words.get(first).is_some_and(|(word, _)| word.starts_with(part))
    }

    /// The natural logarithm of the probability of a word behind others, which it joins; other words count as unknown.
    pub fn score(&self, context: &mut NGramContext, word: &str) -> f32 {
        let word = self.number(word).unwrap_or(self.unknown);
        let log = self.behind(&context.0, word);
        context.0.push(word);
        let surplus = context.0.len().saturating_sub(self.order - 1);
        context.0.drain(..surplus);
        log
    }

    /// That of the end of a text.
    pub fn score_end(&self, context: &NGramContext) -> f32 {
        self.behind(&context.0, self.end)
    }

    fn number(&self, word: &str) -> Option<u32> {
        let place = self.words.binary_search_by(|(known, _)| (**known).cmp(word)).ok()?;
        Some(self.words[place].1)
    }

    fn behind(&self, context: &[u32], word: u32) -> f32 {
        let mut back_off = 0.0;
        for begin in 0..context.len() {
            let Some(node) = self.node(&context[begin..]) else { continue };
            let longer = self.longer.get(&(node, word));
            if let Some(log) = longer.and_then(|&it| self.nodes[it as usize].log) {
                return back_off + log;
            }
            back_off += self.nodes[node as usize].back_off;
        }
        back_off + self.nodes[word as usize].log.unwrap_or(UNSEEN * LN_10)
    }

    /// The n-gram of these words, of one at least.
    fn node(&self, words: &[u32]) -> Option<u32> {
        let (&first, rest) = words.split_first()?;
        rest.iter().try_fold(first, |node, &word| self.longer.get(&(node, word)).copied())
    }
}

#[cfg(test)]
mod tests;

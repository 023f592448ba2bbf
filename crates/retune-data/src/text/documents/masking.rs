//! Masked language modelling: which tokens are hidden from a model, and what stands in their place.
//!
//! Devlin et al. 2018: of the chosen tokens 80 % become the mask, 10 % any other token, 10 % stay. Whole words as in their
//! later code. Drawn anew in each pass (Liu et al. 2019), and always the same where nothing is learnt.

use std::sync::Arc;

use super::draws;
use crate::{Pass, Random};

/// Share of the chosen tokens that become the mask.
const MASK: f64 = 0.8;
/// Share of those that become the mask or any token.
const CHANGED: f64 = 0.9;
/// Tells these draws from others.
const DRAWS: u64 = 0x6d61_736b;

/// Which tokens are hidden.
#[derive(Debug, Clone)]
pub enum Masking {
    /// Those that are drawn.
    Drawn(MaskOptions),
    /// Those that the texts themselves hide: where they hold this id.
    Given(u32),
}

/// How tokens are drawn.
#[derive(Debug, Clone)]
pub struct MaskOptions {
    /// Of a token (or word) to be chosen.
    pub probability: f64,
    /// Whether words are chosen, with all their tokens.
    pub whole_words: bool,
    /// What stands for a hidden token.
    pub mask_id: u32,
    /// Tokens that may stand in place of another, and may be hidden: all but special ones. By id.
    pub ordinary: Arc<[bool]>,
}

impl MaskOptions {
    fn is_ordinary(&self, id: u32) -> bool {
        self.ordinary.get(id as usize).copied().unwrap_or(false)
    }

    /// Hides some of the `tokens` and returns the places and ids of those. `row` tells rows of a pass apart, `content`
    /// those of none; `continues` says of each token whether it goes on with a word. One token (or word) at least is
    /// hidden where there is one.
    pub(super) fn draw(
        &self,
        tokens: &mut [u32],
        continues: &[bool],
        pass: Option<Pass>,
        row: u64,
        content: u64,
    ) -> Vec<(usize, u32)> {
        let mut random = draws::of_row(pass, row, content, DRAWS);
        // Units that are chosen as one: begin and end of each.
        let mut units: Vec<(usize, usize)> = Vec::new();
        for (at, &id) in tokens.iter().enumerate().filter(|(_, id)| self.is_ordinary(**id)) {
            match units.last_mut() {
                Some((_, end)) if self.whole_words && *end == at && continues.get(at) == Some(&true) => *end = at + 1,
                _ => units.push((at, at + 1)),
            }
            debug_assert!(self.is_ordinary(id));
        }
        let mut chosen: Vec<(usize, usize)> =
            units.iter().copied().filter(|_| random.unit() < self.probability).collect();
        if chosen.is_empty() && !units.is_empty() {
            chosen.push(units[random.below(units.len())]);
        }
        let mut hidden = Vec::new();
        for at in chosen.into_iter().flat_map(|(begin, end)| begin..end) {
            hidden.push((at, tokens[at]));
            let kind = random.unit();
            if kind < MASK {
                tokens[at] = self.mask_id;
            } else if kind < CHANGED {
                tokens[at] = self.any(&mut random);
            }
        }
        hidden
    }

    /// Any ordinary token.
    fn any(&self, random: &mut Random) -> u32 {
        // Special tokens are few: drawing again is soon done, and the mask is an answer if there is no other token.
        let drawn = (0..64).map(|_| random.below(self.ordinary.len())).find(|&id| self.ordinary[id]);
        drawn.map_or(self.mask_id, |id| id as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(whole_words: bool) -> MaskOptions {
        let ordinary: Vec<bool> = (0..1000).map(|id| id >= 5).collect();
        MaskOptions { probability: 0.15, whole_words, mask_id: 4, ordinary: ordinary.into() }
    }

    #[test]
    fn shares_are_those_of_the_paper() {
        let (mut chosen, mut masks, mut same, mut all) = (0usize, 0usize, 0usize, 0usize);
        for row in 0..2000 {
            let before: Vec<u32> = (0..100).map(|at| if at == 0 { 2 } else { 100 + at }).collect();
            let mut tokens = before.clone();
            let hidden = options(false).draw(&mut tokens, &[], Some(Pass { seed: 1, epoch: 0 }), row, 0);
            assert!(hidden.iter().all(|&(at, id)| at > 0 && before[at] == id), "special tokens are never hidden");
            assert!((0..100).all(|at| tokens[at] == before[at] || hidden.iter().any(|it| it.0 == at)));
            assert!(tokens.iter().skip(1).all(|&id| id == 4 || id >= 5));
            chosen += hidden.len();
            masks += hidden.iter().filter(|it| tokens[it.0] == 4).count();
            same += hidden.iter().filter(|it| tokens[it.0] == it.1).count();
            all += 99;
        }
        let share = |part: usize, of: usize| part as f64 / of as f64;
        assert!((share(chosen, all) - 0.15).abs() < 0.005, "{}", share(chosen, all));
        assert!((share(masks, chosen) - 0.8).abs() < 0.01 && (share(same, chosen) - 0.1).abs() < 0.01);
    }

    #[test]
    fn words_are_hidden_whole() {
        let continues: Vec<bool> = (0..90).map(|at| at % 3 > 0).collect();
        let mut several = 0;
        for row in 0..50 {
            let mut tokens: Vec<u32> = (10..100).collect();
            let hidden = options(true).draw(&mut tokens, &continues, None, 0, row);
            assert!(hidden.len().is_multiple_of(3) && !hidden.is_empty());
            assert!(hidden.chunks(3).all(|word| word[0].0 % 3 == 0 && word[2].0 == word[0].0 + 2), "{hidden:?}");
            several += usize::from(hidden.len() > 3);
        }
        assert!(several > 25);
    }

    #[test]
    fn a_pass_and_a_row_decide_and_what_is_not_learnt_from_stays() {
        let draw = |pass, row, content| {
            let mut tokens: Vec<u32> = (10..110).collect();
            (options(false).draw(&mut tokens, &[], pass, row, content), tokens)
        };
        let pass = |epoch| Some(Pass { seed: 3, epoch });
        assert_eq!(draw(pass(0), 1, 7), draw(pass(0), 1, 8));
        assert_ne!(draw(pass(0), 1, 7), draw(pass(1), 1, 7));
        assert_ne!(draw(pass(0), 1, 7), draw(pass(0), 2, 7));
        assert_eq!(draw(None, 1, 7), draw(None, 2, 7));
        assert_ne!(draw(None, 1, 7), draw(None, 1, 8));
    }

    #[test]
    fn something_is_always_hidden_unless_there_is_nothing() {
        let mut tokens = vec![2, 50, 3];
        assert_eq!(options(false).draw(&mut tokens, &[], None, 0, 9).len(), 1);
        assert!(options(false).draw(&mut [2, 3], &[], None, 0, 9).is_empty());
    }
}

//! From what a model says of each frame to a text: a piece that is repeated counts once, unless a blank stands between, and blanks
//! count nothing (Graves et al. 2006).

use crate::task::speech::said::{Spoken, Word};
use retune_data::CtcVocabulary;
use std::collections::HashMap;

/// Pieces of a frame that a search tries, at most.
const MOST_PIECES: usize = 40;
/// Pieces that are this much less likely than the likeliest are not tried.
const LEAST: f32 = -12.0;

/// A piece with the frames that it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) id: u32,
    pub(super) begin: usize,
    pub(super) end: usize,
}

/// The likeliest piece of each frame, \[T\], put together.
pub(super) fn best_path(frames: &[i64], blank: u32) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut before = None;
    for (frame, &id) in frames.iter().enumerate() {
        let id = id as u32;
        match pieces.last_mut() {
            Some(last) if before == Some(id) && id != blank => last.end = frame + 1,
            _ if id != blank => pieces.push(Piece { id, begin: frame, end: frame + 1 }),
            _ => {}
        }
        before = Some(id);
    }
    pieces
}

/// A beginning of a text, with the logarithms of the probabilities of all its alignments.
#[derive(Debug, Clone)]
struct Beginning {
    pieces: Vec<Piece>,
    /// Of those that end in a blank.
    blank: f32,
    /// Of those that do not.
    written: f32,
}

impl Beginning {
    fn total(&self) -> f32 {
        log_add(self.blank, self.written)
    }
}

/// The likeliest text by all its alignments, as far as `beams` beginnings find it; `log` are log-probabilities [T, V].
pub(super) fn beam_search(log: &[f32], vocabulary: usize, blank: u32, beams: usize) -> Vec<Piece> {
    let none = f32::NEG_INFINITY;
    let mut kept = vec![Beginning { pieces: Vec::new(), blank: 0.0, written: none }];
    for (frame, log) in log.chunks_exact(vocabulary).enumerate() {
        let mut likely: Vec<(u32, f32)> = (0u32..).zip(log.iter().copied()).filter(|(id, _)| *id != blank).collect();
        likely.sort_by(|a, b| b.1.total_cmp(&a.1));
        let best = likely.first().map_or(none, |(_, log)| *log).max(log[blank as usize]);
        likely.truncate(MOST_PIECES);
        likely.retain(|(_, log)| *log > best + LEAST);
        let mut next: HashMap<Vec<u32>, Beginning> = HashMap::new();
        let ids = |pieces: &[Piece]| pieces.iter().map(|piece| piece.id).collect::<Vec<u32>>();
        for beginning in &kept {
            let total = beginning.total();
            let key = ids(&beginning.pieces);
            let last = beginning.pieces.last().copied();
            let mut add = |key: Vec<u32>, pieces: &dyn Fn() -> Vec<Piece>, blank: f32, written: f32| {
                let entry =
                    next.entry(key).or_insert_with(|| Beginning { pieces: pieces(), blank: none, written: none });
                entry.blank = log_add(entry.blank, blank);
                entry.written = log_add(entry.written, written);
            };
            add(key.clone(), &|| beginning.pieces.clone(), total + log[blank as usize], none);
            for &(id, log) in &likely {
                let longer = || {
                    let mut pieces = beginning.pieces.clone();
                    pieces.push(Piece { id, begin: frame, end: frame + 1 });
                    pieces
                };
                let mut extended = key.clone();
                extended.push(id);
                if last.is_some_and(|last| last.id == id) {
                    // The same piece goes on, unless a blank stood between.
                    let going_on = || {
                        let mut pieces = beginning.pieces.clone();
                        if let Some(last) = pieces.last_mut() {
                            last.end = frame + 1;
                        }
                        pieces
                    };
                    add(key.clone(), &going_on, none, beginning.written + log);
                    add(extended, &longer, none, beginning.blank + log);
                } else {
                    add(extended, &longer, none, total + log);
                }
            }
        }
        kept = next.into_values().filter(|beginning| beginning.total() > none).collect();
        // Equal ones in the order of their texts, so that nothing depends on the order of a map.
        kept.sort_by(|a, b| b.total().total_cmp(&a.total()).then_with(|| ids(&a.pieces).cmp(&ids(&b.pieces))));
        kept.truncate(beams.max(1));
    }
    kept.into_iter().next().map(|best| best.pieces).unwrap_or_default()
}

/// log(eᵃ + eᵇ).
fn log_add(a: f32, b: f32) -> f32 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if low == f32::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// The text of pieces, and its words with their times; `step` are seconds from one frame to the next.
pub(super) fn written(pieces: &[Piece], vocabulary: &CtcVocabulary, step: f64) -> Spoken {
    let mut words: Vec<Word> = Vec::new();
    let mut inside = false;
    for piece in pieces {
        let Some(text) = vocabulary.text(piece.id) else { continue };
        if text == " " {
            inside = false;
            continue;
        }
        let end = piece.end as f64 * step;
        match words.last_mut().filter(|_| inside) {
            Some(word) => {
                word.text += text;
                word.end = end;
            }
            None => words.push(Word { text: text.to_owned(), start: piece.begin as f64 * step, end }),
        }
        inside = true;
    }
    words.iter_mut().for_each(|word| word.text = vocabulary.given(&word.text));
    let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    Spoken { text, words: Some(words), ..Spoken::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> CtcVocabulary {
        // a, b, |, [UNK], [PAD]
        CtcVocabulary::of_texts(["a b"].into_iter())
    }

    #[test]
    fn repeated_pieces_count_once_and_words_have_times() {
        let pieces = best_path(&[0, 0, 4, 0, 1, 2, 2, 4, 1, 1, 3, 4], 4);
        let spoken = written(&pieces, &vocabulary(), 0.02);
        assert_eq!(spoken.text, "aab b");
        let times: Vec<(f64, f64)> = spoken.words.iter().flatten().map(|word| (word.start, word.end)).collect();
        assert_eq!(times, [(0.0, 0.1), (0.16, 0.2)]);
        assert_eq!(written(&best_path(&[4, 4, 2], 4), &vocabulary(), 0.02).text, "");
    }

    /// All alignments of every text, summed.
    fn exhaustive(log: &[f32], vocabulary: usize, blank: u32) -> Vec<u32> {
        let frames = log.len() / vocabulary;
        let mut sums: HashMap<Vec<u32>, f64> = HashMap::new();
        for code in 0..vocabulary.pow(frames as u32) {
            let path: Vec<i64> = (0..frames).map(|t| (code / vocabulary.pow(t as u32) % vocabulary) as i64).collect();
            let total: f64 = path.iter().enumerate().map(|(t, &id)| f64::from(log[t * vocabulary + id as usize])).sum();
            let text = best_path(&path, blank).iter().map(|piece| piece.id).collect();
            *sums.entry(text).or_default() += total.exp();
        }
        sums.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
    }

    #[test]
    fn a_wide_search_finds_the_likeliest_text() {
        let mut differs = 0;
        for seed in 0..40 {
            let (frames, vocabulary, blank) = (5, 3, 2);
            let numbers = retune_kernels::random::normal(seed, frames * vocabulary);
            let log: Vec<f32> = numbers
                .chunks(vocabulary)
                .flat_map(|row| {
                    let sum: f32 = row.iter().map(|it| it.exp()).sum();
                    row.iter().map(move |it| it - sum.ln()).collect::<Vec<_>>()
                })
                .collect();
            let found: Vec<u32> = beam_search(&log, vocabulary, blank, 100).iter().map(|piece| piece.id).collect();
            assert_eq!(found, exhaustive(&log, vocabulary, blank), "{seed}");
            let best: Vec<i64> = log
                .chunks(vocabulary)
                .map(|row| (0..vocabulary).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap() as i64)
                .collect();
            let greedy: Vec<u32> = best_path(&best, blank).iter().map(|piece| piece.id).collect();
            differs += usize::from(greedy != found);
        }
        assert!(differs > 0, "a search that is never better than the likeliest pieces tests nothing");
    }
}

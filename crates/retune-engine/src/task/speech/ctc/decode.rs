//! From what a model says of each frame to a text: a piece that is repeated counts once, unless a blank stands between, and blanks
//! count nothing (Graves et al. 2006). A language model of words may join a search (Hannun et al. 2014).

use super::language_model::{Heard, LanguageModel};
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
    /// What a language model knows of it, and what it adds.
    heard: Option<Heard>,
    language: f32,
}

impl Beginning {
    fn total(&self) -> f32 {
        log_add(self.blank, self.written)
    }

    /// What beginnings are compared by.
    fn rank(&self) -> f32 {
        self.total() + self.language
    }
}

/// A language model, and what pieces are for it.
#[derive(Clone, Copy)]
pub(super) struct Language<'a> {
    pub(super) model: &'a LanguageModel,
    pub(super) vocabulary: &'a CtcVocabulary,
}

/// The likeliest text by all its alignments, and by what a language model says of its words, as far as `beams` beginnings find it;
/// `log` are log-probabilities [T, V].
pub(super) fn beam_search(
    log: &[f32],
    vocabulary: usize,
    blank: u32,
    beams: usize,
    language: Option<Language<'_>>,
) -> Vec<Piece> {
    let none = f32::NEG_INFINITY;
    let heard = language.map(|it| it.model.start());
    let mut kept = vec![Beginning { pieces: Vec::new(), blank: 0.0, written: none, heard, language: 0.0 }];
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
            let same = || (beginning.heard.clone(), beginning.language);
            // What a language model says depends on the pieces alone, so the first way to them asks it.
            let longer_by = |id: u32| match (language, &beginning.heard) {
                (Some(Language { model, vocabulary }), Some(heard)) => {
                    let heard = model.hear(heard, vocabulary.text(id));
                    let score = model.so_far(&heard);
                    (Some(heard), score)
                }
                _ => (None, 0.0),
            };
            let mut add = |key: Vec<u32>, new: &dyn Fn() -> (Vec<Piece>, (Option<Heard>, f32)), blank, written| {
                let entry = next.entry(key).or_insert_with(|| {
                    let (pieces, (heard, language)) = new();
                    Beginning { pieces, blank: none, written: none, heard, language }
                });
                entry.blank = log_add(entry.blank, blank);
                entry.written = log_add(entry.written, written);
            };
            add(key.clone(), &|| (beginning.pieces.clone(), same()), total + log[blank as usize], none);
            for &(id, log) in &likely {
                let longer = || {
                    let mut pieces = beginning.pieces.clone();
                    pieces.push(Piece { id, begin: frame, end: frame + 1 });
                    (pieces, longer_by(id))
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
                        (pieces, same())
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
        kept.sort_by(|a, b| b.rank().total_cmp(&a.rank()).then_with(|| ids(&a.pieces).cmp(&ids(&b.pieces))));
        kept.truncate(beams.max(1));
    }
    // At the end the last word is one, too. Of equal ones the first is meant.
    let whole = |beginning: &Beginning| match (language, &beginning.heard) {
        (Some(Language { model, .. }), Some(heard)) => beginning.total() + model.whole(heard),
        _ => beginning.total(),
    };
    let best = kept.into_iter().rev().max_by(|a, b| whole(a).total_cmp(&whole(b)));
    best.map(|best| best.pieces).unwrap_or_default()
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

    /// Log-probabilities [frames, pieces] that a seed draws.
    fn lattice(seed: u64, frames: usize, pieces: usize) -> Vec<f32> {
        let numbers = retune_kernels::random::normal(seed, frames * pieces);
        let row = |row: &[f32]| {
            let sum: f32 = row.iter().map(|it| it.exp()).sum();
            row.iter().map(|it| it - sum.ln()).collect::<Vec<_>>()
        };
        numbers.chunks(pieces).flat_map(row).collect()
    }

    /// All alignments of every text, summed; the best of them with what `more` adds.
    fn exhaustive(log: &[f32], vocabulary: usize, blank: u32, more: impl Fn(&[u32]) -> f64) -> Vec<u32> {
        let frames = log.len() / vocabulary;
        let mut sums: HashMap<Vec<u32>, f64> = HashMap::new();
        for code in 0..vocabulary.pow(frames as u32) {
            let path: Vec<i64> = (0..frames).map(|t| (code / vocabulary.pow(t as u32) % vocabulary) as i64).collect();
            let total: f64 = path.iter().enumerate().map(|(t, &id)| f64::from(log[t * vocabulary + id as usize])).sum();
            let text = best_path(&path, blank).iter().map(|piece| piece.id).collect();
            *sums.entry(text).or_default() += total.exp();
        }
        let score = |it: &(Vec<u32>, f64)| it.1.ln() + more(&it.0);
        sums.into_iter().max_by(|a, b| score(a).total_cmp(&score(b))).unwrap().0
    }

    fn ids(pieces: &[Piece]) -> Vec<u32> {
        pieces.iter().map(|piece| piece.id).collect()
    }

    #[test]
    fn a_wide_search_finds_the_likeliest_text() {
        let mut differs = 0;
        for seed in 0..40 {
            let (vocabulary, blank) = (3, 2);
            let log = lattice(seed, 5, vocabulary);
            let found = ids(&beam_search(&log, vocabulary, blank, 100, None));
            assert_eq!(found, exhaustive(&log, vocabulary, blank, |_| 0.0), "{seed}");
            let best: Vec<i64> = log
                .chunks(vocabulary)
                .map(|row| (0..vocabulary).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap() as i64)
                .collect();
            differs += usize::from(ids(&best_path(&best, blank)) != found);
        }
        assert!(differs > 0, "a search that is never better than the likeliest pieces tests nothing");
    }

    /// Logarithms to base 10: of words behind <s>, behind another, and their back-off weights.
    const BIGRAMS: &str = "\\data\\\nngram 1=6\nngram 2=3\n\\1-grams:\n-99 <s> -0.4\n-1 </s>\n-3 <unk>\n-0.8 a -0.2\n-0.9 b\n\
                           -1.2 ab -0.1\n\\2-grams:\n-0.2 <s> b\n-0.3 a b\n-0.1 b </s>\n\\end\\\n";

    fn bigrams(weight: f64, bonus: f64) -> LanguageModel {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bigrams.arpa");
        std::fs::write(&file, BIGRAMS).unwrap();
        LanguageModel::read(&file, &vocabulary(), weight, bonus).unwrap().0
    }

    /// What the bigrams give a text, written down word by word.
    fn by_hand(text: &str, weight: f64, bonus: f64) -> f64 {
        let (mut sum, mut before) = (0.0, "<s>");
        for word in text.split_whitespace() {
            let back_off = match before {
                "<s>" => -0.4,
                "a" => -0.2,
                "ab" => -0.1,
                _ => 0.0,
            };
            let log = match (before, word) {
                ("<s>", "b") => -0.2,
                ("a", "b") => -0.3,
                (_, "a") => back_off - 0.8,
                (_, "b") => back_off - 0.9,
                (_, "ab") => back_off - 1.2,
                // Unknown, and 10 more for that.
                _ => back_off - 3.0 - 10.0,
            };
            sum += weight * log * std::f64::consts::LN_10 + bonus;
            before = if ["a", "b", "ab"].contains(&word) { word } else { "" };
        }
        let end = match before {
            "<s>" => -1.4,
            "a" => -1.2,
            "ab" => -1.1,
            "b" => -0.1,
            _ => -1.0,
        };
        sum + weight * end * std::f64::consts::LN_10
    }

    #[test]
    fn a_wide_search_with_a_language_model_finds_the_likeliest_text() {
        let (vocabulary, pieces) = (vocabulary(), 5);
        let mut differs = 0;
        for (seed, (weight, bonus)) in (0..24).zip([(0.5, 1.5), (1.5, 0.0), (0.2, -1.0)].into_iter().cycle()) {
            let log = lattice(seed, 5, pieces);
            let model = bigrams(weight, bonus);
            let language = Language { model: &model, vocabulary: &vocabulary };
            let found = ids(&beam_search(&log, pieces, 4, 5000, Some(language)));
            let text = |ids: &[u32]| ids.iter().filter_map(|&id| vocabulary.text(id)).collect::<String>();
            // Different pieces may make one text, so texts are compared.
            let expected = exhaustive(&log, pieces, 4, |ids| by_hand(&text(ids), weight, bonus));
            assert_eq!(text(&found), text(&expected), "{seed}");
            differs += usize::from(found != ids(&beam_search(&log, pieces, 4, 5000, None)));
        }
        assert!(differs > 8, "{differs}");
    }

    #[test]
    fn a_language_model_chooses_the_word_that_it_knows() {
        // What is heard is nearer to `aa b` than to `a b`, of which the first is no word.
        let (a, b, delimiter, blank) = (0, 1, 2, 4);
        let frame = |likely: &[(usize, f32)]| {
            let mut row = [0.001f32.ln(); 5];
            likely.iter().for_each(|&(id, share)| row[id] = share.ln());
            row
        };
        let frames = [
            frame(&[(a, 0.9), (blank, 0.1)]),
            frame(&[(blank, 0.9), (a, 0.1)]),
            frame(&[(a, 0.8), (delimiter, 0.2)]),
            frame(&[(delimiter, 0.9), (blank, 0.1)]),
            frame(&[(b, 0.9), (blank, 0.1)]),
        ];
        let (log, vocabulary) = (frames.concat(), vocabulary());
        let said = |language| {
            let spoken = written(&beam_search(&log, 5, blank as u32, 20, language), &vocabulary, 1.0);
            let times = spoken.words.unwrap().iter().map(|word| (word.start, word.end)).collect::<Vec<(f64, f64)>>();
            (spoken.text, times)
        };
        assert_eq!(said(None), ("aa b".to_owned(), vec![(0.0, 3.0), (4.0, 5.0)]));
        let model = bigrams(0.5, 1.5);
        let (text, times) = said(Some(Language { model: &model, vocabulary: &vocabulary }));
        assert_eq!((&*text, times[1]), ("a b", (4.0, 5.0)));
        assert!(times[0].1 <= 3.0, "{times:?}");
    }
}

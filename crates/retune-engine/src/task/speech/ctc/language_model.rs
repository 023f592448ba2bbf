//! What an n-gram says of the words that a search over frames writes, as pyctcdecode weighs it: a word is scored when it ends, one that
//! the n-gram does not know costs more, and so does a part of a word with which none begins.

use anyhow::{Result, ensure};
use retune_data::{Casing, CtcVocabulary, NGramContext, NGrams};
use std::f32::consts::LN_10;
use std::path::Path;

/// What a word that is not known costs beside its probability, as a logarithm to base 10.
const UNKNOWN: f32 = -10.0;
/// What a part of a word costs with which no word begins; in proportion where it is longer than most words.
const UNKNOWN_PART: f32 = -10.0;
const USUAL_LENGTH: usize = 6;

/// Words of a text behind each other.
#[derive(Debug)]
pub(super) struct LanguageModel {
    ngrams: NGrams,
    /// Of its logarithms beside those of the frames.
    weight: f32,
    /// What each word adds.
    bonus: f32,
    /// How the words of the n-gram are spelled.
    casing: Casing,
}

/// What was heard so far.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    context: NGramContext,
    /// Of all words that have ended.
    settled: f32,
    /// The word that has not.
    word: String,
}

impl LanguageModel {
    /// Of a file, for what a vocabulary writes; and what a person should know of it.
    pub(super) fn read(file: &Path, vocabulary: &CtcVocabulary, weight: f64, bonus: f64) -> Result<(Self, String)> {
        let delimits = (0..vocabulary.len() as u32).any(|id| vocabulary.text(id) == Some(" "));
        ensure!(delimits, "ngram: the model writes nothing between words, so that an n-gram of words cannot be asked");
        let ngrams = NGrams::read(file)?;
        let all = ngrams.words().count();
        let spelled = |casing| ngrams.words().filter(|word| is_written(word, casing, vocabulary)).count();
        // Of equal ones the last is meant: as the model writes.
        let casings = [Casing::Lower, Casing::Upper, Casing::Kept];
        let (count, casing) =
            casings.map(|it| (spelled(it), it)).into_iter().max_by_key(|it| it.0).unwrap_or((0, Casing::Kept));
        ensure!(
            count > 0,
            "ngram: {}: none of its {all} words can be written in the characters of the model",
            file.display()
        );
        let words = casing.words().map_or_else(String::new, |it| format!(", in {it}"));
        let note =
            format!("{}: {}-grams; the model can write {count} of {all} words{words}", file.display(), ngrams.order());
        Ok((Self { ngrams, weight: weight as f32, bonus: bonus as f32, casing }, note))
    }

    /// Before anything was heard.
    pub(super) fn start(&self) -> Heard {
        Heard { context: self.ngrams.start(), settled: 0.0, word: String::new() }
    }

    /// With one more piece, which may be none of the text.
    pub(super) fn hear(&self, before: &Heard, text: Option<&str>) -> Heard {
        let mut heard = before.clone();
        match text {
            Some(" ") => self.end_word(&mut heard),
            Some(text) => heard.word += text,
            None => {}
        }
        heard
    }

    /// What it adds to the logarithm of the probability of a beginning.
    pub(super) fn so_far(&self, heard: &Heard) -> f32 {
        if heard.word.is_empty() || self.ngrams.begins(&self.casing.of(&heard.word)) {
            return heard.settled;
        }
        let length = heard.word.chars().count().max(USUAL_LENGTH);
        heard.settled + UNKNOWN_PART * length as f32 / USUAL_LENGTH as f32
    }

    /// That of a whole text.
    pub(super) fn whole(&self, heard: &Heard) -> f32 {
        let mut heard = heard.clone();
        self.end_word(&mut heard);
        heard.settled + self.weight * self.ngrams.score_end(&heard.context)
    }

    fn end_word(&self, heard: &mut Heard) {
        if heard.word.is_empty() {
            return;
        }
        let word = self.casing.of(&std::mem::take(&mut heard.word));
        let unknown = if self.ngrams.knows(&word) { 0.0 } else { UNKNOWN * LN_10 };
        heard.settled += self.weight * (self.ngrams.score(&mut heard.context, &word) + unknown) + self.bonus;
    }
}

/// Whether pieces make a word that, in a casing, is this one.
fn is_written(word: &str, casing: Casing, vocabulary: &CtcVocabulary) -> bool {
    [Casing::Kept, Casing::Upper, Casing::Lower].into_iter().any(|from| {
        let spelled = vocabulary.spell(&from.of(word));
        let text: String = spelled.ids.iter().filter_map(|&id| vocabulary.text(id)).collect();
        spelled.unknown.is_empty() && casing.of(&text) == word
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str, vocabulary: &CtcVocabulary) -> Result<(LanguageModel, String)> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("words.arpa");
        let lines: String = words.split(' ').map(|word| format!("-1 {word}\n")).collect();
        let count = words.split(' ').count() + 2;
        let text = format!("\\data\\\nngram 1={count}\n\\1-grams:\n-9 <s>\n-1 </s>\n{lines}\\end\\\n");
        std::fs::write(&file, text)?;
        LanguageModel::read(&file, vocabulary, 1.0, 0.0)
    }

    #[test]
    fn words_are_asked_for_as_the_file_spells_them() {
        let upper = CtcVocabulary::of_texts(["NO YES"].into_iter());
        let (model, note) = read("no yes maybe", &upper).unwrap();
        assert!(note.ends_with("1-grams; the model can write 2 of 3 words, in lower case"), "{note}");
        let known = ["N", "O", " "].iter().fold(model.start(), |heard, piece| model.hear(&heard, Some(piece)));
        assert!((model.so_far(&known) + LN_10).abs() < 1e-5, "{known:?}");
        // A part of no word costs 10, and as a whole word 100 as unknown and 10 beside that, before the end.
        let part = ["O", "N"].iter().fold(model.start(), |heard, piece| model.hear(&heard, Some(piece)));
        assert!((model.so_far(&part) + 10.0).abs() < 1e-5);
        assert!((model.whole(&part) + 111.0 * LN_10).abs() < 1e-3);
        let long = (0..9).fold(model.start(), |heard, _| model.hear(&heard, Some("O")));
        assert!((model.so_far(&long) + 15.0).abs() < 1e-5);
        let (_, note) = read("NO on YES", &upper).unwrap();
        assert!(note.ends_with("2 of 3 words"), "{note}");
    }

    #[test]
    fn words_that_cannot_be_written_are_refused() {
        let said = read("ja nein", &CtcVocabulary::of_texts(["x y"].into_iter())).unwrap_err().to_string();
        assert!(said.contains("none of its 2 words can be written"), "{said}");
    }
}

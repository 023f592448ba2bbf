//! What is said: targets of speech recognition.

use std::collections::BTreeMap;
use std::path::Path;

use super::{IGNORED, Targets};
use crate::audio::{Casing, CtcVocabulary};
use crate::{Array, Batch, Cell, DataError, Fact, FactValue, LabelRows, Medium};

/// The transcripts of all examples as pieces of a vocabulary; `labels` `[B, S]` i64, S those of the longest transcript of the
/// file, [`IGNORED`] behind the end of others.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcripts {
    texts: Vec<String>,
    /// Pieces, one example after the other, with the end of each.
    ids: Vec<u32>,
    ends: Vec<usize>,
    longest: usize,
    /// Characters that the vocabulary lacks.
    unknown: BTreeMap<char, usize>,
}

/// What a file has in its transcript column, row by row; `None` where not every row has a transcript.
///
/// # Errors
/// The temporary store cannot be read.
pub fn transcripts(rows: &dyn LabelRows) -> Result<Option<Vec<String>>, DataError> {
    if !rows.has_labels() {
        return Ok(None);
    }
    let text = |row: usize| Ok(rows.label(row)?.and_then(|cells| cells.first().and_then(Cell::name)));
    (0..rows.len()).map(text).collect()
}

impl Transcripts {
    /// Spells texts, one for each row, in a casing that the vocabulary has.
    pub fn new(texts: Vec<String>, vocabulary: &CtcVocabulary, casing: Casing) -> Self {
        let (mut ids, mut ends, mut unknown) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut longest = 0;
        for text in &texts {
            let spelled = vocabulary.spell(&casing.of(text));
            longest = longest.max(spelled.ids.len());
            ids.extend(spelled.ids);
            ends.push(ids.len());
            spelled.unknown.into_iter().for_each(|character| *unknown.entry(character).or_default() += 1);
        }
        Self { texts, ids, ends, longest, unknown }
    }

    /// As the file has it. Panics beyond the end.
    pub fn text(&self, example: usize) -> &str {
        &self.texts[example]
    }

    /// Pieces of an example. Panics beyond the end.
    pub fn ids(&self, example: usize) -> &[u32] {
        let start = example.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.ids[start..self.ends[example]]
    }

    /// Frames that a model needs to write an example: one for each piece, and one between two that are alike.
    pub fn frames(&self, example: usize) -> usize {
        let ids = self.ids(example);
        ids.len() + ids.windows(2).filter(|pair| pair[0] == pair[1]).count()
    }

    /// What to say of characters that the vocabulary lacks, if there are any.
    pub fn unknown_note(&self, file: &Path) -> Option<String> {
        (!self.unknown.is_empty()).then(|| {
            let shown = CtcVocabulary::shown(&self.unknown);
            format!("{}: characters that the vocabulary lacks cannot be written: {shown}", file.display())
        })
    }
}

impl<M: Medium> Targets<M> for Transcripts {
    type Gold = String;

    fn len(&self) -> usize {
        self.texts.len()
    }

    fn gold(&self, example: usize) -> Result<String, DataError> {
        Ok(self.texts[example].clone())
    }

    fn fill(&self, examples: &[usize], _seen: &[M::Seen], into: &mut Batch) -> Result<(), DataError> {
        let width = self.longest.max(1);
        let mut labels = vec![IGNORED; examples.len() * width];
        for (row, &example) in labels.chunks_exact_mut(width).zip(examples) {
            row.iter_mut().zip(self.ids(example)).for_each(|(label, &id)| *label = i64::from(id));
        }
        into.targets.insert("labels".to_owned(), Array::integers(&[examples.len(), width], labels));
        Ok(())
    }

    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        Ok(format!("Transcript({})", self.texts[example]))
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let words: usize = examples.iter().map(|&example| self.texts[example].split_whitespace().count()).sum();
        let pieces: usize = examples.iter().map(|&example| self.ids(example).len()).sum();
        vec![
            Fact::new("words", FactValue::Count(words as u64)),
            Fact::new("characters", FactValue::Count(pieces as u64)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Nothing;
    use super::*;
    use crate::ArrayData;

    #[test]
    fn labels_are_as_wide_as_the_longest_transcript() {
        let texts = ["noon", "on"];
        let vocabulary = CtcVocabulary::of_texts(texts.into_iter());
        let transcripts = Transcripts::new(texts.map(str::to_owned).to_vec(), &vocabulary, Casing::Kept);
        assert_eq!((transcripts.ids(0), transcripts.ids(1)), (&[0, 1, 1, 0][..], &[1, 0][..]));
        assert_eq!((transcripts.frames(0), transcripts.frames(1)), (5, 2));
        let mut batch = Batch::default();
        Targets::<Nothing>::fill(&transcripts, &[1], &[], &mut batch).unwrap();
        let labels = &batch.targets["labels"];
        assert_eq!((labels.shape.as_slice(), &labels.data), (&[1, 4][..], &ArrayData::I64(vec![1, 0, -100, -100])));
        assert!(transcripts.unknown_note(Path::new("x.csv")).is_none());
        let odd = Transcripts::new(vec!["on!".to_owned()], &vocabulary, Casing::Kept);
        assert_eq!(odd.ids(0), [1, 0, 3]);
        assert!(odd.unknown_note(Path::new("x.csv")).unwrap().contains("lacks cannot be written: `!` (1)"));
        assert_eq!(Targets::<Nothing>::facts(&transcripts, &[0, 1])[1].value, FactValue::Count(6));
    }
}

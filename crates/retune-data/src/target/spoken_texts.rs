//! What is said, as tokens that a decoder writes: targets of speech recognition by sequence.

use super::{IGNORED, Targets};
use crate::audio::{AudioSeen, Sounds};
use crate::{Array, Batch, DataError, Fact, FactValue, Units};

/// The tokens around and of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framing {
    /// What stands before each text; the first of them is never learnt.
    pub begin: Vec<i64>,
    /// What ends it.
    pub end: i64,
    /// Tokens that there are positions for.
    pub longest: usize,
}

/// The transcripts of all examples as tokens. `labels` `[B, S]` i64, the tokens behind the first with the end, [`IGNORED`] behind;
/// `decoder_input_ids` `[B, S]` i64, among the inputs, the tokens with the first and without the end; S is that of the longest row
/// of the batch. Pieces of a sound, whose share of the text nobody knows, and texts without positions have no target.
#[derive(Debug, Clone, PartialEq)]
pub struct SpokenTexts {
    texts: Vec<String>,
    /// Tokens of the texts alone, one example after the other, with the end of each.
    ids: Vec<u32>,
    ends: Vec<usize>,
    framing: Framing,
}

impl SpokenTexts {
    /// Of texts, one for each row, with their tokens.
    pub fn new(texts: Vec<String>, tokens: Vec<Vec<u32>>, framing: Framing) -> Self {
        let mut ends = Vec::with_capacity(tokens.len());
        let mut ids = Vec::new();
        for tokens in tokens {
            ids.extend(tokens);
            ends.push(ids.len());
        }
        Self { texts, ids, ends, framing }
    }

    fn ids(&self, example: usize) -> &[u32] {
        let start = example.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.ids[start..self.ends[example]]
    }

    /// Tokens of an example with what stands around them. Panics beyond the end.
    pub fn length(&self, example: usize) -> usize {
        self.framing.begin.len() + self.ids(example).len()
    }

    /// Whether there are positions for all tokens of an example. Panics beyond the end.
    pub fn fits(&self, example: usize) -> bool {
        self.length(example) <= self.framing.longest
    }

    /// What is learnt of an example: none of its tokens, where they do not fit or belong to a piece of it.
    fn learnt(&self, example: usize, seen: AudioSeen) -> &[u32] {
        if seen.whole && self.fits(example) { self.ids(example) } else { &[] }
    }
}

impl Targets<Sounds> for SpokenTexts {
    type Gold = String;

    fn len(&self) -> usize {
        self.texts.len()
    }

    fn gold(&self, example: usize) -> Result<String, DataError> {
        Ok(self.texts[example].clone())
    }

    fn fill(&self, examples: &[usize], seen: &[AudioSeen], into: &mut Batch) -> Result<(), DataError> {
        let Framing { begin, end, .. } = &self.framing;
        let rows = || examples.iter().zip(seen);
        let lengths = rows().map(|(&example, &seen)| begin.len() + self.learnt(example, seen).len());
        let (real, width) = lengths.fold((0, begin.len()), |(sum, most), length| (sum + length, length.max(most)));
        let mut labels = vec![IGNORED; examples.len() * width];
        let mut inputs = vec![*end; examples.len() * width];
        let places = labels.chunks_exact_mut(width).zip(inputs.chunks_exact_mut(width));
        for ((labels, inputs), (&example, &seen)) in places.zip(rows()) {
            let ids = || self.learnt(example, seen).iter().map(|&id| i64::from(id));
            inputs.iter_mut().zip(begin.iter().copied().chain(ids())).for_each(|(place, id)| *place = id);
            if seen.whole && self.fits(example) {
                let targets = begin[1..].iter().copied().chain(ids()).chain([*end]);
                labels.iter_mut().zip(targets).for_each(|(place, id)| *place = id);
            }
        }
        let shape = [examples.len(), width];
        into.inputs.insert("decoder_input_ids".to_owned(), Array::integers(&shape, inputs));
        into.targets.insert("labels".to_owned(), Array::integers(&shape, labels));
        into.extent.target = Units { real, padded: width * examples.len() };
        Ok(())
    }

    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        Ok(format!("Transcript({})", self.texts[example]))
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let words: usize = examples.iter().map(|&example| self.texts[example].split_whitespace().count()).sum();
        let tokens: usize = examples.iter().map(|&example| self.ids(example).len()).sum();
        vec![
            Fact::new("words", FactValue::Count(words as u64)),
            Fact::new("tokens of transcripts", FactValue::Count(tokens as u64)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArrayData;

    #[test]
    fn inputs_are_targets_moved_on_by_one() {
        let framing = Framing { begin: vec![7, 8], end: 9, longest: 5 };
        let tokens = vec![vec![1, 2], vec![3], vec![1, 1, 1, 1]];
        let texts = ["a b", "c", "too long"].map(str::to_owned).to_vec();
        let spoken = SpokenTexts::new(texts, tokens, framing);
        assert_eq!((spoken.length(0), spoken.fits(0), spoken.fits(2)), (4, true, false));
        let whole = AudioSeen { samples: 5, whole: true };
        let mut batch = Batch::default();
        spoken.fill(&[1, 0, 2, 0], &[whole, whole, whole, AudioSeen { whole: false, ..whole }], &mut batch).unwrap();
        let numbers = |array: &Array| match &array.data {
            ArrayData::I64(numbers) => numbers.clone(),
            _ => panic!("whole numbers"),
        };
        let inputs = numbers(&batch.inputs["decoder_input_ids"]);
        assert_eq!(inputs, [7, 8, 3, 9, 7, 8, 1, 2, 7, 8, 9, 9, 7, 8, 9, 9]);
        let none = [IGNORED; 8];
        let labels = numbers(&batch.targets["labels"]);
        assert_eq!(labels[..8], [8, 3, 9, IGNORED, 8, 1, 2, 9]);
        assert_eq!(labels[8..], none);
        assert_eq!(batch.targets["labels"].shape, [4, 4]);
        assert_eq!(spoken.facts(&[0, 1])[1].value, FactValue::Count(3));
    }
}

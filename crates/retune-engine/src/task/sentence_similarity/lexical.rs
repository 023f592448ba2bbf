//! The baseline of texts that are compared: the words that they share, each weighed by how rare it is (TF-IDF), as a cosine.

use super::SentenceSimilarity;
use super::vectors::Vectors;
use crate::task::Data;
use anyhow::Result;
use retune_kernels::random;
use std::collections::HashMap;

/// How many of the training texts have each word, by a hash of it.
pub(super) struct Words {
    texts: f64,
    having: HashMap<u64, u32>,
}

fn words(text: &str) -> HashMap<u64, u32> {
    let lower = text.to_lowercase();
    let words = lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(HashMap::new(), |mut all, word| {
        *all.entry(random::name_key(word)).or_default() += 1;
        all
    })
}

impl Words {
    /// Counts words in the training texts.
    pub(super) fn of(train: &Data<SentenceSimilarity>) -> Result<Self> {
        let (mut texts, mut having) = (0.0, HashMap::new());
        for example in train.inner_examples() {
            for place in 0..train.medium().count() {
                texts += 1.0;
                words(&train.medium().text(example, place)?).into_keys().for_each(|word| {
                    *having.entry(word).or_default() += 1;
                });
            }
        }
        Ok(Self { texts, having })
    }

    /// The vectors of an example's texts, of length 1.
    pub(super) fn vectors(&self, data: &Data<SentenceSimilarity>, example: usize) -> Result<Vectors> {
        let inner = data.inner_example(example);
        let of = |place: usize| Ok(self.vector(&data.medium().text(inner, place)?));
        (0..data.medium().count()).map(of).collect::<Result<_>>().map(Vectors::Sparse)
    }

    fn vector(&self, text: &str) -> Vec<(u64, f32)> {
        let weight = |(word, times): (u64, u32)| {
            let having = f64::from(self.having.get(&word).copied().unwrap_or(0));
            // scikit-learn's smoothed weight.
            (word, f64::from(times) * (((1.0 + self.texts) / (1.0 + having)).ln() + 1.0))
        };
        let mut all: Vec<(u64, f64)> = words(text).into_iter().map(weight).collect();
        all.sort_unstable_by_key(|(word, _)| *word);
        let length = all.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
        all.into_iter().map(|(word, weight)| (word, (weight / length) as f32)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_count_more() {
        let having = HashMap::from([(random::name_key("the"), 9), (random::name_key("cat"), 1)]);
        let all = Words { texts: 10.0, having };
        let vectors = Vectors::Sparse(["The cat!", "cat", "the", ""].map(|text| all.vector(text)).to_vec());
        assert!(vectors.cosine(0, 1) > vectors.cosine(0, 2) && vectors.cosine(0, 2) > 0.3);
        assert!((vectors.cosine(0, 0) - 1.0).abs() < 1e-6);
        assert_eq!(vectors.cosine(0, 3), 0.0);
    }
}

//! What a model says of a text that lacks pieces: how likely what was taken out was, or what it writes.

use super::Denoising;
use crate::metric::{Evaluation, Metric, PerplexityMetric, TokenSums};
use crate::task::frequencies::Frequencies;
use crate::task::{Data, Judged, Scorer};
use anyhow::Result;
use serde_json::{Map, Value, json};

pub(super) enum Answer {
    /// How likely the tokens that were to be written were.
    Scored(TokenSums),
    /// What was written, and how sure the search was of it.
    Written { text: String, score: f64 },
}

impl Answer {
    pub(super) fn described(&self) -> Map<String, Value> {
        let fields = match self {
            Self::Scored(TokenSums { loss, tokens, right, .. }) => {
                let mean = (*tokens > 0).then(|| loss / f64::from(*tokens));
                vec![("tokens", json!(tokens)), ("right", json!(right)), ("loss", json!(mean))]
            }
            Self::Written { text, score } => vec![("prediction", json!(text)), ("score", json!(score))],
        };
        fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// One that is sure of all tokens.
pub(super) fn ideal(tokens: &[u32]) -> Answer {
    let all = tokens.len() as u32;
    Answer::Scored(TokenSums { tokens: all, right: all, ..TokenSums::default() })
}

/// What frequencies say of tokens.
pub(super) fn by_frequency(frequencies: &Frequencies, tokens: &[u32]) -> Answer {
    let loss = tokens.iter().map(|&id| -frequencies.probability(id).ln()).sum();
    let right = tokens.iter().filter(|&&id| id == frequencies.best).count() as u32;
    Answer::Scored(TokenSums { loss, tokens: tokens.len() as u32, right, ..TokenSums::default() })
}

/// Perplexity of what was taken out.
pub(super) struct Restoring(pub(super) PerplexityMetric);

impl Scorer<Denoising> for Restoring {
    fn add(&mut self, _data: &Data<Denoising>, _example: usize, answer: &Answer) -> Result<Judged> {
        let Answer::Scored(sums) = answer else { return Ok(Judged { right: None, severity: 0.0 }) };
        self.0.add(*sums);
        Ok(Judged { right: None, severity: (sums.loss / f64::from(sums.tokens.max(1))) as f32 })
    }

    fn evaluation(&self) -> Evaluation {
        self.0.compute()
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.0.metrics()
    }
}

//! How well texts were foretold: loss, perplexity of a token, of a word and of a byte, share of right tokens.

use super::CausalLm;
use super::answer::Answer;
use crate::metric::{Evaluation, Metric, PerplexityMetric, TokenSums};
use crate::task::{Data, Judged, Scorer};
use anyhow::Result;
use retune_data::Tokenizer;

pub(super) struct NextTokens {
    metric: PerplexityMetric,
    tokenizer: Tokenizer,
}

impl NextTokens {
    pub(super) fn new(tokenizer: Tokenizer) -> Self {
        Self { metric: PerplexityMetric::new(), tokenizer }
    }
}

impl Scorer<CausalLm> for NextTokens {
    fn add(&mut self, data: &Data<CausalLm>, example: usize, answer: &Answer) -> Result<Judged> {
        if let Answer::Scored { loss, right, tokens } = *answer {
            let (words, bytes) = extent(data, example, &self.tokenizer)?;
            self.metric.add(TokenSums { loss, tokens, right, words, bytes });
        }
        Ok(answer.judged())
    }

    fn evaluation(&self) -> Evaluation {
        self.metric.compute()
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.metric.metrics()
    }
}

/// Words (between white space) and bytes of the text that counts.
fn extent(data: &Data<CausalLm>, example: usize, tokenizer: &Tokenizer) -> Result<(u32, u32)> {
    let Some(targets) = data.targets() else { return Ok((0, 0)) };
    let (mut ids, inner) = (Vec::new(), data.inner_example(example));
    data.medium().for_each(inner, |id| ids.push(id))?;
    let counted = targets.places(&data.seen(example)?).into_iter().filter_map(|place| ids.get(place).copied());
    let text = tokenizer.decode(&counted.collect::<Vec<_>>())?;
    Ok((text.split_whitespace().count() as u32, text.len() as u32))
}

//! How well texts were foretold: loss, perplexity of a token, of a word and of a byte, share of right tokens; and how well prompts
//! were answered whose answers are known: exact matches and ROUGE.

use super::CausalLm;
use super::answer::Answer;
use super::asking::Asking;
use super::input::hold_conversations;
use crate::metric::{EXACT_MATCH, Evaluation, Measures, Metric, PerplexityMetric, TokenSums, WrittenMetric};
use crate::task::{Data, Judged, Scorer};
use anyhow::Result;
use retune_data::{Dataset, Tokenizer};
use std::sync::Arc;

pub(super) struct NextTokens {
    metric: PerplexityMetric,
    tokenizer: Tokenizer,
    answers: Option<Answers>,
}

/// Answers to prompts.
struct Answers {
    asking: Arc<Asking>,
    metric: WrittenMetric,
    /// Rows of the data.
    rows: usize,
    /// Rows that say what is to be answered.
    asked: usize,
    /// Rows that were answered.
    answered: usize,
}

impl NextTokens {
    pub(super) fn new(tokenizer: Tokenizer, asking: Option<Arc<Asking>>) -> Self {
        let answers = |asking| {
            let metric = WrittenMetric::new(Measures::Texts);
            Answers { asking, metric, rows: 0, asked: 0, answered: 0 }
        };
        Self { metric: PerplexityMetric::new(), tokenizer, answers: asking.map(answers) }
    }
}

impl Answers {
    /// What there is to say of how they came.
    fn note(&self) -> String {
        let Self { rows, asked, answered, .. } = *self;
        let most = self.asking.rows;
        let mut note = format!("exact_match and rouge are of the answers to {answered} of {rows} prompts");
        if most < rows {
            note += &format!(": the first {most} rows are asked, and --answered-rows changes that");
        }
        if asked > answered {
            let long = asked - answered;
            note += &format!("; {long} leave no room for an answer, and --max-new-tokens changes that");
        }
        let silent = most.min(rows) - asked;
        if silent > 0 {
            note += &format!(
                "; {silent} do not say what is right: they end with something else than one text of the assistant"
            );
        }
        note
    }
}

impl Scorer<CausalLm> for NextTokens {
    fn add(&mut self, data: &Data<CausalLm>, example: usize, answer: &Answer) -> Result<Judged> {
        let Answer::Scored { sums, written } = answer else { return Ok(Judged { right: None, severity: 0.0 }) };
        let (words, bytes) = extent(data, example, &self.tokenizer)?;
        self.metric.add(TokenSums { words, bytes, ..*sums });
        let conversations = hold_conversations(data.medium().documents());
        let Some(answers) = self.answers.as_mut().filter(|_| conversations) else {
            return Ok(Judged { right: None, severity: (sums.loss / f64::from(sums.tokens.max(1))) as f32 });
        };
        answers.rows = data.examples();
        let Some(asked) = answers.asking.asked(data, example)? else {
            // How wrong it would have answered is not known.
            return Ok(Judged { right: None, severity: 0.0 });
        };
        answers.asked += 1;
        let Some(written) = written else { return Ok(Judged { right: None, severity: 0.0 }) };
        answers.answered += 1;
        let text = self.tokenizer.decode(&written.tokens)?;
        let (exact, distance) = answers.metric.add(&[asked.reference], &text);
        Ok(Judged { right: Some(exact), severity: distance as f32 })
    }

    fn evaluation(&self) -> Evaluation {
        let mut evaluation = self.metric.compute();
        if let Some(answers) = self.answers.as_ref().filter(|answers| answers.rows > 0) {
            if answers.answered > 0 {
                let written = answers.metric.evaluation();
                evaluation.metrics.extend(written.metrics);
                evaluation.intervals.extend(written.intervals);
                evaluation.notes.extend(written.notes);
                evaluation.details.extend(written.details);
            }
            evaluation.notes.push(answers.note());
        }
        evaluation
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        let mut metrics = self.metric.metrics();
        metrics.extend(self.answers.iter().flat_map(|answers| answers.metric.metrics()));
        metrics
    }

    fn paired(&self) -> Option<&'static Metric> {
        self.answers.as_ref().map(|_| &EXACT_MATCH)
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

//! Answers beside those that people gave, and from how much doubt on none is given.

use super::{Answer, Data, Decision, Judged, KEY, QuestionAnswering, Scorer, Task, question};
use crate::metric::overlap::{EXACT_MATCH, OverlapMetric, Squad};
use crate::metric::score::Score;
use crate::metric::unanswerable::{Doubted, best_threshold};
use crate::metric::{Block, Detail, Evaluation, Metric};
use anyhow::{Context, Result};
use retune_data::annotations::Characters;
use serde_json::{Map, json};

/// What a question is worth, whichever threshold is chosen.
struct Case {
    /// If the best words are given.
    words: Score,
    /// If no answer is given.
    silence: Score,
    answerable: bool,
    /// Whether there are any words.
    said: bool,
    /// How much rather no answer would be given.
    doubt: Option<f64>,
}

impl Case {
    fn doubted(&self) -> Option<Doubted> {
        let doubt = self.doubt.filter(|doubt| doubt.is_finite())?;
        Some(Doubted { doubt, answerable: self.answerable, said: self.said, score: self.words })
    }
}

/// Scores both ways, because the threshold is chosen at the end.
pub(super) struct AnswerScorer {
    task: QuestionAnswering,
    cases: Vec<Case>,
}

impl AnswerScorer {
    pub(super) fn new(task: QuestionAnswering) -> Self {
        Self { task, cases: Vec::new() }
    }

    fn metric(&self) -> OverlapMetric {
        OverlapMetric::new(if self.task.unanswerable() { Squad::Unanswerable } else { Squad::Answerable })
    }

    fn given(&self, case: &Case) -> Score {
        if case.doubt.is_some_and(|doubt| doubt > self.task.threshold()) { case.silence } else { case.words }
    }
}

impl Scorer<QuestionAnswering> for AnswerScorer {
    fn add(&mut self, data: &Data<QuestionAnswering>, example: usize, answer: &Answer) -> Result<Judged> {
        let gold = data.gold(example)?.context("the data has no answers")?;
        let gold: Vec<&str> = gold.iter().map(|answer| answer.text.as_str()).collect();
        let (ranked, characters) = (answer.ranked()?, Characters::of(&question(data, example).context));
        let words = ranked.best().and_then(|best| characters.part(best.span?)).unwrap_or("");
        let metric = self.metric();
        let case = Case {
            words: metric.score(&gold, words),
            silence: metric.score(&gold, ""),
            answerable: metric.is_answerable(&gold),
            said: !words.is_empty(),
            doubt: ranked.null_difference,
        };
        let score = self.given(&case);
        self.cases.push(case);
        Ok(Judged { right: Some(score.exact), severity: 1.0 - score.f1 as f32 })
    }

    fn evaluation(&self) -> Evaluation {
        let mut metric = self.metric();
        for case in &self.cases {
            metric.push(self.given(case), case.answerable, case.doubted());
        }
        let mut evaluation = metric.evaluation();
        if let Some(threshold) = self.task.threshold.get() {
            let words = format!(
                "No answer is given where it scores more than the best answer by {threshold:.3}, as the validation split chose."
            );
            let value = json!({"threshold": threshold});
            let detail = Detail::new(KEY, "No answer", &value, vec![Block::Words(words)]);
            evaluation.details.push(Detail { decided: true, ..detail });
        }
        evaluation
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.metric().metrics()
    }

    fn paired(&self) -> Option<&'static Metric> {
        Some(&EXACT_MATCH)
    }

    /// The threshold with the best F1; as models are trained, at 0, where the split cannot tell. None where every question has an
    /// answer: a threshold would tell whoever uses the model the contrary.
    fn decide(&mut self) -> Result<Option<Decision>> {
        if !self.task.unanswerable() {
            return Ok(None);
        }
        let doubted: Vec<Doubted> = self.cases.iter().filter_map(Case::doubted).collect();
        let both = [true, false].iter().all(|wanted| doubted.iter().any(|it| it.answerable == *wanted));
        let threshold = best_threshold(&doubted).filter(|_| both).unwrap_or(0.0);
        let decision = Decision { key: KEY, chosen: Map::from_iter([("threshold".to_owned(), json!(threshold))]) };
        self.task.adopt(&decision)?;
        Ok(Some(decision))
    }
}

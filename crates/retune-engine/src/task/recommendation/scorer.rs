//! Judges recommendations by where what came next stands among all items.

use super::Recommendation;
use super::answer::{Answer, KEPT};
use crate::metric::ranks::{COVERAGE, RECOMMENDED, RECOMMENDED_COLD, recommended};
use crate::metric::{Block, Detail, Evaluation, MeanOfQueries, Metric};
use crate::task::{Data, Judged, Scorer};
use anyhow::{Context, Result};
use retune_kernels::random;
use std::collections::HashSet;
use std::sync::Arc;

/// The scorer.
pub(super) struct Ranks {
    all: MeanOfQueries,
    cold: MeanOfQueries,
    /// Items among the first of anybody.
    shown: HashSet<u32>,
    /// Whether each item, from 0 on, is in a training history.
    known: Arc<Vec<bool>>,
    protocol: Arc<str>,
}

impl Ranks {
    pub(super) fn new(known: Arc<Vec<bool>>, protocol: Arc<str>) -> Self {
        let all = MeanOfQueries::new(RECOMMENDED.iter().collect());
        let cold = MeanOfQueries::new(RECOMMENDED_COLD.iter().collect());
        Self { all, cold, shown: HashSet::new(), known, protocol }
    }
}

impl Scorer<Recommendation> for Ranks {
    fn add(&mut self, data: &Data<Recommendation>, example: usize, answer: &Answer) -> Result<Judged> {
        let rank = answer.rank.context("the data does not say what came next")?;
        let item = data.gold(example)?.flatten().context("the data does not say what came next")?;
        let row = data.medium().sequences().row(data.inner_example(example));
        let unit = row.user.as_deref().map_or(example as u64, random::name_key);
        let values = recommended(rank);
        self.all.add_of(unit, &values);
        if !self.known[item as usize] {
            self.cold.add_of(unit, &values);
        }
        self.shown.extend(answer.best.iter().take(KEPT).map(|(item, _)| *item));
        Ok(Judged { right: Some(rank <= KEPT), severity: (rank as f32).log2() })
    }

    fn evaluation(&self) -> Evaluation {
        let mut evaluation = self.all.compute();
        let (asked, cold) = (self.all.queries(), self.cold.queries());
        if asked > 0 {
            let items = self.known.len().saturating_sub(1).max(1);
            evaluation.metrics.insert(COVERAGE.key.to_owned(), self.shown.len() as f64 / items as f64);
        }
        if cold > 0 {
            let those = self.cold.compute();
            evaluation.metrics.extend(those.metrics);
            evaluation.intervals.extend(those.intervals);
        }
        evaluation.notes.push(format!("{cold} of {asked} items that came next are cold: in no training history"));
        let words = vec![Block::Words(self.protocol.to_string())];
        evaluation.details.push(Detail::new("protocol", "Protocol", &self.protocol.as_ref(), words));
        evaluation
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        RECOMMENDED.iter().chain([&COVERAGE]).chain(&RECOMMENDED_COLD).collect()
    }
}

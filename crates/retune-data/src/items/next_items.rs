//! The items that histories ask for, as targets.

use std::sync::Arc;

use super::{Asked, HistorySeen, ItemHistories, Sequences};
use crate::{Array, Batch, DataError, IGNORED, Records, Targets};

/// Of each place that is asked for its item: `labels` `[B, P]` i64, [`IGNORED`] behind the last of a row, and `negatives`
/// `[B, P, K]` where some are drawn.
pub struct NextItems(pub Arc<Sequences>);

impl Targets<ItemHistories> for NextItems {
    /// What came next; `None` where the whole history is learnt.
    type Gold = Option<u32>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn gold(&self, example: usize) -> Result<Option<u32>, DataError> {
        Ok(if let Asked::Next(item) = self.0.row(example).asked { Some(item) } else { None })
    }

    fn fill(&self, examples: &[usize], seen: &[HistorySeen], into: &mut Batch) -> Result<(), DataError> {
        let asked = seen.iter().map(|seen| seen.labels.len()).max().unwrap_or(0);
        let mut labels = vec![IGNORED; examples.len() * asked];
        let drawn = seen.iter().find(|it| !it.labels.is_empty()).map_or(0, |it| it.negatives.len() / it.labels.len());
        let mut negatives = vec![0; examples.len() * asked * drawn];
        for (row, seen) in seen.iter().enumerate() {
            seen.labels.iter().enumerate().for_each(|(at, &item)| labels[row * asked + at] = i64::from(item));
            let begin = row * asked * drawn;
            seen.negatives.iter().enumerate().for_each(|(at, &item)| negatives[begin + at] = i64::from(item));
        }
        into.targets.insert("labels".to_owned(), Array::integers(&[examples.len(), asked], labels));
        if drawn > 0 {
            into.targets.insert("negatives".to_owned(), Array::integers(&[examples.len(), asked, drawn], negatives));
        }
        Ok(())
    }

    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        Ok(format!("{:?}", self.0.row(example).asked))
    }
}

//! An answer: the items of the highest scores, and where the item that came next stands among all.

/// Items that every answer keeps at least: those of the coverage.
pub(super) const KEPT: usize = 10;

/// What is said of one history.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::task) struct Answer {
    /// The rank of the item that came next, from 1, where that is known.
    pub(super) rank: Option<usize>,
    /// Items and scores, the highest first.
    pub(super) best: Vec<(u32, f32)>,
}

impl Answer {
    /// Of `scores` of items 1, 2, …; what was `seen` is left out, save `right`. Of equal scores the smaller number comes first.
    pub(super) fn of(mut scores: Vec<f32>, seen: &[u32], right: Option<u32>, count: usize) -> Self {
        let own = right.map(|item| scores[item as usize - 1]);
        seen.iter().for_each(|&item| scores[item as usize - 1] = f32::NEG_INFINITY);
        let rank = right.zip(own).map(|(item, own)| {
            let at = item as usize - 1;
            scores[at] = own;
            1 + scores.iter().enumerate().filter(|(other, it)| **it > own || (**it == own && *other < at)).count()
        });
        let better = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
        let mut order: Vec<u32> = (0..scores.len() as u32).collect();
        let count = count.max(KEPT).min(order.len());
        if count < order.len() {
            order.select_nth_unstable_by(count, better);
            order.truncate(count);
        }
        order.sort_unstable_by(better);
        let best = order.into_iter().map(|at| (at + 1, scores[at as usize]));
        Self { rank, best: best.filter(|(_, score)| *score > f32::NEG_INFINITY).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::MeanOfQueries;
    use crate::metric::ranks::{RECOMMENDED, recommended};

    /// What PyTorch and plain formulas say of the same scores (`scripts/fixtures_recommendation.py`).
    #[test]
    fn ranks_and_metrics_equal_the_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/recommendation/metrics.json");
        let reference: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let read = |value: &serde_json::Value| serde_json::from_value::<Vec<u32>>(value.clone()).unwrap();
        let scores: Vec<Vec<f32>> = serde_json::from_value(reference["scores"].clone()).unwrap();
        let (right, ranks) = (read(&reference["right"]), read(&reference["ranks"]));
        let mut metric = MeanOfQueries::new(RECOMMENDED.iter().collect());
        let mut shown = std::collections::HashSet::new();
        for (row, scores) in scores.into_iter().enumerate() {
            let answer = Answer::of(scores, &read(&reference["seen"][row]), Some(right[row]), 10);
            assert_eq!(answer.rank, Some(ranks[row] as usize));
            metric.add(&recommended(ranks[row] as usize));
            shown.extend(answer.best.iter().take(10).map(|it| it.0));
        }
        let metrics = metric.compute().metrics;
        for (key, expected) in reference["metrics"].as_object().unwrap() {
            let found = if key == "coverage" { shown.len() as f64 / 25.0 } else { metrics[key] };
            assert!((found - expected.as_f64().unwrap()).abs() < 1e-6, "{key}: {found} {expected}");
        }
    }

    #[test]
    fn what_was_seen_is_left_out_and_ties_stand_in_order() {
        let scores = vec![0.5, 2.0, 0.5, 1.0, 0.5];
        let answer = Answer::of(scores.clone(), &[2], Some(3), 10);
        assert_eq!((answer.rank, answer.best.len()), (Some(3), 4));
        assert_eq!(answer.best.iter().map(|it| it.0).collect::<Vec<_>>(), [4, 1, 3, 5]);
        // What came next was seen before: it can be recommended all the same.
        assert_eq!(Answer::of(scores.clone(), &[2, 4], Some(2), 10).rank, Some(1));
        assert_eq!(Answer::of(scores, &[], None, 10).rank, None);
        let many = Answer::of((0..1000).map(|it| (it * 7 % 1000) as f32).collect(), &[], None, 12);
        assert_eq!(many.best.iter().map(|it| it.1 as usize).collect::<Vec<_>>(), (988..1000).rev().collect::<Vec<_>>());
    }
}

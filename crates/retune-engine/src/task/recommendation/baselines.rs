//! Recommendations without a model: what most met, and what those met who met the same (item k-nearest-neighbours by the
//! cosine of who met them, Sarwar et al. 2001).

use super::answer::Answer;
use super::{Histories, Recommendation};
use crate::task::{Data, Guess};
use anyhow::Result;
use retune_data::{Asked, Records};
use std::collections::HashMap;

/// Neighbours of each item.
const NEIGHBOURS: usize = 100;

/// Who met what in the training data, each item once.
pub(super) struct Met {
    /// Of each user, items.
    users: Vec<Vec<u32>>,
    /// Of each item from 1, users.
    items: Vec<Vec<u32>>,
}

impl Met {
    /// Of the training stretches.
    pub(super) fn of(train: &Data<Recommendation>) -> Self {
        let rows = train.medium().sequences();
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut users: Vec<Vec<u32>> = Vec::new();
        for row in (0..rows.len()).filter(|&row| rows.row(row).asked == Asked::All) {
            let next = numbers.len() as u32;
            let user = *numbers.entry(rows.row(row).user.as_deref().unwrap_or_default()).or_insert(next);
            users.resize_with(numbers.len(), Vec::new);
            users[user as usize].extend(rows.items(row));
        }
        let mut items = vec![Vec::new(); rows.catalogue().len() + 1];
        for (user, met) in users.iter_mut().enumerate() {
            met.sort_unstable();
            met.dedup();
            met.iter().for_each(|&item| items[item as usize].push(user as u32));
        }
        Self { users, items }
    }

    /// How many met each item, from item 1 on.
    fn counts(&self) -> Vec<f32> {
        self.items[1..].iter().map(|users| users.len() as f32).collect()
    }

    /// The nearest items of each, with their cosines.
    fn neighbours(&self) -> Vec<Vec<(u32, f32)>> {
        let size = |item: usize| self.items[item].len() as f32;
        let mut common = vec![0u32; self.items.len()];
        let of = |item: usize| {
            let mut touched = Vec::new();
            for &other in self.items[item].iter().flat_map(|&user| &self.users[user as usize]) {
                if common[other as usize] == 0 {
                    touched.push(other);
                }
                common[other as usize] += 1;
            }
            let cosine = |other: u32, common: u32| common as f32 / (size(item) * size(other as usize)).sqrt();
            let all = touched.iter().filter(|&&other| other as usize != item);
            let mut all: Vec<(u32, f32)> = all.map(|&other| (other, cosine(other, common[other as usize]))).collect();
            touched.iter().for_each(|&other| common[other as usize] = 0);
            let nearer = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
            if all.len() > NEIGHBOURS {
                all.select_nth_unstable_by(NEIGHBOURS, nearer);
                all.truncate(NEIGHBOURS);
                // What is kept for each item would grow with all that were ever met beside it.
                all.shrink_to_fit();
            }
            all.sort_unstable_by(nearer);
            all
        };
        (0..self.items.len()).map(of).collect()
    }
}

/// Both guesses.
pub(super) fn guesses<'a>(train: &Data<Recommendation>, recommendations: usize) -> Vec<Guess<'a, Recommendation>> {
    let met = Met::of(train);
    let (counts, neighbours) = (met.counts(), met.neighbours());
    let answer = move |data: &Data<Recommendation>, example: usize, scores: Vec<f32>| -> Result<Answer> {
        let row = data.inner_example(example);
        Ok(Answer::of(scores, data.medium().sequences().items(row), data.gold(example)?.flatten(), recommendations))
    };
    let popular = move |data: &Data<Recommendation>, example: usize| answer(data, example, counts.clone());
    let nearest = move |data: &Data<Recommendation>, example: usize| {
        let histories: &Histories = data.medium();
        let items = histories.sequences().items(data.inner_example(example));
        let mut scores = vec![0.0; histories.sequences().catalogue().len()];
        for (other, cosine) in items.iter().flat_map(|&item| &neighbours[item as usize]) {
            scores[*other as usize - 1] += cosine;
        }
        answer(data, example, scores)
    };
    vec![
        Guess { name: "popularity", answer: Box::new(popular) },
        Guess { name: "item k-nearest-neighbours", answer: Box::new(nearest) },
    ]
}

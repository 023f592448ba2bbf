//! How far up the texts that belong to a first one stand among all others of a split.

use super::vectors::Vectors;
use crate::metric::ranks::{retrieval, retrieved};
use crate::metric::{Evaluation, MeanOfQueries};
use anyhow::Result;
use retune_kernels::loss::unit_vectors;
use retune_kernels::tch::Tensor;
use std::collections::HashMap;

/// Queries that are compared with all candidates together.
const TOGETHER: usize = 128;

/// Different texts with their vectors.
#[derive(Default)]
struct Texts {
    places: HashMap<u64, usize>,
    hashes: Vec<u64>,
    dense: Vec<f32>,
    sparse: Vec<Vec<(u64, f32)>>,
}

impl Texts {
    fn add(&mut self, hash: u64, vectors: &Vectors, place: usize) -> usize {
        if let Some(&known) = self.places.get(&hash) {
            return known;
        }
        match vectors {
            Vectors::Dense(all) => self.dense.extend(&all[place]),
            Vectors::Sparse(all) => self.sparse.push(all[place].clone()),
        }
        self.hashes.push(hash);
        self.places.insert(hash, self.hashes.len() - 1);
        self.hashes.len() - 1
    }

    /// [texts, D], of length 1.
    fn matrix(&self) -> Tensor {
        unit_vectors(&Tensor::from_slice(&self.dense).reshape([self.hashes.len() as i64, -1]))
    }
}

/// First texts, the candidates of a split, and what belongs together.
#[derive(Default)]
pub(super) struct Search {
    queries: Texts,
    candidates: Texts,
    /// Of each query, its own among the candidates.
    own: Vec<Vec<usize>>,
}

impl Search {
    /// Adds an example: the first text is a query, the second its own, the others are candidates.
    pub(super) fn add(&mut self, hashes: &[u64], vectors: &Vectors) {
        let query = self.queries.add(hashes[0], vectors, 0);
        let places: Vec<usize> =
            (1..hashes.len()).map(|place| self.candidates.add(hashes[place], vectors, place)).collect();
        self.own.resize(self.queries.hashes.len(), Vec::new());
        if let Some(first) = places.first().filter(|first| !self.own[query].contains(first)) {
            self.own[query].push(*first);
        }
    }

    /// Metrics over all queries.
    pub(super) fn evaluation(&self) -> Result<Evaluation> {
        let mut metric = MeanOfQueries::new(retrieval());
        let count = self.candidates.hashes.len();
        self.each(&mut |query, scores| metric.add(&retrieved(&self.ranks(query, scores))))?;
        let mut evaluation = metric.compute();
        evaluation.notes.push(format!("{} queries, each among {count} different texts", self.own.len()));
        Ok(evaluation)
    }

    /// The ranks of a query's own; others of the same score stand before it, and the query's own text does not count.
    fn ranks(&self, query: usize, scores: &[f32]) -> Vec<usize> {
        let own = &self.own[query];
        let itself = self.candidates.places.get(&self.queries.hashes[query]).filter(|place| !own.contains(place));
        let rank = |&mine: &usize| {
            let before = |(place, score): (usize, &f32)| {
                place != mine
                    && Some(&place) != itself
                    && (*score > scores[mine] || (*score == scores[mine] && !own.contains(&place)))
            };
            1 + scores.iter().enumerate().filter(|&it| before(it)).count()
        };
        own.iter().map(rank).collect()
    }

    /// Calls `visit` with the scores of all candidates for each query.
    fn each(&self, visit: &mut dyn FnMut(usize, &[f32])) -> Result<()> {
        if self.queries.sparse.is_empty() {
            if self.queries.hashes.is_empty() {
                return Ok(());
            }
            let (queries, candidates) = (self.queries.matrix(), self.candidates.matrix().transpose(0, 1));
            for begin in (0..self.own.len()).step_by(TOGETHER) {
                let some = TOGETHER.min(self.own.len() - begin);
                let scores = queries.narrow(0, begin as i64, some as i64).f_matmul(&candidates)?;
                let scores = Vec::<f32>::try_from(scores.reshape([-1]))?;
                for (query, scores) in (begin..).zip(scores.chunks(self.candidates.hashes.len())) {
                    visit(query, scores);
                }
            }
            return Ok(());
        }
        let mut having: HashMap<u64, Vec<(usize, f32)>> = HashMap::new();
        for (place, vector) in self.candidates.sparse.iter().enumerate() {
            vector.iter().for_each(|(word, weight)| having.entry(*word).or_default().push((place, *weight)));
        }
        for (query, vector) in self.queries.sparse.iter().enumerate() {
            let mut scores = vec![0.0; self.candidates.hashes.len()];
            for (word, weight) in vector {
                having.get(word).into_iter().flatten().for_each(|(place, theirs)| scores[*place] += weight * theirs);
            }
            visit(query, &scores);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_and_ties_stand_before() {
        let mut search = Search::default();
        let v = |a: [f32; 2], b: [f32; 2]| Vectors::Dense(vec![a.to_vec(), b.to_vec()]);
        search.add(&[1, 11], &v([1.0, 0.0], [1.0, 0.0]));
        // A query with two of its own, the second of which is the first query's text, too.
        search.add(&[2, 12], &v([0.0, 1.0], [0.0, 1.0]));
        search.add(&[2, 1], &v([0.0, 1.0], [1.0, 0.0]));
        // The same vector as the first.
        search.add(&[3, 13], &v([1.0, 0.0], [1.0, 0.0]));
        assert_eq!((search.queries.hashes.len(), search.candidates.hashes.len()), (3, 4));
        let mut ranks = Vec::new();
        search.each(&mut |query, scores| ranks.push(search.ranks(query, scores))).unwrap();
        // Of the first: text 1 is itself, 13 is tied with its own.
        assert_eq!(ranks, [vec![2], vec![1, 4], vec![3]]);
        assert!((search.evaluation().unwrap().metrics["mrr"] - (0.5 + 1.0 + 1.0 / 3.0) / 3.0).abs() < 1e-9);
    }
}

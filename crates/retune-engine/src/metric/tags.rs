//! Metrics of token classification, for whole entities: an entity is found where its words and its type are right.
//!
//! Equal to seqeval's `classification_report`: `precision`, `recall` and `f1` over all entities together, averages over
//! the types that occur. Entities and words that a model never saw, because a sequence was cut, count as missed and as
//! wrong: whoever adds a sequence gives all of its gold entities.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bootstrap::{draw_counts, draws_for, percentile_intervals};
use super::classes::{self, ClassRow, Confusion};
use super::confusion::{F1, MACRO_F1, PRECISION, RECALL, WEIGHTED_F1};
use super::detail::{Block, Cell, Column, Detail, Mark, Table};
use super::entities::{Entity, Mistake, compare, mistake};
use super::evaluation::{Evaluation, share};
use super::interval::wilson;
use super::metric::Metric;

/// The share of words whose tag is right; most words are outside of entities, so that it is high without any of them.
pub const TOKEN_ACCURACY: Metric = Metric::share("accuracy", "Token accuracy");

/// What stands for no entity in a confusion matrix.
const NONE: &str = "(none)";

/// A sequence of words with gold and predicted entities.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// All gold entities, also of words that the model never saw.
    pub gold: &'a [Entity],
    /// What the model said.
    pub predicted: &'a [Entity],
    /// Words with a gold tag.
    pub words: u64,
    /// How many of them were given the right tag.
    pub right: u64,
    /// How many of them the model never saw.
    pub unseen: u64,
}

/// Entities found, predicted and gold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Predicted in the right place with the right type.
    pub hits: u64,
    /// Predicted.
    pub predicted: u64,
    /// Gold.
    pub gold: u64,
}

impl Found {
    fn add(&mut self, other: Self, times: u64) {
        self.hits += other.hits * times;
        self.predicted += other.predicted * times;
        self.gold += other.gold * times;
    }

    /// Harmonic mean of precision and recall; 0 where there is neither.
    pub fn f1(&self) -> f64 {
        share(2 * self.hits, self.gold + self.predicted)
    }
}

/// Sufficient statistics of a model that finds entities.
#[derive(Default)]
pub struct TagsMetric {
    /// Types in the order in which they were first named.
    types: Vec<String>,
    sequences: Vec<Counted>,
    /// `(gold, predicted)` type of entities; the number of types stands for none.
    pairs: BTreeMap<(Option<u32>, Option<u32>), u64>,
    mistakes: [u64; 5],
    unseen: u64,
}

/// What of a sequence is kept.
struct Counted {
    /// What was found of each type that occurs in it.
    found: Vec<(u32, Found)>,
    right: u64,
    words: u64,
}

/// The numbers of an evaluation, from what was found of each type.
struct Sums {
    found: Vec<Found>,
    right: u64,
    words: u64,
}

impl TagsMetric {
    /// For entities of these types; others are added as they occur.
    pub fn new(types: Vec<String>) -> Self {
        Self { types, ..Self::default() }
    }

    /// What [`evaluation`](Self::evaluation) gives where the rows allow it, the usual one first.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        vec![&F1, &PRECISION, &RECALL, &MACRO_F1, &WEIGHTED_F1, &TOKEN_ACCURACY]
    }

    fn type_of(&mut self, label: &str) -> u32 {
        let place = self.types.iter().position(|name| name == label).unwrap_or_else(|| {
            self.types.push(label.to_owned());
            self.types.len() - 1
        });
        place as u32
    }

    /// Adds a sequence and says what was found in it. An entity that is given twice counts once.
    pub fn add(&mut self, sequence: &Sequence<'_>) -> Found {
        let distinct = |entities: &[Entity]| {
            let mut entities = entities.to_vec();
            entities.sort_unstable();
            entities.dedup();
            entities
        };
        let (gold, predicted) = (distinct(sequence.gold), distinct(sequence.predicted));
        let mut by_type: BTreeMap<u32, Found> = BTreeMap::new();
        for entity in &gold {
            by_type.entry(self.type_of(&entity.label)).or_default().gold += 1;
        }
        for entity in &predicted {
            let found = by_type.entry(self.type_of(&entity.label)).or_default();
            found.predicted += 1;
            found.hits += u64::from(gold.binary_search(entity).is_ok());
        }
        for judged in compare(&gold, &predicted) {
            let entity = Some(self.type_of(&judged.entity.label));
            let pair = match judged.mark {
                // The last marks no entity.
                Mark::Right | Mark::Rests(_) => (entity, entity),
                Mark::Missed => (entity, None),
                Mark::Invented => (None, entity),
                Mark::Mistaken => (entity, judged.said.as_deref().map(|said| self.type_of(said))),
            };
            *self.pairs.entry(pair).or_default() += 1;
            if let Some(mistake) = mistake(&judged, &gold, &predicted) {
                self.mistakes[mistake as usize] += 1;
            }
        }
        self.unseen += sequence.unseen;
        let mut all = Found::default();
        by_type.values().for_each(|found| all.add(*found, 1));
        let found = by_type.into_iter().collect();
        self.sequences.push(Counted { found, right: sequence.right, words: sequence.words });
        all
    }

    /// Everything that can be said about the sequences seen so far.
    pub fn evaluation(&self) -> Evaluation {
        let examples = self.sequences.len();
        let mut evaluation = Evaluation { examples, ..Evaluation::default() };
        let sums = self.sums(&mut (0..examples).map(|sequence| (sequence, 1)));
        if sums.words == 0 && sums.found.iter().all(|found| found.gold + found.predicted == 0) {
            evaluation.notes.push("no words with gold tags: no metric is defined".into());
            return evaluation;
        }
        let points = sums.points();
        let defined = points.iter().filter_map(|(metric, value)| Some((metric.key.to_owned(), (*value)?)));
        evaluation.metrics.extend(defined);
        let drawn = draws_for(examples, 1 + self.types.len());
        let mut counts = vec![0; drawn];
        evaluation.intervals = percentile_intervals(&points, (drawn, examples), |random| {
            draw_counts(random, &mut counts);
            let mut times = counts.iter().enumerate().map(|(i, n)| (i * examples / drawn, u64::from(*n)));
            self.sums(&mut times).points().into_iter().map(|(_, value)| value).collect()
        });
        self.note(&sums, &mut evaluation);
        let row = |(name, found): (&String, &Found)| ClassRow::new(name, found.hits, found.gold, found.predicted);
        let rows: Vec<ClassRow> = self.types.iter().zip(&sums.found).map(row).collect();
        evaluation.details.push(classes::per_class("Entity types", "entities", &rows));
        evaluation.details.push(self.confusion());
        evaluation.details.push(self.mistakes(&sums));
        evaluation
    }

    fn sums(&self, sequences: &mut dyn Iterator<Item = (usize, u64)>) -> Sums {
        let mut sums = Sums { found: vec![Found::default(); self.types.len()], right: 0, words: 0 };
        for (sequence, times) in sequences.filter(|(_, times)| *times > 0) {
            let Counted { found, right, words } = &self.sequences[sequence];
            found.iter().for_each(|(kind, found)| sums.found[*kind as usize].add(*found, times));
            sums.right += right * times;
            sums.words += words * times;
        }
        sums
    }

    fn note(&self, sums: &Sums, evaluation: &mut Evaluation) {
        if self.unseen > 0 {
            evaluation.notes.push(format!(
                "{} of {} words lie beyond what the model reads; they count as wrong and their entities as missed",
                self.unseen, sums.words
            ));
        }
        let absent = sums.found.iter().filter(|found| found.gold + found.predicted == 0).count();
        if absent > 0 {
            evaluation.notes.push(format!(
                "{absent} of {} entity types are neither gold nor predicted; averages leave them out",
                self.types.len()
            ));
        }
        if sums.found.iter().all(|found| found.gold == 0) {
            evaluation.notes.push("no gold entities: recall and f1 are 0 whatever is predicted".into());
        }
    }

    fn confusion(&self) -> Detail {
        let none = self.types.len();
        let mut counts = vec![vec![0; none + 1]; none + 1];
        let place = |kind: Option<u32>| kind.map_or(none, |kind| kind as usize);
        for ((gold, predicted), count) in &self.pairs {
            counts[place(*gold)][place(*predicted)] += count;
        }
        let names = self.types.iter().cloned().chain([NONE.to_owned()]).collect();
        classes::confusion(&Confusion { names, counts }, Some(none))
    }

    fn mistakes(&self, sums: &Sums) -> Detail {
        #[derive(Serialize)]
        struct Mistakes {
            wrong_type: u64,
            wrong_boundary: u64,
            wrong_type_and_boundary: u64,
            missed: u64,
            invented: u64,
        }
        let count = |mistake: Mistake| self.mistakes[mistake as usize];
        let value = Mistakes {
            wrong_type: count(Mistake::Type),
            wrong_boundary: count(Mistake::Boundary),
            wrong_type_and_boundary: count(Mistake::Both),
            missed: count(Mistake::Missed),
            invented: count(Mistake::Invented),
        };
        let gold: u64 = sums.found.iter().map(|found| found.gold).sum();
        let row = |name: &str, count: u64| vec![Cell::text(name), Cell::Count(count), Cell::Share(share(count, gold))];
        let table = Table {
            columns: vec![Column::words("mistake"), Column::numbers("entities"), Column::numbers("per gold entity")],
            rows: vec![
                row("right words, wrong type", value.wrong_type),
                row("some of the words, right type", value.wrong_boundary),
                row("some of the words, wrong type", value.wrong_type_and_boundary),
                row("missed", value.missed),
                row("invented", value.invented),
            ],
            note: String::new(),
        };
        Detail::new("entity_mistakes", "Kinds of mistakes", &value, vec![Block::Table(table)])
    }
}

impl Sums {
    /// Every metric, in the order of [`TagsMetric::metrics`].
    fn points(&self) -> Vec<(&'static Metric, Option<f64>)> {
        let mut all = Found::default();
        self.found.iter().for_each(|found| all.add(*found, 1));
        let seen: Vec<&Found> = self.found.iter().filter(|found| found.gold + found.predicted > 0).collect();
        let macro_f1 = seen.iter().map(|found| found.f1()).sum::<f64>() / seen.len().max(1) as f64;
        let weighted: f64 = seen.iter().map(|found| found.gold as f64 * found.f1()).sum();
        vec![
            (&F1, Some(all.f1())),
            (&PRECISION, Some(share(all.hits, all.predicted))),
            (&RECALL, Some(share(all.hits, all.gold))),
            (&MACRO_F1, Some(macro_f1)),
            (&WEIGHTED_F1, Some(weighted / all.gold.max(1) as f64)),
            (&TOKEN_ACCURACY, wilson(self.right, self.words).map(|_| share(self.right, self.words))),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::entities::{Reading, entities};
    use super::*;

    fn read(tags: &str) -> Vec<Entity> {
        entities(&tags.split_whitespace().collect::<Vec<_>>(), Reading::Strict)
    }

    fn add(metric: &mut TagsMetric, gold: &str, predicted: &str) -> Found {
        let pairs =
            || gold.split_whitespace().zip(predicted.split_whitespace().map(Some).chain(std::iter::repeat(None)));
        let right = pairs().filter(|(gold, predicted)| Some(*gold) == *predicted).count() as u64;
        let unseen = pairs().filter(|(_, predicted)| predicted.is_none()).count() as u64;
        let words = gold.split_whitespace().count() as u64;
        metric.add(&Sequence { gold: &read(gold), predicted: &read(predicted), words, right, unseen })
    }

    #[test]
    fn what_was_cut_off_counts_as_missed() {
        let mut metric = TagsMetric::new(vec!["PER".into(), "LOC".into()]);
        let found = add(&mut metric, "B-PER I-PER O B-LOC", "B-PER I-PER");
        assert_eq!(found, Found { hits: 1, predicted: 1, gold: 2 });
        let evaluation = metric.evaluation();
        assert_eq!(evaluation.metrics["recall"], 0.5);
        assert_eq!(evaluation.metrics["accuracy"], 0.5);
        assert!(evaluation.notes.iter().any(|note| note.starts_with("2 of 4 words")), "{:?}", evaluation.notes);
    }

    #[test]
    fn details_tell_missed_invented_and_mistaken_apart() {
        let mut metric = TagsMetric::new(vec!["PER".into(), "LOC".into()]);
        add(&mut metric, "B-PER O B-LOC I-LOC O", "B-LOC O B-LOC O B-PER");
        let evaluation = metric.evaluation();
        let confusion: Confusion = evaluation.read("confusion").unwrap();
        assert_eq!(confusion.names, ["PER", "LOC", NONE]);
        assert_eq!(confusion.counts, [[0, 1, 0], [0, 0, 1], [1, 1, 0]]);
        let value = &evaluation.detail("entity_mistakes").unwrap().value;
        let counts = ["wrong_type", "wrong_boundary", "wrong_type_and_boundary", "missed", "invented"];
        assert_eq!(counts.map(|key| value[key].as_u64().unwrap()), [1, 1, 0, 0, 1]);
        let Block::Matrix(matrix) = &evaluation.detail("confusion").unwrap().shown[0] else { panic!("a matrix") };
        assert_eq!(matrix.counts[2][2], None);
    }

    #[test]
    fn every_metric_is_announced_and_lies_in_its_interval() {
        let mut metric = TagsMetric::default();
        let mut random = super::super::bootstrap::Random::new(5);
        let tags = ["O", "B-PER", "B-LOC", "O"];
        for _ in 0..300 {
            let gold: Vec<&str> = (0..8).map(|_| tags[random.below(4) as usize]).collect();
            let mut guess =
                |tag: &&'static str| if random.below(4) == 0 { tags[random.below(4) as usize] } else { tag };
            let predicted: Vec<&str> = gold.iter().map(&mut guess).collect();
            add(&mut metric, &gold.join(" "), &predicted.join(" "));
        }
        let evaluation = metric.evaluation();
        let mut keys: Vec<&str> = metric.metrics().iter().map(|metric| metric.key).collect();
        keys.sort_unstable();
        assert_eq!(evaluation.metrics.keys().collect::<Vec<_>>(), keys);
        for (key, value) in &evaluation.metrics {
            let (low, high) = evaluation.intervals[key];
            assert!(low < *value && *value < high && high - low < 0.1, "{key}: {low} {value} {high}");
        }
    }

    #[test]
    fn nothing_to_find_defines_nothing() {
        let evaluation = TagsMetric::default().evaluation();
        assert!(evaluation.metrics.is_empty() && !evaluation.notes.is_empty());
        let mut metric = TagsMetric::default();
        add(&mut metric, "O O", "O O");
        let evaluation = metric.evaluation();
        assert_eq!((evaluation.metrics["f1"], evaluation.metrics["accuracy"]), (0.0, 1.0));
        assert!(evaluation.notes.iter().any(|note| note.contains("no gold entities")));
    }
}

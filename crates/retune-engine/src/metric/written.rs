//! Metrics of texts that a model wrote beside those that it should have written: BLEU and chrF of translations, ROUGE of other
//! texts, and the share of exact matches. Intervals draw whole texts.

use super::bleu::{BLEU, BleuCounts, signature};
use super::bleu_words::{BleuWords, is_space};
use super::bootstrap::{draw_counts, draws_for, percentile_intervals};
use super::chrf::{CHRF, ChrfCounts};
use super::detail::{Block, Cell, Column, Detail, Table};
use super::evaluation::{Evaluation, share};
use super::interval::wilson;
use super::metric::Metric;
use super::overlap::EXACT_MATCH;
use super::rouge::{ROUGE_1, ROUGE_2, ROUGE_L, Rouge};

/// What texts are measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measures {
    /// BLEU of such words, and chrF.
    Translation(BleuWords),
    /// ROUGE.
    Texts,
}

/// Sufficient statistics of texts that were written.
pub struct WrittenMetric {
    measures: Measures,
    texts: Vec<Counted>,
}

/// What of a text is kept.
#[derive(Clone, Copy)]
struct Counted {
    exact: bool,
    /// Whether nothing was written.
    empty: bool,
    references: u32,
    /// Whether its references have letters that ROUGE reads.
    readable: bool,
    scores: Scores,
}

#[derive(Clone, Copy)]
enum Scores {
    Translation(BleuCounts, ChrfCounts),
    Texts(Rouge),
}

impl WrittenMetric {
    /// Nothing seen yet.
    pub fn new(measures: Measures) -> Self {
        Self { measures, texts: Vec::new() }
    }

    /// What [`evaluation`](Self::evaluation) gives, the usual one first.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        match self.measures {
            Measures::Translation(_) => vec![&BLEU, &CHRF, &EXACT_MATCH],
            Measures::Texts => vec![&ROUGE_L, &ROUGE_1, &ROUGE_2, &EXACT_MATCH],
        }
    }

    /// Adds a text with its references, one at least. Says whether it equals one of them but for white space around it, and
    /// how far from them it is, 0 to 1, by its characters (chrF).
    pub fn add(&mut self, references: &[impl AsRef<str>], written: &str) -> (bool, f64) {
        let plain = written.trim_matches(is_space);
        let exact = references.iter().any(|reference| reference.as_ref().trim_matches(is_space) == plain);
        let characters = ChrfCounts::of(references, written);
        let scores = match self.measures {
            Measures::Translation(words) => Scores::Translation(BleuCounts::of(references, written, words), characters),
            Measures::Texts => Scores::Texts(Rouge::of(references, written)),
        };
        let read = |reference: &&str| reference.chars().any(|it| it.is_ascii_alphanumeric());
        let readable = references.iter().any(|reference| read(&reference.as_ref()));
        let (empty, references) = (plain.is_empty(), references.len() as u32);
        self.texts.push(Counted { exact, empty, references, readable, scores });
        (exact, if exact { 0.0 } else { 1.0 - characters.score() / 100.0 })
    }

    /// Everything that can be said about the texts seen so far.
    pub fn evaluation(&self) -> Evaluation {
        let examples = self.texts.len();
        let mut evaluation = Evaluation { examples, ..Evaluation::default() };
        if examples == 0 {
            evaluation.notes.push("no texts: no metric is defined".to_owned());
            return evaluation;
        }
        let exact = self.texts.iter().filter(|text| text.exact).count() as u64;
        evaluation.metrics.insert(EXACT_MATCH.key.to_owned(), share(exact, examples as u64));
        evaluation.intervals.extend(wilson(exact, examples as u64).map(|it| (EXACT_MATCH.key.to_owned(), it)));
        let points = self.points(&mut (0..examples).map(|text| (text, 1)));
        evaluation.metrics.extend(points.iter().map(|(metric, value)| (metric.key.to_owned(), *value)));
        let wanted: Vec<(&Metric, Option<f64>)> = points.iter().map(|&(metric, value)| (metric, Some(value))).collect();
        let drawn = draws_for(examples, 4);
        let mut counts = vec![0; drawn];
        evaluation.intervals.extend(percentile_intervals(&wanted, (drawn, examples), |random| {
            draw_counts(random, &mut counts);
            let mut times = counts.iter().enumerate().map(|(i, n)| (i * examples / drawn, u64::from(*n)));
            self.points(&mut times).into_iter().map(|(_, value)| Some(value)).collect()
        }));
        let empty = self.texts.iter().filter(|text| text.empty).count();
        if empty > 0 {
            evaluation.notes.push(format!("nothing was written for {empty} of {examples} texts"));
        }
        match self.measures {
            Measures::Translation(words) => {
                evaluation.notes.push(format!("bleu is sacreBLEU's {}", self.signature(words)));
                evaluation.details.push(self.bleu(words));
            }
            Measures::Texts => {
                let unread = self.texts.iter().filter(|text| !text.readable).count();
                if unread > 0 {
                    evaluation.notes.push(format!(
                        "rouge reads the letters a to z and digits alone, and sees nothing in the references of {unread} of \
                         {examples} texts"
                    ));
                }
            }
        }
        evaluation
    }

    fn points(&self, times: &mut dyn Iterator<Item = (usize, u64)>) -> Vec<(&'static Metric, f64)> {
        match self.measures {
            Measures::Translation(_) => {
                let (bleu, chrf) = self.sums(times);
                vec![(&BLEU, bleu.score(false)), (&CHRF, chrf.score())]
            }
            Measures::Texts => {
                let (mut sum, mut number) = (Rouge::default(), 0.0);
                for (text, times) in times {
                    let Scores::Texts(rouge) = &self.texts[text].scores else { continue };
                    let times = times as f64;
                    sum.one += rouge.one * times;
                    sum.two += rouge.two * times;
                    sum.longest += rouge.longest * times;
                    number += times;
                }
                vec![(&ROUGE_L, sum.longest / number), (&ROUGE_1, sum.one / number), (&ROUGE_2, sum.two / number)]
            }
        }
    }

    fn sums(&self, times: &mut dyn Iterator<Item = (usize, u64)>) -> (BleuCounts, ChrfCounts) {
        let (mut bleu, mut chrf) = (BleuCounts::default(), ChrfCounts::default());
        for (text, times) in times {
            if let Scores::Translation(of_bleu, of_chrf) = &self.texts[text].scores {
                bleu.add(of_bleu, times);
                chrf.add(of_chrf, times);
            }
        }
        (bleu, chrf)
    }

    /// What BLEU is of.
    fn signature(&self, words: BleuWords) -> String {
        let first = self.texts[0].references;
        let same = self.texts.iter().all(|text| text.references == first);
        signature(same.then_some(first as usize), words)
    }

    /// The parts of BLEU, with its signature.
    fn bleu(&self, words: BleuWords) -> Detail {
        let (bleu, _) = self.sums(&mut (0..self.texts.len()).map(|text| (text, 1)));
        let signature = self.signature(words);
        let precisions = bleu.precisions();
        let mut rows: Vec<Vec<Cell>> = precisions
            .iter()
            .enumerate()
            .map(|(order, &precision)| {
                vec![Cell::text(format!("runs of {} words", order + 1)), Cell::Number(precision)]
            })
            .collect();
        rows.push(vec![Cell::text("brevity penalty"), Cell::Number(bleu.brevity_penalty())]);
        rows.push(vec![Cell::text("words written"), Cell::Count(bleu.written)]);
        rows.push(vec![Cell::text("words of references"), Cell::Count(bleu.reference)]);
        let table =
            Table { columns: vec![Column::words("part"), Column::numbers("value")], rows, note: signature.clone() };
        let value = serde_json::json!({
            "signature": signature, "precisions": precisions, "brevity_penalty": bleu.brevity_penalty(),
            "words": bleu.written, "reference_words": bleu.reference,
        });
        Detail::new("bleu_parts", "Parts of BLEU", &value, vec![Block::Table(table)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Deserialize)]
    struct Fixture {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        references: Vec<Vec<String>>,
        written: Vec<String>,
        /// By tokenizer.
        bleu: BTreeMap<String, Bleu>,
        chrf: f64,
        chrf_of_texts: Vec<f64>,
        rouge: BTreeMap<String, f64>,
        exact_match: f64,
    }

    /// Score, precisions, brevity penalty, both lengths, signature, scores of single texts.
    #[derive(Deserialize)]
    struct Bleu(f64, [f64; 4], f64, u64, u64, String, Vec<f64>);

    fn close(what: &str, found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{what}: {found} is not {expected}");
    }

    /// `fixtures/metrics/written.json` is what sacreBLEU and rouge_score say of texts.
    #[test]
    fn metrics_agree_with_sacrebleu_and_rouge_score() {
        let fixture: Fixture = serde_json::from_str(include_str!("../../../../fixtures/metrics/written.json")).unwrap();
        assert!(fixture.cases.len() > 20);
        for (at, case) in fixture.cases.iter().enumerate() {
            let texts = || case.references.iter().zip(&case.written);
            assert_eq!(case.bleu.len(), BleuWords::NAMES.len());
            for (name, Bleu(score, precisions, penalty, written, reference, said, single)) in &case.bleu {
                let words = BleuWords::named(name).unwrap();
                let mut metric = WrittenMetric::new(Measures::Translation(words));
                for (references, text) in texts() {
                    metric.add(references, text);
                }
                let evaluation = metric.evaluation();
                let what = format!("case {at}, {name}");
                close(&what, evaluation.metrics["bleu"], *score);
                let parts = &evaluation.detail("bleu_parts").unwrap().value;
                assert_eq!(parts["signature"], said.as_str(), "{what}");
                assert_eq!(
                    (&parts["words"], &parts["reference_words"]),
                    (&(*written).into(), &(*reference).into()),
                    "{what}"
                );
                close(&what, parts["brevity_penalty"].as_f64().unwrap(), *penalty);
                // sacreBLEU computes no precisions where nothing is right.
                if *score > 0.0 {
                    (0..4).for_each(|order| {
                        close(&what, parts["precisions"][order].as_f64().unwrap(), precisions[order])
                    });
                }
                for ((references, text), expected) in texts().zip(single) {
                    close(&format!("{what}: {text}"), BleuCounts::of(references, text, words).score(true), *expected);
                }
                close(&what, evaluation.metrics["chrf"], case.chrf);
                close(&what, evaluation.metrics["exact_match"], case.exact_match);
            }
            for ((references, text), expected) in texts().zip(&case.chrf_of_texts) {
                close(text, ChrfCounts::of(references, text).score(), *expected);
            }
            let mut metric = WrittenMetric::new(Measures::Texts);
            for (references, text) in texts() {
                metric.add(references, text);
            }
            let evaluation = metric.evaluation();
            assert_eq!(case.rouge.len(), 3);
            case.rouge
                .iter()
                .for_each(|(key, value)| close(&format!("case {at}, {key}"), evaluation.metrics[key], *value));
        }
    }

    #[test]
    fn intervals_surround_scores() {
        for measures in [Measures::Translation(BleuWords::V13a), Measures::Texts] {
            let mut metric = WrittenMetric::new(measures);
            for i in 0..60 {
                let text = if i % 3 == 0 { "a man rides a red bicycle" } else { "a man rides his red bicycle home" };
                let (exact, distance) = metric.add(&["a man rides his red bicycle home"], text);
                assert_eq!(exact, i % 3 != 0);
                assert_eq!(distance > 0.0, !exact);
            }
            let evaluation = metric.evaluation();
            for metric in metric.metrics() {
                let (value, interval) = evaluation.value(metric.key).unwrap();
                let (low, high) = interval.unwrap();
                assert!(low < value && value < high, "{}: {low} {value} {high}", metric.key);
            }
        }
    }

    #[test]
    fn what_rouge_cannot_read_and_silence_are_told() {
        let mut metric = WrittenMetric::new(Measures::Texts);
        metric.add(&["привет мир"], "привет мир");
        metric.add(&["hello"], "  ");
        let evaluation = metric.evaluation();
        assert_eq!(evaluation.metrics["exact_match"], 0.5);
        assert!(evaluation.notes.iter().any(|note| note.contains("nothing was written for 1 of 2")));
        assert!(evaluation.notes.iter().any(|note| note.contains("references of 1 of 2")));
        assert!(WrittenMetric::new(Measures::Texts).evaluation().metrics.is_empty());
    }
}

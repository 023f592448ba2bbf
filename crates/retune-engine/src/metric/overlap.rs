//! Metrics of answers that are words of a text: `exact_match` and `f1` of the words, the best over several gold answers
//! (SQuAD; Rajpurkar et al. 2016, 2018).
//!
//! Equal to the evaluation scripts of SQuAD 1.1 and 2.0, but for the unit: these give percentages, here values are shares
//! from 0 to 1 as everywhere else.

use std::collections::HashMap;

use super::bleu_words::split;
use super::bootstrap::{draw_counts, draws_for, percentile_intervals};
use super::confusion::F1;
use super::detail::{Block, Cell, Column, Detail, Table};
use super::evaluation::{Evaluation, share};
use super::interval::wilson;
use super::metric::Metric;
use super::score::Score;
use super::unanswerable::{self, Doubted};

/// The share of answers that equal a gold answer but for case, punctuation, articles and white space.
pub const EXACT_MATCH: Metric = Metric::share("exact_match", "Exact match");
/// `exact_match` over the questions that have an answer.
pub const HAS_ANSWER_EXACT: Metric = Metric::share("HasAns_exact", "Exact match, answerable");
/// `f1` over the questions that have an answer.
pub const HAS_ANSWER_F1: Metric = Metric::share("HasAns_f1", "F1, answerable");
/// `exact_match` over the questions that have none.
pub const NO_ANSWER_EXACT: Metric = Metric::share("NoAns_exact", "Exact match, unanswerable");
/// `f1` over the questions that have none.
pub const NO_ANSWER_F1: Metric = Metric::share("NoAns_f1", "F1, unanswerable");

/// Which script decides what an empty answer is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Squad {
    /// Every question has an answer (1.1).
    Answerable,
    /// Some have none; the empty answer is right for them (2.0).
    Unanswerable,
}

struct Question {
    score: Score,
    answerable: bool,
}

/// Sufficient statistics of a model that answers questions.
pub struct OverlapMetric {
    squad: Squad,
    questions: Vec<Question>,
    /// Of each question, where every one of them came with a doubt.
    doubted: Vec<Doubted>,
}

impl OverlapMetric {
    /// For the questions of one kind of data set.
    pub fn new(squad: Squad) -> Self {
        Self { squad, questions: Vec::new(), doubted: Vec::new() }
    }

    /// What [`evaluation`](Self::evaluation) gives where the rows allow it, the usual one first.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        let mut metrics = vec![&F1, &EXACT_MATCH];
        if self.squad == Squad::Unanswerable {
            metrics.extend([&HAS_ANSWER_F1, &HAS_ANSWER_EXACT, &NO_ANSWER_F1, &NO_ANSWER_EXACT]);
        }
        metrics
    }

    /// Adds a question with its gold answers, none where it cannot be answered, and says how good the answer is.
    ///
    /// `answer` is empty where the model says that there is none. `doubt` is how much rather than its best words the model
    /// would give no answer, with those words: larger means more doubt (in Hugging Face's terms the score of the empty
    /// answer minus that of the best one). With it, the best threshold on the doubt is looked for.
    pub fn add<S: AsRef<str>>(&mut self, gold: &[S], answer: &str, doubt: Option<(f64, &str)>) -> Score {
        let score = self.score(gold, answer);
        let answerable = self.is_answerable(gold);
        let doubted = doubt.filter(|(doubt, _)| doubt.is_finite()).map(|(doubt, words)| Doubted {
            doubt,
            answerable,
            said: !words.is_empty(),
            score: self.score(gold, words),
        });
        self.push(score, answerable, doubted);
        score
    }

    /// Adds a question that has been scored.
    pub(crate) fn push(&mut self, score: Score, answerable: bool, doubted: Option<Doubted>) {
        self.questions.push(Question { score, answerable });
        self.doubted.extend(doubted);
    }

    /// Whether a question with these gold answers can be answered.
    pub fn is_answerable<S: AsRef<str>>(&self, gold: &[S]) -> bool {
        match self.squad {
            Squad::Answerable => true,
            Squad::Unanswerable => !gold.is_empty(),
        }
    }

    /// How good an answer is; for a question without gold answers, whether it is empty.
    pub fn score<S: AsRef<str>>(&self, gold: &[S], answer: &str) -> Score {
        let answer = normalized(answer);
        let mut gold: Vec<Vec<String>> = gold.iter().map(|it| normalized(it.as_ref())).collect();
        if self.squad == Squad::Unanswerable {
            gold.retain(|words| !words.is_empty());
            if gold.is_empty() {
                gold.push(Vec::new());
            }
        }
        let f1 = gold.iter().map(|words| self.f1(words, &answer)).fold(0.0, f64::max);
        Score { exact: gold.contains(&answer), f1 }
    }

    fn f1(&self, gold: &[String], answer: &[String]) -> f64 {
        if self.squad == Squad::Unanswerable && (gold.is_empty() || answer.is_empty()) {
            return f64::from(u8::from(gold == answer));
        }
        let mut left: HashMap<&str, usize> = HashMap::new();
        gold.iter().for_each(|word| *left.entry(word).or_default() += 1);
        let common = answer.iter().filter(|word| match left.get_mut(word.as_str()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        });
        share(2 * common.count() as u64, (gold.len() + answer.len()) as u64)
    }

    /// Everything that can be said about the questions seen so far.
    pub fn evaluation(&self) -> Evaluation {
        let examples = self.questions.len();
        let mut evaluation = Evaluation { examples, ..Evaluation::default() };
        if examples == 0 {
            evaluation.notes.push("no questions with gold answers: no metric is defined".into());
            return evaluation;
        }
        let mut parts = vec![((&EXACT_MATCH, &F1), "all", None)];
        if self.squad == Squad::Unanswerable {
            parts.push(((&HAS_ANSWER_EXACT, &HAS_ANSWER_F1), "with an answer", Some(true)));
            parts.push(((&NO_ANSWER_EXACT, &NO_ANSWER_F1), "without an answer", Some(false)));
        }
        let mut rows = Vec::new();
        for ((exact, f1), name, answerable) in parts {
            let chosen = self.questions.iter().filter(|it| answerable.is_none_or(|wanted| it.answerable == wanted));
            let scores: Vec<Score> = chosen.map(|question| question.score).collect();
            if scores.is_empty() {
                let keys = format!("{} and {}", exact.key, f1.key);
                evaluation.notes.push(format!("{keys} are undefined: there are no questions {name}"));
                continue;
            }
            tell(&scores, exact, f1, &mut evaluation);
            let cell = |metric: &Metric| match evaluation.value(metric.key) {
                Some((value, Some(interval))) => Cell::Interval(value, interval),
                value => Cell::number(value.map(|(value, _)| value)),
            };
            rows.push(vec![Cell::text(name), Cell::Count(scores.len() as u64), cell(exact), cell(f1)]);
        }
        if self.squad == Squad::Unanswerable {
            let numbers = ["questions", EXACT_MATCH.name, F1.name].map(Column::numbers);
            let columns = [Column::words("questions")].into_iter().chain(numbers).collect();
            let table = Block::Table(Table { columns, rows, note: String::new() });
            evaluation.details.push(Detail::shown("answerable", "Questions with and without an answer", vec![table]));
            let doubted = self.doubted.len();
            if doubted > 0 && doubted < examples {
                evaluation.notes.push(format!(
                    "the best threshold for no answer is not looked for: only {doubted} of {examples} questions have a doubt that is a number"
                ));
            } else if doubted > 0 {
                evaluation.details.push(unanswerable::best_thresholds(&self.doubted));
            }
        }
        evaluation
    }
}

/// Puts both metrics of some questions into an evaluation. Exact matches are a proportion, which has an interval in closed
/// form; questions are drawn again for F1.
fn tell(scores: &[Score], exact: &Metric, f1: &Metric, evaluation: &mut Evaluation) {
    let questions = scores.len();
    let matches = scores.iter().filter(|score| score.exact).count() as u64;
    evaluation.metrics.insert(exact.key.to_owned(), share(matches, questions as u64));
    evaluation.intervals.extend(wilson(matches, questions as u64).map(|it| (exact.key.to_owned(), it)));
    let mean = scores.iter().map(|score| score.f1).sum::<f64>() / questions as f64;
    evaluation.metrics.insert(f1.key.to_owned(), mean);
    let drawn = draws_for(questions, 1);
    let mut counts = vec![0; drawn];
    evaluation.intervals.extend(percentile_intervals(&[(f1, Some(mean))], (drawn, questions), |random| {
        draw_counts(random, &mut counts);
        let sum: f64 = (0..drawn).map(|i| scores[i * questions / drawn].f1 * f64::from(counts[i])).sum();
        vec![Some(sum / drawn as f64)]
    }));
}

/// The words of an answer, in lower case, without ASCII punctuation and English articles.
pub fn normalized(answer: &str) -> Vec<String> {
    let plain: String = answer.to_lowercase().chars().filter(|letter| !letter.is_ascii_punctuation()).collect();
    // An article is a whole word, and any letter that is not of a word ends one: `–a–` holds one.
    let mut text = String::with_capacity(plain.len());
    let mut rest = plain.as_str();
    while let Some(letter) = rest.chars().next() {
        let is_word = letter.is_alphanumeric();
        let end = rest.find(|it: char| it.is_alphanumeric() != is_word).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        text.push_str(if matches!(run, "a" | "an" | "the") { " " } else { run });
        rest = behind;
    }
    split(&text).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared_without_case_punctuation_and_articles() {
        assert_eq!(normalized("The  U.S. Army,\tand an A-Team"), ["us", "army", "and", "ateam"]);
        assert_eq!(normalized("–a– thé Anthem"), ["–", "–", "thé", "anthem"]);
        assert!(normalized("The!").is_empty());
    }

    #[test]
    fn the_nearest_gold_answer_counts() {
        let mut metric = OverlapMetric::new(Squad::Answerable);
        assert_eq!(metric.add(&["in 1990", "1990"], "1990.", None), Score { exact: true, f1: 1.0 });
        let part = metric.add(&["green green grass", "hills"], "green grass of home", None);
        assert_eq!(part, Score { exact: false, f1: 4.0 / 7.0 });
        let evaluation = metric.evaluation();
        assert_eq!(evaluation.metrics["exact_match"], 0.5);
        assert!((evaluation.metrics["f1"] - (1.0 + 4.0 / 7.0) / 2.0).abs() < 1e-15);
        assert!(evaluation.details.is_empty());
    }

    #[test]
    fn an_empty_answer_is_right_where_there_is_none() {
        let mut metric = OverlapMetric::new(Squad::Unanswerable);
        let none: [&str; 0] = [];
        assert_eq!(metric.add(&none, "", None), Score { exact: true, f1: 1.0 });
        assert_eq!(metric.add(&none, "something", None), Score { exact: false, f1: 0.0 });
        assert_eq!(metric.add(&["something"], "", None), Score { exact: false, f1: 0.0 });
        let evaluation = metric.evaluation();
        let keys: Vec<&str> = evaluation.metrics.keys().map(String::as_str).collect();
        assert_eq!(keys, ["HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1", "exact_match", "f1"]);
        assert_eq!(evaluation.metrics["NoAns_f1"], 0.5);
        assert_eq!(metric.metrics().len(), keys.len());
        let only = OverlapMetric::new(Squad::Unanswerable);
        assert!(only.evaluation().metrics.is_empty());
    }
}

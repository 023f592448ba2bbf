//! Metrics of speech recognition: how many words, and how many characters, are said, left out or added wrongly.
//!
//! `wer` and `cer` are jiwer's: edits over all utterances divided by what should be said. Which of several shortest alignments
//! counts is decided as in RapidFuzz, so that substitutions, deletions and insertions are jiwer's too.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::bootstrap::{draw_counts, draws_for, percentile_intervals};
use super::detail::{Block, Cell, Column, Detail, Mark, Marked, Span, Table};
use super::evaluation::{Evaluation, share};
use super::metric::Metric;
use super::spoken::Normalisation;

/// Wrong words per word.
pub const WER: Metric = Metric::error("wer", "Word error rate");
/// Wrong characters per character.
pub const CER: Metric = Metric::error("cer", "Character error rate");
/// Frames of which nothing is said, of models that write frame by frame. Neither good nor bad by itself: recognizers of 50 frames a
/// second have some 0.6 to 0.9; one that stays at 1 has collapsed.
pub const BLANK_RATE: Metric = Metric::mistakes("blank_rate", "Blank rate");

/// From this share of blanks on a model says next to nothing.
const COLLAPSED: f64 = 0.99;

/// Words that were mistaken for others, shown at most.
const MOST_SHOWN: usize = 20;

/// One step of an alignment, with places in what is right and in what was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Both are alike.
    Hit(usize, usize),
    /// The first was said as the second.
    Substituted(usize, usize),
    /// It was not said.
    Deleted(usize),
    /// It was said, but should not have been.
    Inserted(usize),
}

/// How many steps of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Edits {
    /// Right.
    pub hits: u64,
    /// Said as something else.
    pub substitutions: u64,
    /// Not said.
    pub deletions: u64,
    /// Added.
    pub insertions: u64,
}

impl Edits {
    /// Of an alignment.
    pub fn of(steps: &[Step]) -> Self {
        let mut edits = Self::default();
        for step in steps {
            match step {
                Step::Hit(..) => edits.hits += 1,
                Step::Substituted(..) => edits.substitutions += 1,
                Step::Deleted(_) => edits.deletions += 1,
                Step::Inserted(_) => edits.insertions += 1,
            }
        }
        edits
    }

    /// All that is wrong.
    pub fn errors(&self) -> u64 {
        self.substitutions + self.deletions + self.insertions
    }

    /// What should be said.
    pub fn reference(&self) -> u64 {
        self.hits + self.substitutions + self.deletions
    }

    fn add(&mut self, other: &Self, times: u64) {
        self.hits += other.hits * times;
        self.substitutions += other.substitutions * times;
        self.deletions += other.deletions * times;
        self.insertions += other.insertions * times;
    }

    /// Errors per reference; `None` where nothing should be said.
    fn rate(&self) -> Option<f64> {
        (self.reference() > 0).then(|| self.errors() as f64 / self.reference() as f64)
    }
}

/// The shortest alignment of `said` with what is `right` (Levenshtein 1966).
pub fn align<T: PartialEq>(right: &[T], said: &[T]) -> Vec<Step> {
    let begin = right.iter().zip(said).take_while(|(a, b)| a == b).count();
    let (rest, other) = (&right[begin..], &said[begin..]);
    let end = rest.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let (rest, other) = (&rest[..rest.len() - end], &other[..other.len() - end]);
    let mut steps: Vec<Step> = (0..begin).map(|i| Step::Hit(i, i)).collect();
    steps.extend(inner(rest, other).into_iter().map(|step| match step {
        Step::Hit(i, j) => Step::Hit(begin + i, begin + j),
        Step::Substituted(i, j) => Step::Substituted(begin + i, begin + j),
        Step::Deleted(i) => Step::Deleted(begin + i),
        Step::Inserted(j) => Step::Inserted(begin + j),
    }));
    let (i, j) = (begin + rest.len(), begin + other.len());
    steps.extend((0..end).map(|k| Step::Hit(i + k, j + k)));
    steps
}

fn inner<T: PartialEq>(right: &[T], said: &[T]) -> Vec<Step> {
    let (rows, width) = (right.len(), said.len() + 1);
    // Distances of beginnings, by how much of both is in them.
    let mut distances = vec![0u32; (rows + 1) * width];
    (0..width).for_each(|j| distances[j] = j as u32);
    for i in 1..=rows {
        distances[i * width] = i as u32;
        for j in 1..width {
            let above = distances[(i - 1) * width + j - 1] + u32::from(right[i - 1] != said[j - 1]);
            let either = distances[(i - 1) * width + j].min(distances[i * width + j - 1]) + 1;
            distances[i * width + j] = above.min(either);
        }
    }
    let at = |i: usize, j: usize| distances[i * width + j];
    let (mut i, mut j, mut steps) = (rows, said.len(), Vec::new());
    while i > 0 && j > 0 {
        if at(i, j) == at(i - 1, j) + 1 {
            i -= 1;
            steps.push(Step::Deleted(i));
            continue;
        }
        j -= 1;
        if at(i, j) + 1 == at(i - 1, j) {
            steps.push(Step::Inserted(j));
            continue;
        }
        i -= 1;
        steps.push(if right[i] == said[j] { Step::Hit(i, j) } else { Step::Substituted(i, j) });
    }
    steps.extend((0..i).rev().map(Step::Deleted));
    steps.extend((0..j).rev().map(Step::Inserted));
    steps.reverse();
    steps
}

/// The number of edits of the shortest alignment, and nothing else: for long sequences.
fn distance(right: &[char], said: &[char]) -> u64 {
    let mut before: Vec<u64> = (0..=said.len() as u64).collect();
    for (i, character) in right.iter().enumerate() {
        let mut diagonal = before[0];
        before[0] = i as u64 + 1;
        for (j, other) in said.iter().enumerate() {
            let above = before[j + 1];
            before[j + 1] = (diagonal + u64::from(character != other)).min(above.min(before[j]) + 1);
            diagonal = above;
        }
    }
    before[said.len()]
}

/// What is right and what was said, with every difference marked: words that were not said, that were added, and that were
/// said as others.
pub fn marked(right: &str, said: &str) -> Marked {
    let (right, said): (Vec<&str>, Vec<&str>) = (right.split_whitespace().collect(), said.split_whitespace().collect());
    let (mut text, mut spans, mut length) = (String::new(), Vec::new(), 0);
    for step in align(&right, &said) {
        let (word, mark, label) = match step {
            Step::Hit(i, _) => (right[i], None, ""),
            Step::Substituted(i, j) => (right[i], Some(Mark::Mistaken), said[j]),
            Step::Deleted(i) => (right[i], Some(Mark::Missed), "not said"),
            Step::Inserted(j) => (said[j], Some(Mark::Invented), "added"),
        };
        if length > 0 {
            text.push(' ');
            length += 1;
        }
        let start = length;
        text += word;
        length += word.chars().count();
        spans.extend(mark.map(|kind| Span { start, end: length, label: label.to_owned(), kind }));
    }
    Marked { text, spans }
}

/// Sufficient statistics of a recognizer.
pub struct TranscriptMetric {
    normalisation: Normalisation,
    utterances: Vec<Counted>,
    /// Sums by speaker, or what else a group is.
    groups: BTreeMap<String, Group>,
    /// Words and what was said in their place.
    confused: BTreeMap<(String, String), u64>,
    /// Utterances of which nothing was said, though something should be.
    silent: u64,
    /// Of models that write frame by frame: frames that are blank, and all of them.
    frames: Option<(u64, u64)>,
}

/// The utterances of a group.
#[derive(Clone, Copy, Default)]
struct Group {
    utterances: u64,
    counted: Counted,
}

/// What of an utterance is kept.
#[derive(Clone, Copy, Default)]
struct Counted {
    words: Edits,
    /// Wrong characters, and those that should be written.
    characters: (u64, u64),
}

impl Counted {
    fn add(&mut self, other: &Self, times: u64) {
        self.words.add(&other.words, times);
        self.characters.0 += other.characters.0 * times;
        self.characters.1 += other.characters.1 * times;
    }

    fn cer(&self) -> Option<f64> {
        let (wrong, all) = self.characters;
        (all > 0).then(|| wrong as f64 / all as f64)
    }
}

impl TranscriptMetric {
    /// Of texts that are compared as this says.
    pub fn new(normalisation: Normalisation) -> Self {
        let (utterances, groups, confused) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { normalisation, utterances, groups, confused, silent: 0, frames: None }
    }

    /// The same of a model that writes frame by frame.
    #[must_use]
    pub fn by_frames(self) -> Self {
        Self { frames: Some((0, 0)), ..self }
    }

    /// Adds what was said of the frames of an utterance: how many are blank, and how many there are.
    pub fn add_frames(&mut self, (blank, all): (u64, u64)) {
        let (before, of) = self.frames.unwrap_or_default();
        self.frames = Some((before + blank, of + all));
    }

    /// What [`evaluation`](Self::evaluation) gives where the rows allow it, the usual one first.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        [&WER, &CER].into_iter().chain(self.frames.map(|_| &BLANK_RATE)).collect()
    }

    /// Adds an utterance, perhaps of a group such as a speaker, and says what of its words was right.
    pub fn add(&mut self, right: &str, said: &str, group: Option<&str>) -> Edits {
        let (right, said) = (self.normalisation.of(right), self.normalisation.of(said));
        let (words, spoken): (Vec<&str>, Vec<&str>) =
            (right.split_whitespace().collect(), said.split_whitespace().collect());
        let steps = align(&words, &spoken);
        for step in &steps {
            if let Step::Substituted(i, j) = *step {
                *self.confused.entry((words[i].to_owned(), spoken[j].to_owned())).or_default() += 1;
            }
        }
        self.silent += u64::from(spoken.is_empty() && !words.is_empty());
        let words = Edits::of(&steps);
        let (right, said): (Vec<char>, Vec<char>) = (right.trim().chars().collect(), said.trim().chars().collect());
        let characters = (distance(&right, &said), right.len() as u64);
        let counted = Counted { words, characters };
        self.utterances.push(counted);
        if let Some(group) = group {
            let sums = self.groups.entry(group.to_owned()).or_default();
            sums.utterances += 1;
            sums.counted.add(&counted, 1);
        }
        words
    }

    /// Everything that can be said about the utterances seen so far.
    pub fn evaluation(&self) -> Evaluation {
        let examples = self.utterances.len();
        let mut evaluation = Evaluation { examples, ..Evaluation::default() };
        let (words, points) = self.points(&mut (0..examples).map(|utterance| (utterance, 1)));
        if words.reference() == 0 {
            evaluation.notes.push("wer and cer: nothing should be said, so that no rate is defined".to_owned());
            return evaluation;
        }
        let defined = points.iter().filter_map(|(metric, value)| Some((metric.key.to_owned(), (*value)?)));
        evaluation.metrics.extend(defined);
        let drawn = draws_for(examples, 4);
        let mut counts = vec![0; drawn];
        evaluation.intervals = percentile_intervals(&points, (drawn, examples), |random| {
            draw_counts(random, &mut counts);
            let mut times = counts.iter().enumerate().map(|(i, n)| (i * examples / drawn, u64::from(*n)));
            self.points(&mut times).1.into_iter().map(|(_, value)| value).collect()
        });
        evaluation.notes.push(format!("texts are compared {}", self.normalisation.words()));
        let blanks = self.frames.filter(|(_, all)| *all > 0).map(|(blank, all)| share(blank, all));
        evaluation.metrics.extend(blanks.map(|blanks| (BLANK_RATE.key.to_owned(), blanks)));
        evaluation.advice = self.collapse(blanks);
        evaluation.notes.extend(evaluation.advice.clone());
        evaluation.details.push(self.edits(&words));
        evaluation.details.extend(self.by_group());
        evaluation.details.extend(self.confusions());
        evaluation
    }

    /// What to do where next to nothing is said.
    fn collapse(&self, blanks: Option<f64>) -> Option<String> {
        let what = match blanks {
            _ if self.silent as usize == self.utterances.len() => {
                "nothing at all was said: the model writes blanks alone"
            }
            Some(blanks) if blanks >= COLLAPSED => "next to nothing was said: 99 of 100 frames are blank, or more",
            _ => return None,
        };
        Some(format!(
            "wer: {what}, as it does early in training; if it stays so, train longer, or with a larger learning rate or a longer \
             warm-up, or let a new head learn alone at first (--head-warmup)"
        ))
    }

    /// Edits of all words, and the metrics.
    fn points(&self, times: &mut dyn Iterator<Item = (usize, u64)>) -> (Edits, Vec<(&'static Metric, Option<f64>)>) {
        let mut sum = Counted::default();
        times.for_each(|(utterance, times)| sum.add(&self.utterances[utterance], times));
        (sum.words, vec![(&WER, sum.words.rate()), (&CER, sum.cer())])
    }

    /// The rates of each group, the worst first.
    fn by_group(&self) -> Option<Detail> {
        let mut groups: Vec<(&String, &Group)> = self.groups.iter().collect();
        let rate = |group: &Group| group.counted.words.rate().unwrap_or(0.0);
        groups.sort_by(|a, b| rate(b.1).total_cmp(&rate(a.1)).then_with(|| a.0.cmp(b.0)));
        let value = |(name, group): &(&String, &Group)| {
            let Counted { words, .. } = &group.counted;
            json!({
                "group": name,
                "examples": group.utterances,
                "words": words.reference(),
                "wer": words.rate(),
                "cer": group.counted.cer(),
            })
        };
        let row = |(name, group): &(&String, &Group)| {
            let Counted { words, .. } = &group.counted;
            let share = |rate: Option<f64>| rate.map_or(Cell::Missing, Cell::Share);
            let counts = [group.utterances, words.reference()].map(Cell::Count);
            let rates = [share(words.rate()), share(group.counted.cer())];
            [Cell::text(name.as_str())].into_iter().chain(counts).chain(rates).collect()
        };
        let note = match groups.len().saturating_sub(MOST_SHOWN) {
            0 => String::new(),
            more => format!("The {MOST_SHOWN} worst of {}; `retune evaluate` tells all.", MOST_SHOWN + more),
        };
        let columns = ["utterances", "words", "word error rate", "character error rate"].map(Column::numbers);
        let table = Table {
            columns: [Column::words("group")].into_iter().chain(columns).collect(),
            rows: groups.iter().take(MOST_SHOWN).map(row).collect(),
            note,
        };
        let values: Vec<Value> = groups.iter().map(value).collect();
        (groups.len() > 1).then(|| Detail::new("by_group", "By group", &values, vec![Block::Table(table)]))
    }

    fn edits(&self, words: &Edits) -> Detail {
        let row = |name: &str, count: u64| {
            vec![Cell::text(name), Cell::Count(count), Cell::Share(share(count, words.reference()))]
        };
        let table = Table {
            columns: vec![Column::words("words"), Column::numbers("number"), Column::numbers("per word")],
            rows: vec![
                row("right", words.hits),
                row("said as another", words.substitutions),
                row("not said", words.deletions),
                row("added", words.insertions),
            ],
            note: format!("Texts are compared {}.", self.normalisation.words()),
        };
        Detail::new("word_edits", "Words", words, vec![Block::Table(table)])
    }

    fn confusions(&self) -> Option<Detail> {
        let mut most: Vec<(&(String, String), &u64)> = self.confused.iter().collect();
        most.sort_by_key(|&(words, count)| (std::cmp::Reverse(*count), words));
        most.truncate(MOST_SHOWN);
        let rows =
            most.iter().map(|((right, said), count)| vec![Cell::text(right), Cell::text(said), Cell::Count(**count)]);
        let columns = vec![Column::words("right"), Column::words("said"), Column::numbers("times")];
        let table = Table { columns, rows: rows.collect(), note: String::new() };
        let shown = vec![Block::Table(table)];
        (!most.is_empty()).then(|| Detail::shown("confused_words", "Words that were said as others", shown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(right: &str, said: &str) -> [u64; 4] {
        let split = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let edits = Edits::of(&align(&split(right), &split(said)));
        [edits.hits, edits.substitutions, edits.deletions, edits.insertions]
    }

    /// `fixtures/metrics/transcripts.json` is what jiwer says of random sentences.
    #[test]
    fn edits_and_rates_equal_jiwers() {
        let text = include_str!("../../../../fixtures/metrics/transcripts.json");
        let cases: serde_json::Value = serde_json::from_str(text).unwrap();
        for case in cases["cases"].as_array().unwrap() {
            let texts = |key: &str| {
                let list = case[key].as_array().unwrap().iter();
                list.map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            let mut metric = TranscriptMetric::new(Normalisation::None);
            let mut sum = Edits::default();
            for (right, said) in texts("references").iter().zip(texts("hypotheses")) {
                sum.add(&metric.add(right, &said, None), 1);
            }
            let found = [sum.hits, sum.substitutions, sum.deletions, sum.insertions];
            let keys = ["hits", "substitutions", "deletions", "insertions"];
            assert_eq!(found, keys.map(|key| case[key].as_u64().unwrap()), "{case}");
            let evaluation = metric.evaluation();
            for key in ["wer", "cer"] {
                assert!((evaluation.metrics[key] - case[key].as_f64().unwrap()).abs() < 1e-12, "{key} of {case}");
            }
        }
        assert!(cases["cases"].as_array().unwrap().len() > 20);
    }

    #[test]
    fn steps_lead_from_one_text_to_the_other() {
        assert_eq!(edits("a b c", "a x c"), [2, 1, 0, 0]);
        assert_eq!(edits("a b c", "a c"), [2, 0, 1, 0]);
        assert_eq!(edits("", "a b"), [0, 0, 0, 2]);
        assert_eq!(edits("a b", ""), [0, 0, 2, 0]);
        let shown = marked("the big cat sat", "the pig cat sat down");
        assert_eq!(shown.text, "the big cat sat down");
        let spans: Vec<(usize, usize, &str, Mark)> =
            shown.spans.iter().map(|it| (it.start, it.end, it.label.as_str(), it.kind)).collect();
        assert_eq!(spans, [(4, 7, "pig", Mark::Mistaken), (16, 20, "added", Mark::Invented)]);
    }

    #[test]
    fn intervals_surround_rates_and_collapse_is_told() {
        let mut metric = TranscriptMetric::new(Normalisation::Basic);
        for i in 0..60 {
            metric.add(
                "One, two three",
                if i % 3 == 0 { "one too three" } else { "one two three" },
                Some(["a", "b"][i % 2]),
            );
        }
        let evaluation = metric.evaluation();
        let (low, high) = evaluation.intervals["wer"];
        assert!(low < evaluation.metrics["wer"] && evaluation.metrics["wer"] < high);
        assert!((evaluation.metrics["wer"] - 20.0 / 180.0).abs() < 1e-12);
        assert!(evaluation.notes[0].contains("without case and punctuation"), "{:?}", evaluation.notes);
        assert_eq!(evaluation.detail("word_edits").unwrap().value["substitutions"], 20);
        assert!(evaluation.detail("confused_words").is_some());
        let groups = &evaluation.detail("by_group").unwrap().value;
        let rates: Vec<f64> = [0, 1].map(|i| groups[i]["wer"].as_f64().unwrap()).to_vec();
        assert!((rates[0] + rates[1] - 2.0 * evaluation.metrics["wer"]).abs() < 1e-12 && rates[0] >= rates[1]);
        assert_eq!(groups[0]["examples"], 30);

        let mut blank = TranscriptMetric::new(Normalisation::None);
        blank.add("yes", "", None);
        let evaluation = blank.evaluation();
        assert_eq!(evaluation.metrics["wer"], 1.0);
        assert!(evaluation.notes.iter().any(|note| note.contains("blanks alone")));
        assert!(evaluation.advice.is_some() && !evaluation.metrics.contains_key("blank_rate"));
        let mut frames = TranscriptMetric::new(Normalisation::None).by_frames();
        frames.add("yes no", "yes", None);
        frames.add_frames((3, 4));
        assert_eq!(frames.metrics(), [&WER, &CER, &BLANK_RATE]);
        assert_eq!((frames.evaluation().metrics["blank_rate"], frames.evaluation().advice), (0.75, None));
        frames.add_frames((9997, 9997));
        assert!(frames.evaluation().advice.is_some_and(|advice| advice.contains("99 of 100")));
        let mut nothing = TranscriptMetric::new(Normalisation::None);
        nothing.add("", "yes", None);
        assert!(nothing.evaluation().metrics.is_empty());
    }
}

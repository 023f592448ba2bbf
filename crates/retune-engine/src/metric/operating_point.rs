//! A decision threshold for one class: chosen on one split by a rule, applied to others.
//!
//! A row counts as positive when the probability of the positive class is at least the threshold. Candidates are the
//! scores that occur, as in scikit-learn's `roc_curve`. A threshold chosen on the very rows it is judged on looks better
//! than it is; the values of other splits are the ones to quote.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use super::evaluation::share;
use super::interval::wilson;

/// How a threshold is found. Written `specificity:0.95`, `sensitivity:0.9` or `threshold:0.3`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Rule {
    /// The most sensitive threshold that is at least so specific.
    Specificity(f64),
    /// The most specific threshold that is at least so sensitive.
    Sensitivity(f64),
    /// This one.
    Threshold(f32),
}

impl Rule {
    /// Whether rows decide the threshold.
    pub fn chooses(self) -> bool {
        !matches!(self, Self::Threshold(_))
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not one of specificity:X, sensitivity:X, threshold:X with X from 0 to 1");
        let (name, number) = text.split_once(':').ok_or_else(wrong)?;
        let value: f64 = number.trim().parse().map_err(|_| wrong())?;
        if !(0.0..=1.0).contains(&value) {
            return Err(wrong());
        }
        match name.trim() {
            "specificity" => Ok(Self::Specificity(value)),
            "sensitivity" => Ok(Self::Sensitivity(value)),
            "threshold" => Ok(Self::Threshold(value as f32)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Specificity(value) => write!(formatter, "specificity:{value}"),
            Self::Sensitivity(value) => write!(formatter, "sensitivity:{value}"),
            Self::Threshold(value) => write!(formatter, "threshold:{value}"),
        }
    }
}

impl TryFrom<String> for Rule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.to_string()
    }
}

/// How many rows of each side reach each score: all that any threshold can do on a split.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Index of the positive class.
    pub positive: usize,
    /// `(score, positive rows, negative rows)` that reach it, highest score first, one per distinct score.
    steps: Vec<(f32, u64, u64)>,
}

impl Curve {
    /// From `(score, positives, negatives)` per distinct score, highest first.
    pub(super) fn new(positive: usize, ties: impl IntoIterator<Item = (f32, u64, u64)>) -> Self {
        let (mut positives, mut negatives) = (0, 0);
        let steps = ties.into_iter().map(|(score, more_positives, more_negatives)| {
            positives += more_positives;
            negatives += more_negatives;
            (score, positives, negatives)
        });
        Self { positive, steps: steps.collect() }
    }

    /// Positive and negative rows.
    pub fn totals(&self) -> (u64, u64) {
        self.steps.last().map_or((0, 0), |&(_, positives, negatives)| (positives, negatives))
    }

    /// The threshold that a rule asks for. Where every score lets too many negatives through, it lies above all of them,
    /// and nothing is positive.
    pub fn choose(&self, rule: Rule) -> f32 {
        let (positives, negatives) = self.totals();
        match rule {
            Rule::Threshold(threshold) => threshold,
            Rule::Specificity(least) => {
                let specific = |alarms: u64| share(negatives - alarms, negatives) >= least || negatives == 0;
                // Of thresholds that find the same positives, the first one lets the fewest negatives through.
                let mut best = (self.above_all(), 0);
                for &(score, hits, _) in self.steps.iter().take_while(|step| specific(step.2)) {
                    if hits > best.1 {
                        best = (score, hits);
                    }
                }
                best.0
            }
            Rule::Sensitivity(least) => {
                let found = self.steps.iter().find(|step| share(step.1, positives) >= least);
                found.or(self.steps.last()).map_or(0.0, |step| step.0)
            }
        }
    }

    fn above_all(&self) -> f32 {
        self.steps.first().map_or(1.0, |step| step.0).next_up()
    }

    /// What a threshold does.
    pub fn at(&self, threshold: f32) -> AtThreshold {
        let reached = self.steps.partition_point(|step| step.0 >= threshold);
        let (hits, alarms) = reached.checked_sub(1).map_or((0, 0), |last| (self.steps[last].1, self.steps[last].2));
        let (positives, negatives) = self.totals();
        AtThreshold::new(hits, alarms, positives - hits, negatives - alarms)
    }

    /// The ROC curve as `(1 − specificity, sensitivity)` from (0, 0) to (1, 1), at most about `most` points; empty
    /// unless there are rows of both sides.
    pub fn roc(&self, most: usize) -> Vec<(f64, f64)> {
        let (positives, negatives) = self.totals();
        if positives == 0 || negatives == 0 {
            return Vec::new();
        }
        let place = |&(_, hits, alarms): &(f32, u64, u64)| (share(alarms, negatives), share(hits, positives));
        // Points inside a straight run are not seen.
        let bends = |index: usize| {
            let before = index.checked_sub(1).map_or((0, 0), |i| (self.steps[i].1, self.steps[i].2));
            let here = &self.steps[index];
            let run = |(hits, alarms): (u64, u64)| (here.1 > hits, here.2 > alarms);
            self.steps.get(index + 1).is_none_or(|next| {
                let after = (next.1 > here.1, next.2 > here.2);
                run(before) != after || after == (true, true)
            })
        };
        let corners: Vec<(f64, f64)> =
            (0..self.steps.len()).filter(|&index| bends(index)).map(|index| place(&self.steps[index])).collect();
        let stride = corners.len().div_ceil(most.max(1)).max(1);
        let mut points = vec![(0.0, 0.0)];
        points.extend(corners.iter().rev().step_by(stride).rev());
        points
    }
}

/// What a threshold does on one split; values without a denominator are absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AtThreshold {
    /// The share of positive rows that are found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<f64>,
    /// The share of negative rows that are left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub specificity: Option<f64>,
    /// The share of rows found that are positive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
    /// Their 95 % intervals (Wilson).
    pub intervals: BTreeMap<String, (f64, f64)>,
    /// Positive rows found.
    pub true_positives: u64,
    /// Negative rows taken for positive.
    pub false_positives: u64,
    /// Positive rows missed.
    pub false_negatives: u64,
    /// Negative rows left alone.
    pub true_negatives: u64,
}

impl AtThreshold {
    fn new(true_positives: u64, false_positives: u64, false_negatives: u64, true_negatives: u64) -> Self {
        let mut intervals = BTreeMap::new();
        let mut proportion = |name: &str, part: u64, rest: u64| {
            intervals.insert(name.to_owned(), wilson(part, part + rest)?);
            Some(share(part, part + rest))
        };
        Self {
            sensitivity: proportion("sensitivity", true_positives, false_negatives),
            specificity: proportion("specificity", true_negatives, false_positives),
            precision: proportion("precision", true_positives, false_positives),
            intervals,
            true_positives,
            false_positives,
            false_negatives,
            true_negatives,
        }
    }

    /// Name, value and interval of each value that is defined.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, f64, (f64, f64))> + '_ {
        let all = [("sensitivity", self.sensitivity), ("specificity", self.specificity), ("precision", self.precision)];
        all.into_iter().filter_map(|(name, value)| Some((name, value?, *self.intervals.get(name)?)))
    }
}

/// A chosen threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// The class that is looked for.
    pub positive_class: String,
    /// How the threshold was found.
    pub rule: Rule,
    /// From this probability of the class on, a row is positive.
    #[serde(serialize_with = "widened")]
    pub threshold: f32,
}

/// Written as predicted scores are, with all digits that a float64 has, so that comparing the two as such is exact.
fn widened<S: Serializer>(threshold: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(f64::from(*threshold))
}

/// A threshold, and what it does on some rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operated {
    /// The threshold.
    #[serde(flatten)]
    pub cut: Cut,
    /// What it does.
    #[serde(flatten)]
    pub found: AtThreshold,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row per step: from the top +, −, +, −, +, then the rest of the negatives.
    fn curve(negatives: u64) -> Curve {
        let top = [(0.9, 1, 0), (0.8, 0, 1), (0.7, 1, 0), (0.6, 0, 1), (0.5, 1, 0), (0.1, 0, negatives - 2)];
        Curve::new(1, top)
    }

    #[test]
    fn a_specificity_spends_the_false_alarms_it_may() {
        for (negatives, threshold, found) in [(19, 0.9, 1), (20, 0.7, 2), (39, 0.7, 2), (40, 0.5, 3)] {
            let curve = curve(negatives);
            let chosen = curve.choose(Rule::Specificity(0.95));
            assert_eq!(chosen, threshold, "{negatives}");
            let at = curve.at(chosen);
            assert_eq!((at.true_positives, at.false_negatives), (found, 3 - found), "{negatives}");
            assert!(at.specificity.unwrap() >= 0.95, "{negatives}");
        }
    }

    #[test]
    fn a_sensitivity_is_reached_with_the_highest_threshold() {
        let curve = curve(10);
        for (least, threshold) in [(0.3, 0.9), (0.6, 0.7), (2.0 / 3.0, 0.7), (0.67, 0.5), (1.0, 0.5)] {
            assert_eq!(curve.choose(Rule::Sensitivity(least)), threshold, "{least}");
        }
        let at = curve.at(0.7);
        assert_eq!((at.sensitivity, at.specificity, at.precision), (Some(2.0 / 3.0), Some(0.9), Some(2.0 / 3.0)));
        assert_eq!(at.intervals["specificity"], wilson(9, 10).unwrap());
    }

    #[test]
    fn a_threshold_cannot_part_a_tie_and_may_find_nothing() {
        let curve = Curve::new(1, [(1.0, 3, 1), (0.2, 1, 4)]);
        let chosen = curve.choose(Rule::Specificity(0.95));
        assert!(chosen > 1.0 && chosen.is_finite());
        let at = curve.at(chosen);
        assert_eq!((at.sensitivity, at.specificity, at.precision), (Some(0.0), Some(1.0), None));
        assert!(!at.intervals.contains_key("precision"));
        assert_eq!(curve.at(0.2).true_positives, 4, "the threshold itself is positive");
        assert_eq!(curve.at(0.3).true_positives, 3);
    }

    #[test]
    fn the_roc_curve_runs_from_corner_to_corner() {
        let roc = curve(4).roc(100);
        assert_eq!((roc[0], roc[roc.len() - 1]), ((0.0, 0.0), (1.0, 1.0)));
        assert!(roc.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1), "{roc:?}");
        assert!(roc.contains(&(0.25, 2.0 / 3.0)), "{roc:?}");
        // A straight run is its ends, and a thinned curve still ends at the corner.
        let straight = Curve::new(1, (0..50).map(|i| (1.0 - i as f32 / 100.0, u64::from(i < 25), u64::from(i >= 25))));
        assert_eq!(straight.roc(100), [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]);
        let long = Curve::new(1, (0..999).map(|i| (1.0 - i as f32 / 1000.0, i % 2, 1 - i % 2)));
        assert!(long.roc(50).len() <= 52 && long.roc(50).last() == Some(&(1.0, 1.0)));
        assert!(Curve::new(1, [(0.5, 3, 0)]).roc(9).is_empty());
    }

    #[test]
    fn rules_are_read_and_written_the_same() {
        for text in ["specificity:0.95", "sensitivity:0.9", "threshold:0.3"] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        for bad in ["", "0.5", "specificity", "specificity:2", "sensitivity:x", "youden:0.5", "threshold:NaN"] {
            assert!(bad.parse::<Rule>().unwrap_err().contains("sensitivity:X"), "{bad}");
        }
    }

    #[test]
    fn a_threshold_survives_json_to_the_bit() {
        let cut = Cut { positive_class: "ill".into(), rule: Rule::Specificity(0.95), threshold: 0.731_058_6 };
        let point = Operated { cut, found: curve(20).at(0.7) };
        let text = serde_json::to_string(&point).unwrap();
        let digits = f64::from(0.731_058_6f32);
        let start = format!(r#"{{"positive_class":"ill","rule":"specificity:0.95","threshold":{digits},"#);
        assert!(text.starts_with(&start), "{text}");
        assert_eq!(serde_json::from_str::<Operated>(&text).unwrap(), point);
        let value: serde_json::Value = serde_json::to_value(&point).unwrap();
        assert_eq!(serde_json::from_value::<Operated>(value).unwrap(), point);
    }
}

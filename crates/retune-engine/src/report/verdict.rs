//! The result of a run beside what it must beat, and the one sentence that says so: for the report and for the terminal.

use crate::metric::{Difference, Metric};
use crate::number;

/// The main metric of the finished model, beside what it should be compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Headline {
    /// What was measured.
    pub metric: &'static Metric,
    /// The split it was measured on.
    pub split: String,
    /// Its value.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// Examples measured.
    pub examples: usize,
    /// Other ways to do the task, on the same examples.
    pub baselines: Vec<Baseline>,
    /// A paired test against one of them.
    pub comparison: Option<Comparison>,
    /// Sentences that keep a reader from believing too much, or say what to try.
    pub remarks: Vec<String>,
}

/// Another way to do the task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    /// What it is, for instance `majority class`.
    pub name: String,
    /// The headline metric's value.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
}

/// A paired comparison of the model with one baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The baseline's name.
    pub against: String,
    /// Model minus baseline, in accuracy.
    pub difference: Difference,
}

/// How the model stands to the strongest of its baselines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict<'a> {
    /// The strongest baseline.
    pub rival: &'a Baseline,
    /// How much better the model is; negative where it is worse.
    pub gain: f64,
    /// Whether their intervals overlap, where no paired test says more.
    pub overlap: bool,
}

impl Headline {
    /// How the model stands to its strongest baseline; `None` without one.
    pub fn verdict(&self) -> Option<Verdict<'_>> {
        let gain = |value: f64| self.metric.direction.gain(self.value, value);
        let known = self.baselines.iter().filter(|baseline| baseline.value.is_finite());
        let rival = known.min_by(|a, b| gain(a.value).total_cmp(&gain(b.value)))?;
        let meet = matches!((self.interval, rival.interval), (Some(a), Some(b)) if a.0 <= b.1 && b.0 <= a.1);
        Some(Verdict { rival, gain: gain(rival.value), overlap: meet && self.comparison.is_none() })
    }

    /// What was reached, and how it stands to the strongest baseline.
    pub fn sentence(&self) -> String {
        let rows = match self.examples {
            0 => format!("On the {} split", self.split),
            1 => format!("On 1 {} example", self.split),
            many => format!("On {} {} examples", number::count(many as u64), self.split),
        };
        let interval = self.interval.map_or_else(String::new, |it| format!(" ({})", number::interval(it)));
        let (key, value) = (self.metric.key, number::value(self.value));
        let mut text = format!("{rows} the model reaches {key} {value}{interval}");
        if let Some(verdict) = self.verdict() {
            text += &verdict.words(self.baselines.len() > 1);
        }
        text.push('.');
        text.extend(self.comparison.as_ref().map(Comparison::sentence));
        text.extend(self.remarks.iter().map(|remark| format!(" {remark}")));
        text
    }
}

impl Verdict<'_> {
    fn words(&self, several: bool) -> String {
        let which = if several { "the best baseline, " } else { "" };
        let rival = format!("{which}{} ({})", self.rival.name, number::value(self.rival.value));
        let size = number::value(self.gain.abs());
        let overlap = if self.overlap { "; their intervals overlap" } else { "" };
        if self.gain > 0.0 {
            format!(", better by {size} than {rival}{overlap}")
        } else if self.gain < 0.0 {
            format!(", WORSE by {size} than {rival}{overlap}")
        } else if self.gain == 0.0 {
            format!(", the same as {rival}")
        } else {
            // The model's own value is no number.
            format!(", where {rival} is to be beaten")
        }
    }
}

impl Comparison {
    fn sentence(&self) -> String {
        let it = &self.difference;
        let chance = if it.p_value < 0.05 { "" } else { ", which could be chance" };
        format!(
            " Example by example its accuracy differs from {} by {} (95 % interval {}; exact McNemar test, {}){chance}.",
            self.against,
            number::difference(it.difference),
            number::interval((it.low, it.high)),
            number::p_value(it.p_value),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{ACCURACY, LOSS};

    fn headline(metric: &'static Metric, value: f64, rivals: &[f64]) -> Headline {
        let around = |value: f64, half: f64| Some((value - half, value + half));
        let rival = |(index, &value): (usize, &f64)| Baseline {
            name: ["majority class", "random weights"][index].into(),
            value,
            interval: around(value, 0.02),
        };
        Headline {
            metric,
            split: "test".into(),
            value,
            interval: around(value, 0.05),
            examples: 1599,
            baselines: rivals.iter().enumerate().map(rival).collect(),
            comparison: None,
            remarks: Vec::new(),
        }
    }

    #[test]
    fn the_sentence_names_the_strongest_baseline_and_the_direction() {
        let text = number::plain(&headline(&ACCURACY, 0.9, &[0.5, 0.75]).sentence());
        assert_eq!(
            text,
            "On 1,599 test examples the model reaches accuracy 0.900 (0.850 – 0.950), better by 0.150 than the best baseline, \
             random weights (0.750)."
        );
        assert!(
            headline(&LOSS, 0.9, &[0.5, 0.75]).sentence().contains("WORSE by 0.400 than the best baseline, majority")
        );
        assert!(headline(&LOSS, 0.5, &[0.9]).sentence().contains("better by 0.400 than majority class"));
        assert!(headline(&ACCURACY, 0.9, &[0.9]).sentence().contains("the same as majority class"));
        assert!(headline(&ACCURACY, 0.9, &[0.88]).sentence().contains("intervals overlap"));
        assert!(!headline(&ACCURACY, 0.9, &[f64::NAN]).sentence().contains("majority"));
        let remarked = Headline { remarks: vec!["So it is.".into()], ..headline(&ACCURACY, 0.9, &[0.5]) };
        assert!(remarked.sentence().ends_with(". So it is."));
    }

    #[test]
    fn a_paired_test_takes_the_place_of_overlapping_intervals() {
        let mut case = headline(&ACCURACY, 0.9, &[0.88]);
        let difference = Difference { difference: 0.02, low: -0.01, high: 0.05, p_value: 0.21 };
        case.comparison = Some(Comparison { against: "random weights".into(), difference });
        let text = number::plain(&case.sentence());
        assert!(text.contains("+0.020") && text.contains("p = 0.210") && text.contains("could be chance"), "{text}");
        assert!(!text.contains("overlap") && !case.verdict().unwrap().overlap, "{text}");
    }
}

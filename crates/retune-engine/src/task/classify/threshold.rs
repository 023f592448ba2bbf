//! A decision threshold for one class: chosen on the validation split, kept with the model, applied wherever it is used.

use crate::metric::operating_point::{Curve, Cut, Operated, Rule};
use crate::metric::{Detail, Evaluation, threshold_details};
use crate::task::Decision;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// The key of the decision.
pub(crate) const KEY: &str = "operating_point";

/// The positive class, the rule that chooses its threshold, and the threshold, once it is chosen.
#[derive(Clone)]
pub(super) struct Threshold {
    positive: Option<(usize, String)>,
    rule: Option<Rule>,
    cut: Arc<OnceLock<Cut>>,
}

impl Threshold {
    /// For the class that is called positive, the second of two unless one is named.
    pub(super) fn new(names: &[String], positive: Option<&str>, rule: Option<Rule>) -> Result<Self> {
        let class = match positive {
            Some(name) => {
                let found = names.iter().position(|it| it == name);
                Some(found.with_context(|| format!("positive-class: `{name}` is not one of {}", listed(names)))?)
            }
            None if names.len() == 2 => Some(1),
            None => {
                ensure!(
                    rule.is_none(),
                    "operating-point: there are {} classes; name one of {} with --positive-class",
                    names.len(),
                    listed(names)
                );
                None
            }
        };
        Ok(Self { positive: class.map(|class| (class, names[class].clone())), rule, cut: Arc::default() })
    }

    /// Index of the positive class.
    pub(super) fn positive(&self) -> Option<usize> {
        self.positive.as_ref().map(|(class, _)| *class)
    }

    /// Whether a threshold is to be chosen.
    pub(super) fn decides(&self) -> bool {
        self.rule.is_some() && self.positive.is_some()
    }

    /// Whether a split can choose it, on which a model that is always right reaches `ideal`.
    pub(super) fn check_validation(&self, ideal: &Evaluation) -> Result<()> {
        let Some(rule) = self.rule else { return Ok(()) };
        let missing = match rule {
            Rule::Threshold(_) => return Ok(()),
            _ if !ideal.metrics.contains_key("sensitivity") => "a row of the positive class",
            _ if !ideal.metrics.contains_key("specificity") => "a row of another class",
            _ => return Ok(()),
        };
        bail!("operating-point: {rule} cannot be chosen: the validation split lacks {missing}")
    }

    /// Chooses the threshold that the rule asks for, and goes on with it.
    pub(super) fn choose(&self, curve: &Curve) -> Option<Result<Decision>> {
        let (rule, (_, name)) = (self.rule?, self.positive.as_ref()?);
        let cut = Cut { positive_class: name.clone(), rule, threshold: curve.choose(rule) };
        let chosen = serde_json::to_value(&cut).context("a threshold is plain data").and_then(|value| match value {
            Value::Object(chosen) => Ok(Decision { key: KEY, chosen }),
            _ => bail!("a threshold is an object"),
        });
        Some(chosen.and_then(|decision| self.adopt(&decision).map(|()| decision)))
    }

    /// Goes on with a threshold that was chosen before.
    pub(super) fn adopt(&self, decision: &Decision) -> Result<()> {
        let cut: Cut = serde_json::from_value(Value::Object(decision.chosen.clone()))
            .with_context(|| format!("`{}` of metrics.json is no threshold", decision.key))?;
        let named = self.positive.as_ref().map(|(_, name)| name);
        ensure!(
            named == Some(&cut.positive_class),
            "the threshold of this model is for the class `{}`, not for `{}`; leave --positive-class out",
            cut.positive_class,
            named.map_or("none", String::as_str)
        );
        // The first choice stands: a run decides once.
        self.cut.get_or_init(|| cut);
        Ok(())
    }

    /// Whether scores reach the threshold, where there is one.
    pub(super) fn is_positive(&self, scores: &[f32]) -> Option<bool> {
        let (cut, (class, _)) = (self.cut.get()?, self.positive.as_ref()?);
        Some(scores.get(*class).is_some_and(|score| *score >= cut.threshold))
    }

    /// What thresholds do on the examples behind a curve, and the chosen one among them.
    pub(super) fn details(&self, curve: &Curve) -> Vec<Detail> {
        let Some((_, name)) = &self.positive else { return Vec::new() };
        let operated = self.cut.get().map(|cut| Operated { cut: cut.clone(), found: curve.at(cut.threshold) });
        threshold_details(curve, name, operated)
    }
}

/// Names for a message, the first few of many.
fn listed(names: &[String]) -> String {
    const MOST: usize = 20;
    let shown = names.iter().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{shown} and {} more", names.len() - MOST) } else { shown }
}

//! `--overfit N`: whether a model learns a few examples by heart. One that cannot has wrong labels, a wrong learning rate, or a
//! fault; that is known after minutes instead of hours.

use crate::Recipe;
use crate::directory::RunState;
use anyhow::Result;
use toml::{Table, Value};

/// What is set so that nothing but the examples is learnt, where task and method have it.
const PLAIN: [(&str, Plain); 15] = [
    ("augmentation", Plain::Word("none")),
    ("training-smiles", Plain::Word("given")),
    ("speed-change", Plain::Zero),
    ("pitch-change", Plain::Zero),
    ("mask-time-prob", Plain::Zero),
    ("mask-feature-prob", Plain::Zero),
    ("noise-snr", Plain::Absent),
    ("noise-folder", Plain::Absent),
    ("label-smoothing", Plain::Zero),
    ("dropout", Plain::Zero),
    ("weight-decay", Plain::Zero),
    ("patience", Plain::Count(0)),
    ("baselines", Plain::Word("majority")),
    ("validation", Plain::Absent),
    ("test", Plain::Absent),
];

/// Steps where nothing else is said, and between evaluations.
const STEPS: i64 = 600;
const EVERY: &str = "20";
/// A loss is nearly nothing when so small a share of the first one is left.
const SHARE: f64 = 0.02;

enum Plain {
    Word(&'static str),
    Count(i64),
    Zero,
    Absent,
}

/// The recipe of the check, if one is asked for.
pub(crate) fn plain(recipe: &Recipe) -> Result<Recipe> {
    if recipe.run.overfit.is_none() {
        return Ok(recipe.clone());
    }
    let mut keys = Table::new();
    let has = |key: &str| recipe.sections().iter().any(|section| section.settings.iter().any(|it| it.key == key));
    for (key, plain) in PLAIN.iter().filter(|(key, _)| has(key)) {
        let value = match plain {
            Plain::Word(word) => Value::from(*word),
            Plain::Count(count) => Value::from(*count),
            Plain::Zero => Value::from(0.0),
            Plain::Absent => continue,
        };
        keys.insert((*key).to_owned(), value);
    }
    let usual = Recipe::default().optimization;
    if recipe.optimization.steps.is_none() && recipe.optimization.epochs == usual.epochs {
        keys.insert("steps".to_owned(), Value::from(STEPS));
    }
    if recipe.run.evaluate_every == Recipe::default().run.evaluate_every {
        keys.insert("evaluate-every".to_owned(), Value::from(EVERY));
    }
    let absent: Vec<&str> =
        PLAIN.iter().filter(|(_, plain)| matches!(plain, Plain::Absent)).map(|(key, _)| *key).collect();
    recipe.without(&absent)?.with(&keys)
}

/// The first loss of a step and the last one of an evaluation, or of a step where evaluations have none.
fn losses(state: &RunState) -> Option<(f64, f64)> {
    let last = state.evaluations.last()?.loss.unwrap_or(state.totals.final_loss);
    Some((state.totals.first_loss?, last))
}

/// Whether the loss is nearly nothing.
pub(crate) fn is_learnt(state: &RunState) -> bool {
    losses(state).is_some_and(|(first, last)| last <= SHARE * first)
}

/// What came of the check, in words.
pub(crate) fn result(recipe: &Recipe, state: &RunState) -> Option<String> {
    let count = recipe.run.overfit?;
    let (first, last) = losses(state)?;
    let fell = format!("their loss went from {first:.3} to {last:.4} in {} steps", state.step);
    Some(if is_learnt(state) {
        format!("overfit: the first {count} training examples are learnt by heart: {fell}")
    } else {
        format!(
            "overfit: NOT reached: the first {count} training examples are not learnt by heart: {fell}, which is more than {} % of \
             it; look at labels and boxes, try another --learning-rate or --method full, or more --steps",
            SHARE * 100.0
        )
    })
}

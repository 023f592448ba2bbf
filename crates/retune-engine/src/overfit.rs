//! `--overfit N`: whether a model learns a few examples by heart. One that cannot has wrong labels, a wrong learning rate, or a
//! fault; that is known after minutes instead of hours.

use crate::Recipe;
use crate::directory::RunState;
use crate::recipe::settings::Overfit;
use anyhow::Result;
use toml::Table;

/// A loss is nearly nothing when so small a share of the first one is left.
const SHARE: f64 = 0.02;

/// The recipe of the check, if one is asked for: each setting has the value that it declares for it.
pub(crate) fn plain(recipe: &Recipe) -> Result<Recipe> {
    if recipe.run.overfit.is_none() {
        return Ok(recipe.clone());
    }
    let (mut keys, mut absent) = (Table::new(), Vec::new());
    for setting in recipe.sections().into_iter().flat_map(|section| section.settings) {
        let Some(Overfit { value, unless }) = setting.overfit else { continue };
        let gives_way = |others: &[&str]| recipe.names(setting.key) || others.iter().any(|other| recipe.names(other));
        if unless.is_some_and(gives_way) {
            continue;
        }
        match value.value() {
            Some(value) => drop(keys.insert(setting.key.to_owned(), value)),
            None => absent.push(setting.key),
        }
    }
    recipe.without(&absent)?.with(&keys)
}

/// The first loss of a step and the last one of an evaluation, or of a step where evaluations have none.
pub(crate) fn losses(state: &RunState) -> Option<(f64, f64)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_the_values_that_they_declare_unless_others_were_given() {
        let of = |text: &str| plain(&text.parse().unwrap()).unwrap();
        let usual = of(
            "overfit = 4\ntask = 'object-detection'\nvalidation = 'v'\ntest = 't'\npreset = 'small-data'\nmosaic = 0.5",
        );
        let values = usual.resolved();
        assert_eq!((&usual.data.validation, &usual.data.test), (&None, &None));
        assert_eq!((values["augmentation"].as_str(), values["mosaic"].as_float()), (Some("none"), Some(0.0)));
        assert_eq!((values["weight-decay"].as_float(), values["dropout"].as_float()), (Some(0.0), Some(0.0)));
        assert_eq!(usual.run.evaluate_every, "20");
        // The preset says how long.
        assert_eq!((usual.optimization.steps, usual.optimization.epochs), (None, 80.0));
        assert_eq!(of("overfit = 4").optimization.steps, Some(600));
        // Usual values that are given are given.
        let given = of("overfit = 4\nepochs = 3.0\nevaluate-every = 'epoch'");
        assert_eq!((given.optimization.steps, &*given.run.evaluate_every), (None, "epoch"));
        assert_eq!(of("overfit = 4\nsteps = 9").optimization.steps, Some(9));
        let none: Recipe = "augmentation = 'strong'\ntask = 'image-classification'".parse().unwrap();
        assert_eq!(plain(&none).unwrap(), none);
    }
}

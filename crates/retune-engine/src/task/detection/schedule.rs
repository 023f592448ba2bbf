//! Whether a detector is given the time that it needs.
//!
//! Sets of boxes are learnt slowly: DETR takes 300 to 500 passes over COCO's 118,000 images (Carion et al. 2020), YOLOS 150 to 300 of
//! smaller models (Fang et al. 2021), RT-DETR 72 (Zhao et al. 2023): hundreds of thousands of steps. Fine-tuned on a few hundred images
//! such models need some thousand steps where queries and boxes are new, and some hundred where only the classes are.

use crate::Recipe;
use crate::number;
use crate::plan::Plan;
use retune_models::ModelConfig;

/// Steps below which queries that are new find next to nothing.
const QUERIES: u64 = 1_000;
/// Steps below which a detector tells no new classes apart.
const CLASSES: u64 = 200;
/// The preset that is made for it.
const PRESET: &str = "small-data";

/// What a detector has to learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Learns {
    /// Everything beyond a backbone.
    Queries,
    /// What its classes are.
    Classes,
}

impl Learns {
    /// What a checkpoint lacks for these classes; `grafted` where only its backbone has weights.
    pub(super) fn of(recipe: &Recipe, config: &ModelConfig, grafted: bool, names: &[String]) -> Option<Self> {
        let detects = config.architecture().is_some_and(|class| class.ends_with(super::ENTRY.purpose.class_ending));
        match () {
            () if recipe.data.from_scratch || grafted || !detects => Some(Self::Queries),
            () => config.in_label_order(names).is_none().then_some(Self::Classes),
        }
    }
}

/// That so few steps are planned that nothing will be found, and what to do about it.
pub(super) fn too_short(recipe: &Recipe, rows: usize, learns: Learns) -> Option<String> {
    // What is learnt by heart has its own measure of success.
    let plan = Some(Plan::of(recipe, rows)).filter(|_| recipe.run.overfit.is_none())?;
    let (least, whose) = match learns {
        Learns::Queries => (QUERIES, "whose queries have learnt nothing yet"),
        Learns::Classes => (CLASSES, "whose classes are new"),
    };
    if plan.total_steps >= least {
        return None;
    }
    let it = &recipe.optimization;
    let (planned, instead) = match it.steps {
        Some(_) => (String::new(), format!("`--steps {least}`")),
        None => (
            format!(
                " ({} passes over {} images in batches of {})",
                it.epochs,
                number::count(rows as u64),
                it.batch_size
            ),
            format!("`--epochs {}`", least.div_ceil(plan.steps_per_epoch)),
        ),
    };
    Some(format!(
        "{} steps are planned{planned}, and a detector {whose} needs at least {} on a few hundred images, more is better (DETR takes 300 \
         passes over 118,000 images, RT-DETR 72): mAP is likely to stay near 0; give {instead}{}",
        number::count(plan.total_steps),
        number::count(least),
        by_preset(recipe, rows, least)
    ))
}

/// That a preset gives enough, where it does; what was given wins over it.
fn by_preset(recipe: &Recipe, rows: usize, least: u64) -> String {
    let advice = || {
        let task = &recipe.data.task;
        let mut preset: Recipe = format!("task = '{task}'\npreset = '{PRESET}'").parse().ok()?;
        preset.optimization.gradient_accumulation = recipe.optimization.gradient_accumulation;
        let (steps, it) = (Plan::of(&preset, rows).total_steps, &preset.optimization);
        let given: Vec<String> = ["epochs", "steps", "batch-size"]
            .into_iter()
            .filter(|key| recipe.names(key))
            .map(|key| format!("`--{key}`"))
            .collect();
        let without = if given.is_empty() { String::new() } else { format!(" without {}", given.join(" and ")) };
        (steps >= least).then(|| {
            let steps = number::count(steps);
            format!(
                ", or `--preset {PRESET}`{without} ({} passes in batches of {}, {steps} steps)",
                it.epochs, it.batch_size
            )
        })
    };
    recipe.optimization.preset.is_none().then(advice).flatten().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_models::CheckpointFolder;

    fn recipe(more: &str) -> Recipe {
        format!("task = 'object-detection'\n{more}").parse().unwrap()
    }

    fn told(more: &str, rows: usize, learns: Learns) -> Option<String> {
        too_short(&recipe(more), rows, learns)
    }

    #[test]
    fn a_schedule_in_which_nothing_is_learnt_is_told_with_what_to_do() {
        let words = told("", 277, Learns::Queries).unwrap();
        for part in [
            "27 steps are planned (3 passes over 277 images in batches of 32)",
            "whose queries have learnt nothing yet needs at least 1,000",
            "mAP is likely to stay near 0",
            "`--epochs 112`",
            "or `--preset small-data` (80 passes in batches of 8, 2,800 steps)",
        ] {
            assert!(words.contains(part), "{part} is missing in {words}");
        }
        let words = told("steps = 50", 277, Learns::Classes).unwrap();
        for part in [
            "50 steps are planned, and",
            "whose classes are new needs at least 200",
            "`--steps 200`, or `--preset small-data` without `--steps` (",
        ] {
            assert!(words.contains(part), "{part} is missing in {words}");
        }
        // A preset that is in use, or that would be too short itself, is no advice.
        let words = told("preset = 'small-data'", 50, Learns::Queries).unwrap();
        assert!(words.contains("`--epochs 143`") && !words.contains("--preset"), "{words}");
        assert!(!told("", 50, Learns::Queries).unwrap().contains("--preset"));
    }

    #[test]
    fn a_schedule_that_is_long_enough_is_not() {
        assert!(told("preset = 'small-data'", 277, Learns::Queries).is_none());
        assert!(told("epochs = 40.0\nbatch-size = 8", 277, Learns::Queries).is_none());
        assert!(
            told("steps = 999", 277, Learns::Queries).is_some() && told("steps = 1000", 277, Learns::Queries).is_none()
        );
        assert!(told("steps = 200", 277, Learns::Classes).is_none());
        assert!(told("overfit = 4\nsteps = 300", 277, Learns::Queries).is_none());
    }

    #[test]
    fn what_is_to_be_learnt_depends_on_the_checkpoint() {
        let config = |text: &str| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("config.json"), text).unwrap();
            CheckpointFolder::config(folder.path()).unwrap()
        };
        let names = ["crosswalk".to_owned(), "stop".to_owned()];
        let detector = |labels: &str| {
            config(&format!(
                r#"{{"model_type": "yolos", "architectures": ["YolosForObjectDetection"], "id2label": {labels}}}"#
            ))
        };
        let known = detector(r#"{"0": "Stop", "1": "crosswalk"}"#);
        let other = detector(r#"{"0": "cat", "1": "dog"}"#);
        let encoder = config(r#"{"model_type": "vit", "architectures": ["ViTModel"]}"#);
        let of = |config: &ModelConfig, grafted| Learns::of(&recipe(""), config, grafted, &names);
        assert_eq!((of(&known, false), of(&other, false)), (None, Some(Learns::Classes)));
        assert_eq!((of(&encoder, false), of(&known, true)), (Some(Learns::Queries), Some(Learns::Queries)));
        let scratch = recipe("from-scratch = true");
        assert_eq!(Learns::of(&scratch, &known, false, &names), Some(Learns::Queries));
    }
}

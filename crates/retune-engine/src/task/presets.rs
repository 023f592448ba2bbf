//! Presets: values for what a recipe leaves open, for the tasks that they are made for.

use crate::plan::Plan;
use crate::{Recipe, number};
use anyhow::{Context, Result};
use toml::Table;

/// A preset's name, its tasks, and its keys as TOML.
struct Preset {
    name: &'static str,
    tasks: &'static [&'static str],
    keys: &'static str,
}

const DENSE: &[&str] = &["object-detection", "semantic-segmentation"];
const SPEECH: &[&str] = &["speech-recognition"];

/// How the names of presets begin that are for models of one kind alone: those that write frame by frame, and those that write by
/// a decoder.
pub(crate) const OF_FRAMES: &str = "ctc-";
/// See [`OF_FRAMES`].
pub(crate) const OF_DECODERS: &str = "seq2seq-";

/// One line a preset; the help of `--preset` names it, too.
///
/// `small-data`: a few hundred pictures with boxes or masks: the backbone learns slowly, averages of the weights are used, pictures
/// are scaled and cut out, and there are many passes.
///
/// `ctc-…`: what published recipes for Wav2Vec2 and XLS-R have in common (Baevski et al. 2020, appendix B; Babu et al. 2021; the
/// examples of transformers): the head learns alone at first, the rate rises slowly, batches are about a minute of sound. The less
/// is said, the more passes, masked features and changes of sounds.
///
/// `seq2seq-…`: Whisper is good before it learns anything, and forgets at high rates: a tenth or less of the rate of its training
/// (Radford et al. 2022; the examples of transformers), few passes, no decay; of minutes only LoRA learns.
const PRESETS: &[Preset] = &[
    Preset {
        name: "small-data",
        tasks: DENSE,
        keys: "epochs = 80.0\nbatch-size = 8\nlearning-rate = 1e-4\nbackbone-learning-rate = 1e-5\nschedule = 'cosine'\nwarmup = 0.1\n\
               clip = 0.1\nema = 0.998\naugmentation = 'scale'",
    },
    Preset {
        name: "ctc-minutes",
        tasks: SPEECH,
        keys: "epochs = 60.0\nbatch-size = 8\nlearning-rate = 1e-4\nwarmup = 0.1\nhead-warmup = 300\nweight-decay = 0.005\n\
               mask-time-prob = 0.65\nmask-feature-prob = 0.25\nmask-feature-length = 64\nspeed-change = 0.1\npitch-change = 2.0",
    },
    Preset {
        name: "ctc-hours",
        tasks: SPEECH,
        keys: "epochs = 30.0\nbatch-size = 16\nlearning-rate = 3e-4\nwarmup = 0.1\nhead-warmup = 200\nweight-decay = 0.005\n\
               mask-time-prob = 0.5\nmask-feature-prob = 0.25\nmask-feature-length = 64\nspeed-change = 0.1",
    },
    Preset {
        name: "ctc-tens-of-hours",
        tasks: SPEECH,
        keys: "epochs = 15.0\nbatch-size = 32\nlearning-rate = 3e-4\nwarmup = 0.1\nhead-warmup = 200\nweight-decay = 0.005\n\
               mask-time-prob = 0.3\nmask-feature-prob = 0.1\nmask-feature-length = 64",
    },
    Preset {
        name: "seq2seq-minutes",
        tasks: SPEECH,
        keys: "epochs = 10.0\nbatch-size = 8\nmethod = 'lora'\nlora-rank = 32\nlora-alpha = 64.0\nlora-dropout = 0.05\n\
               learning-rate = 5e-4\nwarmup = 0.1\nweight-decay = 0.0\nspeed-change = 0.1\npitch-change = 2.0",
    },
    Preset {
        name: "seq2seq-hours",
        tasks: SPEECH,
        keys: "epochs = 5.0\nbatch-size = 16\nlearning-rate = 1e-5\nwarmup = 0.1\nweight-decay = 0.0\nspeed-change = 0.1",
    },
    Preset {
        name: "seq2seq-tens-of-hours",
        tasks: SPEECH,
        keys: "epochs = 3.0\nbatch-size = 32\nlearning-rate = 1e-5\nwarmup = 0.1\nweight-decay = 0.0",
    },
];

/// Whether there is one of that name.
pub(crate) fn is_preset(name: &str) -> Result<(), String> {
    let known = names();
    if known.contains(&name) { Ok(()) } else { Err(format!("`{name}` is not one of {}", known.join(", "))) }
}

fn names() -> Vec<&'static str> {
    PRESETS.iter().map(|preset| preset.name).collect()
}

/// The keys of a preset.
///
/// # Errors
/// A task that it is not made for, or a name that there is not.
pub(crate) fn preset(task: &str, name: &str) -> Result<Table> {
    let found = PRESETS
        .iter()
        .find(|preset| preset.name == name)
        .with_context(|| format!("preset: `{name}` is not known; there is {}", names().join(", ")))?;
    let wrong = || format!("preset: `{name}` is for {}, not for {task}", found.tasks.join(" and "));
    found.tasks.contains(&task).then_some(()).with_context(wrong)?;
    found.keys.parse().context("presets are TOML")
}

/// Steps from which a schedule is called long.
const LONG: u64 = 1_000;

/// That a preset made the schedule long, which whoever gave its name may not expect.
pub(crate) fn long_by_preset(recipe: &Recipe, plan: &Plan) -> Option<String> {
    let name = recipe.optimization.preset.as_deref()?;
    let epochs = preset(&recipe.data.task, name).ok()?.get("epochs")?.as_float()?;
    let its_own = recipe.optimization.steps.is_none() && epochs == recipe.optimization.epochs;
    let steps = number::count(plan.total_steps);
    (its_own && plan.total_steps >= LONG).then(|| {
        format!(
            "preset {name}: {epochs} passes over the training data are {steps} steps; `--epochs` makes the run shorter"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{OptimizationSettings, Settings};

    #[test]
    fn every_preset_is_a_recipe_of_its_tasks_and_stands_in_the_help() {
        let setting = OptimizationSettings::SECTION.settings.iter().find(|it| it.key == "preset").unwrap();
        for preset in PRESETS {
            assert!(setting.help.contains(&format!("`{}`", preset.name)), "{}: {}", preset.name, setting.help);
            for task in preset.tasks {
                let text = format!("task = '{task}'\npreset = '{}'", preset.name);
                let recipe: Recipe = text.parse().unwrap();
                let (resolved, keys) = (recipe.resolved(), preset.keys.parse::<Table>().unwrap());
                for (key, value) in keys {
                    assert_eq!(resolved.get(&key), Some(&value), "{}: {key}", preset.name);
                }
                let problems: Vec<String> =
                    recipe.sections().iter().flat_map(|section| section.problems(&resolved)).collect();
                assert!(problems.is_empty(), "{}: {problems:?}", preset.name);
            }
        }
        assert!(is_preset("ctc-hours").is_ok() && is_preset("hours").unwrap_err().contains("ctc-minutes"));
    }

    #[test]
    fn a_long_schedule_of_a_preset_is_told() {
        let note = |more: &str, rows: usize| {
            let text = format!("task = 'object-detection'\npreset = 'small-data'\n{more}");
            let recipe: Recipe = text.parse().unwrap();
            long_by_preset(&recipe, &Plan::of(&recipe, rows))
        };
        let told = note("", 277).unwrap();
        assert!(told.starts_with("preset small-data: 80 passes over the training data are 2,800 steps;"), "{told}");
        assert!(note("", 90).is_none() && note("epochs = 70.0", 277).is_none() && note("steps = 5000", 277).is_none());
        let plain = Recipe::default();
        assert!(long_by_preset(&plain, &Plan::of(&plain, 1_000_000)).is_none());
    }
}

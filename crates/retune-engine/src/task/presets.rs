//! Presets: values for what a recipe leaves open, for the tasks that they are made for.

use anyhow::{Context, Result};
use toml::Table;

/// A preset's name, its tasks, and its keys as TOML.
struct Preset {
    name: &'static str,
    tasks: &'static [&'static str],
    keys: &'static str,
}

/// A few hundred pictures with boxes or masks: the backbone learns slowly, averages of the weights are used, pictures are scaled
/// and cut out, and there are many passes.
const PRESETS: &[Preset] = &[Preset {
    name: "small-data",
    tasks: &["object-detection", "semantic-segmentation"],
    keys: "epochs = 80.0\nbatch-size = 8\nlearning-rate = 1e-4\nbackbone-learning-rate = 1e-5\nschedule = 'cosine'\nwarmup = 0.1\n\
           clip = 0.1\nema = 0.998\naugmentation = 'scale'",
}];

/// The keys of a preset.
///
/// # Errors
/// A task that it is not made for, or a name that there is not.
pub(crate) fn preset(task: &str, name: &str) -> Result<Table> {
    let found = PRESETS.iter().find(|preset| preset.name == name).with_context(|| {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        format!("preset: `{name}` is not known; there is {}", names.join(", "))
    })?;
    let wrong = || format!("preset: `{name}` is for {}, not for {task}", found.tasks.join(" and "));
    found.tasks.contains(&task).then_some(()).with_context(wrong)?;
    found.keys.parse().context("presets are TOML")
}

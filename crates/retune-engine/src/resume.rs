//! Whether a resumed run is the run that was started.

use crate::Recipe;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// A resumed run must be the same run, on the same device; what does not change its result may differ.
pub(crate) fn check_same_recipe(recipe: &Recipe) -> Result<()> {
    let path = recipe.output.join("recipe.toml");
    if !path.exists() {
        return Ok(());
    }
    let neutral = |mut r: Recipe| {
        r.output = PathBuf::new();
        r.keep_checkpoints = 1;
        r.disk_budget = None;
        r.baselines = String::new();
        r.baseline_learning_rate = None;
        r.test = None;
        r.evaluation_batch_size = 1;
        r.operating_point = None;
        r
    };
    let table = |r: Recipe| r.to_toml().parse::<toml::Table>();
    let old = table(neutral(Recipe::from_table(Recipe::read(&path)?)?))?;
    let new = table(neutral(recipe.clone()))?;
    let keys = old.keys().chain(new.keys()).filter(|key| old.get(*key) != new.get(*key));
    let changed: std::collections::BTreeSet<&String> = keys.collect();
    if !changed.is_empty() {
        let show = |t: &toml::Table, key: &str| t.get(key).map_or("nothing".to_owned(), ToString::to_string);
        let lines: Vec<String> =
            changed.iter().map(|key| format!("{key}: {} then, {} now", show(&old, key), show(&new, key))).collect();
        bail!(
            "--resume: this is not the run that was started in {}:\n  {}",
            recipe.output.display(),
            lines.join("\n  ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_result_may_not_change() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = Recipe { output: folder.path().to_owned(), device: "cpu".into(), ..Recipe::default() };
        check_same_recipe(&recipe).unwrap();
        std::fs::write(folder.path().join("recipe.toml"), recipe.to_toml()).unwrap();
        check_same_recipe(&Recipe { keep_checkpoints: 9, baselines: "all".into(), ..recipe.clone() }).unwrap();
        let point = "specificity:0.9".parse().ok();
        check_same_recipe(&Recipe { operating_point: point, ..recipe.clone() }).unwrap();
        let elsewhere = Recipe { device: "cuda:0".into(), seed: 7, ..recipe };
        let text = check_same_recipe(&elsewhere).unwrap_err().to_string();
        for part in ["device: \"cpu\" then, \"cuda:0\" now", "seed: 42 then, 7 now"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}

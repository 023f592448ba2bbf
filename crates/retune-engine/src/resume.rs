//! Whether a resumed run is the run that was started.

use crate::Recipe;
use crate::recipe;
use anyhow::{Result, bail};

/// A resumed run must be the same run, on the same device; what does not change its result may differ.
pub(crate) fn check_same_recipe(recipe: &Recipe) -> Result<()> {
    let path = recipe.run.output.join("recipe.toml");
    if !path.exists() {
        return Ok(());
    }
    let changed = recipe.changes(&Recipe::from_table(recipe::read(&path)?)?);
    if !changed.is_empty() {
        bail!(
            "--resume: this is not the run that was started in {}:\n  {}",
            recipe.run.output.display(),
            changed.join("\n  ")
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
        let mut recipe: Recipe = "device = 'cpu'".parse().unwrap();
        recipe.run.output = folder.path().to_owned();
        check_same_recipe(&recipe).unwrap();
        std::fs::write(folder.path().join("recipe.toml"), recipe.to_toml()).unwrap();
        let with = |keys: &str| recipe.with(&keys.parse().unwrap()).unwrap();
        check_same_recipe(&with("keep-checkpoints = 9\nbaselines = 'all'")).unwrap();
        check_same_recipe(&with("operating-point = 'specificity:0.9'")).unwrap();
        let elsewhere = with("device = 'cuda:0'\nseed = 7");
        let text = check_same_recipe(&elsewhere).unwrap_err().to_string();
        for part in ["device: \"cpu\" then, \"cuda:0\" now", "seed: 42 then, 7 now"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}

//! The run of `retune finetune` without arguments: its recipe, and its data, which the program carries.

use anyhow::{Context, Result};
use retune_engine::Recipe;
use std::fs;
use std::path::Path;
use toml::Table;

const FILES: [(&str, &[u8]); 4] = [
    ("train.csv", include_bytes!("../../../fixtures/sentiment/train.csv")),
    ("validation.csv", include_bytes!("../../../fixtures/sentiment/validation.csv")),
    ("test.csv", include_bytes!("../../../fixtures/sentiment/test.csv")),
    // The licence asks for the attribution to stay with the data.
    ("README.md", include_bytes!("../../../fixtures/sentiment/README.md")),
];

/// Keys that flags may overwrite.
pub(crate) fn recipe(model: &str) -> Table {
    Table::from_iter([
        ("model".to_owned(), model.into()),
        ("task".to_owned(), "text-classification".into()),
        ("epochs".to_owned(), 3.0.into()),
        ("batch-size".to_owned(), 32.into()),
        ("learning-rate".to_owned(), 5e-5.into()),
        ("seed".to_owned(), 42.into()),
        ("baselines".to_owned(), "all".into()),
    ])
}

/// Points the recipe at the files [`write_data`] makes in its output folder.
pub(crate) fn set_data(recipe: &mut Recipe) {
    let folder = recipe.run.output.join("data");
    recipe.data.train = Some(folder.join("train.csv"));
    recipe.data.validation = Some(folder.join("validation.csv"));
    recipe.data.test = Some(folder.join("test.csv"));
}

/// Writes the data, with its attribution, into the output folder.
pub(crate) fn write_data(output: &Path) -> Result<()> {
    let folder = output.join("data");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for (name, bytes) in FILES {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_lies_where_the_recipe_says() {
        let folder = tempfile::tempdir().unwrap();
        let mut recipe = Recipe::default();
        recipe.run.output = folder.path().join("run");
        set_data(&mut recipe);
        write_data(&recipe.run.output).unwrap();
        for path in [recipe.data.train, recipe.data.validation, recipe.data.test] {
            let text = fs::read_to_string(path.unwrap()).unwrap();
            assert!(text.starts_with("text,label"), "{text:.40}");
        }
    }
}

//! Every section that there is, and recipes that are made of their keys.

use super::common::COMMON;
use super::{Recipe, Section, Setting, Settings, read};
use crate::{method, task};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;
use toml::Table;

/// Every section that there is, whatever task or method has it.
pub fn sections() -> Vec<&'static Section> {
    let mut names = BTreeSet::new();
    let all = COMMON.into_iter().chain(task::all_sections()).chain(method::all_sections());
    all.filter(|section| names.insert(section.name)).collect()
}

/// The keys that a task and a method have; those of all where one is empty or not known.
pub fn keys(task: &str, method: &str) -> BTreeSet<&'static str> {
    let sections = COMMON.into_iter().chain(task::sections(task)).chain(method::sections(method));
    sections.flat_map(|section| section.settings).map(|setting| setting.key).collect()
}

/// The setting with a key, and its section.
pub fn setting(key: &str) -> Option<(&'static Section, &'static Setting)> {
    let find = |section: &'static Section| Some((section, section.settings.iter().find(|it| it.key == key)?));
    sections().into_iter().find_map(find)
}

impl Recipe {
    /// Makes a recipe of keys; unknown keys and wrong types are errors, all named at once.
    pub fn from_table(mut table: Table) -> Result<Self> {
        preset(&mut table)?;
        let mut problems = Vec::new();
        let mut others = Table::new();
        let named = table.keys().cloned().collect();
        for (key, value) in table {
            match setting(&key).map(|(_, setting)| setting.kind.normal(value)) {
                Some(Ok(value)) => drop(others.insert(key, value)),
                Some(Err(problem)) => problems.push(format!("`{key}`: {problem}")),
                None => problems.push(format!("unknown key `{key}`")),
            }
        }
        if !problems.is_empty() {
            bail!("the recipe does not fit: {}", problems.join("; "));
        }
        let (data, run, optimization) = (take(&mut others)?, take(&mut others)?, take(&mut others)?);
        Ok(Self { data, run, optimization, others, named })
    }

    /// The recipe that made a model, which every saved model carries. One that cannot be read is an error: the model's
    /// columns and lengths would be guessed.
    pub fn beside(model: &Path) -> Result<Option<Self>> {
        let path = model.join("recipe.toml");
        if !path.is_file() {
            return Ok(None);
        }
        let made = read(&path).and_then(Self::from_table);
        made.map(Some).with_context(|| format!("{}: mend it, or move it away to go on without", path.display()))
    }

    /// The recipe with other values for some keys.
    ///
    /// # Errors
    /// Unknown keys and wrong types.
    pub fn with(&self, keys: &Table) -> Result<Self> {
        let mut all = self.given();
        all.extend(keys.clone());
        let named = self.named.iter().chain(keys.keys()).cloned().collect();
        Ok(Self { named, ..Self::from_table(all)? })
    }

    /// The recipe as if some keys had not been given.
    pub(crate) fn without(&self, keys: &[&str]) -> Result<Self> {
        let mut all = self.given();
        keys.iter().for_each(|key| drop(all.remove(*key)));
        let named = self.named.iter().filter(|key| !keys.contains(&key.as_str())).cloned().collect();
        Ok(Self { named, ..Self::from_table(all)? })
    }

    /// The sections that this recipe's task and method have. One that is not known has all, so that it alone is wrong.
    pub fn sections(&self) -> Vec<&'static Section> {
        let task = task::sections(&self.data.task);
        COMMON.into_iter().chain(task).chain(method::sections(&self.optimization.method)).collect()
    }

    /// Whether its task or method has a section. Names tell them apart: a constant has no place of its own.
    pub(crate) fn has<S: Settings>(&self) -> bool {
        self.sections().into_iter().any(|section| section.name == S::SECTION.name)
    }

    /// The values of all settings that this recipe's task and method have, by key.
    pub fn resolved(&self) -> Table {
        let given = self.given();
        self.sections().into_iter().flat_map(|section| section.filled(&given)).collect()
    }

    /// [`Recipe::resolved`] as TOML, section by section.
    pub fn to_toml(&self) -> String {
        let values = self.resolved();
        let settings = self.sections().into_iter().flat_map(|section| section.settings);
        let line = |setting: &Setting| {
            let line = Table::from_iter([(setting.key.to_owned(), values.get(setting.key)?.clone())]);
            Some(toml::to_string(&line).expect("a recipe holds only TOML values"))
        };
        settings.filter_map(line).collect()
    }
}

impl FromStr for Recipe {
    type Err = anyhow::Error;

    /// Of TOML.
    fn from_str(text: &str) -> Result<Self> {
        Self::from_table(text.parse().context("the recipe is not valid TOML")?)
    }
}

/// Adds what a preset says of keys that are not given.
fn preset(table: &mut Table) -> Result<()> {
    let Some(name) = table.get("preset").and_then(toml::Value::as_str) else { return Ok(()) };
    let task = table.get("task").and_then(toml::Value::as_str).unwrap_or(task::USUAL_TASK);
    for (key, value) in task::preset(task, name)? {
        table.entry(key).or_insert(value);
    }
    Ok(())
}

/// Takes the keys of a section out of a table.
fn take<S: Settings>(table: &mut Table) -> Result<S> {
    let values = S::SECTION.filled(table);
    table.retain(|key, _| !S::SECTION.settings.iter().any(|setting| setting.key == key));
    values.try_into().context("the recipe does not fit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::LoraSettings;
    use crate::task::{ImageSettings, TokenSettings};

    #[test]
    fn no_key_stands_in_two_sections() {
        let mut keys = BTreeSet::new();
        for section in sections() {
            for setting in section.settings {
                assert!(keys.insert(setting.key), "{} stands twice", setting.key);
                assert!(!setting.key.contains('_') && !setting.help.trim().is_empty(), "{}", setting.key);
            }
        }
        assert!(keys.len() > 50, "{} keys", keys.len());
    }

    #[test]
    fn toml_round_trips_and_unknown_keys_are_refused() {
        let text =
            "train = 'a b.csv'\nsteps = 7\nmax-length = 9\nmethod = 'lora'\nlora-alpha = 4\nlora-targets = ['a', 'b']";
        let recipe: Recipe = text.parse().unwrap();
        let written = recipe.to_toml();
        let again: Recipe = written.parse().unwrap();
        assert_eq!((again.to_toml(), again.resolved()), (written, recipe.resolved()));
        assert_eq!((recipe.optimization.steps, again.data.train.as_deref()), (Some(7), Some(Path::new("a b.csv"))));
        let lora: LoraSettings = again.read().unwrap();
        assert_eq!((lora.lora_alpha, lora.lora_rank, lora.lora_targets.len()), (4.0, 8, 2));
        assert_eq!(again.read::<TokenSettings>().unwrap().max_length, Some(9));
        let wrong = "learning_rate = 1\nbatch-size = 'many'".parse::<Recipe>().unwrap_err();
        let text = format!("{wrong:#}");
        assert!(text.contains("unknown key `learning_rate`") && text.contains("`batch-size`: invalid type"), "{text}");
    }

    #[test]
    fn a_preset_says_what_is_not_given() {
        let dense = "preset = 'small-data'\ntask = 'semantic-segmentation'\nepochs = 7";
        let recipe: Recipe = dense.parse().unwrap();
        assert_eq!((recipe.optimization.epochs, recipe.optimization.ema), (7.0, Some(0.998)));
        assert_eq!(recipe.resolved()["augmentation"].as_str(), Some("scale"));
        let again: Recipe = recipe.to_toml().parse().unwrap();
        assert_eq!(again.resolved(), recipe.resolved());
        let error = "preset = 'small-data'".parse::<Recipe>().unwrap_err().to_string();
        assert!(error.contains("text-classification") && error.contains("semantic-segmentation"), "{error}");
    }

    #[test]
    fn a_resolved_recipe_holds_what_is_in_use() {
        let keys = |text: &str| text.parse::<Recipe>().unwrap().resolved();
        let text = keys("");
        for (key, there) in [("text-column", true), ("batch-by", true), ("image-column", false), ("lora-rank", false)] {
            assert_eq!(text.contains_key(key), there, "{key}");
        }
        assert_eq!((text["warmup"].as_float(), text["seed"].as_integer()), (Some(0.06), Some(42)));
        assert!(!text.contains_key("max-length") && !text.contains_key("revision"), "what is absent is not written");
        assert!(keys("method = 'lora'").contains_key("lora-rank"));
    }

    #[test]
    fn fields_and_keys_are_one() {
        let mut recipe: Recipe = "seed = 1\nimage-size = 64".parse().unwrap();
        recipe.run.seed = 2;
        recipe.optimization.learning_rate = Some(0.5);
        let other = recipe.with(&"image-size = 32\nepochs = 2".parse().unwrap()).unwrap();
        assert_eq!((other.run.seed, other.optimization.learning_rate, other.optimization.epochs), (2, Some(0.5), 2.0));
        assert_eq!(other.read::<ImageSettings>().unwrap().image_size, Some(32));
        assert!(recipe.with(&"no-such-key = 1".parse().unwrap()).is_err());
    }

    /// What resolved recipes looked like when every section was written, in use or not.
    #[test]
    fn recipes_of_earlier_versions_are_read() {
        let old: Recipe =
            "model = 'm'\ntrain = 't'\noutput = 'o'\nimage-column = 'image'\naugmentation = 'light'\nlora-rank = 8
            lora-alpha = 16.0\nlora-dropout = 0.0\nlora-targets = []\nmodules-to-save = []\nheat-maps = 'none'"
                .parse()
                .unwrap();
        old.validate().unwrap();
        assert_eq!(old.resolved(), "model = 'm'\ntrain = 't'\noutput = 'o'".parse::<Recipe>().unwrap().resolved());
    }
}

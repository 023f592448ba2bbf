//! Whether a recipe can be run: what it must say, values that cannot be used, and settings that nothing would read,
//! which are refused because whoever gave them expects them to do something.

use super::{Recipe, Section, Setting, setting};
use crate::{method, task};
use anyhow::{Result, bail};
use std::path::Path;
use toml::Table;

impl Recipe {
    /// Lists every problem at once.
    pub fn validate(&self) -> Result<()> {
        let mut problems: Vec<String> = Vec::new();
        for (missing, problem) in [
            (self.start().is_empty(), "model: give a checkpoint folder or a hub id (--model)"),
            (self.data.train.is_none(), "train: give a training file (--train)"),
            (self.run.output.as_os_str().is_empty(), "output: give a folder for the run (--output)"),
            (
                self.run.baseline_learning_rate.is_some() && !self.trains_baseline(),
                "baseline-learning-rate: no baseline starts from random weights here; --baselines all trains one",
            ),
            (
                self.data.validation.is_some()
                    && self.data.validation_fraction != Recipe::default().data.validation_fraction,
                "validation-fraction: --validation names what validates; leave one of them out",
            ),
        ] {
            problems.extend(missing.then(|| problem.to_owned()));
        }
        problems.extend(task::find(&self.data.task).err().map(|error| format!("task: {error}")));
        problems.extend(method::parse(&self.optimization.method).err().map(|error| format!("method: {error}")));
        let values = self.resolved();
        problems.extend(self.sections().into_iter().flat_map(|section| section.problems(&values)));
        problems.extend(self.misplaced(&self.others));
        if self.data.revision.is_some() && Path::new(&self.data.model).is_dir() {
            problems.push(format!("revision: {} is a folder; only a hub id has revisions", self.data.model));
        }
        refuse(&problems)
    }

    /// The recipe for using the model that it made: `overrides` win, and what the model's own files say is left to them.
    ///
    /// # Errors
    /// Overrides that are not for use, that nothing would read, or whose values cannot be used, listed at once.
    pub fn at_use(&self, overrides: &Table) -> Result<Self> {
        let mut problems = Vec::new();
        for key in overrides.keys() {
            if setting(key).is_some_and(|(_, setting)| !setting.at_use) {
                problems.push(format!("{key}: belongs to training; a saved model is used as it was trained"));
            }
        }
        let mut recipe = self.clone();
        recipe.others.retain(|key, _| setting(key).is_some_and(|(_, setting)| !setting.in_model));
        let recipe = recipe.with(overrides)?;
        let given: Table = recipe.given().into_iter().filter(|(key, _)| overrides.contains_key(key)).collect();
        problems.extend(recipe.misplaced(&given));
        problems.extend(recipe.sections().into_iter().flat_map(|section| section.problems(&given)));
        refuse(&problems)?;
        Ok(recipe)
    }

    /// Which settings differ from another recipe's and may not when a run is resumed, one line each.
    pub(crate) fn changes(&self, then: &Self) -> Vec<String> {
        let (now, then) = (self.resolved(), then.resolved());
        let keys: std::collections::BTreeSet<&String> = then.keys().chain(now.keys()).collect();
        let counts = |key: &&&String| setting(key).is_some_and(|(_, setting)| !setting.neutral);
        let changed = keys.iter().filter(counts).filter(|key| then.get(**key) != now.get(**key));
        let show = |table: &Table, key: &str| table.get(key).map_or("nothing".to_owned(), ToString::to_string);
        changed.map(|key| format!("{key}: {} then, {} now", show(&then, key), show(&now, key))).collect()
    }

    /// Settings that neither the task nor the method has, one line each. Their usual values do no harm: they stand in
    /// recipes that were resolved when all settings were written.
    fn misplaced(&self, given: &Table) -> Vec<String> {
        let in_use = self.sections();
        let unread = |section: &Section| !in_use.iter().any(|it| it.name == section.name);
        let why = |section: &Section, setting: &Setting| {
            let why = section.absent.replace("{task}", &self.data.task);
            format!("{}: {}", setting.key, why.replace("{method}", &self.optimization.method))
        };
        let all = super::sections().into_iter().filter(|section| unread(section));
        let all = all.flat_map(|section| section.settings.iter().map(move |setting| (section, setting)));
        let wanted = all.filter(|(section, setting)| {
            given.get(setting.key).is_some_and(|value| (section.defaults)().get(setting.key) != Some(value))
        });
        wanted.map(|(section, setting)| why(section, setting)).collect()
    }
}

fn refuse(problems: &[String]) -> Result<()> {
    match problems {
        [] => Ok(()),
        [one] => bail!("{one}"),
        many => bail!("{} problems:\n  {}", many.len(), many.join("\n  ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Settings;
    use crate::task::{ClassificationSettings, ImageSettings, TASKS, TextSettings, TokenSettings};

    fn recipe(text: &str) -> Recipe {
        text.parse().unwrap()
    }

    /// The first task that has a section and lacks another.
    fn task_with(has: &Section, lacks: &Section) -> &'static str {
        let named = |task: &str, section: &Section| task::sections(task).iter().any(|it| it.name == section.name);
        TASKS.iter().map(|task| task.name).find(|task| named(task, has) && !named(task, lacks)).unwrap()
    }

    fn names(recipe: &Recipe) -> Vec<String> {
        let lines = recipe.misplaced(&recipe.others).into_iter();
        lines.map(|line| line.split(':').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn all_problems_are_listed_at_once() {
        let text = recipe("batch-size = 0\nschedule = 'magic'\nmethod = 'last:x'\ntask = 'telepathy'\nlora-rank = 0");
        let text = text.validate().unwrap_err().to_string();
        for part in
            ["model:", "train:", "output:", "batch-size:", "schedule: `magic`", "method:", "task:", "lora-rank:"]
        {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn what_nothing_reads_is_refused() {
        let text =
            "lora-rank = 4\nlora-targets = ['query']\nimage-size = 64\naugmentation = 'strong'\nrevision = 'main'";
        let folder = recipe(&format!("{text}\nmodel = '{}'", env!("CARGO_MANIFEST_DIR")));
        assert_eq!(names(&folder), ["image-size", "augmentation", "lora-rank", "lora-targets"]);
        let said = folder.validate().unwrap_err().to_string();
        for part in ["lora-rank: only --method lora has adapters, not `full`", "has no images", "is a folder"] {
            assert!(said.contains(part), "{part} is missing in {said}");
        }
        let fits = folder.with(&"method = 'lora'\nmodel = 'org/name'".parse().unwrap()).unwrap();
        assert_eq!(names(&fits), ["image-size", "augmentation"]);
        let mut images = recipe("image-size = 64\nmax-length = 64\nbatch-by = 'examples'");
        images.data.task = task_with(ImageSettings::SECTION, TextSettings::SECTION).into();
        assert_eq!(names(&images), ["max-length"], "a usual value does no harm");
        let mut unlabelled = recipe("class-weights = 'balanced'\nproblem = 'auto'");
        unlabelled.data.task = task_with(ImageSettings::SECTION, ClassificationSettings::SECTION).into();
        assert_eq!(names(&unlabelled), ["class-weights"]);
        assert!(Recipe::default().misplaced(&Table::new()).is_empty());
        let unread =
            "baselines = 'majority'\nbaseline-learning-rate = 1e-3\nvalidation = 'v'\nvalidation-fraction = 0.3";
        let said = recipe(unread).validate().unwrap_err().to_string();
        assert!(said.contains("no baseline starts") && said.contains("--validation names"), "{said}");
    }

    #[test]
    fn a_model_is_used_as_it_was_trained_unless_told_otherwise() {
        let trained = recipe("text-column = 'review'\nmax-length = 64\nepochs = 9\nimage-size = 32");
        let given = |text: &str| trained.at_use(&text.parse().unwrap());
        let used = given("text-column = 'other'").unwrap();
        let text: TextSettings = used.read().unwrap();
        let tokens: TokenSettings = used.read().unwrap();
        assert_eq!((text.text_column.as_str(), tokens.max_length), ("other", Some(64)));
        assert_eq!(used.read::<ImageSettings>().unwrap().image_size, None, "the model's processor says it");
        let refused = |text: &str| format!("{:#}", given(text).unwrap_err());
        assert!(refused("image-column = 'scan'").contains("image-column: text-classification has no images"));
        assert!(refused("epochs = 1").contains("epochs: belongs to training"));
        assert!(refused("max-length = 0").contains("max-length: 0 is not at least 1"));
        assert!(refused("txt-column = 'a'").contains("unknown key `txt-column`"));
    }
}

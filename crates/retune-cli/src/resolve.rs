//! Defaults, recipe file and flags become one recipe: a flag wins over the file, the file over the defaults.

use crate::arguments::FinetuneArguments;
use crate::quickstart;
use anyhow::{Context, Result, anyhow, bail};
use retune_engine::{Recipe, Start, recipe};
use std::fs;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Model of the quickstart, and of runs that name none.
const DEFAULT_MODEL: &str = "sentence-transformers/all-MiniLM-L6-v2";

/// A run that is ready to start.
pub(crate) struct Resolved {
    pub(crate) recipe: Recipe,
    pub(crate) start: Start,
    /// Whether the built-in data must be written first.
    pub(crate) quickstart: bool,
    /// Choices made for the user, worth a line each.
    pub(crate) notes: Vec<String>,
}

/// Resolves the arguments; runs that name no folder get one in `runs`.
pub(crate) fn resolve(arguments: &FinetuneArguments, runs: &Path) -> Result<Resolved> {
    let flags = arguments.flags.0.clone();
    let file = recipe_file(arguments, runs).map(|path| read(&path)).transpose()?;
    let nothing_named = ["train", "model", "validation", "test"].iter().all(|key| !flags.contains_key(*key));
    let quickstart = file.is_none() && nothing_named;
    let has_output = flags.contains_key("output") || file.as_ref().is_some_and(|table| table.contains_key("output"));
    let mut table = if quickstart { quickstart::recipe(DEFAULT_MODEL) } else { file.unwrap_or_default() };
    table.extend(flags);

    let mut notes = Vec::new();
    let made = table.contains_key("config");
    if !quickstart && !made && !table.contains_key("model") && table.contains_key("train") {
        table.insert("model".to_owned(), DEFAULT_MODEL.into());
        notes.push(format!("no --model given: starting from {DEFAULT_MODEL}"));
    }
    let mut recipe = Recipe::from_table(table)?;
    let mut overwrite = arguments.overwrite;
    if quickstart {
        notes.push(format!("quickstart: {DEFAULT_MODEL} learns to tell positive from negative reviews"));
        if !has_output {
            recipe.run.output = runs.join("quickstart");
            overwrite = true;
        }
        quickstart::set_data(&mut recipe);
    } else if !has_output {
        if arguments.resume {
            bail!(
                "--resume: name the folder of the run with --output, or its recipe: retune finetune OUTPUT/recipe.toml --resume"
            );
        }
        recipe.run.output = default_output(runs, &recipe, overwrite);
        notes.push(format!("no --output given: the run goes to {}", recipe.run.output.display()));
    }
    let start = match (arguments.resume, overwrite) {
        // A quickstart that left a recipe would have been taken up from there.
        (true, _) if quickstart => {
            notes.push(format!("{} holds no run yet: starting one", recipe.run.output.display()));
            Start::New
        }
        (true, _) => Start::Resume,
        (false, true) => Start::Overwrite,
        (false, false) => Start::New,
    };
    Ok(Resolved { recipe, start, quickstart, notes })
}

/// The recipe file to start from: the one given, or the one a resumed run left in its folder.
fn recipe_file(arguments: &FinetuneArguments, runs: &Path) -> Option<PathBuf> {
    if arguments.recipe.is_some() || !arguments.resume {
        return arguments.recipe.clone();
    }
    let flags = &arguments.flags.0;
    let output = match flags.get("output").and_then(Value::as_str) {
        Some(output) => PathBuf::from(output),
        None if !flags.contains_key("train") && !flags.contains_key("model") => runs.join("quickstart"),
        None => return None,
    };
    Some(output.join("recipe.toml")).filter(|path| path.is_file())
}

/// Reads a recipe file and checks its keys; problems name line and column.
fn read(path: &Path) -> Result<Table> {
    let table = recipe::read(path)?;
    match Recipe::from_table(table.clone()) {
        Ok(_) => Ok(table),
        Err(error) => Err(locate(path, &table).unwrap_or(error)).with_context(|| format!("recipe {}", path.display())),
    }
}

/// Finds the place of the first key that does not fit, and what may have been meant.
fn locate(path: &Path, table: &Table) -> Option<anyhow::Error> {
    let text = fs::read_to_string(path).ok()?;
    let wrong = |(key, value): (&String, &Value)| match recipe::setting(key) {
        Some((_, setting)) => {
            setting.kind.normal(value.clone()).err().map(|why| (key.clone(), format!("`{key}`: {why}")))
        }
        None => Some((key.clone(), format!("unknown key `{key}`; {}", remedy(key)))),
    };
    let (key, problem) = table.iter().find_map(wrong)?;
    let line = text.lines().position(|line| {
        let name = line.split('=').next().unwrap_or_default().trim();
        name.trim_matches(['"', '\'', '[', ']']) == key
    });
    let place = line.map_or_else(String::new, |line| {
        let indent = text.lines().nth(line).map_or(0, |l| l.chars().take_while(|c| c.is_whitespace()).count());
        format!("line {}, column {}: ", line + 1, indent + 1)
    });
    Some(anyhow!("{place}{problem}"))
}

/// What may have been meant by a key that there is not.
fn remedy(key: &str) -> String {
    let known = recipe::sections().into_iter().flat_map(|section| section.settings).map(|setting| setting.key);
    let nearest = known.map(|name| (strsim::jaro_winkler(name, key), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, name)) if likeness > 0.75 => format!("did you mean `{name}`?"),
        _ => "`retune finetune --help` lists all keys".to_owned(),
    }
}

/// `runs/TASK-METHOD`, or the first free number after it.
fn default_output(runs: &Path, recipe: &Recipe, reuse: bool) -> PathBuf {
    let name = format!("{}-{}", recipe.data.task, recipe.optimization.method)
        .replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-");
    let first = runs.join(&name);
    if reuse || !first.exists() {
        return first;
    }
    let numbered = (2u64..).map(|number| runs.join(format!("{name}-{number}")));
    numbered.into_iter().find(|path| !path.exists()).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Cli, Command};
    use clap::{CommandFactory, Parser};
    use retune_engine::method::LoraSettings;
    use std::collections::BTreeSet;

    fn arguments(line: &str) -> FinetuneArguments {
        let words = ["retune", "finetune"].into_iter().chain(line.split_whitespace());
        match Cli::try_parse_from(words).unwrap().command {
            Command::Finetune(arguments) => *arguments,
            other => panic!("{other:?}"),
        }
    }

    fn with_recipe(text: &str, line: &str) -> Result<Resolved> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.toml");
        fs::write(&path, text).unwrap();
        let arguments = FinetuneArguments { recipe: Some(path), ..arguments(line) };
        resolve(&arguments, &folder.path().join("runs"))
    }

    fn refused(text: &str) -> String {
        format!("{:#}", with_recipe(text, "").err().expect("the recipe is refused"))
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file = "model = 'm'\ntrain = 'a.csv'\noutput = 'o'\nepochs = 5\nbatch-size = 7\nlora-targets = ['key']\n";
        let it = with_recipe(file, "--batch-size 9 --lora-targets query,value --seed 3 --steps 11").unwrap();
        assert_eq!((it.recipe.optimization.batch_size, it.recipe.optimization.epochs, it.recipe.run.seed), (9, 5.0, 3));
        assert_eq!(it.recipe.read::<LoraSettings>().unwrap().lora_targets, ["query", "value"]);
        assert_eq!((it.recipe.optimization.steps, it.recipe.optimization.weight_decay), (Some(11), 0.01));
        assert_eq!((it.recipe.run.output.as_path(), it.recipe.data.model.as_str()), (Path::new("o"), "m"));
        assert!(matches!(it.start, Start::New) && it.notes.is_empty() && !it.quickstart);
    }

    #[test]
    fn every_key_of_a_recipe_is_a_flag() {
        let command = Cli::command();
        let finetune = command.find_subcommand("finetune").unwrap();
        let modes = ["resume", "overwrite", "help", "verbose", "quiet"];
        let flags = finetune.get_arguments().filter_map(|it| it.get_long()).filter(|it| !modes.contains(it));
        let keys = recipe::sections().into_iter().flat_map(|section| section.settings).map(|it| it.key);
        assert_eq!(keys.collect::<BTreeSet<_>>(), flags.collect());
    }

    #[test]
    fn wrong_keys_and_values_are_named_with_their_place() {
        let text = refused("model = 'm'\n  learning_rate = 1e-4\n");
        assert!(
            text.contains("r.toml: line 2, column 3: unknown key `learning_rate`; did you mean `learning-rate`?"),
            "{text}"
        );
        let text = refused("model = 'm'\n\nbatch-size = 'many'\n");
        assert!(text.contains("line 3, column 1: `batch-size`: invalid type"), "{text}");
        let text = refused("model = \n");
        assert!(text.contains("line 1"), "{text}");
        assert!(refused("zzz = 1").contains("unknown key `zzz`; `retune finetune --help`"));
    }

    #[test]
    fn a_number_of_steps_between_evaluations_may_stand_as_a_number() {
        let it = with_recipe("model = 'm'\ntrain = 't'\nevaluate-every = 50", "").unwrap();
        assert_eq!(it.recipe.run.evaluate_every, "50");
    }

    #[test]
    fn nothing_named_is_the_quickstart() {
        let it = resolve(&arguments(""), Path::new("runs")).unwrap();
        assert!(it.quickstart && matches!(it.start, Start::Overwrite));
        let recipe = &it.recipe;
        assert_eq!(recipe.data.model, DEFAULT_MODEL);
        assert_eq!((recipe.optimization.epochs, recipe.optimization.batch_size, recipe.run.seed), (3.0, 32, 42));
        assert_eq!((recipe.optimization.learning_rate, recipe.run.baselines.as_str()), (Some(5e-5), "all"));
        assert_eq!(recipe.run.output, Path::new("runs/quickstart"));
        assert_eq!(recipe.data.train.as_deref(), Some(Path::new("runs/quickstart/data/train.csv")));
        recipe.validate().unwrap();

        let it = resolve(&arguments("--output there --epochs 1 --baselines majority"), Path::new("runs")).unwrap();
        assert!(it.quickstart && matches!(it.start, Start::New), "a named folder is never replaced unasked");
        assert_eq!((it.recipe.optimization.epochs, it.recipe.run.baselines.as_str()), (1.0, "majority"));
        assert_eq!(it.recipe.data.test.as_deref(), Some(Path::new("there/data/test.csv")));

        let it = resolve(&arguments("--resume"), Path::new("no-such-runs")).unwrap();
        assert!(it.quickstart && matches!(it.start, Start::New), "nothing is there to be continued");
        assert!(!resolve(&arguments("--model m"), Path::new("runs")).unwrap().quickstart);
    }

    #[test]
    fn training_data_alone_brings_the_default_model_and_a_free_folder() {
        let folder = tempfile::tempdir().unwrap();
        let name = |line: &str| {
            let it = resolve(&arguments(line), folder.path()).unwrap();
            assert_eq!(it.recipe.data.model, DEFAULT_MODEL);
            assert!(
                it.notes[0].contains(DEFAULT_MODEL) && it.notes[1].contains(&*it.recipe.run.output.to_string_lossy())
            );
            it.recipe.run.output.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(name("--train a.csv --method last:2"), "text-classification-last-2");
        fs::create_dir(folder.path().join("text-classification-last-2")).unwrap();
        assert_eq!(name("--train a.csv --method last:2"), "text-classification-last-2-2");
        fs::create_dir(folder.path().join("text-classification-last-2-2")).unwrap();
        assert_eq!(name("--train a.csv --method last:2"), "text-classification-last-2-3");
        assert_eq!(name("--train a.csv --method last:2 --overwrite"), "text-classification-last-2");
    }

    #[test]
    fn resuming_takes_up_the_recipe_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("recipe.toml"), "model = 'm'\ntrain = 't.csv'\noutput = 'moved'\nepochs = 9")
            .unwrap();
        let line = format!("--resume --output {}", folder.path().display());
        let it = resolve(&arguments(&line), Path::new("runs")).unwrap();
        assert!(matches!(it.start, Start::Resume) && !it.quickstart);
        assert_eq!((it.recipe.run.output.as_path(), it.recipe.optimization.epochs), (folder.path(), 9.0));
        assert!(resolve(&arguments("--resume --train a.csv"), Path::new("runs")).is_err());
    }
}

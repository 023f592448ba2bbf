//! Texts with others that are to be written for them: in two columns, by language in Hugging Face's `translation` column, or in two
//! files.

use crate::Recipe;
use crate::recipe::settings::{AT_LEAST_ONE, DATA, settings};
use anyhow::{Context, Result, ensure};
use retune_data::{Layout, OnBadExample, ParallelFiles, TableRows, column_names, inner_keys};
use std::path::Path;
use std::sync::Arc;

settings! {
    /// Two columns, and what becomes of them.
    pub(super) struct PairedTextSettings, under DATA, else "{task} does not make one text of another" {
        /// Column with what is read; of a table without a line of names its number, from 1
        source_column: String = "source".to_owned(), value("COLUMN"), at_use();
        /// Column with what is to be written; for evaluation its cells may be lists of several right texts
        target_column: String = "target".to_owned(), value("COLUMN"), at_use();
        /// Language of what is read: a key of Hugging Face's `translation` column, the ending of one of two files, or a code of a model
        /// that knows several
        source_language: Option<String>, value("CODE"), at_use();
        /// Language of what is to be written
        target_language: Option<String>, value("CODE"), at_use();
        /// Words before each text that is read, such as `translate English to German: `
        source_prefix: String, value("TEXT"), at_use();
        /// Longest text to learn to write, in tokens
        target_length: Option<usize>, value("TOKENS"), usual("the model's longest"), range(AT_LEAST_ONE);
    }
}

/// Hugging Face's column of objects with a text for each language.
const TRANSLATION: &str = "translation";

/// Reads a table, or two parallel files of which one is named; with `targets` each row must say what is to be written.
pub(super) fn read(
    settings: &PairedTextSettings,
    path: &Path,
    group: Option<String>,
    targets: bool,
    on_bad_example: OnBadExample,
) -> Result<TableRows> {
    if let Some(files) = parallel(settings, path, targets)? {
        return Ok(TableRows::read_parallel(&files, &of_lines(settings, group), targets, on_bad_example)?);
    }
    Ok(TableRows::read(path, &layout(settings, path, group)?, targets, on_bad_example)?)
}

fn parallel(settings: &PairedTextSettings, path: &Path, targets: bool) -> Result<Option<ParallelFiles>> {
    let languages = [settings.source_language.as_deref(), settings.target_language.as_deref()];
    Ok(ParallelFiles::of(path, languages, targets)?)
}

/// The columns of a file: those that the recipe names; else, with languages, those of the languages in `translation` or by name.
fn layout(settings: &PairedTextSettings, path: &Path, group: Option<String>) -> Result<Layout> {
    let usual = PairedTextSettings::default();
    let (mut source, mut target) = (settings.source_column.clone(), settings.target_column.clone());
    let unnamed = (source == usual.source_column, target == usual.target_column);
    if unnamed.0 || unnamed.1 {
        let present = column_names(path)?;
        let has = |name: &str| present.iter().any(|column| column.trim() == name);
        let find = |language: &Option<String>, usual: &str| {
            let code = language.as_deref().filter(|_| !has(usual))?;
            // A model's `en_XX` is the `en` of most data.
            let short = code.split('_').next().unwrap_or(code);
            [code, short].into_iter().find(|name| has(name)).map(str::to_owned).or_else(|| {
                let inside = keys(path, &present);
                let key = [code, short].into_iter().find(|name| inside.iter().any(|key| key == name));
                has(TRANSLATION).then(|| format!("{TRANSLATION}.{}", key.unwrap_or(short)))
            })
        };
        let unsaid = settings.source_language.is_none() || settings.target_language.is_none();
        let inside = if unsaid && has(TRANSLATION) { keys(path, &present) } else { Vec::new() };
        let lacking = (unnamed.0 && !has(&source)) || (unnamed.1 && !has(&target));
        ensure!(
            !lacking || inside.is_empty(),
            "{}: the column `{TRANSLATION}` holds texts by language ({}); say from which to which with --source-language and \
             --target-language",
            path.display(),
            inside.join(", ")
        );
        if unnamed.0 {
            source = find(&settings.source_language, &usual.source_column).unwrap_or(source);
        }
        if unnamed.1 {
            target = find(&settings.target_language, &usual.target_column).unwrap_or(target);
        }
    }
    Ok(of_columns(source, target, group))
}

/// The texts of a run's training file on both sides, before there is a tokenizer.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn training_pairs(recipe: &Recipe) -> Result<Arc<TableRows>> {
    let settings = recipe.read::<PairedTextSettings>()?;
    let path = recipe.data.train.as_deref().context("train: give a training file (--train)")?;
    let files = parallel(&settings, path, true)?;
    let columns = if files.is_some() { of_lines(&settings, None) } else { layout(&settings, path, None)? };
    let both = columns.input_columns().chain(columns.label_columns()).map(str::to_owned);
    let both = Layout::texts(both.map(|name| (name, "--source-column or --target-column")).collect::<Vec<_>>());
    let on_bad_example = recipe.data.on_bad_example.parse()?;
    Ok(Arc::new(match files {
        Some(files) => TableRows::read_parallel(&files, &both, false, on_bad_example)?,
        None => TableRows::read(path, &both, false, on_bad_example)?,
    }))
}

/// The columns of lines of a stream.
pub(super) fn of_lines(settings: &PairedTextSettings, group: Option<String>) -> Layout {
    of_columns(settings.source_column.clone(), settings.target_column.clone(), group)
}

fn of_columns(source: String, target: String, group: Option<String>) -> Layout {
    Layout::texts([(source, "--source-column")]).labels([target]).target("--target-column", "target").group(group)
}

/// Languages of the `translation` column of a file, as its first row has them; nothing where they cannot be told.
fn keys(path: &Path, present: &[String]) -> Vec<String> {
    if !present.iter().any(|column| column.trim() == TRANSLATION) {
        return Vec::new();
    }
    inner_keys(path, TRANSLATION).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_language() {
        let folder = tempfile::tempdir().unwrap();
        let named = |text: &str, file: &str, settings: &PairedTextSettings| {
            let path = folder.path().join(file);
            std::fs::write(&path, text).unwrap();
            let layout = layout(settings, &path, None).unwrap();
            layout.input_columns().next().unwrap().to_owned()
        };
        let usual = PairedTextSettings::default();
        let languages = |source: &str| PairedTextSettings {
            source_language: Some(source.to_owned()),
            target_language: Some("de".to_owned()),
            ..PairedTextSettings::default()
        };
        let object = "{\"translation\": {\"en\": \"a\", \"de\": \"b\"}}\n";
        assert_eq!(named("source,target\na,b\n", "a.csv", &usual), "source");
        assert_eq!(named("source,target\na,b\n", "b.csv", &languages("en")), "source");
        assert_eq!(named("en,de\na,b\n", "c.csv", &languages("en_XX")), "en");
        assert_eq!(named(object, "d.jsonl", &languages("en")), "translation.en");
        assert_eq!(named(object, "e.jsonl", &languages("en_XX")), "translation.en");
        let own = PairedTextSettings { source_column: "x".to_owned(), ..languages("en") };
        assert_eq!(named(object, "f.jsonl", &own), "x");
        let spelled = "id,translation\n0,\"{'en': 'a', 'de': 'b'}\"\n";
        assert_eq!(named(spelled, "g.csv", &languages("en_XX")), "translation.en");
        std::fs::write(folder.path().join("h.jsonl"), object).unwrap();
        let said = layout(&usual, &folder.path().join("h.jsonl"), None).unwrap_err().to_string();
        assert!(said.contains("by language (en, de)") && said.contains("--source-language"), "{said}");
    }

    #[test]
    fn pairs_stand_in_two_files_or_in_columns_without_names() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let pair = |settings: &PairedTextSettings, path: &Path| {
            let rows = super::read(settings, path, None, true, OnBadExample::Fail).unwrap();
            let text = |cells: Vec<retune_data::Cell>| cells[0].name().unwrap();
            (retune_data::Records::len(&rows), text(rows.inputs(0).unwrap()), text(rows.label_cells(0).unwrap()))
        };
        let said = |count: usize, source: &str, target: &str| (count, source.to_owned(), target.to_owned());
        let (english, _) = (write("train.en", "a\n"), write("train.de", "b\n"));
        assert_eq!(pair(&PairedTextSettings::default(), &english), said(1, "a", "b"));
        let back = PairedTextSettings { source_language: Some("de".to_owned()), ..PairedTextSettings::default() };
        assert_eq!(pair(&back, &english), said(1, "b", "a"));
        let numbers = |source: &str, target: &str| PairedTextSettings {
            source_column: source.to_owned(),
            target_column: target.to_owned(),
            ..PairedTextSettings::default()
        };
        let tatoeba = write("fra.txt", "Go.\tVa !\tCC-BY 2.0\r\nHi, \"you\".\tSalut.\tCC-BY 2.0\r\n");
        assert_eq!(pair(&numbers("1", "2"), &tatoeba), said(2, "Go.", "Va !"));
        let named = write("a.tsv", "en\tfr\nGo.\tVa !\n");
        assert_eq!(pair(&numbers("en", "fr"), &named), said(1, "Go.", "Va !"));
        let languages = PairedTextSettings { target_language: Some("fr".to_owned()), ..back };
        let spelled = write("a.csv", "translation\n\"{'de': \"\"it's\"\", 'fr': 'b'}\"\n");
        assert_eq!(pair(&languages, &spelled), said(1, "it's", "b"));
    }
}

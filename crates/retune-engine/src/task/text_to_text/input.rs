//! The tokens of what is read and of what is to be written, in the languages of the model.

use crate::Recipe;
use crate::task::pairs::{self, PairedTextSettings};
use crate::task::parts::{NextRows, STREAM};
use crate::task::texts::{TextInput, TokenSettings};
use crate::task::writing::{self, positions};
use anyhow::{Context, Result, anyhow, bail, ensure};
use retune_data::{
    DecoderInput, Examples, LanguagePlace, OnBadExample, Prefixed, SplitFacts, TRUNCATED, TableLines, TableRows,
    Targets, Text, Tokenizer, WrittenTexts, references,
};
use retune_kernels::random;
use retune_models::checkpoint::write_json;
use retune_models::generate::GenerationSettings;
use retune_models::{ModelConfig, registry};
use serde_json::{Map, Value, json};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Longest text that is read when nobody says otherwise.
const USUAL_SOURCE: usize = 1024;

/// How texts become a model's input and its targets.
pub(super) struct PairInput {
    source: TextInput,
    /// Cuts and reads what is written.
    pub(super) target: Tokenizer,
    /// Longest target, where there is an end.
    longest: Option<usize>,
    settings: PairedTextSettings,
    /// What stands before each text that is read.
    prefix: String,
    /// The token of the language that is written, where the model has to be told it.
    language: Option<Language>,
    config: ModelConfig,
    group: Option<String>,
    on_bad_example: OnBadExample,
}

/// What a search has to know of the language that is written.
#[derive(Clone, Copy)]
enum Language {
    /// The first token of what is written.
    Forced(i64),
    /// The token that a decoder begins with.
    Begin(i64),
}

/// Tokens of what is read, with targets where there are any.
pub(super) type Pairs = Examples<Text, WrittenTexts>;

impl PairInput {
    /// For a model folder.
    ///
    /// # Errors
    /// A tokenizer that does not fit the model, languages that it does not know.
    pub(super) fn of(recipe: &Recipe, model: &Path, config: &ModelConfig) -> Result<Self> {
        let (settings, tokens) = (recipe.read::<PairedTextSettings>()?, recipe.read::<TokenSettings>()?);
        let mut source = TextInput::up_to(USUAL_SOURCE, tokens.max_length, model, config)?;
        let mut target = Tokenizer::load_target(model)?;
        let rows =
            config.number_or("decoder_vocab_size", config.number_or("vocab_size", f64::from(u32::MAX))?)? as usize;
        ensure!(
            target.vocabulary_size() <= rows,
            "{}: the tokenizer of what is written has {} pieces, but the model writes {rows}; they do not belong together",
            model.display(),
            target.vocabulary_size()
        );
        let mut prefix = settings.source_prefix.clone();
        let mut language = None;
        if let Some(languages) = source.tokenizer.languages() {
            let chosen = |given: &Option<String>, written: bool, key: &str| -> Result<String> {
                let usual = source.tokenizer.usual_language(written).map(str::to_owned);
                let code = given.clone().or(usual).with_context(|| {
                    let known = languages.codes.join(", ");
                    format!("{key}: this model knows several languages; give one of {known}")
                })?;
                known(&code, &languages.codes).context(key.to_owned())
            };
            match languages.place {
                LanguagePlace::Asked => {
                    if settings.target_language.is_some() {
                        let code = chosen(&settings.target_language, true, "target-language")?;
                        let token = languages.token(&code).map_err(|problem| anyhow!(problem))?;
                        prefix = format!("{token} {prefix}");
                    }
                }
                place => {
                    let from = chosen(&settings.source_language, false, "source-language")?;
                    let to = chosen(&settings.target_language, true, "target-language")?;
                    source.tokenizer = source.tokenizer.for_language(&from)?;
                    target = target.for_language(&to)?;
                    let token = languages.token(&to).map_err(|problem| anyhow!(problem))?;
                    let id = target.token_id(&token).map(i64::from).context("a token of the tokenizer")?;
                    language =
                        Some(if place == LanguagePlace::Before { Language::Forced(id) } else { Language::Begin(id) });
                }
            }
        }
        let longest = match (settings.target_length, positions(config)?) {
            (Some(given), Some(most)) => {
                ensure!(given <= most, "target-length: {given} is more than the {most} positions this model has");
                Some(given)
            }
            (given, most) => given.or(most),
        };
        Ok(Self {
            source,
            target,
            longest,
            settings,
            prefix,
            language,
            config: config.clone(),
            group: recipe.data.group_column.clone(),
            on_bad_example: recipe.data.on_bad_example.parse()?,
        })
    }

    /// The same settings with what the language that is written asks for.
    pub(super) fn generation(&self, mut settings: GenerationSettings) -> Result<GenerationSettings> {
        match self.language {
            Some(Language::Forced(token)) => settings.forced_begin = Some(token),
            Some(Language::Begin(token)) => settings.begin = Some(token),
            None => (),
        }
        writing::within(settings, &self.config)
    }

    /// Tokens of a text that is read at most.
    pub(super) fn max_length(&self) -> usize {
        self.source.max_length
    }

    /// Tokens of one text to be read, behind what stands before each.
    ///
    /// # Errors
    /// A text that is too long, or has no token.
    pub(super) fn tokens(&self, text: &str) -> Result<Vec<i64>> {
        let most = self.source.max_length;
        let tokens = self.source.tokenizer.encode(&format!("{}{text}", self.prefix), None, most)?;
        ensure!(
            !tokens.truncated,
            "the text is longer than the {most} tokens that are read at once (--max-length, where the model has places for more)"
        );
        ensure!(!tokens.ids.is_empty(), "the text is empty, and this model's tokenizer puts no token around texts");
        Ok(tokens.ids.into_iter().map(i64::from).collect())
    }

    /// Changes with what rows depend on, beside the texts.
    pub(super) fn fingerprint(&self) -> u64 {
        let words = [random::name_key(&self.prefix), random::name_key(&format!("{:?}", self.settings.target_language))];
        random::mix(&[self.source.max_length as u64, words[0], words[1]])
    }

    /// Reads a file; with `targets` each row must say what is to be written.
    pub(super) fn read(&self, path: &Path, targets: bool) -> Result<Arc<TableRows>> {
        Ok(Arc::new(pairs::read(&self.settings, path, self.group.clone(), targets, self.on_bad_example)?))
    }

    /// Reads texts of a stream.
    pub(super) fn lines<'a>(&self, reader: Box<dyn BufRead + 'a>) -> Result<NextRows<'a, Arc<TableRows>>> {
        let layout = pairs::of_lines(&self.settings, self.group.clone());
        let lines = TableLines::new(reader, Path::new(STREAM), &layout)?;
        let mut lines = lines.on_bad_example(self.on_bad_example);
        Ok(Box::new(move |most| Ok(lines.next_rows(most)?.map(Arc::new))))
    }

    /// Tokens of rows. What is longer than the model can write is refused where it is to be learnt, and cut where it is only
    /// compared with.
    pub(super) fn encode(
        &self,
        rows: Arc<TableRows>,
        targets: bool,
        learnt: bool,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Pairs> {
        let targets = if targets { self.targets(&rows)? } else { None };
        let options = self.source.options().on_bad_example(self.on_bad_example);
        let before = Prefixed::new(Arc::clone(&rows), &self.prefix);
        let mut text = Text::encode(&before, &self.source.tokenizer, &options, progress)?.beside_another();
        if let Some(targets) = &targets {
            let problems = self.problems(targets, learnt);
            if !problems.is_empty() {
                text = text.without(&before, problems, self.on_bad_example)?;
            }
        }
        Ok(Examples::new(rows, text, targets)?)
    }

    fn targets(&self, rows: &TableRows) -> Result<Option<WrittenTexts>> {
        let Some(all) = references(rows)? else { return Ok(None) };
        let texts = WrittenTexts::encode(all, &self.target, self.longest.unwrap_or(usize::MAX))?;
        let begin = registry::target_begin(&self.config)?;
        let shift = move |ids: &[i64]| begin.shift_row(ids);
        Ok(Some(texts.with_decoder(DecoderInput { shift: Arc::new(shift), padding: begin.padding })))
    }

    /// Rows whose targets cannot be used, and why.
    fn problems(&self, targets: &WrittenTexts, learnt: bool) -> Vec<(usize, String)> {
        let nothing = |row: &usize| targets.references(*row).iter().any(|text| text.trim().is_empty());
        let empty = (0..Targets::<Text>::len(targets)).filter(nothing);
        let empty = empty.map(|row| (row, "has an empty target; fill it in or remove the row".to_owned()));
        let longest = self.longest.unwrap_or(usize::MAX);
        let long = targets.cut().iter().filter(|_| learnt).map(|&row| {
            let problem = format!(
                "has a target of more than {longest} tokens, the most that are to be written; shorten it, remove the row, or \
                 give more with --target-length where the model has places for it"
            );
            (row, problem)
        });
        let mut all: Vec<(usize, String)> = empty.chain(long).collect();
        all.sort_by_key(|(row, _)| *row);
        all
    }

    /// What a person should know of this tokenizer.
    pub(super) fn notes(&self) -> Vec<String> {
        let tokenizer = &self.source.tokenizer;
        let mut notes = Vec::new();
        if !tokenizer.has_padding_token() {
            let filler = tokenizer.token(tokenizer.pad_id()).unwrap_or_default();
            notes.push(format!("the tokenizer has no padding token; `{filler}` fills rows, where nothing sees it"));
        }
        let named = self.settings.source_language.is_some() || self.settings.target_language.is_some();
        if named && tokenizer.languages().is_none() {
            notes.push(
                "this model's tokenizer has no tokens of languages: --source-language and --target-language choose \
                 columns at most"
                    .to_owned(),
            );
        }
        notes
    }

    /// How many texts are cut, of each split.
    pub(super) fn cut_notes(&self, about: &crate::task::About) -> Vec<String> {
        let cut =
            about.facts.splits.iter().filter_map(|split| Some((split, split.count(TRUNCATED).filter(|&n| n > 0)?)));
        let note = |(split, cut): (&SplitFacts, u64)| {
            format!(
                "{}: {cut} of {} sources are longer than {} tokens and are cut; --max-length changes that",
                split.name,
                split.examples,
                self.max_length()
            )
        };
        cut.map(note).collect()
    }

    /// Files that belong into the saved model, those that change among them in a folder of their own.
    pub(super) fn files(
        &self,
        model: &Path,
        generation: &GenerationSettings,
        own: &Map<String, Value>,
    ) -> Result<(Vec<PathBuf>, TempDir)> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let mut made = vec![folder.path().join("generation_config.json")];
        write_json(&made[0], &super::generation::saved(generation, own))?;
        let languages = [("src_lang", &self.settings.source_language), ("tgt_lang", &self.settings.target_language)];
        let path = model.join("tokenizer_config.json");
        let chosen = self.language.is_some() && languages.iter().any(|(_, language)| language.is_some());
        if chosen && path.is_file() {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let mut config: Value = serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
            let codes = self.source.tokenizer.languages().map(|it| it.codes).unwrap_or_default();
            for (key, language) in languages {
                if let Some(code) = language {
                    config[key] = json!(known(code, &codes)?);
                }
            }
            let object = config.as_object().context("tokenizer_config.json is no object")?;
            made.push(folder.path().join("tokenizer_config.json"));
            write_json(&made[1], object)?;
        }
        let is_made = |file: &PathBuf| made.iter().any(|made| made.file_name() == file.file_name());
        let mut files: Vec<PathBuf> = self.source.files().into_iter().filter(|file| !is_made(file)).collect();
        files.extend(made);
        Ok((files, folder))
    }
}

/// The code that is meant: itself, or the only one of that language.
fn known(code: &str, codes: &[String]) -> Result<String> {
    if codes.iter().any(|known| known == code) {
        return Ok(code.to_owned());
    }
    let of_language: Vec<&String> =
        codes.iter().filter(|known| known.split_once('_').is_some_and(|(language, _)| language == code)).collect();
    match of_language[..] {
        [one] => Ok(one.clone()),
        _ => bail!("the tokenizer has no language `{code}`; it knows {}", codes.join(", ")),
    }
}

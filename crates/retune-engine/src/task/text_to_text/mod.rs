//! One text becomes another: translation, summaries, answers in a model's own words.
//!
//! transformers' `…ForConditionalGeneration` and `MarianMTModel`, trained as `run_translation.py` and `run_summarization.py` do it.
//! B rows, T tokens of what is read, S of what is written, V vocabulary.
//!
//! | file | holds |
//! |---|---|
//! | `settings` | how translations are judged |
//! | `input` | their tokens, and the languages of the model |
//! | `generation` | how a saved model writes |
//! | `scorer` | what was written beside what is right |
//! | `writer` | one text at a time, on a terminal |

mod generation;
mod input;
mod scorer;
mod settings;
mod writer;

pub(super) use writer::Rewriter;

use super::class_loss::SmoothingSettings;
use super::from_scratch::FromScratchSettings;
use super::generation::GenerationFlags;
use super::pairs::PairedTextSettings;
use super::splits::Encoded;
use super::texts::{BatchSettings, TokenSettings};
use super::{
    BatchTensors, Data, Entry, Guess, Opening, Parts, Phase, Prepared, Preparing, Scorer, Task, Turn, Work, parts,
    writing,
};
use crate::metric::{BleuWords, Measures, Said, TokenSums};
use crate::recipe::Settings;
use anyhow::{Context, Result};
use input::PairInput;
use retune_data::{Batching, Dataset, TableRows, Text, Tokenizer, WrittenTexts};
use retune_kernels::loss::{self, SummedLoss};
use retune_models::generate::GenerationSettings;
use retune_models::heads::{SEQUENCE_TO_SEQUENCE, target_token_loss};
use retune_models::{CheckpointFolder, NewHead, Tensors, registry};
use scorer::TextScorer;
use serde_json::{Map, Value, json};
use settings::TranslationSettings;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use tempfile::TempDir;

/// Texts in another language.
pub(super) static TRANSLATION: Entry = Entry {
    name: "translation",
    purpose: &SEQUENCE_TO_SEQUENCE,
    settings: &[
        PairedTextSettings::SECTION,
        TranslationSettings::SECTION,
        TokenSettings::SECTION,
        BatchSettings::SECTION,
        SmoothingSettings::SECTION,
        GenerationFlags::SECTION,
        FromScratchSettings::SECTION,
    ],
    decides: None,
    targets: &["labels"],
    loss: |_| Ok(Box::new(of_scores)),
    prepare: |from| prepare(from, Job::Translation),
    open: |from| open(from, Job::Translation),
};

/// Texts of any other kind.
pub(super) static TEXT_TO_TEXT: Entry = Entry {
    name: "text-to-text",
    settings: &[
        PairedTextSettings::SECTION,
        TokenSettings::SECTION,
        BatchSettings::SECTION,
        SmoothingSettings::SECTION,
        GenerationFlags::SECTION,
        FromScratchSettings::SECTION,
    ],
    prepare: |from| prepare(from, Job::Texts),
    open: |from| open(from, Job::Texts),
    purpose: &SEQUENCE_TO_SEQUENCE,
    decides: None,
    targets: &["labels"],
    loss: |_| Ok(Box::new(of_scores)),
};

/// What texts are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Translation,
    Texts,
}

impl Job {
    fn measures(self, recipe: &crate::Recipe) -> Result<Measures> {
        Ok(match self {
            Self::Translation => {
                let words = recipe.read::<TranslationSettings>()?.bleu_words;
                Measures::Translation(BleuWords::named(&words).context("bleu-words: a known tokenizer")?)
            }
            Self::Texts => Measures::Texts,
        })
    }
}

/// The loss of raw outputs [B, S, V], summed: scores at a place are for the label of the same one.
pub(super) fn of_scores(outputs: &Tensors, batch: &BatchTensors) -> Result<SummedLoss> {
    Ok(loss::cross_entropy(outputs.get("logits")?, batch.targets.get("labels")?, None, 0.0))
}

fn prepare(from: &Preparing<'_>, job: Job) -> Result<Box<dyn Work>> {
    registry::family_for(from.config, Some(&SEQUENCE_TO_SEQUENCE))?;
    let recipe = from.recipe;
    let input = PairInput::of(recipe, from.model, from.config)?;
    let settings = recipe.read::<GenerationFlags>()?.over(from.model, from.config, recipe.run.seed)?;
    let settings = input.generation(settings)?;
    let own = CheckpointFolder::generation(from.model)?;
    let (files, folder) = input.files(from.model, &settings, &own)?;
    let rows = Encoded::read(recipe, |path| input.read(path, true))?;
    let data = rows.map(|split, rows| {
        let what = format!("tokenizing {} data", split.whole_name());
        input.encode(rows, true, split == super::Split::Train, &|done, all| (from.progress)(&what, done, all))
    })?;
    let task = TextToText {
        job,
        measures: job.measures(recipe)?,
        tokenizer: input.target.clone(),
        generation: settings,
        smoothing: recipe.read::<SmoothingSettings>()?.label_smoothing,
        batching: recipe.read::<BatchSettings>()?.batching(),
        files,
        _folder: Some(folder),
    };
    let mut splits = data.splits(recipe, input.fingerprint(), input.notes())?;
    let notes = input.cut_notes(&splits.about);
    splits.about.notes.extend(notes);
    Ok(Box::new(Prepared::new(task, splits)))
}

fn open(from: Opening<'_>, job: Job) -> Result<Parts<'_>> {
    let (recipe, targets, progress) = (from.recipe, from.targets, from.progress);
    let input = PairInput::of(recipe, from.model, from.config)?;
    let settings = recipe.read::<GenerationFlags>()?.over(from.model, from.config, recipe.run.seed)?;
    let task = TextToText {
        job,
        measures: job.measures(recipe)?,
        tokenizer: input.target.clone(),
        generation: input.generation(settings)?,
        smoothing: 0.0,
        batching: recipe.read::<BatchSettings>()?.batching(),
        files: Vec::new(),
        _folder: None,
    };
    let input = Rc::new(input);
    let (of_file, of_lines) = (Rc::clone(&input), Rc::clone(&input));
    let encode = move |rows: Arc<TableRows>| {
        let report = |done, all| progress("tokenizing", done, all);
        let silent = rows.streamed();
        input.encode(rows, targets, false, if silent { &|_, _| {} } else { &report })
    };
    parts::parts(
        task,
        from.input,
        move |path| of_file.read(path, targets),
        move |reader| of_lines.lines(reader),
        encode,
    )
}

/// What was written for a row.
struct Written {
    text: String,
    /// Summed log-probability, of beams divided by a power of the length.
    score: f64,
    /// How likely the target was, where there is one.
    likely: Option<TokenSums>,
}

struct TextToText {
    job: Job,
    measures: Measures,
    tokenizer: Tokenizer,
    generation: GenerationSettings,
    smoothing: f64,
    batching: Batching,
    files: Vec<PathBuf>,
    /// Where those files lie that were made for this run.
    _folder: Option<TempDir>,
}

impl Task for TextToText {
    type Medium = Text;
    type Targets = WrittenTexts;
    type Answer = Written;

    /// What is written is told soon after.
    const ROWS_TOGETHER: usize = 64;

    fn head(&self) -> NewHead {
        NewHead::of(&SEQUENCE_TO_SEQUENCE)
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, phase: Phase) -> Result<SummedLoss> {
        Ok(target_token_loss(outputs, batch.targets.get("labels")?, phase.smoothing(self.smoothing))?.loss)
    }

    fn answered_loss(&self, turn: &Turn<'_, Data<Self>>) -> Result<SummedLoss> {
        Ok(turn.said(target_token_loss)?.loss.shallow_clone())
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Written>> {
        let (likely, written) = (writing::likely(turn)?, writing::written(turn, &self.generation, &self.tokenizer)?);
        Ok(written.into_iter().zip(likely).map(|((text, score), likely)| Written { text, score, likely }).collect())
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(TextScorer::new(self.measures))
    }

    fn guess(&self, _train: &Data<Self>) -> Result<Option<Guess<'_, Self>>> {
        let job = self.job;
        let name = match job {
            Job::Translation => "a copy of the source",
            Job::Texts => "the first sentence of the source",
        };
        let answer = move |data: &Data<Self>, example: usize| {
            let source = data.source(example)?;
            let text = source.fields.values().find_map(Value::as_str).unwrap_or_default();
            let text = if job == Job::Translation { text } else { first_sentence(text) };
            Ok(Written { text: text.trim().to_owned(), score: 0.0, likely: None })
        };
        Ok(Some(Guess { name, answer: Box::new(answer) }))
    }

    fn ideal(&self, data: &Data<Self>, example: usize) -> Result<Option<Written>> {
        let references = data.gold(example)?.context("the data says what is to be written")?;
        let text = references.into_iter().next().unwrap_or_default();
        Ok(Some(Written { text, score: 0.0, likely: None }))
    }

    fn describe(&self, _data: &Data<Self>, _example: usize, written: &Written) -> Result<Map<String, Value>> {
        Ok(Map::from_iter([("prediction".to_owned(), json!(written.text)), ("score".to_owned(), json!(written.score))]))
    }

    fn said(&self, data: &Data<Self>, example: usize, written: &Written) -> Result<Said> {
        let right = data.gold(example)?.unwrap_or_default().join(" | ");
        Ok(Said { prediction: written.text.clone(), right, ..Said::default() })
    }

    fn batching(&self) -> Batching {
        self.batching
    }

    fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

/// What stands before the first end of a sentence.
fn first_sentence(text: &str) -> &str {
    let text = text.trim_start();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let ends = match letter {
            '\n' | '。' | '！' | '？' => true,
            '.' | '!' | '?' => letters.peek().is_none_or(|(_, next)| next.is_whitespace()),
            _ => false,
        };
        if ends {
            return text[..at + letter.len_utf8()].trim_end();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::first_sentence;

    #[test]
    fn a_sentence_ends_before_white_space() {
        assert_eq!(first_sentence(" It cost 3.50 euros. He paid."), "It cost 3.50 euros.");
        assert_eq!(first_sentence("Title\nText."), "Title");
        assert_eq!(first_sentence("你好。再见。"), "你好。");
        assert_eq!(first_sentence("no end"), "no end");
    }
}

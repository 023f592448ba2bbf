//! The data of a run, and data for a saved model.

use super::SpeechRecognition;
use super::language_model::LanguageModel;
use super::vocabulary::{Chosen, choose, saved};
use crate::task::audio::SoundInput;
use crate::task::speech::settings::{SpeechSettings, layout, learnt, normalisation};
use crate::task::speech::used::parts_of;
use crate::task::{Opening, Parts, Prepared, Preparing, Work};
use anyhow::{Context, Result, ensure};
use retune_data::{
    Casing, CtcVocabulary, Examples, LabelRows, Medium, Records, Sounds, TableRows, Transcripts, transcripts,
};
use std::path::Path;
use std::sync::Arc;

pub(in crate::task::speech) fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    let recipe = from.recipe;
    let settings = recipe.read::<SpeechSettings>()?;
    settings.by_frames(recipe, from.config)?;
    ensure!(
        settings.language.is_none() || recipe.optimization.method != "lora",
        "language: LoRA would save nothing of the adapters of a language; take --method adapters"
    );
    let input = SoundInput::of(recipe, from.model, from.config, false)?.spoken();
    let frames = input.frames().context("a model that takes samples")?.clone();
    let rows = input.splits(recipe, &layout(&input, recipe, &settings))?;
    let learnt_of = |rows: &TableRows| -> Result<Vec<String>> {
        let texts = transcripts(rows)?.context("every row has a transcript")?;
        Ok(texts.iter().map(|text| learnt(text, &settings)).collect())
    };
    let Chosen { vocabulary, casing, head, mut notes } =
        choose(&settings, from.model, from.config, &learnt_of(&rows.train)?)?;
    // Before sounds are decoded, which takes longer.
    let language_model = language_model(&settings, &vocabulary)?;
    let data = rows.map(|split, rows| {
        let targets = Transcripts::new(learnt_of(&rows)?, &vocabulary, casing);
        let sounds = input.encode(split, &rows, from.progress)?;
        let note = targets.unknown_note(rows.file());
        let sounds = without_infeasible(sounds, &targets)?;
        Ok((note, Examples::new(rows, sounds, Some(targets))?))
    })?;
    input.check(data.iter().map(|(_, examples)| examples.medium()))?;
    notes.extend(data.iter().filter_map(|(note, _)| note.clone()));
    notes.extend(input.notes());
    let language_model = language_model.map(|(model, note)| {
        notes.push(note);
        model
    });
    let (normalisation, spellings) = normalisation(&settings, from.model)?;
    notes.push(format!("texts are compared {}", normalisation.words()));
    let splits = data.map(|_, (_, examples)| Ok(examples))?.splits(recipe, input.fingerprint(), notes)?;
    let (folder, file) = input.processor_file()?;
    let of_vocabulary = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut files = vocabulary.save(of_vocabulary.path())?;
    files.push(file);
    files.extend(spellings);
    let task = SpeechRecognition {
        head: settings.masked(head, from.config)?,
        vocabulary: Arc::new(vocabulary),
        normalisation,
        beams: settings.ctc_beams,
        language_model,
        frames,
        rate: input.rate(),
        frozen_below: input.frozen_below(),
        files,
        _folders: vec![folder, of_vocabulary],
    };
    Ok(Box::new(Prepared::new(task, splits)))
}

/// The n-gram that the settings name.
fn language_model(settings: &SpeechSettings, vocabulary: &CtcVocabulary) -> Result<Option<(LanguageModel, String)>> {
    let read = |file: &Path| LanguageModel::read(file, vocabulary, settings.ngram_weight, settings.word_bonus);
    settings.ngram_file().map(read).transpose()
}

/// Sounds without those whose transcript cannot be written in their frames: their loss would be infinite.
fn without_infeasible(sounds: Sounds, targets: &Transcripts) -> Result<Sounds> {
    let mut infeasible = Vec::new();
    for row in (0..sounds.examples()).filter(|&row| sounds.is_usable(row)) {
        let (needed, frames) = (targets.frames(row), sounds.length(row));
        if needed > frames {
            let characters = targets.ids(row).len();
            infeasible.push((
                row,
                format!(
                    "its transcript of {characters} characters needs {needed} frames, but the model makes {frames} of the \
                     sound; correct the transcript, or remove the row"
                ),
            ));
        }
    }
    Ok(sounds.without(infeasible)?)
}

pub(in crate::task::speech) fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let settings = from.recipe.read::<SpeechSettings>()?;
    settings.by_frames(from.recipe, from.config)?;
    let input = SoundInput::of(from.recipe, from.model, from.config, true)?.spoken();
    let layout = layout(&input, from.recipe, &settings);
    let (vocabulary, head) = saved(from.model, settings.language.as_deref())?;
    let vocabulary = Arc::new(vocabulary);
    let rows = from.config.size_or("vocab_size", 32)?;
    ensure!(
        head.language.is_some() || vocabulary.len() as i64 <= rows,
        "{}: the vocabulary has {} pieces, but the model writes {rows}; they do not belong together",
        from.model.display(),
        vocabulary.len()
    );
    let task = SpeechRecognition {
        head,
        vocabulary: Arc::clone(&vocabulary),
        normalisation: normalisation(&settings, from.model)?.0,
        beams: settings.ctc_beams,
        language_model: language_model(&settings, &vocabulary)?.map(|(model, _)| model),
        frames: input.frames().context("a model that takes samples")?.clone(),
        rate: input.rate(),
        frozen_below: 0,
        files: Vec::new(),
        _folders: Vec::new(),
    };
    let of = (from.input, from.targets, from.progress);
    parts_of(task, input, layout, of, move |rows| gold(rows, &vocabulary))
}

/// What is right, in the casing that the vocabulary has.
fn gold(rows: &TableRows, vocabulary: &CtcVocabulary) -> Result<Option<Transcripts>> {
    let texts = transcripts(rows as &dyn LabelRows)?;
    Ok(texts.map(|texts| {
        let casing: Casing = vocabulary.casing(texts.iter().map(String::as_str));
        Transcripts::new(texts, vocabulary, casing)
    }))
}

//! The data of a run, and data for a saved model.

use super::WrittenSpeech;
use super::prompt::{FILE, Language, Prompt, Wanted};
use super::sequential::Sequential;
use crate::task::audio::SoundInput;
use crate::task::speech::settings::{SpeechSettings, layout, learnt, normalisation};
use crate::task::speech::used::parts_of;
use crate::task::{GenerationFlags, Opening, Parts, Prepared, Preparing, Work};
use anyhow::{Context, Result, bail, ensure};
use retune_data::{Batching, Examples, Framing, LongSounds, Medium, Sounds, SpokenTexts, Tokenizer, transcripts};
use retune_models::generate::{GenerationSettings, Times};
use retune_models::heads::SPEECH_RECOGNITION;
use retune_models::takes::{AudioInput, Written};
use retune_models::{CheckpointFolder, ModelConfig, NewHead, Takes, registry};
use std::path::Path;

/// What texts are written with.
struct Writing {
    tokenizer: Tokenizer,
    prompt: Prompt,
    generation: GenerationSettings,
    longest: usize,
    /// Rows of the token table.
    vocabulary: usize,
    /// Whether a text may fill all positions.
    fills: bool,
    /// Whether sounds are pieces of one size, as Whisper has them.
    of_one_size: bool,
}

impl Writing {
    fn of(settings: &SpeechSettings, recipe: &crate::Recipe, model: &Path, config: &ModelConfig) -> Result<Self> {
        settings.by_decoder(recipe)?;
        let Takes::Audio(made_for) = registry::takes(config)? else {
            bail!("{}: this model takes no sounds", model.display());
        };
        let Written { longest, vocabulary } =
            made_for.written().with_context(|| format!("{}: this model has no decoder", model.display()))?;
        let of_one_size = matches!(made_for, AudioInput::LogMel { .. });
        let tokenizer = Tokenizer::load(model)?;
        ensure!(
            tokenizer.vocabulary_size() <= vocabulary,
            "{}: the tokenizer has {} tokens, but the model writes {vocabulary}; they do not belong together",
            model.display(),
            tokenizer.vocabulary_size()
        );
        let wanted = Wanted { language: settings.language.as_deref(), task: settings.speech_task.as_deref() };
        let prompt = Prompt::read(model, config, &|token| tokenizer.token_id(token), wanted)?;
        ensure!(prompt.len() < longest, "max_target_positions is {longest}, too few for the tokens before a text");
        let flags = recipe.read::<GenerationFlags>()?;
        let mut generation = flags.over(model, config, recipe.run.seed)?;
        let own = CheckpointFolder::generation(model)?;
        let says = |field: &str| own.get(field).is_some_and(|value| !value.is_null());
        // What Whisper's files say of all tokens is the number of its positions.
        let fills = flags.max_new_tokens.is_none() && !says("max_new_tokens") && (of_one_size || !says("max_length"));
        if fills {
            generation.max_new_tokens = longest - prompt.len();
        }
        // transformers passes over tokens that there are not; configurations of small models keep those of large ones.
        let is_token = |token: &i64| (0..vocabulary as i64).contains(token);
        generation.suppressed.retain(is_token);
        generation.suppressed_at_begin.retain(is_token);
        ensure!(
            !generation.ends.is_empty(),
            "{}: says no eos_token_id, nor does config.json, so that no text would end",
            model.join(FILE).display()
        );
        Ok(Self { tokenizer, prompt, generation, longest, vocabulary, fills, of_one_size })
    }

    /// What stands around training texts.
    fn framing(&self, begin: Vec<i64>) -> Framing {
        Framing { begin, end: self.generation.ends[0], longest: self.longest }
    }

    /// How sounds become batches: padding of samples is work.
    fn batching(&self) -> Batching {
        if self.of_one_size { Batching::Examples } else { Batching::Tokens }
    }

    /// Texts as their tokens. Whisper writes a space before each text; where that would be a token of its own, which it does not
    /// begin with, there is none.
    fn targets(&self, texts: Vec<String>, framing: Framing) -> Result<SpokenTexts> {
        let lone = self.tokenizer.bare(" ", false)?.ids;
        let tokens = |text: &String| -> Result<Vec<u32>> {
            if !self.of_one_size {
                return Ok(self.tokenizer.bare(text, false)?.ids);
            }
            let spaced = self.tokenizer.bare(&format!(" {text}"), false)?.ids;
            let begins_alone = spaced.first() == lone.first()
                && self.generation.suppressed_at_begin.contains(&lone.first().map_or(-1, |&token| i64::from(token)));
            Ok(if begins_alone { self.tokenizer.bare(text, false)?.ids } else { spaced })
        };
        let tokens = texts.iter().map(tokens).collect::<Result<_>>()?;
        Ok(SpokenTexts::new(texts, tokens, framing))
    }
}

/// How texts with times are written, and the prompt that they stand behind.
fn sequential(
    settings: &SpeechSettings,
    writing: &Writing,
    input: &SoundInput,
    model: &Path,
) -> Result<(Sequential, Prompt)> {
    let (prompt, none) = writing.prompt.timed().context("timestamps: this model has no tokens of times")?;
    let first = none + 1;
    ensure!(
        first < writing.vocabulary as i64,
        "timestamps: times would be tokens from {first} on, but the model has {}",
        writing.vocabulary
    );
    let own = CheckpointFolder::generation(model)?;
    let most_initial = own.get("max_initial_timestamp_index").and_then(serde_json::Value::as_i64);
    let (_, frame) = input.processor().piece_frames().context("timestamps: this model reads no windows")?;
    let how = Sequential {
        times: Times { first, none, most_initial },
        fallback: settings.fallback()?,
        no_speech: none - 1,
        vocabulary: writing.vocabulary,
        frame,
    };
    Ok((how, prompt))
}

pub(in crate::task::speech) fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    let recipe = from.recipe;
    let settings = recipe.read::<SpeechSettings>()?;
    let writing = Writing::of(&settings, recipe, from.model, from.config)?;
    ensure!(!settings.timestamps, "timestamps: texts are learnt without them; `evaluate` and `predict` take it");
    let begin = writing.prompt.trained()?;
    let input = SoundInput::of(recipe, from.model, from.config, false)?.spoken().long(LongSounds::Refuse);
    let rows = input.splits(recipe, &layout(&input, recipe, &settings))?;
    let data = rows.map(|split, rows| {
        let texts = transcripts(rows.as_ref())?.context("every row has a transcript")?;
        let texts = texts.iter().map(|text| learnt(text, &settings)).collect();
        let targets = writing.targets(texts, writing.framing(begin.clone()))?;
        let sounds = input.encode(split, &rows, from.progress)?;
        let sounds = without_long(sounds, &targets, writing.longest)?;
        Ok(Examples::new(rows, sounds, Some(targets))?)
    })?;
    input.check(data.iter().map(Examples::medium))?;
    let (normalisation, spellings) = normalisation(&settings, from.model)?;
    let spelled = begin.iter().filter_map(|&token| writing.tokenizer.token(token as u32)).collect::<String>();
    let mut notes = input.notes();
    notes.extend([
        format!("texts are learnt behind {spelled}"),
        format!("texts are compared {}", normalisation.words()),
    ]);
    let splits = data.splits(recipe, input.fingerprint(), notes)?;
    let (folder, file) = input.processor_file()?;
    let own = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut files = writing.tokenizer.files().to_vec();
    files.push(file);
    files.extend(spellings);
    let generation =
        writing.prompt.written(&CheckpointFolder::generation(from.model)?, &|id| writing.tokenizer.token(id));
    if !generation.is_empty() {
        let path = own.path().join(FILE);
        let text = serde_json::to_string_pretty(&generation)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("{}: cannot be written", path.display()))?;
        files.push(path);
    }
    let task = WrittenSpeech {
        head: settings.masked(NewHead::of(&SPEECH_RECOGNITION), from.config)?,
        batching: writing.batching(),
        frozen_below: input.frozen_below(),
        tokenizer: writing.tokenizer,
        prompt: writing.prompt,
        generation: writing.generation,
        normalisation,
        sequential: None,
        files,
        _folders: vec![folder, own],
    };
    Ok(Box::new(Prepared::new(task, splits)))
}

/// Sounds without those whose transcript has more tokens than the model has positions for.
fn without_long(sounds: Sounds, targets: &SpokenTexts, longest: usize) -> Result<Sounds> {
    let long = (0..sounds.examples()).filter(|&row| sounds.is_usable(row) && !targets.fits(row));
    let reason = |row: usize| {
        let tokens = targets.length(row);
        format!(
            "its transcript has {tokens} tokens with those before it, more than the {longest} that the model has positions for; \
             cut both into pieces"
        )
    };
    let long = long.map(|row| (row, reason(row))).collect();
    Ok(sounds.without(long)?)
}

pub(in crate::task::speech) fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let settings = from.recipe.read::<SpeechSettings>()?;
    let writing = Writing::of(&settings, from.recipe, from.model, from.config)?;
    let long = if settings.timestamps { LongSounds::Whole } else { LongSounds::Pieces };
    let input = SoundInput::of(from.recipe, from.model, from.config, true)?.spoken().long(long);
    let timed = settings.timestamps.then(|| sequential(&settings, &writing, &input, from.model)).transpose()?;
    let layout = layout(&input, from.recipe, &settings);
    let mut generation = writing.generation.clone();
    let (sequential, prompt) = match timed {
        Some((how, prompt)) => {
            // There is one token less before a text.
            generation.max_new_tokens += usize::from(writing.fills);
            (Some(how), prompt)
        }
        None => (None, writing.prompt.clone()),
    };
    let tokenizer = writing.tokenizer.clone();
    let task = WrittenSpeech {
        head: NewHead::of(&SPEECH_RECOGNITION),
        batching: writing.batching(),
        frozen_below: 0,
        tokenizer,
        prompt,
        generation,
        normalisation: normalisation(&settings, from.model)?.0,
        sequential,
        files: Vec::new(),
        _folders: Vec::new(),
    };
    let of = (from.input, from.targets, from.progress);
    parts_of(task, input, layout, of, move |rows| {
        // Where the language is to be detected, nobody knows the tokens before a text, and there is no loss.
        let begin = match &writing.prompt.language {
            Language::Detected(languages) => writing.prompt.tokens(languages.first().copied()),
            Language::None | Language::Known(_) => writing.prompt.tokens(None),
        };
        transcripts(rows)?.map(|texts| writing.targets(texts, writing.framing(begin))).transpose()
    })
}

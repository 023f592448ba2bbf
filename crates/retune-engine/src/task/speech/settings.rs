//! What a recipe says of transcripts and of how speech is written.

use super::fallback::Fallback;
use crate::metric::{Normalisation, Spellings};
use crate::recipe::Recipe;
use crate::recipe::settings::{ABOVE_ZERO, AT_LEAST_ONE, DATA, NOT_NEGATIVE, Plain, SHARE, TRAINING, settings};
use crate::task::GenerationFlags;
use crate::task::audio::SoundInput;
use crate::task::presets::{OF_DECODERS, OF_FRAMES};
use anyhow::{Context, Result, bail, ensure};
use retune_data::Layout;
use retune_models::{ModelConfig, NewHead};
use serde_json::Value;
use std::path::{Path, PathBuf};

settings! {
    /// Transcripts, their vocabulary, and how texts are written and compared.
    pub(super) struct SpeechSettings, under DATA, else "{task} has no transcripts" {
        /// Column with what is said
        transcription_column: String = "transcription".to_owned(), value("COLUMN"), at_use();
        /// What is done to texts before they are compared: none, basic (without case, punctuation and what stands in brackets) or
        /// english (contractions, numbers and spellings alike too, as Whisper's authors do)
        normalization: String = "basic".to_owned(), value("none|basic|english"), one_of(&Normalisation::NAMES), at_use();
        /// Characters that are taken out of training transcripts, such as ,?.!-
        characters_to_ignore: String = String::new(), value("CHARACTERS");
        /// Whose characters a model of frames writes: those of the model, of the training transcripts, or auto, the model's where it
        /// is a recognizer
        ctc_vocabulary: String = "auto".to_owned(), value("auto|model|data"), one_of(&["auto", "model", "data"]);
        /// Beginnings of texts that a search over frames goes on with; 1 takes the likeliest character of each frame
        ctc_beams: usize = 1, value("N"), range(AT_LEAST_ONE), at_use();
        /// N-gram of words in the ARPA format, packed or not, that such a search asks; none leaves out that of the run
        ngram: Option<PathBuf>, value("FILE|none"), usual("none"), at_use();
        /// Weight of its logarithms beside those of the frames
        ngram_weight: f64 = 0.5, value("X"), range(NOT_NEGATIVE), at_use();
        /// What each word adds where there is an n-gram
        word_bonus: f64 = 1.5, value("X"), at_use();
        /// Language that is spoken, by its code or name, where a model knows several; of MMS, whose files are called after it
        /// (adapter.deu.safetensors), as transformers' target_lang
        language: Option<String>, usual("the model's own, else it is detected"), at_use();
        /// Write parts with their begins and ends in seconds (Whisper); long sounds go on where the last part ended
        timestamps: bool, at_use();
        /// Temperatures at which a window of a text with times is written, one after another until it is good; 0 draws nothing
        fallback_temperatures: String = "0,0.2,0.4,0.6,0.8,1".to_owned(), value("LIST"), at_use();
        /// From this ratio on by which its tokens can be compressed, such a text repeats itself
        compression_ratio_threshold: f64 = 1.35, value("RATIO"), range(ABOVE_ZERO), at_use();
        /// Least mean log-probability of the tokens of such a text
        log_probability_threshold: f64 = -1.0, value("X"), at_use();
        /// Probability of silence from which on a window with an unlikely text is silent
        no_speech_threshold: f64 = 0.6, value("P"), range(NOT_NEGATIVE), at_use();
        /// Share of the frames that training masks, in spans (SpecAugment)
        mask_time_prob: Option<f64>, value("SHARE"), range(SHARE), usual("the model's own"), under(TRAINING),
            overfit(Plain::Number(0.0));
        /// Share of the features of frames that training masks, in spans
        mask_feature_prob: Option<f64>, value("SHARE"), range(SHARE), usual("the model's own"), under(TRAINING),
            overfit(Plain::Number(0.0));
        /// Features of such a span
        mask_feature_length: Option<usize>, value("N"), range(AT_LEAST_ONE), usual("the model's own"), under(TRAINING);
        /// What a model with a decoder that knows several languages writes: what is said, or its translation into English
        speech_task: Option<String>, value("transcribe|translate"), one_of(&["transcribe", "translate"]),
            usual("the model's own, else transcribe"), at_use();
    }
}

/// American spellings by British ones, beside checkpoints of Whisper.
const SPELLINGS: &str = "normalizer.json";

impl SpeechSettings {
    /// Refuses what is for models with a decoder alone.
    pub(super) fn by_frames(&self, recipe: &Recipe, config: &ModelConfig) -> Result<()> {
        let unread = "the model writes frame by frame, without a decoder";
        of_the_other(recipe, OF_DECODERS, OF_FRAMES)?;
        let adapters = config.get("adapter_attn_dim").is_some();
        ensure!(
            self.language.is_none() || adapters,
            "language: this model has no adapters for languages (`adapter_attn_dim`)"
        );
        // It becomes part of the name of a file.
        let is_name = |it: &String| !it.is_empty() && it.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
        ensure!(
            self.language.as_ref().is_none_or(is_name),
            "language: `{}` is no name of a language; write a code such as deu",
            self.language.as_deref().unwrap_or_default()
        );
        ensure!(self.speech_task.is_none(), "speech-task: {unread}");
        if let Some(file) = self.ngram_file() {
            let other = "or --ngram none, which writes without it";
            ensure!(
                self.ctc_beams > 1,
                "ngram: {} is asked by a search alone; give --ctc-beams 100 (more is slower and better), {other}",
                file.display()
            );
            ensure!(
                file.is_file(),
                "ngram: {}: there is no such file; give --ngram FILE with its place, {other}",
                file.display()
            );
        }
        let usual = Self::default();
        ensure!(
            self.ngram.is_some() || (self.ngram_weight, self.word_bonus) == (usual.ngram_weight, usual.word_bonus),
            "ngram-weight and word-bonus: there is no n-gram that they are for; give --ngram FILE"
        );
        ensure!(!self.timestamps, "timestamps: {unread}; its words have times");
        let flags = recipe.read::<GenerationFlags>()?;
        ensure!(
            flags == GenerationFlags::default(),
            "beams and other settings of written texts: {unread}; --ctc-beams is its own"
        );
        Ok(())
    }

    /// The n-gram of words, where there is one.
    pub(super) fn ngram_file(&self) -> Option<&Path> {
        self.ngram.as_deref().filter(|file| *file != Path::new("none"))
    }

    /// Refuses what is for models without a decoder alone.
    pub(super) fn by_decoder(&self, recipe: &Recipe) -> Result<()> {
        let unread = "the model writes by a decoder, which has tokens of its own";
        of_the_other(recipe, OF_FRAMES, OF_DECODERS)?;
        ensure!(self.ctc_vocabulary == "auto", "ctc-vocabulary: {unread}");
        ensure!(self.ctc_beams == 1, "ctc-beams: {unread}; --beams is for it");
        ensure!(self.ngram.is_none(), "ngram: {unread}, of which no n-gram of words is asked");
        Ok(())
    }
}

/// Refuses a preset that is for the other kind of models.
fn of_the_other(recipe: &Recipe, other: &str, own: &str) -> Result<()> {
    let Some(rest) = recipe.optimization.preset.as_deref().and_then(|name| name.strip_prefix(other)) else {
        return Ok(());
    };
    bail!("preset: `{other}{rest}` is for models of another kind; take `{own}{rest}`")
}

impl SpeechSettings {
    /// A head for training whose model masks what is said here.
    pub(super) fn masked(&self, head: NewHead, config: &ModelConfig) -> Result<NewHead> {
        let given = [
            ("mask_time_prob", self.mask_time_prob.map(Value::from)),
            ("mask_feature_prob", self.mask_feature_prob.map(Value::from)),
            ("mask_feature_length", self.mask_feature_length.map(Value::from)),
        ];
        let set = |head: NewHead, (field, value): (&'static str, Option<Value>)| -> Result<NewHead> {
            // Where nothing is masked, no model needs to know of it.
            let Some(value) = value else { return Ok(head) };
            if config.get(field).is_none() && value.as_f64() == Some(0.0) {
                return Ok(head);
            }
            ensure!(config.get(field).is_some(), "{}: this model masks no frames", field.replace('_', "-"));
            Ok(head.field(field, value).field("apply_spec_augment", true))
        };
        given.into_iter().try_fold(head, set)
    }

    /// When a text with times is written again.
    pub(super) fn fallback(&self) -> Result<Fallback> {
        let read = |text: &str| text.trim().parse::<f64>().ok().filter(|it| *it >= 0.0 && it.is_finite());
        let temperatures: Option<Vec<f64>> = self.fallback_temperatures.split(',').map(read).collect();
        let what =
            || format!("fallback-temperatures: `{}` is no list of numbers from 0 on", self.fallback_temperatures);
        Ok(Fallback {
            temperatures: temperatures.with_context(what)?,
            compression: self.compression_ratio_threshold,
            log_probability: self.log_probability_threshold,
            no_speech: self.no_speech_threshold,
        })
    }
}

/// Columns of sounds with their transcripts.
pub(super) fn layout(input: &SoundInput, recipe: &Recipe, settings: &SpeechSettings) -> Layout {
    let layout = input.layout(recipe, [settings.transcription_column.clone()]);
    layout.target("--transcription-column", "transcription")
}

/// A transcript as it is learnt.
pub(super) fn learnt(text: &str, settings: &SpeechSettings) -> String {
    let kept: String = text.chars().filter(|it| !settings.characters_to_ignore.contains(*it)).collect();
    retune_data::plain(&kept)
}

/// How texts are compared, and the file of spellings that belongs to it, where the model's folder has one.
pub(super) fn normalisation(settings: &SpeechSettings, model: &Path) -> Result<(Normalisation, Option<PathBuf>)> {
    let file = Some(model.join(SPELLINGS)).filter(|file| file.is_file());
    let read = |file: &Path| -> Result<Spellings> {
        let text = std::fs::read(file).with_context(|| format!("{}: cannot be read", file.display()))?;
        let what = || format!("{}: is no table of spellings, texts by texts", file.display());
        serde_json::from_slice(&text).with_context(what)
    };
    let english = settings.normalization == "english";
    let spellings = file.as_deref().filter(|_| english).map(read).transpose()?;
    let named = Normalisation::named(&settings.normalization, spellings).context("a known normalisation")?;
    Ok((named, file))
}

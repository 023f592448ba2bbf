//! Sounds as the tasks on them read them: the model's processor, columns, splits of one file, and what to tell about it.

use super::parts::{NextRows, STREAM};
use super::splits::Encoded;
use super::{OnProgress, Split};
use crate::Recipe;
use crate::recipe::settings::{ABOVE_ZERO, DATA, NOT_NEGATIVE, Plain, SHARE, TRAINING, settings};
use anyhow::{Context, Result, bail, ensure};
use retune_data::{
    AudioAugmentation, AudioLength, AudioOptions, AudioProcessor, FeatureKind, Layout, LeastRate, LongSounds,
    OnBadExample, Sounds, TableLines, TableRows, read_audio, split_values,
};
use retune_kernels::random;
use retune_models::takes::{AudioInput, FrameRule};
use retune_models::{ModelConfig, Takes, registry};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

settings! {
    /// Sounds, and how they become the model's input.
    pub struct AudioSettings, under DATA, else "{task} has no sounds, and takes splits from files of their own (--train, --validation, --test)" {
        /// Column with the sound, a path relative to the table or bytes; a table without it may call it file_name, path or file
        audio_column: String = "audio".to_owned(), value("COLUMN"), at_use();
        /// Column that says which split a row is of, where one file holds all: train, validation (valid, val, dev) and test
        split_column: Option<String>, value("COLUMN");
        /// The value of the split column that is evaluated or predicted; all rows where it is not given
        split_value: Option<String>, value("VALUE"), at_use();
        /// Column that says where a sound begins in its file, in seconds
        start_column: Option<String>, value("COLUMN"), at_use();
        /// Column that says where it ends
        end_column: Option<String>, value("COLUMN"), at_use();
        /// Longest sound in seconds; a longer one cannot be used
        max_seconds: Option<f64>, value("SECONDS"), range(ABOVE_ZERO), at_use();
        /// Train the convolutions over samples too, which usually stay as they are
        train_front_end: bool, under(TRAINING);
        /// Plays training sounds up to this share slower or faster, drawn anew in each pass
        speed_change: f64 = 0.0, value("SHARE"), range(SHARE), under(TRAINING), overfit(Plain::Number(0.0));
        /// Plays training sounds up to so many semitones higher or lower at the same speed, drawn anew in each pass
        pitch_change: f64 = 0.0, value("SEMITONES"), range(NOT_NEGATIVE), under(TRAINING),
            overfit(Plain::Number(0.0));
        /// Adds noise to training sounds, at the loudest so many decibels below them, drawn anew in each pass
        noise_snr: Option<f64>, value("DECIBELS"), under(TRAINING), overfit(Plain::Absent);
        /// Folder of sounds that are the noise; without it, noise is white
        noise_folder: Option<PathBuf>, value("DIR"), under(TRAINING), overfit(Plain::Absent);
    }
}

/// The column of splits where a value is given without it.
const SPLIT_COLUMN: &str = "split";
/// Names of splits in such a column, in lower case.
const TRAIN: &[&str] = &["train", "training"];
const VALIDATION: &[&str] = &["validation", "valid", "val", "dev"];
const TEST: &[&str] = &["test", "testing"];

/// How sounds become the model's input.
pub(super) struct SoundInput {
    processor: AudioProcessor,
    settings: AudioSettings,
    on_bad_example: OnBadExample,
    /// How many frames the model makes of samples; `None` for spectrograms of one size.
    frames: Option<FrameRule>,
    /// Whether the model begins with convolutions over samples that have learnt.
    has_front_end: bool,
    /// Units of work of a spectrogram of one size.
    units: usize,
    /// Whether sounds may be silent.
    silence: bool,
    /// What becomes of sounds that are longer than the model reads at once.
    long: LongSounds,
    least_rate: LeastRate,
}

impl SoundInput {
    /// The processor of a model folder.
    pub(super) fn of(recipe: &Recipe, model: &Path, config: &ModelConfig, silence: bool) -> Result<Self> {
        let settings = recipe.read::<AudioSettings>()?;
        let Takes::Audio(made_for) = registry::takes(config)? else {
            bail!("{}: this model takes no sounds", model.display());
        };
        let (kind, frames) = match &made_for {
            AudioInput::Samples { frames, masked, counted, .. } => {
                (FeatureKind::Samples { masked: *masked, counted: *counted }, Some(frames.clone()))
            }
            AudioInput::Frames { size, frames } => (FeatureKind::Frames { size: *size as usize }, Some(frames.clone())),
            AudioInput::Spectrogram { frames, bins } => {
                (FeatureKind::Spectrogram { frames: *frames as usize, bins: *bins as usize }, None)
            }
            AudioInput::Cepstra { frames, coefficients } => {
                (FeatureKind::Cepstra { frames: *frames as usize, coefficients: *coefficients as usize }, None)
            }
            AudioInput::LogMel { frames, bins, .. } => {
                (FeatureKind::LogMel { frames: *frames as usize, bins: *bins as usize }, None)
            }
        };
        // Frames of the encoder are those that a decoder reads.
        let units = if let AudioInput::LogMel { frames, .. } = made_for { frames as usize / 2 } else { 1 };
        let processor = AudioProcessor::load(model, kind)?;
        let steps = processor.frame_steps().into_iter().map(|(kernel, stride)| (kernel as i64, stride as i64));
        let frames = frames.map(|frames| frames.behind(FrameRule::new(steps)));
        let has_front_end = matches!(made_for, AudioInput::Samples { .. }) && !recipe.data.from_scratch;
        let on_bad_example = recipe.data.on_bad_example.parse()?;
        Ok(Self {
            processor,
            settings,
            on_bad_example,
            frames,
            has_front_end,
            units,
            silence,
            long: LongSounds::Cut,
            least_rate: LeastRate::OfAny,
        })
    }

    /// With what becomes of sounds that are longer than the model reads at once.
    pub(super) fn long(self, long: LongSounds) -> Self {
        Self { long, ..self }
    }

    /// With sounds in which somebody speaks.
    pub(super) fn spoken(self) -> Self {
        Self { least_rate: LeastRate::OfSpeech, ..self }
    }

    /// Columns, with these of what is right.
    pub(super) fn layout(&self, recipe: &Recipe, targets: impl IntoIterator<Item = String>) -> Layout {
        let AudioSettings { audio_column, start_column, end_column, .. } = &self.settings;
        let layout = Layout::audio(audio_column).labels(targets).group(recipe.data.group_column.clone());
        layout.part(start_column.clone(), end_column.clone())
    }

    /// Refuses what of these splits cannot be used, unless it is to be left out. Until then rows and sounds that cannot be used are
    /// left out, so that all reasons are known.
    pub(super) fn check<'a>(&self, splits: impl IntoIterator<Item = &'a Sounds>) -> Result<()> {
        Ok(Sounds::check(splits, self.on_bad_example)?)
    }

    /// Frames that a model makes of so many samples, where it makes any.
    pub(super) fn frames(&self) -> Option<&FrameRule> {
        self.frames.as_ref()
    }

    /// What makes features of sounds.
    pub(super) fn processor(&self) -> &AudioProcessor {
        &self.processor
    }

    /// Samples a second.
    pub(super) fn rate(&self) -> u32 {
        self.processor.rate()
    }

    /// Blocks below this depth stay as they are.
    pub(super) fn frozen_below(&self) -> usize {
        usize::from(self.has_front_end && !self.settings.train_front_end)
    }

    fn read(&self, path: &Path, layout: &Layout, targets: bool) -> Result<Arc<TableRows>> {
        Ok(Arc::new(read_audio(path, layout, targets, OnBadExample::Skip)?))
    }

    /// The rows of a run, all of them read before any sound is decoded.
    pub(super) fn splits(&self, recipe: &Recipe, layout: &Layout) -> Result<Encoded<Arc<TableRows>>> {
        let Some(column) = &self.settings.split_column else {
            return Encoded::read(recipe, |path| self.read(path, layout, true));
        };
        let train = recipe.data.train.as_deref().context("training data")?;
        // A file of its own holds one split, whatever its column says, unless it is the one that holds all.
        let part = |own: &Option<PathBuf>, names: &[&str]| -> Result<Option<Arc<TableRows>>> {
            match own.as_deref().filter(|path| *path != train) {
                Some(path) => self.read(path, layout, true).map(Some),
                None => {
                    let values = split_values(train, column)?;
                    let is_one = |value: &&String| names.contains(&value.to_lowercase().as_str());
                    let chosen: Vec<String> = values.iter().filter(is_one).cloned().collect();
                    if chosen.is_empty() && own.is_none() && names != TRAIN {
                        return Ok(None);
                    }
                    let found: Vec<&str> = values.iter().map(String::as_str).collect();
                    ensure!(
                        !chosen.is_empty(),
                        "split-column: none of the values of `{column}` in {} is one of {}; there are {}",
                        train.display(),
                        names.join(", "),
                        found.join(", ")
                    );
                    self.read(train, &layout.clone().only(column, chosen), true).map(Some)
                }
            }
        };
        Ok(Encoded {
            train: part(&None, TRAIN)?.context("training rows")?,
            validation: part(&recipe.data.validation, VALIDATION)?,
            test: part(&recipe.data.test, TEST)?,
        })
    }

    /// The rows of a file for a saved model.
    pub(super) fn file(&self, path: &Path, layout: &Layout, targets: bool) -> Result<Arc<TableRows>> {
        let layout = match &self.settings.split_value {
            Some(value) => {
                let column = self.settings.split_column.as_deref().unwrap_or(SPLIT_COLUMN);
                let values = split_values(path, column)?;
                let found: Vec<&str> = values.iter().map(String::as_str).collect();
                ensure!(
                    values.contains(value),
                    "split-value: no row of {} has `{value}` in the column `{column}`; there are {}",
                    path.display(),
                    found.join(", ")
                );
                layout.clone().only(column, [value])
            }
            None => layout.clone(),
        };
        self.read(path, &layout, targets)
    }

    /// The rows of a stream.
    pub(super) fn lines<'a>(
        &self,
        reader: Box<dyn BufRead + 'a>,
        layout: &Layout,
    ) -> Result<NextRows<'a, Arc<TableRows>>> {
        let mut lines = TableLines::new(reader, Path::new(STREAM), layout)?.on_bad_example(self.on_bad_example);
        Ok(Box::new(move |most| Ok(lines.next_rows(most)?.map(Arc::new))))
    }

    /// Decodes the sounds of a split.
    pub(super) fn encode(&self, split: Split, rows: &Arc<TableRows>, progress: OnProgress<'_>) -> Result<Sounds> {
        let what = format!("decoding {} sounds", split.whole_name());
        let sounds = self.decode(rows, &|done, all| progress(&what, done, all))?;
        if split != Split::Train {
            return Ok(sounds);
        }
        let AudioSettings { speed_change, pitch_change, noise_snr, noise_folder, .. } = &self.settings;
        let rate = self.processor.rate();
        let voice = (*speed_change, *pitch_change);
        Ok(sounds.augmented(AudioAugmentation::new(voice, *noise_snr, noise_folder.as_deref(), rate)?))
    }

    /// Decodes sounds.
    pub(super) fn decode(&self, rows: &Arc<TableRows>, progress: &dyn Fn(usize, usize)) -> Result<Sounds> {
        let options = AudioOptions {
            least_rate: self.least_rate,
            least_samples: match &self.frames {
                Some(frames) => frames.receptive_field() as usize,
                None => self.processor.least_samples(),
            },
            most_seconds: self.settings.max_seconds,
            silence: self.silence,
            long: self.long,
            ..AudioOptions::default()
        };
        let length: AudioLength = match self.frames.clone() {
            Some(frames) => Arc::new(move |samples| frames.frames(samples as i64) as usize),
            None => {
                let units = self.units;
                Arc::new(move |_| units)
            }
        };
        Ok(Sounds::encode(rows, &self.processor, &options, length, progress)?)
    }

    /// `preprocessor_config.json` as it belongs into the saved model, in a folder of its own.
    pub(super) fn processor_file(&self) -> Result<(TempDir, PathBuf)> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let file = self.processor.save(folder.path())?;
        Ok((folder, file))
    }

    /// Changes with what sounds in batches depend on.
    pub(super) fn fingerprint(&self) -> u64 {
        random::name_key(&serde_json::Value::from(self.processor.config().clone()).to_string())
    }

    /// What a person should know about what stays as it is.
    pub(super) fn notes(&self) -> Vec<String> {
        let frozen = "the convolutions over samples stay as they are (--train-front-end trains them too)";
        (self.frozen_below() > 0).then(|| frozen.to_owned()).into_iter().collect()
    }
}

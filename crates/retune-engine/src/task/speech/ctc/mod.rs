//! Speech recognition by connectionist temporal classification: what is said, as characters.
//!
//! transformers' `…ForCTC`, trained as `run_speech_recognition_ctc.py` does it: the vocabulary is that of the checkpoint or is
//! made of the transcripts, the piece of padding is the blank. B rows, T frames, V pieces.
//!
//! | file | holds |
//! |---|---|
//! | `vocabulary` | which vocabulary a run has, and how transcripts are spelled in it |
//! | `decode` | from frames to texts: greedily, or by a search over beginnings |
//! | `language_model` | what an n-gram says of the words of a search |
//! | `prepare` | the data of a run, and data for a saved model |

mod decode;
mod language_model;
mod prepare;
mod vocabulary;

use super::said::{Speaks, SpeechScorer, Spoken};
use crate::metric::{Normalisation, Said};
use crate::task::{BatchTensors, Data, Phase, Scorer, Task, Turn};
use anyhow::{Context, Result, bail, ensure};
use decode::{Language, beam_search, best_path, written};
use language_model::LanguageModel;
use retune_data::{Batching, CtcVocabulary, Dataset, Sounds, Transcripts};
use retune_kernels::loss::{CtcReduction, SummedLoss};
use retune_kernels::tch::{Device, Kind};
use retune_models::heads::CtcLoss;
use retune_models::takes::FrameRule;
use retune_models::{ModelConfig, NewHead, Tensors};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

pub(super) use prepare::{open, prepare};

/// The loss of a saved model, as its config.json says.
pub(super) fn raw_loss(config: &ModelConfig) -> Result<crate::task::LossOf> {
    let loss = CtcLoss::new(config)?;
    Ok(Box::new(move |outputs, batch| Ok(loss.summed(outputs, batch.targets.get("labels")?)?)))
}

/// The task, with what its answers need.
pub(super) struct SpeechRecognition {
    head: NewHead,
    vocabulary: Arc<CtcVocabulary>,
    normalisation: Normalisation,
    /// Beginnings that a search goes on with; 1 takes the likeliest piece of each frame.
    beams: usize,
    /// What such a search asks of words.
    language_model: Option<LanguageModel>,
    frames: FrameRule,
    /// Samples a second.
    rate: u32,
    frozen_below: usize,
    files: Vec<PathBuf>,
    /// Where those files lie that were made for this run.
    _folders: Vec<TempDir>,
}

impl SpeechRecognition {
    fn loss_of(&self) -> CtcLoss {
        // What cannot be written in its frames was left out, or counts nothing where a saved model is judged.
        CtcLoss { blank: i64::from(self.vocabulary.blank()), reduction: CtcReduction::Mean, zero_infinity: true }
    }

    /// Seconds from one frame to the next.
    fn step(&self) -> f64 {
        self.frames.hop() as f64 / f64::from(self.rate)
    }
}

impl Task for SpeechRecognition {
    type Medium = Sounds;
    type Targets = Transcripts;
    type Answer = Spoken;

    fn head(&self) -> NewHead {
        self.head.clone()
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, _phase: Phase) -> Result<SummedLoss> {
        Ok(self.loss_of().summed(outputs, batch.targets.get("labels")?)?)
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Spoken>> {
        let logits = turn.outputs()?.get("logits")?.to_kind(Kind::Float);
        let [_, frames, pieces] = logits.size()[..] else { bail!("logits are [B, T, V]") };
        ensure!(
            pieces as usize >= self.vocabulary.len(),
            "the model writes {pieces} pieces, but its vocabulary has {}",
            self.vocabulary.len()
        );
        let medium = turn.data.medium();
        let lengths = turn.rows.iter().map(|&row| {
            let samples = medium.sample_count(turn.data.inner_example(turn.data.example(row)));
            (self.frames.frames(samples as i64).min(frames)) as usize
        });
        let lengths: Vec<usize> = lengths.collect();
        let best = Vec::<i64>::try_from(logits.f_argmax(-1, false)?.f_reshape([-1])?)?;
        let row = frames as usize;
        let best = |place: usize, length: usize| &best[place * row..place * row + length];
        let paths: Vec<Vec<decode::Piece>> = if self.beams > 1 {
            let log = logits.f_log_softmax(-1, Kind::Float)?.f_to_device(Device::Cpu)?.f_contiguous()?;
            let log = Vec::<f32>::try_from(log.f_view([-1])?)?;
            let row = (frames * pieces) as usize;
            let language = self.language_model.as_ref();
            let language = language.map(|model| Language { model, vocabulary: &self.vocabulary });
            let search = |(place, &length): (usize, &usize)| {
                let log = &log[place * row..place * row + length * pieces as usize];
                beam_search(log, pieces as usize, self.vocabulary.blank(), self.beams, language)
            };
            lengths.iter().enumerate().map(search).collect()
        } else {
            let path = |(place, &length): (usize, &usize)| best_path(best(place, length), self.vocabulary.blank());
            lengths.iter().enumerate().map(path).collect()
        };
        let blank = i64::from(self.vocabulary.blank());
        let spoken = |(place, path): (usize, &Vec<decode::Piece>)| {
            let length = lengths[place];
            let blanks = best(place, length).iter().filter(|&&piece| piece == blank).count();
            Spoken { frames: Some((blanks as u64, length as u64)), ..written(path, &self.vocabulary, self.step()) }
        };
        Ok(paths.iter().enumerate().map(spoken).collect())
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(SpeechScorer::new(self.normalisation.clone()).by_frames())
    }

    fn ideal(&self, data: &Data<Self>, example: usize) -> Result<Option<Spoken>> {
        Ok(Some(Spoken::text(data.gold(example)?.context("the data has no transcripts")?)))
    }

    fn describe(&self, _data: &Data<Self>, _example: usize, spoken: &Spoken) -> Result<Map<String, Value>> {
        Ok(spoken.described())
    }

    fn said(&self, data: &Data<Self>, example: usize, spoken: &Spoken) -> Result<Said> {
        Ok(spoken.beside(data.gold(example)?.unwrap_or_default(), &self.normalisation))
    }

    fn batching(&self) -> Batching {
        // Padding is work, and a long sound is as much of it as many short ones.
        Batching::Tokens
    }

    fn frozen_below(&self) -> usize {
        self.frozen_below
    }

    fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

impl Speaks for SpeechRecognition {}

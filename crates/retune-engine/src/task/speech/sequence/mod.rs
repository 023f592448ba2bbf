//! Speech recognition by sequence: a decoder writes what was said, token by token, as Whisper does (Radford et al. 2022).
//!
//! transformers' `WhisperForConditionalGeneration`, trained as `run_speech_recognition_seq2seq.py` does it: the decoder reads the
//! right text, moved on by one. Sounds that are longer than a model reads at once are written piece by piece, each cut where it is
//! quietest, or with times from one part of what is said to the next; never with a look at the text before. B rows, T tokens, V vocabulary.
//!
//! | file | holds |
//! |---|---|
//! | `prompt`, `languages` | what stands before a text |
//! | `sequential`, `segments` | texts with times, window by window |
//! | `prepare` | the data of a run, and data for a saved model |

mod languages;
mod prepare;
mod prompt;
mod segments;
mod sequential;

use super::said::{Speaks, SpeechScorer, Spoken};
use crate::metric::{Normalisation, Said};
use crate::task::{BatchTensors, Data, Phase, Scorer, Task, Turn};
use anyhow::{Context, Result};
use prompt::{Language, Prompt};
use retune_data::{Batching, Dataset, Sounds, SpokenTexts, Tokenizer};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::random;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::generate::{DecoderSteps, GenerationSettings, Prompts, Steps, generate};
use retune_models::heads::target_token_loss;
use retune_models::{NewHead, Tensors};
use sequential::Sequential;
use serde_json::{Map, Value};
use std::path::PathBuf;
use tempfile::TempDir;

pub(super) use prepare::{open, prepare};

/// The loss of raw outputs: scores at a place are for the label there.
pub(super) fn raw_loss() -> crate::task::LossOf {
    Box::new(|outputs, batch| Ok(loss::cross_entropy(outputs.get("logits")?, batch.targets.get("labels")?, None, 0.0)))
}

/// The task, with what its answers need.
pub(super) struct WrittenSpeech {
    head: NewHead,
    tokenizer: Tokenizer,
    prompt: Prompt,
    generation: GenerationSettings,
    normalisation: Normalisation,
    /// How texts have times, where they do.
    sequential: Option<Sequential>,
    batching: Batching,
    frozen_below: usize,
    files: Vec<PathBuf>,
    /// Where those files lie that were made for this run.
    _folders: Vec<TempDir>,
}

impl WrittenSpeech {
    /// The tokens before each text, [B, T].
    fn prompts(&self, turn: &Turn<'_, Data<Self>>, device: Device) -> Result<Tensor> {
        let rows = turn.rows.len();
        let tokens: Vec<i64> = match &self.prompt.language {
            Language::Detected(languages) => {
                let found = self.languages(turn, languages, device)?;
                found.into_iter().flat_map(|language| self.prompt.tokens(Some(language))).collect()
            }
            Language::None | Language::Known(_) => self.prompt.tokens(None).repeat(rows),
        };
        Ok(Tensor::from_slice(&tokens).f_view([rows as i64, -1])?.f_to_device(device)?)
    }

    /// The likeliest of some languages, row by row.
    fn languages(&self, turn: &Turn<'_, Data<Self>>, languages: &[i64], device: Device) -> Result<Vec<i64>> {
        let mut steps = DecoderSteps::over(turn.network, turn.inputs()?)?;
        let start = Tensor::full([turn.rows.len() as i64, 1], self.prompt.start, (Kind::Int64, device));
        let scores = steps.step(&start)?;
        let known = Tensor::from_slice(languages).f_to_device(device)?;
        let best = Vec::<i64>::try_from(scores.f_index_select(1, &known)?.f_argmax(-1, false)?)?;
        Ok(best.into_iter().map(|place| languages[place as usize]).collect())
    }

    /// The text of tokens, without those that are times.
    fn text(&self, tokens: &[i64]) -> Result<String> {
        let is_text = |token: &&i64| self.prompt.first_time.is_none_or(|first| **token < first);
        let ids: Vec<u32> = tokens.iter().filter(is_text).map(|&token| token as u32).collect();
        Ok(self.tokenizer.decode(&ids)?.trim().to_owned())
    }
}

impl Task for WrittenSpeech {
    type Medium = Sounds;
    type Targets = SpokenTexts;
    type Answer = Spoken;

    /// Texts are told soon after they are written.
    const ROWS_TOGETHER: usize = 64;

    fn head(&self) -> NewHead {
        self.head.clone()
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, _phase: Phase) -> Result<SummedLoss> {
        Ok(target_token_loss(outputs, batch.targets.get("labels")?, 0.0)?.loss)
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Spoken>> {
        let (_, input) = turn.batch.inputs.iter().next().context("a batch with inputs")?;
        let ids = self.prompts(turn, input.device())?;
        if let Some(how) = &self.sequential {
            return sequential::write(self, how, turn, (&ids, input.device()));
        }
        let keys =
            turn.rows.iter().map(|&row| random::mix(&[turn.data.content_hash(turn.data.example(row)), row as u64]));
        let prompts = Prompts::new(&ids, &ids.ones_like(), keys.collect())?;
        let mut steps = DecoderSteps::over(turn.network, turn.inputs()?)?;
        let found = generate(&mut steps, &prompts, &self.generation, &mut |_, _| ())?;
        found.iter().map(|one| Ok(Spoken::text(self.text(&one.tokens)?))).collect()
    }

    fn merge(&self, _data: &Data<Self>, _example: usize, pieces: Vec<Spoken>) -> Result<Spoken> {
        if let [_] = pieces[..] {
            return Ok(pieces.into_iter().next().unwrap_or_default());
        }
        let texts: Vec<String> = pieces.into_iter().map(|piece| piece.text).filter(|text| !text.is_empty()).collect();
        Ok(Spoken::text(texts.join(" ")))
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(SpeechScorer::new(self.normalisation.clone()))
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
        self.batching
    }

    fn frozen_below(&self) -> usize {
        self.frozen_below
    }

    fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

impl Speaks for WrittenSpeech {}

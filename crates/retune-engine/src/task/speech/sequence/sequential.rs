//! Long sounds from begin to end, with times: a window is written, and the next one begins where the last part of it ended. No window
//! sees the text before it, so that an error does not go on.
//!
//! transformers' `WhisperForConditionalGeneration.generate` with `return_timestamps`, and openai's `transcribe` with
//! `condition_on_previous_text=False`. R rows, M bins, F frames of a window, two of which are a step of times.

use super::WrittenSpeech;
use super::segments::cut;
use crate::task::speech::fallback::{Fallback, Verdict};
use crate::task::speech::said::{Segment, Spoken};
use crate::task::{Data, Turn};
use anyhow::{Context, Result};
use retune_data::Dataset;
use retune_kernels::random;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::generate::{
    Continuation, DecoderSteps, GenerationSettings, Prompts, Sampling, Steps, Times, generate,
};
use retune_models::{ModelError, Tensors};

/// Frames of a step of times: that of the encoder's convolutions.
const STRIDE: i64 = 2;

/// How texts with times are written.
pub(super) struct Sequential {
    pub(super) times: Times,
    pub(super) fallback: Fallback,
    /// The token of silence.
    pub(super) no_speech: i64,
    /// Rows of the token table.
    pub(super) vocabulary: usize,
    /// Seconds of a frame.
    pub(super) frame: f64,
}

/// A sound as far as it is written.
struct Sound {
    features: Tensor, // [M, all frames]
    frames: i64,
    /// Where the next window begins.
    seek: i64,
    key: u64,
    tokens: Vec<i64>,
    segments: Vec<Segment>,
}

/// A decoder, and how likely it is that nothing is said in each row, by the first token of a prompt.
struct Listening<'a> {
    steps: DecoderSteps<'a>,
    token: i64,
    no_speech: Vec<f64>,
}

impl Steps for Listening<'_> {
    fn step(&mut self, tokens: &Tensor) -> Result<Tensor, ModelError> {
        if !self.no_speech.is_empty() {
            return self.steps.step(tokens);
        }
        let scores = self.steps.step(&tokens.narrow(1, 0, 1))?;
        let shares = scores.softmax(-1, Kind::Double).select(1, self.token).to_device(Device::Cpu);
        self.no_speech = Vec::try_from(shares)?;
        let rest = tokens.size()[1] - 1;
        if rest == 0 { Ok(scores) } else { self.steps.step(&tokens.narrow(1, 1, rest)) }
    }

    fn choose(&mut self, rows: &Tensor) {
        self.steps.choose(rows);
    }

    fn longest(&self) -> Option<usize> {
        self.steps.longest()
    }
}

/// What the sounds of a batch say.
pub(super) fn write(
    task: &WrittenSpeech,
    how: &Sequential,
    turn: &Turn<'_, Data<WrittenSpeech>>,
    (ids, device): (&Tensor, Device),
) -> Result<Vec<Spoken>> {
    let medium = turn.data.medium();
    let sound = |&row: &usize| {
        let example = turn.data.example(row);
        let (values, bins) = medium.log_mel(turn.data.inner_example(example))?.context("a log-mel spectrogram")?;
        let features = Tensor::from_slice(&values).f_view([bins as i64, -1])?;
        let key = random::mix(&[turn.data.content_hash(example), row as u64]);
        let frames = features.size()[1];
        Ok::<_, anyhow::Error>(Sound { features, frames, seek: 0, key, tokens: Vec::new(), segments: Vec::new() })
    };
    let mut sounds = turn.rows.iter().map(sound).collect::<Result<Vec<_>>>()?;
    let window = medium.processor().piece_frames().context("a model that reads windows")?.0 as i64;
    loop {
        let open: Vec<usize> = (0..sounds.len()).filter(|&at| sounds[at].seek < sounds[at].frames).collect();
        if open.is_empty() {
            break;
        }
        let windows: Vec<Tensor> = open.iter().map(|&at| sounds[at].window(window)).collect();
        let windows = Tensor::f_stack(&windows, 0)?.f_to_device(device)?;
        let rows: Vec<i64> = open.iter().map(|&at| at as i64).collect();
        let prompts = ids.f_index_select(0, &Tensor::from_slice(&rows).f_to_device(device)?)?;
        let keys: Vec<u64> = open.iter().map(|&at| random::mix(&[sounds[at].key, sounds[at].seek as u64])).collect();
        let written = how.written(task, turn, (&windows, &prompts), &keys)?;
        for (at, tokens) in open.into_iter().zip(written) {
            sounds[at].go_on(task, how, window, tokens)?;
        }
    }
    let spoken =
        |sound: Sound| Ok(Spoken { segments: Some(sound.segments), ..Spoken::text(task.text(&sound.tokens)?) });
    sounds.into_iter().map(spoken).collect()
}

impl Sound {
    /// What is read next, silence behind the end, [M, F].
    fn window(&self, frames: i64) -> Tensor {
        let part = self.features.narrow(1, self.seek, frames.min(self.frames - self.seek));
        part.constant_pad_nd([0, frames - part.size()[1]])
    }

    /// Adds what was written of a window, nothing where it is silent.
    fn go_on(&mut self, task: &WrittenSpeech, how: &Sequential, window: i64, tokens: Option<Vec<i64>>) -> Result<()> {
        let read = window.min(self.frames - self.seek);
        let (parts, next) = match tokens {
            Some(tokens) => cut(&tokens, how.times.first, read / STRIDE),
            None => (Vec::new(), None),
        };
        let begin = self.seek as f64 * how.frame;
        let seconds = |steps: i64| begin + (steps * STRIDE) as f64 * how.frame;
        for part in parts {
            let text = task.text(&part.tokens)?;
            if !text.is_empty() {
                self.segments.push(Segment { text, start: seconds(part.start), end: seconds(part.end) });
            }
            self.tokens.extend(part.tokens);
        }
        self.seek += next.map_or(read, |steps| steps * STRIDE);
        Ok(())
    }
}

impl Sequential {
    /// The tokens of each window, without their ends: of the first temperature at which they are good, else of the last.
    fn written(
        &self,
        task: &WrittenSpeech,
        turn: &Turn<'_, Data<WrittenSpeech>>,
        (windows, prompts): (&Tensor, &Tensor),
        keys: &[u64],
    ) -> Result<Vec<Option<Vec<i64>>>> {
        let mut written: Vec<Option<Vec<i64>>> = vec![None; keys.len()];
        let mut open: Vec<usize> = (0..keys.len()).collect();
        for (attempt, &temperature) in self.fallback.temperatures.iter().enumerate() {
            let rows: Vec<i64> = open.iter().map(|&row| row as i64).collect();
            let rows = Tensor::from_slice(&rows).f_to_device(windows.device())?;
            let inputs = Tensors::from([("input_features", windows.f_index_select(0, &rows)?)]);
            let ids = prompts.f_index_select(0, &rows)?;
            let own = open.iter().map(|&row| random::mix(&[keys[row], attempt as u64])).collect();
            let begin = Prompts::new(&ids, &ids.ones_like(), own)?;
            let settings = self.settings(&task.generation, temperature);
            let steps = DecoderSteps::over(turn.network, &inputs)?;
            let mut steps = Listening { steps, token: self.no_speech, no_speech: Vec::new() };
            let found = generate(&mut steps, &begin, &settings, &mut |_, _| ())?;
            let mut again = Vec::new();
            for ((&row, one), no_speech) in open.iter().zip(found).zip(&steps.no_speech) {
                let verdict = self.verdict(&one, settings.beams > 1, *no_speech);
                if verdict == Verdict::Again {
                    again.push(row);
                }
                let mut tokens = one.tokens;
                tokens.pop_if(|last| settings.ends.contains(last));
                written[row] = (verdict != Verdict::Silence).then_some(tokens);
            }
            open = again;
            if open.is_empty() {
                break;
            }
        }
        Ok(written)
    }

    fn settings(&self, usual: &GenerationSettings, temperature: f64) -> GenerationSettings {
        let usual = GenerationSettings { times: Some(self.times), ..usual.clone() };
        if temperature == 0.0 {
            return usual;
        }
        let seed = usual.sampling.map_or(0, |sampling| sampling.seed);
        let sampling = Sampling { temperature, top_k: 0, seed, ..Sampling::default() };
        GenerationSettings { sampling: Some(sampling), beams: 1, ..usual }
    }

    fn verdict(&self, one: &Continuation, of_beams: bool, no_speech: f64) -> Verdict {
        // A beam's score is one of its length already.
        let mean = if of_beams { one.score } else { one.score / one.tokens.len().max(1) as f64 };
        self.fallback.judge(&one.tokens, mean, no_speech, self.vocabulary)
    }
}

//! What was said: answers of both kinds of recognizers, and how they are judged.

use crate::metric::transcripts::{Edits, marked};
use crate::metric::{Evaluation, Metric, Normalisation, Said, TranscriptMetric};
use crate::task::{Data, Judged, Scorer, Task};
use anyhow::{Context, Result};
use retune_data::{Sounds, Targets};
use serde_json::{Map, Value, json};

/// A word with its time in seconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) start: f64,
    pub(super) end: f64,
}

/// A part of what was said, with its time in seconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    pub(super) text: String,
    pub(super) start: f64,
    pub(super) end: f64,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Spoken {
    pub(super) text: String,
    /// The words, where their times are known.
    pub(super) words: Option<Vec<Word>>,
    /// Its parts, where their times are known.
    pub(super) segments: Option<Vec<Segment>>,
    /// How many frames are blank, and how many there are, where a model writes frame by frame.
    pub(super) frames: Option<(u64, u64)>,
}

impl Spoken {
    /// A text without times.
    pub(super) fn text(text: String) -> Self {
        Self { text, ..Self::default() }
    }

    /// As a user reads it.
    pub(super) fn described(&self) -> Map<String, Value> {
        let rounded = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
        let word = |word: &Word| json!({"text": word.text, "start": rounded(word.start), "end": rounded(word.end)});
        let words = self.words.as_ref().map(|words| ("words".to_owned(), words.iter().map(word).collect()));
        let segment = |it: &Segment| json!({"text": it.text, "start": rounded(it.start), "end": rounded(it.end)});
        let segments = self.segments.as_ref();
        let segments = segments.map(|all| ("segments".to_owned(), all.iter().map(segment).collect()));
        [("prediction".to_owned(), json!(self.text))].into_iter().chain(words).chain(segments).collect()
    }

    /// Beside what is right, for the report.
    pub(super) fn beside(&self, right: String, normalisation: &Normalisation) -> Said {
        let compared = marked(&normalisation.of(&right), &normalisation.of(&self.text));
        Said { prediction: self.text.clone(), right, confidence: None, marked: Some(compared) }
    }
}

/// A task that answers with what was said.
pub(super) trait Speaks: Task<Medium = Sounds, Answer = Spoken> {}

/// Compares texts word by word.
pub(super) struct SpeechScorer {
    metric: TranscriptMetric,
}

impl SpeechScorer {
    /// Of texts that are compared as this says.
    pub(super) fn new(normalisation: Normalisation) -> Self {
        Self { metric: TranscriptMetric::new(normalisation) }
    }

    /// Of a model that writes frame by frame.
    pub(super) fn by_frames(self) -> Self {
        Self { metric: self.metric.by_frames() }
    }
}

impl<T: Speaks> Scorer<T> for SpeechScorer
where
    T::Targets: Targets<Sounds, Gold = String>,
{
    fn add(&mut self, data: &Data<T>, example: usize, spoken: &Spoken) -> Result<Judged> {
        let right = data.gold(example)?.context("the data has no transcripts")?;
        if let Some(frames) = spoken.frames {
            self.metric.add_frames(frames);
        }
        let edits: Edits = self.metric.add(&right, &spoken.text, data.group_name(example));
        Ok(Judged { right: Some(edits.errors() == 0), severity: edits.errors() as f32 })
    }

    fn evaluation(&self) -> Evaluation {
        self.metric.evaluation()
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.metric.metrics()
    }
}

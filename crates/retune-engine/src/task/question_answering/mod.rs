//! Extractive question answering: which part of a context answers a question, or that none does.
//!
//! transformers' `…ForQuestionAnswering`, trained and decoded as `run_qa.py` does it (SQuAD; Rajpurkar et al. 2016, 2018). Contexts
//! that are longer than the model become overlapping windows; their answers are ranked together. B rows, T tokens.

mod scorer;
mod settings;
#[cfg(test)]
mod tests;

use self::scorer::AnswerScorer;
use self::settings::AnswerSettings;
use super::parts::{NextRows, STREAM, parts};
use super::splits::Encoded;
use super::texts::{AnnotationSettings, BatchSettings, TextInput, TokenSettings};
use super::{
    BatchTensors, Data, Decision, Entry, Guess, Judged, Opening, Parts, Phase, Prepared, Preparing, Scorer, Task, Turn,
    Work,
};
use crate::metric::Said;
use crate::metric::detail::{Mark, Marked, Span as MarkedSpan};
use crate::recipe::Settings;
use anyhow::{Context, Result, bail, ensure};
use retune_data::annotations::answers::{
    AnswerOptions, Question, QuestionFile, QuestionLines, RankedAnswers, WindowAnswers, WindowLogits, best_sentence,
    join_windows, window_answers,
};
use retune_data::annotations::{Characters, Span};
use retune_data::{Batching, Examples, Spans, TextAs};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::random;
use retune_kernels::tch::Kind;
use retune_models::{NewHead, Tensors, heads};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The key of the threshold of "no answer".
const KEY: &str = "null_threshold";
/// Tokens of a window when nobody says otherwise, as in `run_qa.py`.
const USUAL_LENGTH: usize = 384;

/// The task.
pub(super) static ENTRY: Entry = Entry {
    name: "question-answering",
    purpose: &heads::QUESTION_ANSWERING,
    settings: &[TokenSettings::SECTION, BatchSettings::SECTION, AnnotationSettings::SECTION, AnswerSettings::SECTION],
    decides: Some(KEY),
    targets: &["start_positions", "end_positions"],
    loss: |_| Ok(Box::new(summed)),
    prepare,
    open,
};

#[derive(Clone)]
struct QuestionAnswering {
    options: AnswerOptions,
    /// Whether questions may have no answer, where the user says so.
    given: Option<bool>,
    /// Whether the data has such questions.
    seen: Arc<AtomicBool>,
    /// The threshold of "no answer", once it is chosen.
    threshold: Arc<OnceLock<f64>>,
    batching: Batching,
    files: Vec<PathBuf>,
}

/// What is said of a question: by one window, or by all of them.
pub(super) enum Answer {
    /// Candidates of one window.
    Window(WindowAnswers),
    /// All of them, ranked.
    Ranked(RankedAnswers),
}

impl Answer {
    fn ranked(&self) -> Result<&RankedAnswers> {
        match self {
            Self::Ranked(ranked) => Ok(ranked),
            Self::Window(_) => bail!("the windows of a question were not joined"),
        }
    }

    fn window(self) -> Result<WindowAnswers> {
        match self {
            Self::Window(window) => Ok(window),
            Self::Ranked(_) => bail!("a window answers by candidates"),
        }
    }
}

/// The mean of the losses of start and end, summed over rows; positions beyond the window count in none.
fn summed(outputs: &Tensors, batch: &BatchTensors) -> Result<SummedLoss> {
    let side = |name: &str| {
        let logits = outputs.get(&format!("{name}_logits"))?;
        let positions = batch.targets.get(&format!("{name}_positions"))?;
        Ok::<_, anyhow::Error>(loss::position_cross_entropy(logits, positions))
    };
    Ok(SummedLoss::mean_of([side("start")?, side("end")?]))
}

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    let recipe = from.recipe;
    let (tokens, settings) = (recipe.read::<TokenSettings>()?, recipe.read::<AnswerSettings>()?);
    let input = TextInput::up_to(USUAL_LENGTH, tokens.max_length, from.model, from.config)?;
    settings.check_stride(input.max_length)?;
    let reading = settings.reading(recipe, true)?;
    let files = Encoded::read(recipe, |path| Ok(QuestionFile::read(path, &reading)?))?;
    let unanswerable = reading.unanswerable.unwrap_or_else(|| files.train.has_unanswerable());
    for file in [&files.validation, &files.test].into_iter().flatten().filter(|_| !unanswerable) {
        ensure!(
            !file.has_unanswerable(),
            "{}: some questions have no answer, but none of the training data is so; --no-answer yes or no decides",
            file.file.display()
        );
    }
    let options = input.options().windows(settings.doc_stride).offsets().on_bad_example(reading.on_bad_example);
    let data = files.map(|split, file| {
        let what = format!("tokenizing {} data", split.whole_name());
        let report = |done, all| (from.progress)(&what, done, all);
        let file = Arc::new(file);
        let medium = TextAs::encode(&file, &input.tokenizer, &options, &report)?;
        let spans = Spans::of(&file);
        Ok(Examples::new(file, medium, spans)?)
    })?;
    let note = if unanswerable { "questions may have no answer" } else { "every question has an answer" };
    let fingerprint = random::mix(&[input.max_length as u64, settings.doc_stride as u64, u64::from(unanswerable)]);
    let splits = data.splits(recipe, fingerprint, vec![note.to_owned()])?;
    let task = QuestionAnswering {
        given: Some(unanswerable),
        batching: recipe.read::<BatchSettings>()?.batching(),
        files: input.files(),
        ..QuestionAnswering::new(&settings)
    };
    Ok(Box::new(Prepared::new(task, splits)))
}

fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let recipe = from.recipe;
    let (tokens, settings) = (recipe.read::<TokenSettings>()?, recipe.read::<AnswerSettings>()?);
    let input = TextInput::up_to(USUAL_LENGTH, tokens.max_length, from.model, from.config)?;
    settings.check_stride(input.max_length)?;
    let (targets, progress) = (from.targets, from.progress);
    let reading = settings.reading(recipe, targets)?;
    let task = QuestionAnswering::new(&settings);
    let seen = Arc::clone(&task.seen);
    let options = input.options().windows(settings.doc_stride).offsets().on_bad_example(reading.on_bad_example);
    let of_lines = reading.clone();
    let file = move |path: &Path| {
        let file = QuestionFile::read(path, &reading)?;
        seen.fetch_or(file.has_unanswerable(), Ordering::Relaxed);
        Ok(file)
    };
    let lines = move |reader| {
        let mut lines = QuestionLines::new(reader, Path::new(STREAM), &of_lines);
        Ok(Box::new(move |most| Ok(lines.next_rows(most)?)) as NextRows<'_, QuestionFile>)
    };
    parts(task, from.input, file, lines, move |file: QuestionFile| {
        let report = |done, all| progress("tokenizing", done, all);
        let file = Arc::new(file);
        let silent = file.is_streamed();
        let medium = TextAs::encode(&file, &input.tokenizer, &options, if silent { &|_, _| {} } else { &report })?;
        let spans = if targets { Spans::of(&file) } else { None };
        Ok(Examples::new(file, medium, spans)?)
    })
}

impl QuestionAnswering {
    /// Without files to be saved.
    fn new(settings: &AnswerSettings) -> Self {
        Self {
            options: settings.ranked(),
            given: settings.unanswerable(),
            seen: Arc::default(),
            threshold: Arc::default(),
            batching: Batching::Examples,
            files: Vec::new(),
        }
    }

    /// Whether "no answer" is an answer. A model with a threshold of it was made for such questions.
    fn unanswerable(&self) -> bool {
        self.given.unwrap_or_else(|| self.seen.load(Ordering::Relaxed) || self.threshold.get().is_some())
    }

    fn options(&self) -> AnswerOptions {
        AnswerOptions { unanswerable: self.unanswerable(), ..self.options }
    }

    /// From how much doubt on no answer is given.
    fn threshold(&self) -> f64 {
        self.threshold.get().copied().unwrap_or(0.0)
    }

    /// The best answer, or that there is none.
    fn best(&self, ranked: &RankedAnswers) -> Option<(Span, f64)> {
        let answer = ranked.answer(self.threshold())?;
        Some((answer.span?, answer.probability))
    }
}

fn question(data: &Data<QuestionAnswering>, example: usize) -> &Question {
    data.medium().records().question(data.inner_example(example))
}

impl Task for QuestionAnswering {
    type Medium = TextAs<QuestionFile>;
    type Targets = Spans;
    type Answer = Answer;

    fn head(&self) -> NewHead {
        NewHead::of(ENTRY.purpose)
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, _phase: Phase) -> Result<SummedLoss> {
        summed(outputs, batch)
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Answer>> {
        let side = |name: &str| -> Result<(usize, Vec<f32>)> {
            let logits = turn.outputs()?.get(name)?.to_kind(Kind::Float);
            let tokens = logits.size().last().copied().context("logits are [B, T]")?;
            Ok((tokens as usize, Vec::try_from(logits.f_reshape([-1])?)?))
        };
        let ((tokens, start), (_, end)) = (side("start_logits")?, side("end_logits")?);
        let of_row = |(place, &row): (usize, &usize)| {
            let seen = turn.data.seen(row)?;
            let length = seen.places.len();
            // Padding on the left moves the tokens of a row in its batch.
            let first = if turn.data.medium().pads_left() { tokens - length } else { 0 };
            let range = place * tokens + first..place * tokens + first + length;
            let offsets: Vec<Option<Span>> = seen.places.iter().map(Spans::in_context).collect();
            let window = WindowLogits { start: &start[range.clone()], end: &end[range], offsets: &offsets, null: 0 };
            Ok(Answer::Window(window_answers(&window, &self.options())))
        };
        turn.rows.iter().enumerate().map(of_row).collect()
    }

    fn merge(&self, _data: &Data<Self>, _example: usize, windows: Vec<Answer>) -> Result<Answer> {
        let windows: Vec<WindowAnswers> = windows.into_iter().map(Answer::window).collect::<Result<_>>()?;
        Ok(Answer::Ranked(join_windows(&windows, &self.options())))
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(AnswerScorer::new(self.clone()))
    }

    fn guess(&self, _train: &Data<Self>) -> Result<Option<Guess<'_, Self>>> {
        let answer = |data: &Data<Self>, example: usize| {
            let question = question(data, example);
            Ok(Answer::Ranked(RankedAnswers::certain(best_sentence(&question.question, &question.context))))
        };
        Ok(Some(Guess { name: "sentence with most words of the question", answer: Box::new(answer) }))
    }

    fn ideal(&self, data: &Data<Self>, example: usize) -> Result<Option<Answer>> {
        let gold = data.gold(example)?.context("the data has no answers")?;
        Ok(Some(Answer::Ranked(RankedAnswers::certain(gold.first().map(|answer| answer.span)))))
    }

    fn decides(&self) -> bool {
        self.unanswerable()
    }

    fn describe(&self, data: &Data<Self>, example: usize, answer: &Answer) -> Result<Map<String, Value>> {
        let characters = Characters::of(&question(data, example).context);
        let ranked = answer.ranked()?;
        let one = |span: Option<Span>, probability: f64| {
            let text = span.and_then(|span| characters.part(span)).unwrap_or("");
            let (start, end) = (span.map(|span| span.start), span.map(|span| span.end));
            let pairs =
                [("answer", json!(text)), ("start", json!(start)), ("end", json!(end)), ("score", json!(probability))];
            pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<String, Value>>()
        };
        let none = ranked.n_best.iter().find(|it| it.span.is_none()).map_or(0.0, |it| it.probability);
        let mut map = match self.best(ranked) {
            Some((span, probability)) => one(Some(span), probability),
            None => one(None, none),
        };
        let all: Vec<Value> = ranked.n_best.iter().map(|it| Value::Object(one(it.span, it.probability))).collect();
        map.insert("n_best".to_owned(), Value::Array(all));
        map.extend(ranked.null_difference.map(|difference| ("null_score".to_owned(), json!(difference))));
        Ok(map)
    }

    fn said(&self, data: &Data<Self>, example: usize, answer: &Answer) -> Result<Said> {
        let question = question(data, example);
        let characters = Characters::of(&question.context);
        let gold = data.gold(example)?.unwrap_or_default();
        let best = self.best(answer.ranked()?);
        let said = best.map(|it| it.0);
        let mut spans: Vec<MarkedSpan> = Vec::new();
        let mut mark = |span: Span, kind: Mark, label: &str| {
            let span = MarkedSpan { start: span.start, end: span.end, label: label.to_owned(), kind };
            if !spans.contains(&span) {
                spans.push(span);
            }
        };
        for answer in &gold {
            mark(answer.span, if Some(answer.span) == said { Mark::Right } else { Mark::Missed }, "right");
        }
        if let Some(said) = said.filter(|said| gold.iter().all(|answer| answer.span != *said)) {
            mark(said, Mark::Invented, "said");
        }
        let none = || format!("{} — no answer", question.question);
        let part = |span: Span| format!("{} — {}", question.question, characters.part(span).unwrap_or(""));
        let texts: Vec<&str> = gold.iter().map(|answer| answer.text.as_str()).collect();
        Ok(Said {
            prediction: said.map_or_else(none, part),
            right: if texts.is_empty() { "no answer".to_owned() } else { texts.join(" / ") },
            confidence: best.map(|it| it.1),
            marked: Some(Marked { text: question.context.to_string(), spans }),
        })
    }

    fn batching(&self) -> Batching {
        self.batching
    }

    fn files(&self) -> &[PathBuf] {
        &self.files
    }

    fn adopt(&self, decision: &Decision) -> Result<()> {
        let threshold = decision.threshold()?;
        // The first choice stands: a run decides once.
        self.threshold.get_or_init(|| threshold);
        Ok(())
    }
}

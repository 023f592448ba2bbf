//! Causal language modelling: a decoder learns what comes next, of running text or of what an assistant says.
//!
//! transformers' `…ForCausalLM`. Documents in one block do not see each other, and their positions start anew. The loss never
//! holds the scores of all tokens ([`retune_kernels::loss::next_token_cross_entropy`]). B rows, T tokens, V vocabulary.

mod answer;
mod input;
mod scorer;
mod writer;

pub use writer::TextWriter;

use super::documents::DocumentSettings;
use super::generation::GenerationFlags;
use super::texts::{BatchSettings, TextSettings};
use super::{
    BatchTensors, Data, Entry, Judged, Opening, Parts, Phase, Prepared, Preparing, Scorer, Task, Turn, Work, parts,
};
use crate::metric::Said;
use crate::number;
use crate::recipe::Settings;
use crate::recipe::settings::{DATA, settings};
use answer::{Answer, continued};
use anyhow::{Context, Result};
use input::{Reading, TextOrChat};
use retune_data::{Batching, Blocks, Dataset, Examples, NextWords, Tokenizer};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::random;
use retune_kernels::tch::Kind;
use retune_models::generate::GenerationSettings;
use retune_models::heads::{self, next_token_loss};
use retune_models::{NewHead, Tensors, registry};
use scorer::NextTokens;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// The task.
pub(super) static ENTRY: Entry = Entry {
    name: "causal-lm",
    purpose: &heads::CAUSAL_LM,
    settings: &[
        TextSettings::SECTION,
        BatchSettings::SECTION,
        DocumentSettings::SECTION,
        CausalLmSettings::SECTION,
        GenerationFlags::SECTION,
    ],
    decides: None,
    targets: &["labels"],
    loss: |_| Ok(Box::new(of_scores)),
    prepare,
    open,
};

settings! {
    /// Conversations, and how they and documents become rows.
    pub struct CausalLmSettings, under DATA, else "{task} reads no conversations" {
        /// Column with lists of messages
        messages_column: String = "messages".to_owned(), value("COLUMN"), at_use();
        /// Column with prompts
        prompt_column: String = "prompt".to_owned(), value("COLUMN"), at_use();
        /// Column with what follows them
        completion_column: String = "completion".to_owned(), value("COLUMN"), at_use();
        /// Put whole documents or conversations side by side into rows; none sees another
        packing: bool, at_use();
        /// Token before each document: auto (what the tokenizer puts there), none, or its spelling
        begin_token: String = "auto".to_owned(), value("auto|none|TOKEN"), at_use();
        /// Token behind each document: auto (the tokenizer's end of a text), none, or its spelling
        end_token: String = "auto".to_owned(), value("auto|none|TOKEN"), at_use();
    }
}

/// The loss of raw outputs, [B, T, V], summed: scores at a place are for the label of the next one.
fn of_scores(outputs: &Tensors, batch: &BatchTensors) -> Result<SummedLoss> {
    let (logits, labels) = (outputs.get("logits")?, batch.targets.get("labels")?);
    let next = labels.size().get(1).copied().context("labels are [B, T]")? - 1;
    Ok(loss::cross_entropy(&logits.f_narrow(1, 0, next)?, &labels.f_narrow(1, 1, next)?, None, 0.0))
}

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    registry::family_for(from.config, Some(ENTRY.purpose))?;
    let recipe = from.recipe;
    let input = TextOrChat::of(recipe, from.model, from.config)?;
    let (blocks, notes) = input.blocks(recipe, from.progress)?;
    let task = CausalLm::new(&input, None, recipe.read::<BatchSettings>()?.batching());
    let data = blocks.map(|_, blocks| examples(blocks, true))?;
    let splits = data.splits(recipe, input.fingerprint(), notes)?;
    Ok(Box::new(Prepared::new(task, splits)))
}

fn examples(blocks: Blocks, targets: bool) -> Result<Data<CausalLm>> {
    let targets = targets.then(|| NextWords { blocks: blocks.clone() });
    Ok(Examples::new(Arc::new(blocks.clone()), blocks, targets)?)
}

/// With targets the rows of training, to be scored; else prompts, to be continued.
fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let (recipe, targets, progress) = (from.recipe, from.targets, from.progress);
    let mut input = TextOrChat::of(recipe, from.model, from.config)?;
    let mut generation = None;
    if !targets {
        let flags = recipe.read::<GenerationFlags>()?;
        let settings = flags.over(from.model, from.config, recipe.run.seed)?;
        input = input.for_prompts(&settings)?;
        generation = Some(settings);
    }
    let task = CausalLm::new(&input, generation, recipe.read::<BatchSettings>()?.batching());
    let input = Rc::new(input);
    let (of_file, of_lines) = (Rc::clone(&input), Rc::clone(&input));
    let encode = move |read: Reading| {
        let silent = read.is_streamed();
        let report = |done, all| progress("tokenizing", done, all);
        let documents = input.encode(read, targets, if silent { &|_, _| {} } else { &report })?;
        examples(input.cut(&documents, None)?, targets)
    };
    parts::parts(
        task,
        from.input,
        move |path| if targets { of_file.read(path) } else { of_file.prompts(path) },
        move |reader| of_lines.lines(reader),
        encode,
    )
}

struct CausalLm {
    tokenizer: Tokenizer,
    /// How prompts are continued, where they are.
    generation: Option<GenerationSettings>,
    batching: Batching,
    files: Vec<PathBuf>,
}

impl CausalLm {
    fn new(input: &TextOrChat, generation: Option<GenerationSettings>, batching: Batching) -> Self {
        Self { tokenizer: input.tokenizer().clone(), generation, batching, files: input.files() }
    }
}

impl Task for CausalLm {
    type Medium = Blocks;
    type Targets = NextWords;
    type Answer = Answer;

    /// Continuations are told soon after they are written.
    const ROWS_TOGETHER: usize = 64;

    fn head(&self) -> NewHead {
        NewHead::of(ENTRY.purpose)
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, _phase: Phase) -> Result<SummedLoss> {
        Ok(next_token_loss(outputs, batch.targets.get("labels")?, 0.0)?.loss)
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Answer>> {
        if let Some(settings) = &self.generation {
            let keys = turn.rows.iter().map(|&row| random::mix(&[turn.data.content_hash(row)])).collect();
            return continued(turn.network, &turn.batch.inputs, settings, keys);
        }
        let labels = turn.batch.targets.get("labels")?;
        let said = next_token_loss(turn.outputs()?, labels, 0.0)?;
        let rows = turn.rows.len() as i64;
        let sums = |tensor: &retune_kernels::tch::Tensor| -> Result<Vec<f64>> {
            let by_row = tensor.f_to_kind(Kind::Double)?.f_view([rows, -1])?;
            Ok(Vec::try_from(by_row.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?)?)
        };
        let counted = labels.f_narrow(1, 1, labels.size()[1] - 1)?.f_ne(loss::IGNORE_INDEX)?;
        let (losses, right, tokens) = (sums(&said.each)?, sums(&said.correct)?, sums(&counted.f_reshape([-1])?)?);
        let all = losses.into_iter().zip(right).zip(tokens);
        Ok(all
            .map(|((loss, right), tokens)| Answer::Scored { loss, right: right as u32, tokens: tokens as u32 })
            .collect())
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(NextTokens::new(self.tokenizer.clone()))
    }

    fn describe(&self, _data: &Data<Self>, _example: usize, answer: &Answer) -> Result<Map<String, Value>> {
        Ok(match answer {
            Answer::Written { tokens, score } => {
                let text = self.tokenizer.decode(tokens)?;
                Map::from_iter([("prediction".to_owned(), json!(text)), ("score".to_owned(), json!(score))])
            }
            Answer::Scored { loss, right, tokens } => {
                let mut line =
                    Map::from_iter([("tokens".to_owned(), json!(tokens)), ("right".to_owned(), json!(right))]);
                if *tokens > 0 {
                    line.insert("loss".to_owned(), json!(loss / f64::from(*tokens)));
                }
                line
            }
        })
    }

    fn said(&self, data: &Data<Self>, example: usize, answer: &Answer) -> Result<Said> {
        let prediction = match answer {
            Answer::Written { tokens, .. } => self.tokenizer.decode(tokens)?,
            Answer::Scored { loss, right, tokens } => {
                let mean = number::value(loss / f64::from((*tokens).max(1)));
                format!("{right} of {tokens} tokens right, loss {mean}")
            }
        };
        let right = match data.targets() {
            Some(targets) if example < data.examples() => {
                let seen = data.seen(example)?;
                let mut ids = Vec::new();
                let inner = data.inner_example(example);
                data.medium().for_each(inner, |id| ids.push(id))?;
                let learnt = targets.places(&seen).into_iter().filter_map(|place| ids.get(place).copied());
                self.tokenizer.decode(&learnt.take(SHOWN).collect::<Vec<_>>())?
            }
            _ => String::new(),
        };
        Ok(Said { prediction, right, ..Said::default() })
    }

    fn batching(&self) -> Batching {
        self.batching
    }

    fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

/// Tokens of an example that a report shows.
const SHOWN: usize = 200;

impl Answer {
    fn judged(&self) -> Judged {
        match self {
            Self::Scored { loss, tokens, .. } => {
                Judged { right: None, severity: (loss / f64::from((*tokens).max(1))) as f32 }
            }
            Self::Written { .. } => Judged { right: None, severity: 0.0 },
        }
    }
}

#[cfg(test)]
mod tests;

//! Causal language modelling: a decoder learns what comes next, of running text or of what an assistant says.
//!
//! transformers' `…ForCausalLM`. Documents in one block do not see each other, and their positions start anew. The loss never
//! holds the scores of all tokens ([`retune_kernels::loss::next_token_cross_entropy`]). B rows, T tokens, V vocabulary.

mod answer;
mod asking;
mod input;
mod scorer;
mod writer;

pub(super) use writer::Continuer;

use super::documents::DocumentSettings;
use super::from_scratch::FromScratchSettings;
use super::generation::GenerationFlags;
use super::texts::{BatchSettings, TextSettings};
use super::{BatchTensors, Data, Entry, Opening, Parts, Phase, Prepared, Preparing, Scorer, Task, Turn, Work, parts};
use crate::metric::Said;
use crate::number;
use crate::recipe::Settings;
use crate::recipe::settings::{DATA, settings};
use answer::{Answer, Written, continued};
use anyhow::{Context, Result};
use asking::Asking;
use input::{Reading, TextOrChat, hold_conversations};
use retune_data::{Batching, Blocks, Dataset, Examples, NextWords, Tokenizer};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::random;
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
        FromScratchSettings::SECTION,
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
        /// Rows of validation and test data whose prompts are answered, to be compared with the completion or the last turn of the
        /// assistant: the first ones, so many at most; 0 is none
        answered_rows: usize = 100, value("N"), at_use(), neutral();
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
    let judged = [&blocks.validation, &blocks.test];
    let asks = judged.into_iter().flatten().any(|blocks| hold_conversations(blocks.documents()));
    let asking = if asks { Asking::of(&input, recipe, from.model, from.config)? } else { None };
    let task = CausalLm::new(&input, None, recipe.read::<BatchSettings>()?.batching()).asking(asking);
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
    let (mut generation, mut asking) = (None, None);
    if targets {
        asking = Asking::of(&input, recipe, from.model, from.config)?;
    } else {
        let flags = recipe.read::<GenerationFlags>()?;
        let settings = flags.over(from.model, from.config, recipe.run.seed)?;
        input = input.for_prompts(&settings)?;
        generation = Some(settings);
    }
    let task = CausalLm::new(&input, generation, recipe.read::<BatchSettings>()?.batching()).asking(asking);
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
    /// Which prompts are answered where it is known what is right.
    asking: Option<Arc<Asking>>,
    batching: Batching,
    files: Vec<PathBuf>,
}

impl CausalLm {
    fn new(input: &TextOrChat, generation: Option<GenerationSettings>, batching: Batching) -> Self {
        Self { tokenizer: input.tokenizer().clone(), generation, asking: None, batching, files: input.files() }
    }

    fn asking(self, asking: Option<Asking>) -> Self {
        Self { asking: asking.map(Arc::new), ..self }
    }

    /// What is answered to the prompts of the rows of a batch, where they are asked.
    fn answered(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Option<Written>>> {
        let mut all: Vec<Option<Written>> = turn.rows.iter().map(|_| None).collect();
        let Some(asking) = &self.asking else { return Ok(all) };
        let (mut places, mut asked) = (Vec::new(), Vec::new());
        for (place, &row) in turn.rows.iter().enumerate() {
            let example = turn.data.example(row);
            if let Some(one) = asking.asked(turn.data, example)? {
                places.push(place);
                asked.push((one, turn.data.content_hash(example)));
            }
        }
        let device = turn.batch.targets.get("labels")?.device();
        for (place, written) in places.into_iter().zip(asking.written(turn.network, device, &asked)?) {
            all[place] = written;
        }
        Ok(all)
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

    fn answered_loss(&self, turn: &Turn<'_, Data<Self>>) -> Result<SummedLoss> {
        Ok(turn.said(next_token_loss)?.loss.shallow_clone())
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Answer>> {
        if let Some(settings) = &self.generation {
            let keys = turn.rows.iter().map(|&row| random::mix(&[turn.data.content_hash(row)])).collect();
            return continued(turn.network, &turn.batch.inputs, settings, keys);
        }
        let labels = turn.batch.targets.get("labels")?;
        let counted = labels.f_narrow(1, 1, labels.size()[1] - 1)?.f_ne(loss::IGNORE_INDEX)?;
        let likely = turn.likely(next_token_loss, &counted)?.into_iter().zip(self.answered(turn)?);
        Ok(likely.map(|(sums, written)| Answer::Scored { sums, written }).collect())
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(NextTokens::new(self.tokenizer.clone(), self.asking.clone()))
    }

    fn describe(&self, data: &Data<Self>, example: usize, answer: &Answer) -> Result<Map<String, Value>> {
        let said = |written: &Written| -> Result<Map<String, Value>> {
            let text = self.tokenizer.decode(&written.tokens)?;
            Ok(Map::from_iter([("prediction".to_owned(), json!(text)), ("score".to_owned(), json!(written.score))]))
        };
        let (sums, written) = match answer {
            Answer::Written(written) => return said(written),
            Answer::Scored { sums, written } => (sums, written),
        };
        let mut line = Map::new();
        if let Some(written) = written {
            line.extend(said(written)?);
            let asked = self.asking.as_ref().map(|asking| asking.asked(data, example)).transpose()?.flatten();
            line.extend(asked.map(|asked| ("reference".to_owned(), json!(asked.reference))));
        }
        line.insert("tokens".to_owned(), json!(sums.tokens));
        line.insert("right".to_owned(), json!(sums.right));
        if sums.tokens > 0 {
            line.insert("loss".to_owned(), json!(sums.loss / f64::from(sums.tokens)));
        }
        Ok(line)
    }

    fn said(&self, data: &Data<Self>, example: usize, answer: &Answer) -> Result<Said> {
        let (sums, written) = match answer {
            Answer::Written(written) => {
                return Ok(Said { prediction: self.tokenizer.decode(&written.tokens)?, ..Said::default() });
            }
            Answer::Scored { sums, written } => (sums, written),
        };
        let asked = self.asking.as_ref().map(|asking| asking.asked(data, example)).transpose()?.flatten();
        if let Some((written, asked)) = written.as_ref().zip(asked) {
            let prediction = self.tokenizer.decode(&written.tokens)?;
            return Ok(Said { prediction, right: asked.reference, ..Said::default() });
        }
        let mean = number::value(sums.loss / f64::from(sums.tokens.max(1)));
        let prediction = format!("{} of {} tokens right, loss {mean}", sums.right, sums.tokens);
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

#[cfg(test)]
mod tests;

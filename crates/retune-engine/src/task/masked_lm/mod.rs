//! Masked language modelling: words of running text are hidden, and the model says which stood there (Devlin et al. 2018).
//!
//! transformers' `…ForMaskedLM`, trained as `run_mlm.py` does it; see [`retune_data::Masking`] for what is hidden. What is
//! nothing learnt from is always hidden in the same places, so that figures of two models compare.
//! B rows, T tokens, P places of a row, M hidden tokens of a batch, V vocabulary.

mod answer;
mod guess;

use super::documents::{DocumentInput, DocumentSettings};
use super::frequencies::Frequencies;
use super::from_scratch::FromScratchSettings;
use super::texts::{BatchSettings, TextSettings};
use super::{
    BatchTensors, Data, Entry, Guess, Judged, Opening, Parts, Phase, Prepared, Preparing, Scorer, Task, Turn, Work,
    parts,
};
use crate::Recipe;
use crate::metric::{Evaluation, Metric, PerplexityMetric, Said};
use crate::number;
use crate::recipe::Settings;
use crate::recipe::settings::{AT_LEAST_ONE, DATA, PART, TRAINING, settings};
use answer::Answer;
use anyhow::{Context, Result};
use retune_data::{
    Batching, BlockOptions, Blocks, Cut, Dataset, Examples, MaskOptions, MaskedWords, Masking, Medium, TableRows,
    Tokenizer,
};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::random;
use retune_kernels::tch::{Kind, Tensor};
use retune_models::heads::{self, LOGIT_POSITIONS};
use retune_models::{ModelError, NewHead, Tensors, registry};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// The task.
pub(super) static ENTRY: Entry = Entry {
    name: "masked-lm",
    purpose: &heads::MASKED_WORDS,
    settings: &[
        TextSettings::SECTION,
        BatchSettings::SECTION,
        DocumentSettings::SECTION,
        MaskedLmSettings::SECTION,
        FromScratchSettings::SECTION,
    ],
    decides: None,
    targets: &["labels"],
    loss: |_| Ok(Box::new(summed)),
    prepare,
    open,
};

settings! {
    /// Which tokens are hidden, and how many answers are given.
    struct MaskedLmSettings, under TRAINING, else "{task} hides no words" {
        /// Probability of each token (or word) to be hidden
        mask_probability: f64 = 0.15, value("P"), range(PART);
        /// Hide whole words, not single tokens
        whole_words: bool;
        /// Answers for each mask
        top_k: usize = 5, value("K"), under(DATA), range(AT_LEAST_ONE), at_use();
    }
}

/// The loss over the hidden tokens, summed; of raw outputs [B, T, V] over all labelled ones.
fn summed(outputs: &Tensors, batch: &BatchTensors) -> Result<SummedLoss> {
    let (logits, labels) = (outputs.get("logits")?, batch.targets.get("labels")?);
    if logits.dim() == 3 {
        return Ok(loss::cross_entropy(logits, labels, None, 0.0));
    }
    Ok(loss::cross_entropy(logits, &chosen(labels, &batch.inputs)?, None, 0.0))
}

/// What `values` [B, T] has at the places of the logits, \[M\], in their order.
fn chosen(values: &Tensor, inputs: &Tensors) -> Result<Tensor, ModelError> {
    let rows = values.unsqueeze(-1);
    Ok(heads::pick(&rows, Some(inputs.get(LOGIT_POSITIONS)?))?.squeeze_dim(1))
}

/// How tokens are drawn from a tokenizer's vocabulary.
fn drawn(recipe: &Recipe, tokenizer: &Tokenizer) -> Result<MaskOptions> {
    let settings = recipe.read::<MaskedLmSettings>()?;
    let mut ordinary: Vec<bool> =
        (0..tokenizer.vocabulary_size() as u32).map(|id| tokenizer.token(id).is_some()).collect();
    for id in tokenizer.special_ids() {
        ordinary[id as usize] = false;
    }
    Ok(MaskOptions {
        probability: settings.mask_probability,
        whole_words: settings.whole_words,
        mask_id: mask_id(tokenizer)?,
        ordinary: ordinary.into(),
    })
}

fn mask_id(tokenizer: &Tokenizer) -> Result<u32> {
    tokenizer.mask_id().with_context(|| {
        format!(
            "{}: the tokenizer has no mask token (`mask_token` of tokenizer_config.json), so that no word can be hidden",
            tokenizer.folder().display()
        )
    })
}

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    registry::family_for(from.config, Some(ENTRY.purpose))?;
    let recipe = from.recipe;
    let input = DocumentInput::of(recipe, from.model, from.config)?;
    let masks = drawn(recipe, &input.tokenizer)?;
    let (words, probability) = (masks.whole_words, masks.probability);
    let task = MaskedLm::new(recipe, &input, None)?;
    let options = BlockOptions { masking: Some(Masking::Drawn(masks)), ..input.framed()? };
    let (blocks, notes) = input.blocks(recipe, words, &options, from.progress)?;
    let data = blocks.map(|_, blocks| examples(blocks, true))?;
    let fingerprint = random::mix(&[input.settings(), probability.to_bits(), u64::from(words)]);
    let splits = data.splits(recipe, fingerprint, notes)?;
    Ok(Box::new(Prepared::new(task, splits)))
}

fn examples(blocks: Blocks, targets: bool) -> Result<Data<MaskedLm>> {
    let targets = targets.then(|| MaskedWords { blocks: Medium::examples(&blocks) });
    Ok(Examples::new(Arc::new(blocks.clone()), blocks, targets)?)
}

/// Blocks as in training where words are to be hidden; else texts one by one, which hide words themselves.
fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let (recipe, targets, progress) = (from.recipe, from.targets, from.progress);
    let mut input = DocumentInput::of(recipe, from.model, from.config)?;
    let mask = mask_id(&input.tokenizer)?;
    let options = if targets {
        BlockOptions { masking: Some(Masking::Drawn(drawn(recipe, &input.tokenizer)?)), ..input.framed()? }
    } else {
        input.cut = Cut::Whole;
        BlockOptions { masking: Some(Masking::Given(mask)), ..input.framed()? }
    };
    let words = recipe.read::<MaskedLmSettings>()?.whole_words;
    let task = MaskedLm::new(recipe, &input, (!targets).then_some(mask))?;
    let input = Rc::new(input);
    let encode = {
        let input = Rc::clone(&input);
        move |rows: Arc<TableRows>| {
            let report = |done, all| progress("tokenizing", done, all);
            let documents = input.encode(&rows, words, if rows.streamed() { &|_, _| {} } else { &report })?;
            examples(Blocks::cut(&documents, None, options.clone())?, targets)
        }
    };
    parts::parts(task, from.input, |path: &Path| input.read(path), |reader| input.lines(reader), encode)
}

struct MaskedLm {
    tokenizer: Tokenizer,
    /// Answers for each mask; one where they are only compared.
    answers: usize,
    /// The spelling of the mask, where texts hide words themselves.
    mask: Option<String>,
    batching: Batching,
    files: Vec<PathBuf>,
}

impl MaskedLm {
    fn new(recipe: &Recipe, input: &DocumentInput, mask: Option<u32>) -> Result<Self> {
        let settings = recipe.read::<MaskedLmSettings>()?;
        Ok(Self {
            answers: if mask.is_some() { settings.top_k } else { 1 },
            mask: mask.and_then(|id| input.tokenizer.token(id)),
            batching: recipe.read::<BatchSettings>()?.batching(),
            files: input.files(),
            tokenizer: input.tokenizer.clone(),
        })
    }

    /// A token as text, without the space before it.
    fn word(&self, id: u32) -> String {
        let decoded = self.tokenizer.decode(&[id]).unwrap_or_default();
        let word = decoded.trim();
        if word.is_empty() { self.tokenizer.token(id).unwrap_or_default() } else { word.to_owned() }
    }
}

impl Task for MaskedLm {
    type Medium = Blocks;
    type Targets = MaskedWords;
    type Answer = Answer;

    fn head(&self) -> NewHead {
        NewHead::of(ENTRY.purpose)
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, _phase: Phase) -> Result<SummedLoss> {
        summed(outputs, batch)
    }

    fn loss_reads(&self) -> &'static [&'static str] {
        &[LOGIT_POSITIONS]
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Answer>> {
        let logits = turn.outputs()?.get("logits")?;
        let labels = turn.batch.targets.optional("labels").map(|it| chosen(it, &turn.batch.inputs)).transpose()?;
        let places = turn.batch.inputs.get(LOGIT_POSITIONS)?;
        let counts = Vec::<i64>::try_from(places.ge(0).sum_dim_intlist([1i64].as_slice(), false, Kind::Int64))?;
        answer::answers(logits, labels.as_ref(), &counts, self.answers)
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(Words(PerplexityMetric::new()))
    }

    fn guess(&self, train: &Data<Self>) -> Result<Option<Guess<'_, Self>>> {
        let frequencies = Frequencies::of(self.tokenizer.vocabulary_size(), |each| {
            train.inner_examples().into_iter().try_for_each(|block| train.medium().for_each(block, &mut *each))
        })?;
        let answer = move |data: &Data<Self>, example: usize| {
            let seen = Medium::seen(data.medium(), data.inner_example(example))?;
            Ok(guess::answer(&frequencies, seen.masked.iter().filter_map(|masked| masked.id)))
        };
        Ok(Some(Guess { name: "frequencies of words", answer: Box::new(answer) }))
    }

    fn ideal(&self, data: &Data<Self>, example: usize) -> Result<Option<Answer>> {
        let seen = Medium::seen(data.medium(), data.inner_example(example))?;
        Ok(Some(Answer::ideal(seen.masked.iter().filter_map(|masked| masked.id))))
    }

    /// With masks in the text: it, filled with the likeliest words, and the likeliest words of each mask. Else how well the
    /// hidden words were said.
    fn describe(&self, data: &Data<Self>, example: usize, answer: &Answer) -> Result<Map<String, Value>> {
        let Some(mask) = &self.mask else {
            let sums = answer.sums();
            let mut line =
                Map::from_iter([("masked".to_owned(), json!(sums.tokens)), ("right".to_owned(), json!(sums.right))]);
            if sums.tokens > 0 {
                line.insert("loss".to_owned(), json!(sums.loss / f64::from(sums.tokens)));
            }
            return Ok(line);
        };
        let fields = data.source(example)?.fields;
        let text = fields.values().next().and_then(Value::as_str).unwrap_or_default();
        let best: Vec<String> =
            answer.places.iter().filter_map(|place| place.best.first()).map(|(id, _)| self.word(*id)).collect();
        let (filled, left) = answer::filled(text, mask, &best);
        let masks = answer.places.iter().map(|place| {
            let one = |(id, score): &(u32, f32)| json!({"token": self.word(*id), "score": score});
            Value::Array(place.best.iter().map(one).collect())
        });
        let mut line = Map::from_iter([
            ("prediction".to_owned(), json!(filled)),
            ("masks".to_owned(), Value::Array(masks.collect())),
        ]);
        if left > 0 {
            line.insert("masks_cut_off".to_owned(), json!(left));
        }
        Ok(line)
    }

    fn said(&self, _data: &Data<Self>, _example: usize, answer: &Answer) -> Result<Said> {
        const SHOWN: usize = 12;
        let listed = |of: &dyn Fn(&answer::Place) -> Option<u32>| {
            let shown = answer.places.iter().take(SHOWN).filter_map(of);
            let words = shown.map(|id| self.word(id)).collect::<Vec<_>>().join(" · ");
            if answer.places.len() > SHOWN { format!("{words} …") } else { words }
        };
        let sums = answer.sums();
        let loss = number::value(sums.loss / f64::from(sums.tokens.max(1)));
        let prediction = listed(&|place| place.best.first().map(|(id, _)| *id));
        Ok(Said {
            prediction: format!("{prediction} ({} of {} right, loss {loss})", sums.right, sums.tokens),
            right: listed(&|place| place.right),
            ..Said::default()
        })
    }

    fn batching(&self) -> Batching {
        self.batching
    }

    fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

struct Words(PerplexityMetric);

impl Scorer<MaskedLm> for Words {
    fn add(&mut self, _data: &Data<MaskedLm>, _example: usize, answer: &Answer) -> Result<Judged> {
        let sums = answer.sums();
        self.0.add(sums);
        Ok(Judged { right: None, severity: (sums.loss / f64::from(sums.tokens.max(1))) as f32 })
    }

    fn evaluation(&self) -> Evaluation {
        self.0.compute()
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.0.metrics()
    }
}

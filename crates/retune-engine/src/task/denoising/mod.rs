//! Denoising: pieces of running text are taken out, and an encoder–decoder writes them again (T5's span corruption, Raffel et al.
//! 2020; BART's text infilling, Lewis et al. 2020). What it learns so is where translation and other writing begin.
//!
//! transformers' `…ForConditionalGeneration`; see [`retune_data::NoiseOptions`] for what is taken out. What is nothing learnt from
//! loses always the same pieces, so that figures of two models compare. B rows, S tokens to write, V vocabulary.

mod answer;

use super::documents::{DocumentInput, DocumentSettings};
use super::frequencies::Frequencies;
use super::from_scratch::FromScratchSettings;
use super::generation::GenerationFlags;
use super::texts::{BatchSettings, TextSettings};
use super::{
    BatchTensors, Data, Entry, Guess, Opening, Parts, Phase, Prepared, Preparing, Scorer, Task, Turn, Work, parts,
    text_to_text, writing,
};
use crate::Recipe;
use crate::metric::{PerplexityMetric, Said};
use crate::number;
use crate::recipe::Settings;
use crate::recipe::settings::{AT_LEAST_ONE, PART, PORTION, TRAINING, settings};
use answer::{Answer, Restoring};
use anyhow::{Context, Result, bail, ensure};
use retune_data::{
    Batching, Blocks, Cut, DecoderInput, Examples, Medium, NoiseOptions, NoiseTokens, NoisedBlocks, Restored,
    SentenceOrder, TableRows, Tokenizer,
};
use retune_kernels::loss::SummedLoss;
use retune_kernels::random;
use retune_models::generate::GenerationSettings;
use retune_models::heads::{SEQUENCE_TO_SEQUENCE, target_token_loss};
use retune_models::{ModelConfig, NewHead, Tensors, registry};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// The task.
pub(super) static ENTRY: Entry = Entry {
    name: "denoising",
    purpose: &SEQUENCE_TO_SEQUENCE,
    settings: &[
        TextSettings::SECTION,
        BatchSettings::SECTION,
        DocumentSettings::SECTION,
        NoiseSettings::SECTION,
        GenerationFlags::SECTION,
        FromScratchSettings::SECTION,
    ],
    decides: None,
    targets: &["labels"],
    loss: |_| Ok(Box::new(text_to_text::of_scores)),
    prepare,
    open,
};

settings! {
    /// Which pieces are taken out.
    struct NoiseSettings, under TRAINING, else "{task} takes nothing out of texts" {
        /// spans (each becomes a sentinel, and what they stand for is written, as T5), infilling (each becomes a mask, and the whole
        /// text is written, as BART), or auto: what the tokenizer has tokens for
        noise: String = "auto".to_owned(), value("auto|spans|infilling"), one_of(&["auto", "spans", "infilling"]);
        /// Share of the tokens that is taken out
        noise_share: Option<f64>, value("P"), usual("0.15 of spans, 0.3 of infilling"), range(PART);
        /// Mean length of what is taken out as one, in tokens
        span_length: usize = 3, value("TOKENS"), range(AT_LEAST_ONE);
        /// Share of the sentences that change places before; BART has 1. Infilling alone, where the whole text is written
        permuted_sentences: f64 = 0.0, value("P"), range(PORTION);
    }
}

/// Sentinels of T5 and its siblings, the first of them first.
fn sentinels(tokenizer: &Tokenizer) -> Vec<u32> {
    (0..).map_while(|number| tokenizer.token_id(&format!("<extra_id_{number}>"))).collect()
}

fn drawn(recipe: &Recipe, input: &DocumentInput) -> Result<NoiseOptions> {
    let (settings, tokenizer) = (recipe.read::<NoiseSettings>()?, &input.tokenizer);
    let (sentinels, mask) = (sentinels(tokenizer), tokenizer.mask_id());
    let named = || tokenizer.folder().display();
    let tokens = match (settings.noise.as_str(), sentinels.len(), mask) {
        ("spans", 0, _) => bail!("noise: {} has no sentinels (`<extra_id_0>`, …); spans cannot be taken out", named()),
        ("infilling", _, None) => bail!("noise: {} has no mask token; it cannot stand for what is taken out", named()),
        ("infilling", _, Some(mask)) | ("auto", 0, Some(mask)) => NoiseTokens::Mask(mask),
        ("auto", 0, None) => bail!(
            "noise: {} has neither sentinels (`<extra_id_0>`, …) nor a mask token; nothing can stand for what is taken out",
            named()
        ),
        _ => NoiseTokens::Sentinels(sentinels.into()),
    };
    let (usual, most) = match &tokens {
        NoiseTokens::Sentinels(all) => (0.15, all.len()),
        NoiseTokens::Mask(_) => (0.3, usize::MAX),
    };
    let sentences = match (&tokens, settings.permuted_sentences) {
        (_, 0.0) => None,
        (NoiseTokens::Sentinels(_), _) => bail!(
            "permuted-sentences: with spans only what is taken out is written, and no order can be restored; give --noise infilling or 0"
        ),
        (NoiseTokens::Mask(_), share) => Some(SentenceOrder { share, ends: ends(tokenizer)? }),
    };
    let (share, span) = (settings.noise_share.unwrap_or(usual), settings.span_length as f64);
    let spans = (input.size as f64 * share / span).round() as usize;
    if spans > most {
        let size = input.size;
        bail!(
            "noise: blocks of {size} tokens lose about {spans} spans, but the tokenizer has {most} sentinels; give a smaller --block-size or \
             --noise-share, or a larger --span-length"
        );
    }
    Ok(NoiseOptions { tokens, share, span, sentences })
}

/// Which tokens end a sentence.
///
/// # Errors
/// There are none.
fn ends(tokenizer: &Tokenizer) -> Result<Arc<[bool]>> {
    const MARKS: &[char] = &['.', '!', '?', '。', '！', '？', '।', '؟'];
    let is_end = |id: u32| -> Result<bool> {
        let spelled = tokenizer.spelled(&[id])?;
        let spelled = spelled.trim();
        Ok(!spelled.is_empty() && spelled.chars().all(|letter| MARKS.contains(&letter)))
    };
    let all = (0..tokenizer.vocabulary_size() as u32).map(is_end).collect::<Result<Vec<bool>>>()?;
    ensure!(all.contains(&true), "permuted-sentences: no token of the tokenizer ends a sentence");
    Ok(all.into())
}

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    registry::family_for(from.config, Some(ENTRY.purpose))?;
    let recipe = from.recipe;
    let input = DocumentInput::of(recipe, from.model, from.config)?;
    let noise = drawn(recipe, &input)?;
    let mut fingerprint = vec![input.settings(), noise.share.to_bits(), noise.span.to_bits()];
    fingerprint.push(u64::from(matches!(noise.tokens, NoiseTokens::Mask(_))));
    fingerprint.extend(noise.sentences.iter().map(|sentences| sentences.share.to_bits()));
    let task = Denoising::new(recipe, from.model, from.config, &input)?;
    let (blocks, notes) = input.blocks(recipe, false, &input.framed()?, from.progress)?;
    let data = blocks.map(|_, blocks| examples(blocks, Some(noise.clone()), from.config))?;
    let splits = data.splits(recipe, random::mix(&fingerprint), notes)?;
    Ok(Box::new(Prepared::new(task, splits)))
}

/// With `noise`, what was taken out is to be written.
fn examples(blocks: Blocks, noise: Option<NoiseOptions>, config: &ModelConfig) -> Result<Data<Denoising>> {
    let targets = match &noise {
        None => None,
        Some(_) => {
            let begin = registry::target_begin(config)?;
            let shift = move |ids: &[i64]| begin.shift_row(ids);
            let decoder = DecoderInput { shift: Arc::new(shift), padding: begin.padding };
            Some(Restored { blocks: Medium::examples(&blocks), decoder })
        }
    };
    Ok(Examples::new(Arc::new(blocks.clone()), NoisedBlocks { blocks, noise }, targets)?)
}

/// Blocks as in training where pieces are to be taken out; else texts one by one, which lack pieces themselves.
fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let (recipe, targets, progress) = (from.recipe, from.targets, from.progress);
    let mut input = DocumentInput::of(recipe, from.model, from.config)?;
    let noise = if targets { Some(drawn(recipe, &input)?) } else { None };
    if !targets {
        input.cut = Cut::Whole;
    }
    let options = input.framed()?;
    let task = Denoising::new(recipe, from.model, from.config, &input)?;
    let input = Rc::new(input);
    let encode = {
        let (input, config) = (Rc::clone(&input), from.config);
        move |rows: Arc<TableRows>| {
            let report = |done, all| progress("tokenizing", done, all);
            let documents = input.encode(&rows, false, if rows.streamed() { &|_, _| {} } else { &report })?;
            examples(Blocks::cut(&documents, None, options.clone())?, noise.clone(), config)
        }
    };
    parts::parts(task, from.input, |path: &Path| input.read(path), |reader| input.lines(reader), encode)
}

struct Denoising {
    tokenizer: Tokenizer,
    generation: GenerationSettings,
    batching: Batching,
    files: Vec<PathBuf>,
}

impl Denoising {
    fn new(recipe: &Recipe, model: &Path, config: &ModelConfig, input: &DocumentInput) -> Result<Self> {
        let settings = recipe.read::<GenerationFlags>()?.over(model, config, recipe.run.seed)?;
        Ok(Self {
            tokenizer: input.tokenizer.clone(),
            generation: writing::within(settings, config)?,
            batching: recipe.read::<BatchSettings>()?.batching(),
            files: input.files(),
        })
    }
}

impl Task for Denoising {
    type Medium = NoisedBlocks;
    type Targets = Restored;
    type Answer = Answer;

    /// What is written is told soon after.
    const ROWS_TOGETHER: usize = 64;

    fn head(&self) -> NewHead {
        NewHead::of(ENTRY.purpose)
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, _phase: Phase) -> Result<SummedLoss> {
        Ok(target_token_loss(outputs, batch.targets.get("labels")?, 0.0)?.loss)
    }

    fn answered_loss(&self, turn: &Turn<'_, Data<Self>>) -> Result<SummedLoss> {
        Ok(turn.said(target_token_loss)?.loss.shallow_clone())
    }

    /// How likely what was taken out was; where nothing is known of it, what is written for the text.
    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Answer>> {
        let likely = writing::likely(turn)?;
        if let Some(sums) = likely.into_iter().collect::<Option<Vec<_>>>() {
            return Ok(sums.into_iter().map(Answer::Scored).collect());
        }
        let written = writing::written(turn, &self.generation, &self.tokenizer)?;
        Ok(written.into_iter().map(|(text, score)| Answer::Written { text, score }).collect())
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(Restoring(PerplexityMetric::new()))
    }

    fn guess(&self, train: &Data<Self>) -> Result<Option<Guess<'_, Self>>> {
        let frequencies = Frequencies::of(self.tokenizer.vocabulary_size(), |each| {
            let mut blocks = train.inner_examples().into_iter();
            blocks.try_for_each(|block| {
                Medium::seen(train.medium(), block).map(|seen| seen.written.into_iter().for_each(&mut *each))
            })
        })?;
        let answer = move |data: &Data<Self>, example: usize| {
            let seen = Medium::seen(data.medium(), data.inner_example(example))?;
            Ok(answer::by_frequency(&frequencies, &seen.written))
        };
        Ok(Some(Guess { name: "frequencies of words", answer: Box::new(answer) }))
    }

    fn ideal(&self, data: &Data<Self>, example: usize) -> Result<Option<Answer>> {
        let seen = Medium::seen(data.medium(), data.inner_example(example))?;
        Ok(Some(answer::ideal(&seen.written)))
    }

    fn describe(&self, _data: &Data<Self>, _example: usize, answer: &Answer) -> Result<Map<String, Value>> {
        Ok(answer.described())
    }

    fn said(&self, data: &Data<Self>, example: usize, answer: &Answer) -> Result<Said> {
        let seen = Medium::seen(data.medium(), data.inner_example(example))?;
        let prediction = match answer {
            Answer::Written { text, .. } => text.clone(),
            Answer::Scored(sums) => {
                let loss = number::value(sums.loss / f64::from(sums.tokens.max(1)));
                format!("{} of {} tokens right, loss {loss}", sums.right, sums.tokens)
            }
        };
        Ok(Said {
            prediction,
            right: self.tokenizer.spelled(&seen.written).context("what is to be written")?,
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

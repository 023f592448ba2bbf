//! Prompts whose answers the data knows: a model writes its own, to be compared. R prompts, T tokens of the longest.

use super::answer::{Written, written};
use super::input::TextOrChat;
use super::{CausalLm, CausalLmSettings};
use crate::Recipe;
use crate::task::Data;
use crate::task::generation::GenerationFlags;
use anyhow::{Context, Result};
use retune_data::{ChatColumns, ChatWriter, Conversation};
use retune_kernels::random;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::generate::GenerationSettings;
use retune_models::{ModelConfig, Network};
use std::path::Path;

/// Which prompts are answered, and how.
pub(super) struct Asking {
    writer: ChatWriter,
    columns: ChatColumns,
    settings: GenerationSettings,
    /// Tokens of a prompt at most.
    room: usize,
    /// The first rows, as many as this.
    pub(super) rows: usize,
}

impl Asking {
    /// By the settings of a run, for a model folder; `None` where nothing is to be answered. The likeliest tokens are taken unless
    /// the user wants them drawn: a measure should not depend on luck.
    ///
    /// # Errors
    /// Settings that cannot be used.
    pub(super) fn of(input: &TextOrChat, recipe: &Recipe, model: &Path, config: &ModelConfig) -> Result<Option<Self>> {
        let rows = recipe.read::<CausalLmSettings>()?.answered_rows;
        if rows == 0 {
            return Ok(None);
        }
        let flags = recipe.read::<GenerationFlags>()?;
        let settings =
            flags.judged(model, config, recipe.run.seed).and_then(|settings| Ok((input.room(&settings)?, settings)));
        let (room, settings) = settings.context("--answered-rows 0 has no prompt answered")?;
        Ok(Some(Self { writer: input.writer().clone(), columns: input.columns().clone(), settings, room, rows }))
    }

    /// What an example asks and what should be answered, where it is among those that are answered and says so.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(super) fn asked(&self, data: &Data<CausalLm>, example: usize) -> Result<Option<Asked>> {
        if example >= self.rows {
            return Ok(None);
        }
        let blocks = data.medium();
        let Some(document) = blocks.only_document(data.inner_example(example)) else { return Ok(None) };
        let source = blocks.documents().records().source(document)?;
        let Ok(whole) = Conversation::of_row(source.line, &source.fields, &self.columns, false) else {
            return Ok(None);
        };
        let Some(reference) = whole.reference().map(str::to_owned) else { return Ok(None) };
        Ok(Some(Asked { line: source.line, prompt: whole.asked(), reference }))
    }

    /// Answers prompts, each with a key that stands for it in draws; those that are too long are not answered.
    ///
    /// # Errors
    /// A template or a tokenizer that fails.
    pub(super) fn written(
        &self,
        network: &Network,
        device: Device,
        asked: &[(Asked, u64)],
    ) -> Result<Vec<Option<Written>>> {
        let mut prompts = Vec::new();
        for (place, (asked, key)) in asked.iter().enumerate() {
            let ids = self.writer.asked(asked.line, &asked.prompt)?;
            let ids = ids.map_err(|problem| anyhow::anyhow!("line {}: {}", problem.line, problem.message))?;
            if (1..=self.room).contains(&ids.len()) {
                prompts.push((place, ids, random::mix(&[*key])));
            }
        }
        let mut all: Vec<Option<Written>> = asked.iter().map(|_| None).collect();
        let Some(width) = prompts.iter().map(|(_, ids, _)| ids.len()).max() else { return Ok(all) };
        let padding = i64::from(self.writer.tokenizer.pad_id());
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        for (_, prompt, _) in &prompts {
            let before = width - prompt.len();
            ids.extend(std::iter::repeat_n(padding, before).chain(prompt.iter().map(|&id| i64::from(id))));
            mask.extend(std::iter::repeat_n(0i64, before).chain(prompt.iter().map(|_| 1)));
        }
        let shape = [prompts.len() as i64, width as i64];
        let tensor =
            |values: &[i64]| Tensor::from_slice(values).f_view(shape)?.f_to_device(device)?.f_to_kind(Kind::Int64);
        let (ids, mask) = (tensor(&ids)?, tensor(&mask)?);
        let keys = prompts.iter().map(|(_, _, key)| *key).collect();
        let found = written(network, (&ids, &mask), &self.settings, keys)?;
        for ((place, ..), one) in prompts.into_iter().zip(found) {
            all[place] = Some(one);
        }
        Ok(all)
    }
}

/// What an example asks.
pub(super) struct Asked {
    line: u64,
    prompt: Conversation,
    /// What should be answered.
    pub(super) reference: String,
}

//! A model that writes one text at a time, heard as it writes: it goes on with a text, or makes another of it.

use super::causal_lm::Continuer;
use super::pairs::PairedTextSettings;
use super::text_to_text::Rewriter;
use super::{Entry, TASKS};
use crate::Recipe;
use crate::recipe::Settings;
use anyhow::{Result, bail, ensure};
use retune_kernels::tch::Device;
use retune_models::heads::{CAUSAL_LM, SEQUENCE_TO_SEQUENCE};
use retune_models::{ModelConfig, Network};
use std::path::Path;

/// What a model does with a text.
pub enum TextWriter {
    /// It goes on with it, or answers in a chat.
    Continues(Continuer),
    /// It makes another text of it.
    Rewrites(Rewriter),
}

impl TextWriter {
    /// For the task of a saved model, by its recipe, in the folder of its tokenizer.
    ///
    /// # Errors
    /// A task that writes no texts, settings that cannot be used.
    pub fn of(entry: &Entry, recipe: &Recipe, folder: &Path, config: &ModelConfig, seed: u64) -> Result<Self> {
        if entry.purpose == &CAUSAL_LM {
            return Ok(Self::Continues(Continuer::of(recipe, folder, config, seed)?));
        }
        if rewrites(entry) {
            return Ok(Self::Rewrites(Rewriter::of(recipe, folder, config, seed)?));
        }
        let names = |which: &dyn Fn(&Entry) -> bool| -> String {
            let all: Vec<&str> = TASKS.iter().filter(|task| which(task)).map(|task| task.name).collect();
            all.join(" or ")
        };
        if entry.purpose == &SEQUENCE_TO_SEQUENCE {
            bail!("this model is for {}; say what it is to write with --task {}", entry.name, names(&rewrites));
        }
        let writers = names(&|task| task.purpose == &CAUSAL_LM || rewrites(task));
        bail!("this model is for {}, and writes no texts; name a model for {writers}", entry.name);
    }

    /// Whether it can chat: it goes on with texts, and has a chat template.
    pub fn chats(&self) -> bool {
        matches!(self, Self::Continues(continuer) if continuer.chats())
    }

    /// Writes what follows a text, or is made of it.
    ///
    /// # Errors
    /// A text that is too long or empty.
    pub fn write(&self, network: &Network, device: Device, text: &str, heard: &mut dyn FnMut(&str)) -> Result<String> {
        match self {
            Self::Continues(continuer) => continuer.go_on(network, device, text, heard),
            Self::Rewrites(rewriter) => rewriter.write(network, device, text, heard),
        }
    }

    /// Answers the last of `turns`, which user and assistant take, the user first, after what the system says.
    ///
    /// # Errors
    /// A chat that is too long, a template that fails, a model that does not chat.
    pub fn answer(
        &self,
        network: &Network,
        device: Device,
        chat: (Option<&str>, &[String]),
        heard: &mut dyn FnMut(&str),
    ) -> Result<String> {
        ensure!(self.chats(), "this model has no chat template");
        match self {
            Self::Continues(continuer) => continuer.answer(network, device, chat, heard),
            Self::Rewrites(_) => bail!("this model makes one text of another, and does not chat"),
        }
    }
}

/// Whether a task makes one text of another.
fn rewrites(entry: &Entry) -> bool {
    let reads = |name: &str| entry.settings.iter().any(|section| section.name == name);
    entry.purpose == &SEQUENCE_TO_SEQUENCE && reads(PairedTextSettings::SECTION.name)
}

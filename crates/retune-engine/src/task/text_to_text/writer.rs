//! A model that makes another text of one at a time, heard as it writes. T tokens of what is read.

use super::input::PairInput;
use crate::Recipe;
use crate::task::generation::GenerationFlags;
use crate::task::heard::write_aloud;
use anyhow::{Context, Result};
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::generate::{DecoderSteps, GenerationSettings, Prompts};
use retune_models::{ModelConfig, Network, Tensors};
use std::path::Path;

/// Reads a text as the saved model's recipe has it, and has a network write another.
pub struct Rewriter {
    input: PairInput,
    settings: GenerationSettings,
}

impl Rewriter {
    /// By the recipe of a saved model, in the folder of its tokenizer.
    ///
    /// # Errors
    /// Settings that cannot be used, languages that the model does not know.
    pub fn of(recipe: &Recipe, folder: &Path, config: &ModelConfig, seed: u64) -> Result<Self> {
        let input = PairInput::of(recipe, folder, config)?;
        let settings = input.generation(recipe.read::<GenerationFlags>()?.over(folder, config, seed)?)?;
        Ok(Self { input, settings })
    }

    /// Writes what is made of a text. Of beams nothing is heard before the end.
    ///
    /// # Errors
    /// A text that is too long.
    pub fn write(
        &self,
        network: &Network,
        device: Device,
        source: &str,
        heard: &mut dyn FnMut(&str),
    ) -> Result<String> {
        let ids = Tensor::from_slice(&self.input.tokens(source)?).f_to_device(device)?.f_unsqueeze(0)?;
        let mask = Tensor::f_ones(ids.size(), (Kind::Int64, device))?;
        let begin = self.settings.begin.context("a text begins with a token")?;
        let prompts = Prompts::begin(begin, vec![0], &ids);
        let inputs = Tensors::from_iter([("input_ids".to_owned(), ids), ("attention_mask".to_owned(), mask)]);
        let steps = DecoderSteps::over(network, &inputs)?;
        write_aloud(steps, &prompts, &self.settings, (&self.input.target, true), heard)
    }
}

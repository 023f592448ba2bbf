//! A model that goes on with one text at a time, heard as it writes.

use super::input::TextOrChat;
use crate::Recipe;
use crate::task::generation::GenerationFlags;
use crate::task::heard::write_aloud;
use anyhow::{Result, anyhow, ensure};
use retune_data::Conversation;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::generate::{DecoderSteps, GenerationSettings, Prompts};
use retune_models::{ModelConfig, Network};
use serde_json::{Value, json};
use std::path::Path;

/// Makes prompts of texts and chats, and has a network go on with them.
pub struct Continuer {
    input: TextOrChat,
    settings: GenerationSettings,
}

impl Continuer {
    /// By the recipe of a saved model, in the folder of its tokenizer.
    ///
    /// # Errors
    /// Settings that cannot be used.
    pub fn of(recipe: &Recipe, folder: &Path, config: &ModelConfig, seed: u64) -> Result<Self> {
        let settings = recipe.read::<GenerationFlags>()?.over(folder, config, seed)?;
        let input = TextOrChat::of(recipe, folder, config)?.for_prompts(&settings)?;
        Ok(Self { input, settings })
    }

    /// Whether there is a chat template.
    pub fn chats(&self) -> bool {
        self.input.writer().template.is_some()
    }

    /// Goes on with a text.
    ///
    /// # Errors
    /// A prompt that is too long or empty.
    pub fn go_on(
        &self,
        network: &Network,
        device: Device,
        prompt: &str,
        heard: &mut dyn FnMut(&str),
    ) -> Result<String> {
        self.write(network, device, &Conversation::Prompt { prompt: prompt.to_owned(), completion: None }, heard)
    }

    /// Answers the last of `turns`, which user and assistant take, the user first, after what the system says.
    ///
    /// # Errors
    /// As [`Self::go_on`], and a template that fails.
    pub fn answer(
        &self,
        network: &Network,
        device: Device,
        (system, turns): (Option<&str>, &[String]),
        heard: &mut dyn FnMut(&str),
    ) -> Result<String> {
        let first = system.map(|text| json!({"role": "system", "content": text}));
        let turn = |(at, text): (usize, &String)| json!({"role": if at % 2 == 0 { "user" } else { "assistant" }, "content": text});
        let messages: Vec<Value> = first.into_iter().chain(turns.iter().enumerate().map(turn)).collect();
        self.write(network, device, &Conversation::Chat(messages), heard)
    }

    fn write(
        &self,
        network: &Network,
        device: Device,
        of: &Conversation,
        heard: &mut dyn FnMut(&str),
    ) -> Result<String> {
        let writer = self.input.writer();
        // What a template says begins with its file.
        let told = |message: String| if message.starts_with("is ") { format!("the prompt {message}") } else { message };
        let ids = writer.asked(0, of)?.map_err(|problem| anyhow!(told(problem.message)))?;
        ensure!(!ids.is_empty(), "the prompt is empty, and this model's tokenizer begins texts with no token");
        let longest = self.input.longest_prompt();
        ensure!(
            ids.len() <= longest,
            "the prompt has {} tokens; at most {longest} leave room to go on beside the new ones (--max-new-tokens, or max_length of generation_config.json)",
            ids.len()
        );
        let ids: Vec<i64> = ids.into_iter().map(i64::from).collect();
        let ids = Tensor::from_slice(&ids).f_to_device(device)?.f_unsqueeze(0)?;
        let mask = Tensor::f_ones(ids.size(), (Kind::Int64, device))?;
        let prompts = Prompts::new(&ids, &mask, vec![0])?;
        let steps = DecoderSteps::new(network, &mask)?;
        write_aloud(steps, &prompts, &self.settings, (&writer.tokenizer, false), heard)
    }
}

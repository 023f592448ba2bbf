//! A model that goes on with one text at a time, heard as it writes.

use super::ENTRY;
use super::input::TextOrChat;
use crate::Recipe;
use crate::task::Entry;
use crate::task::generation::GenerationFlags;
use anyhow::{Result, anyhow, ensure};
use retune_data::Conversation;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::generate::{DecoderSteps, GenerationSettings, Prompts, generate};
use retune_models::{ModelConfig, Network};
use serde_json::{Value, json};
use std::path::Path;

/// Makes prompts of texts and chats, and has a network go on with them.
pub struct TextWriter {
    input: TextOrChat,
    settings: GenerationSettings,
}

impl TextWriter {
    /// For the task of a saved model, by its recipe, in the folder of its tokenizer.
    ///
    /// # Errors
    /// Another task, settings that cannot be used.
    pub fn of(entry: &Entry, recipe: &Recipe, folder: &Path, config: &ModelConfig, seed: u64) -> Result<Self> {
        ensure!(
            entry.purpose == ENTRY.purpose,
            "this model is for {}, and writes no texts; name a model for {}",
            entry.name,
            ENTRY.name
        );
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
        let ids = writer.asked(0, of)?.map_err(|problem| anyhow!("the prompt {}", problem.message))?;
        ensure!(!ids.is_empty(), "the prompt is empty, and this model's tokenizer begins texts with no token");
        let longest = self.input.longest_prompt();
        ensure!(ids.len() <= longest, "the prompt has {} tokens; at most {longest} leave room to go on", ids.len());
        let ids: Vec<i64> = ids.into_iter().map(i64::from).collect();
        let ids = Tensor::from_slice(&ids).f_to_device(device)?.f_unsqueeze(0)?;
        let mask = Tensor::f_ones(ids.size(), (Kind::Int64, device))?;
        let prompts = Prompts::new(&ids, &mask, vec![0])?;
        let mut steps = DecoderSteps::new(network, &mask)?;
        let mut said = Said::default();
        let mut on_token = |_: usize, token: i64| {
            said.tokens.push(token as u32);
            if let Ok(text) = writer.tokenizer.decode(&said.tokens) {
                said.tell(text, heard);
            }
        };
        let found = generate(&mut steps, &prompts, &self.settings, &mut on_token)?;
        let tokens: Vec<u32> = found.iter().flat_map(|one| &one.tokens).map(|&token| token as u32).collect();
        let whole = writer.tokenizer.decode(&tokens)?;
        said.tell_rest(&whole, heard);
        Ok(whole)
    }
}

/// What was heard so far.
#[derive(Default)]
struct Said {
    tokens: Vec<u32>,
    text: String,
}

impl Said {
    /// Tells what is new in `text`, once its last character is whole.
    fn tell(&mut self, text: String, heard: &mut dyn FnMut(&str)) {
        if text.ends_with('\u{fffd}') {
            return;
        }
        if let Some(new) = text.strip_prefix(&self.text).filter(|new| !new.is_empty()) {
            heard(new);
            self.text = text;
        }
    }

    fn tell_rest(&mut self, whole: &str, heard: &mut dyn FnMut(&str)) {
        if let Some(new) = whole.strip_prefix(&self.text).filter(|new| !new.is_empty()) {
            heard(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Said;

    #[test]
    fn characters_are_told_when_they_are_whole() {
        let mut told = Vec::new();
        let mut said = Said::default();
        for text in ["a", "a\u{fffd}", "aé", "aé", "aé x"] {
            said.tell(text.to_owned(), &mut |new| told.push(new.to_owned()));
        }
        said.tell_rest("aé x\u{fffd}", &mut |new| told.push(new.to_owned()));
        assert_eq!(told, ["a", "é", " x", "\u{fffd}"]);
    }
}

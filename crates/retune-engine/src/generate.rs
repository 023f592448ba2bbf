//! A model that writes, on a terminal: it goes on with a prompt, answers in a chat, or makes another text of one.

use crate::error::{EngineError, InputContext};
use crate::observer::Observer;
use crate::predict::{PredictOptions, Ready};
use crate::task::TextWriter;
use crate::watch::Watch;

/// A loaded model that writes.
pub struct Writer {
    ready: Ready,
    writer: TextWriter,
}

impl Writer {
    /// Loads a model that writes texts.
    ///
    /// # Errors
    /// A model that cannot be found or does something else; settings that cannot be used.
    pub fn open(options: &PredictOptions, seed: u64, observers: &mut [&mut dyn Observer]) -> Result<Self, EngineError> {
        let ready = options.ready(&Watch::new(observers))?;
        let writer = TextWriter::of(ready.entry, &ready.recipe, ready.files(), &ready.loaded.config, seed).input()?;
        Ok(Self { ready, writer })
    }

    /// Goes on with a text, or makes another of it; `heard` is given what is written as it comes.
    ///
    /// # Errors
    /// A text that is too long.
    pub fn write(&self, prompt: &str, heard: &mut dyn FnMut(&str)) -> Result<String, EngineError> {
        self.writer.write(&self.ready.loaded.network, self.ready.device(), prompt, heard).input()
    }

    /// Whether it can chat: it has a chat template.
    pub fn chats(&self) -> bool {
        self.writer.chats()
    }

    /// Answers in a chat, of which `turns` are what user and assistant said so far, the user first and last.
    ///
    /// # Errors
    /// A chat that is too long, a template that fails.
    pub fn answer(
        &self,
        system: Option<&str>,
        turns: &[String],
        heard: &mut dyn FnMut(&str),
    ) -> Result<String, EngineError> {
        self.writer.answer(&self.ready.loaded.network, self.ready.device(), (system, turns), heard).input()
    }
}

//! A text that is heard while it is written, token by token.

use anyhow::Result;
use retune_data::Tokenizer;
use retune_models::generate::{DecoderSteps, GenerationSettings, Prompts, generate};

/// Has a model write what follows one prompt, or is made of one source, and tells what is new of it as it comes. With `trims` white
/// space around the text is no part of it.
///
/// # Errors
/// A model or a tokenizer that fails.
pub(super) fn write_aloud(
    mut steps: DecoderSteps<'_>,
    prompts: &Prompts,
    settings: &GenerationSettings,
    (tokenizer, trims): (&Tokenizer, bool),
    tell: &mut dyn FnMut(&str),
) -> Result<String> {
    let mut said = Heard::new(tokenizer, trims, tell);
    let found = generate(&mut steps, prompts, settings, &mut |_, token| said.hear(token))?;
    said.end(found.iter().flat_map(|one| &one.tokens))
}

/// What was heard so far.
struct Heard<'a> {
    tokenizer: &'a Tokenizer,
    /// Whether white space around the text is no part of it.
    trims: bool,
    tokens: Vec<u32>,
    told: String,
    tell: &'a mut dyn FnMut(&str),
}

impl<'a> Heard<'a> {
    /// `tell` is given what is new.
    fn new(tokenizer: &'a Tokenizer, trims: bool, tell: &'a mut dyn FnMut(&str)) -> Self {
        Self { tokenizer, trims, tokens: Vec::new(), told: String::new(), tell }
    }

    /// The next token.
    fn hear(&mut self, token: i64) {
        self.tokens.push(token as u32);
        if let Ok(text) = self.tokenizer.decode(&self.tokens) {
            let text = if self.trims { text.trim_start() } else { &text };
            self.new_text(settled(text));
        }
    }

    /// The whole text, of all tokens; what of it was not heard yet is told.
    ///
    /// # Errors
    /// The tokenizer fails.
    fn end<'t>(mut self, tokens: impl Iterator<Item = &'t i64>) -> Result<String> {
        let tokens: Vec<u32> = tokens.map(|&token| token as u32).collect();
        let whole = self.tokenizer.decode(&tokens)?;
        let whole = if self.trims { whole.trim().to_owned() } else { whole };
        self.rest(&whole);
        Ok(whole)
    }

    fn rest(&mut self, whole: &str) {
        if !whole.starts_with(self.told.trim_end()) {
            // The end of a text changed how its begin is spelled: it is told again.
            (self.tell)("\n");
            self.told.clear();
        }
        self.new_text(whole);
    }

    fn new_text(&mut self, text: &str) {
        if let Some(new) = text.strip_prefix(&self.told).filter(|new| !new.is_empty()) {
            (self.tell)(new);
            text.clone_into(&mut self.told);
        }
    }
}

/// The part of a text that the next token leaves as it is: whole characters, and no space that a tokenizer takes away before what
/// follows, as before a full stop or in `do n't`.
fn settled(text: &str) -> &str {
    let text = text.trim_end_matches('\u{fffd}');
    let Some((space, _)) = text.char_indices().rev().find(|(_, letter)| letter.is_whitespace()) else { return text };
    let word = text[space..].trim_start();
    if word.starts_with(char::is_alphanumeric) && word != "n" { text } else { text[..space].trim_end() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_the_next_token_may_change_is_not_told() {
        let pieces = ["a", "a\u{fffd}", "aé", "do n", "don't", "it is .", "it is.", "it is", "a 一", "x \n", "x \n\ny"];
        let settled: Vec<&str> = pieces.into_iter().map(settled).collect();
        assert_eq!(settled, ["a", "a", "aé", "do", "don't", "it is", "it is.", "it is", "a 一", "x", "x \n\ny"]);
    }

    #[test]
    fn all_that_is_told_is_the_text() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/llama-with-tokenizer");
        let tokenizer = Tokenizer::load(folder).unwrap();
        for text in ["the film, the best!", "bad  film", "good é 好 . "] {
            let tokens: Vec<i64> = tokenizer.encode(text, None, 60).unwrap().ids.into_iter().map(i64::from).collect();
            let mut told = Vec::new();
            let mut tell = |new: &str| told.push(new.to_owned());
            let mut heard = Heard::new(&tokenizer, false, &mut tell);
            tokens.iter().for_each(|&token| heard.hear(token));
            let whole = heard.end(tokens.iter()).unwrap();
            assert_eq!(told.concat(), whole);
            assert!(told.len() > 1, "{told:?}");
        }
        let mut told = Vec::new();
        let mut tell = |new: &str| told.push(new.to_owned());
        let mut heard = Heard::new(&tokenizer, false, &mut tell);
        heard.new_text("a b");
        heard.rest("ab c");
        assert_eq!(told, ["a b", "\n", "ab c"]);
    }
}

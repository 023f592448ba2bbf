//! The tokens of a conversation, and which of them are to be learnt: found by rendering it up to where the assistant speaks.

use std::ops::Range;

use serde_json::Value;

use super::conversation::Conversation;
use super::records::Conversations;
use super::template::ChatTemplate;
use crate::problems::Problems;
use crate::text::{Documents, Tokenizer};
use crate::{DataError, OnBadExample, Records, RowProblem};
use std::sync::Arc;

/// Tokens of which some are to be learnt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChatTokens {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Places of the tokens to be learnt, ascending.
    pub learnt: Vec<Range<u32>>,
}

/// Makes tokens of conversations.
#[derive(Clone)]
pub struct ChatWriter {
    /// The model's tokenizer.
    pub tokenizer: Tokenizer,
    /// The model's chat template, where it has one.
    pub template: Option<ChatTemplate>,
    /// Before a text that no template wrote.
    pub before: Vec<u32>,
    /// What ends a completion.
    pub end: Option<u32>,
}

impl ChatWriter {
    /// The tokens of a whole conversation.
    ///
    /// # Errors
    /// `Ok(Err)`: why nothing can be made of this one; `line` is where it stands. Else a tokenizer that fails.
    pub fn whole(&self, line: u64, of: &Conversation) -> Result<Result<ChatTokens, RowProblem>, DataError> {
        let refused = |message: String| Ok(Err(RowProblem::new(line, None, message)));
        match of {
            Conversation::Chat(messages) => {
                let (text, spans) = match self.chat(messages) {
                    Ok(found) => found,
                    Err(message) => return refused(message),
                };
                let tokens = self.tokens(&text, Vec::new(), &spans)?;
                if tokens.learnt.is_empty() {
                    return refused("holds no token of the assistant, by the chat template".to_owned());
                }
                Ok(Ok(tokens))
            }
            Conversation::Prompt { prompt, completion } => {
                let begin = prompt.chars().count();
                let text = format!("{prompt}{}", completion.as_deref().unwrap_or_default());
                let end = text.chars().count();
                let mut tokens = self.tokens(&text, self.before.clone(), std::slice::from_ref(&(begin..end)))?;
                if let Some(end) = self.end {
                    let place = tokens.ids.len() as u32;
                    tokens.ids.push(end);
                    match tokens.learnt.last_mut() {
                        Some(last) if last.end == place => last.end += 1,
                        _ => tokens.learnt.push(place..place + 1),
                    }
                }
                Ok(Ok(tokens))
            }
        }
    }

    /// The tokens up to where the model is to go on.
    ///
    /// # Errors
    /// As [`Self::whole`].
    pub fn asked(&self, line: u64, of: &Conversation) -> Result<Result<Vec<u32>, RowProblem>, DataError> {
        match of {
            Conversation::Chat(messages) => {
                let Some(template) = &self.template else {
                    return Ok(Err(RowProblem::new(line, None, NO_TEMPLATE)));
                };
                match template.render(messages, true) {
                    Ok(rendered) => Ok(Ok(self.tokens(&rendered.text, Vec::new(), &[])?.ids)),
                    Err(error) => Ok(Err(RowProblem::new(line, None, error.to_string()))),
                }
            }
            Conversation::Prompt { prompt, .. } => Ok(Ok(self.tokens(prompt, self.before.clone(), &[])?.ids)),
        }
    }

    /// All conversations of a file as documents: `whole` ones, of which is known what is to be learnt, or each up to where the model
    /// is to go on, then of at most `longest` tokens.
    ///
    /// # Errors
    /// Conversations of which nothing can be made, up to ten together, unless they are to be left out: then they have no token.
    pub fn documents(
        &self,
        chats: &Arc<Conversations>,
        whole: bool,
        longest: Option<usize>,
        on_bad_example: OnBadExample,
    ) -> Result<Documents, DataError> {
        let mut problems = Problems::new(chats.file());
        let (mut all, mut learnt) = (Vec::with_capacity(chats.len()), Vec::with_capacity(chats.len()));
        for (example, one) in (0..chats.len()).map(|example| (example, chats.get(example))) {
            let line = chats.line(example);
            let made = if whole {
                self.whole(line, one)?
            } else {
                let asked = self.asked(line, &one.clone().asked())?;
                asked.map(|ids| ChatTokens { ids, learnt: Vec::new() })
            };
            let made = made.and_then(|made| match longest.filter(|&most| made.ids.len() > most) {
                None if made.ids.is_empty() => Err(RowProblem::new(line, None, "is a prompt without any token")),
                None => Ok(made),
                Some(most) => {
                    let message =
                        format!("is a prompt of {} tokens, but only {most} leave room to go on", made.ids.len());
                    Err(RowProblem::new(line, None, message))
                }
            });
            let made = match made {
                Ok(made) => made,
                Err(problem) => {
                    if on_bad_example == OnBadExample::Fail {
                        problems.push(problem)?;
                    }
                    ChatTokens::default()
                }
            };
            all.push(Ok(made.ids));
            learnt.push(made.learnt);
        }
        problems.finish()?;
        let documents = Documents::of_tokens(Arc::clone(chats) as Arc<dyn Records>, &self.tokenizer, all)?;
        Ok(if whole { documents.with_learnt(learnt) } else { documents })
    }

    /// The text of a conversation, and what the assistant says of it, in characters.
    fn chat(&self, messages: &[Value]) -> Result<(String, Vec<Range<usize>>), String> {
        let template = self.template.as_ref().ok_or(NO_TEMPLATE)?;
        let render = |messages: &[Value], prompt| template.render(messages, prompt).map_err(|error| error.to_string());
        let whole = render(messages, false)?;
        if template.marks() {
            return Ok((whole.text, whole.marked));
        }
        let mut spans = Vec::new();
        for (at, _) in messages.iter().enumerate().filter(|(_, message)| message["role"] == "assistant") {
            let number = at + 1;
            let before = render(&messages[..at], true)?.text;
            let after = render(&messages[..=at], false)?.text;
            let fits = whole.text.starts_with(&before) && whole.text.starts_with(&after) && after.len() >= before.len();
            if !fits {
                return Err(format!(
                    "message {number}: the chat template writes what comes before it in another way once the conversation goes \
                     on, so that it is not known where the assistant speaks; split the conversation, or mark its turns in the \
                     template with {{% generation %}}"
                ));
            }
            spans.push(before.chars().count()..after.chars().count());
        }
        Ok((whole.text, spans))
    }

    /// Tokens of a text behind `ids`; those that lie in `spans`, even in part, are to be learnt.
    fn tokens(&self, text: &str, mut ids: Vec<u32>, spans: &[Range<usize>]) -> Result<ChatTokens, DataError> {
        let mut learnt: Vec<Range<u32>> = Vec::new();
        for (id, at) in self.tokenizer.with_offsets(text)? {
            let place = ids.len() as u32;
            ids.push(id);
            if spans.iter().any(|span| at.end > span.start && at.start < span.end) {
                match learnt.last_mut() {
                    Some(last) if last.end == place => last.end += 1,
                    _ => learnt.push(place..place + 1),
                }
            }
        }
        Ok(ChatTokens { ids, learnt })
    }
}

const NO_TEMPLATE: &str = "is a conversation, but the model has no chat template (chat_template.jinja, or `chat_template` of \
     tokenizer_config.json); give `prompt` and `completion`, or put a template into the model's folder";

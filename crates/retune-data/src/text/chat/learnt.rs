//! The tokens of a conversation, and which of them are to be learnt: found by rendering it up to where the assistant speaks.

use std::ops::Range;

use serde_json::Value;

use super::conversation::Conversation;
use super::messages::{counts, shown};
use super::records::Conversations;
use super::template::{BEGIN, ChatTemplate, Rendered};
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
                match rendered(template, messages, true) {
                    Ok(rendered) => Ok(Ok(self.tokens(&rendered.text, Vec::new(), &[])?.ids)),
                    Err(message) => Ok(Err(RowProblem::new(line, None, message))),
                }
            }
            Conversation::Prompt { prompt, .. } => Ok(Ok(self.tokens(prompt, self.before.clone(), &[])?.ids)),
        }
    }

    /// All conversations of a file as documents: `whole` ones, of which is known what is to be learnt, or each up to where the model
    /// is to go on, then of at most `longest` tokens.
    ///
    /// # Errors
    /// Conversations of which nothing can be made, up to ten together, unless they are to be left out: then they have no token, and
    /// [`Documents::left_out`] lists them.
    pub fn documents(
        &self,
        chats: &Arc<Conversations>,
        whole: bool,
        longest: Option<usize>,
        on_bad_example: OnBadExample,
    ) -> Result<Documents, DataError> {
        let (mut problems, mut good) = (Problems::that(on_bad_example, chats.file()), 0);
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
                        format!("is a prompt of {} tokens, but only {most} leave room to go on beside the new ones (max_new_tokens or max_length)", made.ids.len());
                    Err(RowProblem::new(line, None, message))
                }
            });
            let made = match made {
                Ok(made) => {
                    good += 1;
                    made
                }
                Err(problem) => {
                    problems.push_row(good, problem)?;
                    ChatTokens::default()
                }
            };
            all.push(Ok(made.ids));
            learnt.push(made.learnt);
        }
        let refused = problems.leave_out(good > 0)?;
        let documents = Documents::of_tokens(Arc::clone(chats) as Arc<dyn Records>, &self.tokenizer, all)?;
        let documents = documents.with_refused(refused);
        Ok(if whole { documents.with_learnt(learnt) } else { documents })
    }

    /// The text of a conversation, and what the assistant says of it, in characters.
    fn chat(&self, messages: &[Value]) -> Result<(String, Vec<Range<usize>>), String> {
        let template = self.template.as_ref().ok_or(NO_TEMPLATE)?;
        let render = |messages: &[Value], prompt| rendered(template, messages, prompt);
        let whole = render(messages, false)?;
        let said: Vec<(usize, bool)> = messages
            .iter()
            .enumerate()
            .filter(|(_, one)| one["role"] == "assistant")
            .map(|(at, one)| (at, counts(one)))
            .collect();
        if template.marks() {
            if said.iter().all(|(_, counts)| *counts) {
                return Ok((whole.text, whole.marked));
            }
            if said.len() != whole.marked.len() {
                return Err("has turns of the weight 0, but the chat template marks other parts than the turns of the assistant".to_owned());
            }
            let learnt = whole.marked.into_iter().zip(said).filter(|(_, (_, counts))| *counts).map(|(span, _)| span);
            return Ok((whole.text, learnt.collect()));
        }
        let mut spans = Vec::new();
        for (at, _) in said.into_iter().filter(|(_, counts)| *counts) {
            let number = at + 1;
            let after = render(&messages[..=at], false)?.text;
            let before = match render(&messages[..at], true).map(|before| before.text) {
                Ok(before) if whole.text.starts_with(&before) && (at > 0 || !before.is_empty()) => Some(before.len()),
                // Of no message at all some templates write something else than what stands before the first.
                _ if at == 0 => Some(opening(template, &messages[0], &whole.text).ok_or(OPENING)?),
                before => before.map(|_| None)?,
            };
            let before = before.filter(|before| whole.text.starts_with(&after) && after.len() >= *before);
            let before = before.ok_or_else(|| {
                format!(
                    "message {number}: the chat template writes what comes before it in another way once the conversation \
                     goes on, so that it is not known where the assistant speaks; split the conversation, or mark its turns in \
                     the template with {{% generation %}}"
                )
            })?;
            spans.push(whole.text[..before].chars().count()..after.chars().count());
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

/// What a template makes of messages; where it fails, also of which message the content is no text.
fn rendered(template: &ChatTemplate, messages: &[Value], prompt: bool) -> Result<Rendered, String> {
    template.render(messages, prompt).map_err(|error| {
        let odd = messages.iter().position(|message| !message["content"].is_string());
        let hint = odd.map(|at| {
            let (number, what) = (at + 1, shown(messages[at].get("content")));
            format!(" (the content of message {number} is {what}, where this template may want a text)")
        });
        format!("{error}{}", hint.unwrap_or_default())
    })
}

/// Where in the whole text the content of its first message begins, in bytes: where a mark stands in its place.
fn opening(template: &ChatTemplate, first: &Value, whole: &str) -> Option<usize> {
    let content = first["content"].as_str().filter(|content| !content.trim().is_empty())?;
    let mut marked = first.clone();
    marked["content"] = Value::from(BEGIN.to_string());
    let text = template.render(&[marked], false).ok()?.text;
    let (before, behind) = text.split_once(BEGIN)?;
    let rest = whole.strip_prefix(before).filter(|_| !behind.contains(BEGIN))?;
    rest.trim_start().starts_with(content.trim()).then_some(before.len())
}

const OPENING: &str = "message 1: the conversation begins with the assistant, and the chat template does not tell where it speaks; \
     put a turn of the user or the system before it, or leave the conversation out with --on-bad-example skip";
const NO_TEMPLATE: &str = "is a conversation, but the model has no chat template (chat_template.jinja, or `chat_template` of \
     tokenizer_config.json); give `prompt` and `completion`, or put a template into the model's folder";

//! One conversation, or one prompt with its completion, and how files spell them.

use serde_json::{Map, Value, json};

use super::messages::{counts, messages, of_history, shown, with_system};
use crate::RowProblem;

/// Names of the columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatColumns {
    /// Lists of messages with `role` and `content`.
    pub messages: String,
    /// Prompts: texts, or lists of messages.
    pub prompt: String,
    /// What follows them.
    pub completion: String,
    /// Plain texts, for prompts that come without any of these.
    pub text: String,
}

/// ShareGPT's column.
pub(super) const SHARED: &str = "conversations";
/// Alpaca's columns.
pub(super) const ALPACA: [&str; 3] = ["instruction", "input", "output"];
/// A column of system prompts, and Alpaca's of what was said before.
pub(super) const SYSTEM: &str = "system";
pub(super) const HISTORY: &str = "history";

impl ChatColumns {
    /// All columns that may be read.
    pub(super) fn wanted(&self) -> Vec<&str> {
        let own = [&self.messages, &self.prompt, &self.completion, &self.text].map(String::as_str);
        own.into_iter().chain([SHARED]).chain(ALPACA).chain([SYSTEM, HISTORY]).collect()
    }

    /// Whether columns of these names hold conversations.
    pub(super) fn are_in(&self, has: impl Fn(&str) -> bool) -> bool {
        has(&self.messages) || has(SHARED) || has(&self.prompt) || (has(ALPACA[0]) && has(ALPACA[2]))
    }
}

/// What is said, and what is to be learnt of it: what the assistant says, or the completion.
#[derive(Debug, Clone, PartialEq)]
pub enum Conversation {
    /// Messages with `role` and `content`, for a chat template.
    Chat(Vec<Value>),
    /// A text, and what follows it.
    Prompt {
        /// The text.
        prompt: String,
        /// What follows, where it is known.
        completion: Option<String>,
    },
}

impl Conversation {
    /// Of the columns of a row. `required`: what is to be learnt must be there.
    ///
    /// # Errors
    /// What is wrong with the row.
    pub fn of_row(
        line: u64,
        row: &Map<String, Value>,
        columns: &ChatColumns,
        required: bool,
    ) -> Result<Self, Vec<RowProblem>> {
        let given = |name: &str| row.get(name).filter(|value| !value.is_null());
        let problem = |column: &str, message: String| vec![RowProblem::new(line, Some(column), message)];
        let mut found = if let Some(list) = given(&columns.messages) {
            messages(list, false).map(Self::Chat).map_err(|message| problem(&columns.messages, message))?
        } else if let Some(list) = given(SHARED) {
            messages(list, true).map(Self::Chat).map_err(|message| problem(SHARED, message))?
        } else if let Some(prompt) = given(&columns.prompt) {
            Self::of_prompt(prompt, given(&columns.completion)).map_err(|(of_prompt, message)| {
                problem(if of_prompt { &columns.prompt } else { &columns.completion }, message)
            })?
        } else if let Some(instruction) = given(ALPACA[0]) {
            let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
            let (mut user, input) = (text(Some(instruction)), text(given(ALPACA[1])));
            if !input.is_empty() {
                user = format!("{user}\n\n{input}");
            }
            let output = given(ALPACA[2]).map(|output| json!({"role": "assistant", "content": output}));
            let before = of_history(given(HISTORY)).map_err(|message| problem(HISTORY, message))?;
            Self::Chat(before.into_iter().chain([json!({"role": "user", "content": user})]).chain(output).collect())
        } else if let Some(text) = given(&columns.text).and_then(Value::as_str).filter(|_| !required) {
            Self::Prompt { prompt: text.to_owned(), completion: None }
        } else {
            let message = format!("has neither `{}` nor `{}`", columns.messages, columns.prompt);
            return Err(problem(&columns.messages, message));
        };
        if let Self::Chat(list) = &mut found {
            with_system(list, given(SYSTEM)).map_err(|message| problem(SYSTEM, message))?;
        }
        found.check(required).map_err(|message| vec![RowProblem::new(line, None, message)])?;
        Ok(found)
    }

    /// Else whether it is the prompt that is wrong, and what is.
    fn of_prompt(prompt: &Value, completion: Option<&Value>) -> Result<Self, (bool, String)> {
        match (prompt, completion) {
            (Value::String(prompt), None) => Ok(Self::Prompt { prompt: prompt.clone(), completion: None }),
            (Value::String(prompt), Some(Value::String(completion))) => {
                Ok(Self::Prompt { prompt: prompt.clone(), completion: Some(completion.clone()) })
            }
            (Value::Array(_), Some(Value::String(_))) => {
                Err((false, "is a text, but the prompt is a list of messages; write both in one way".to_owned()))
            }
            (list @ Value::Array(_), completion) => {
                let mut all = messages(list, false).map_err(|message| (true, message))?;
                if completion.is_some() {
                    // What was said before the completion is no part of it, as in TRL.
                    let said = all.iter_mut().filter(|one| one["role"] == "assistant");
                    said.for_each(|one| one["weight"] = json!(0));
                }
                let more = completion.map(|list| messages(list, false)).transpose();
                all.extend(more.map_err(|message| (false, message))?.into_iter().flatten());
                Ok(Self::Chat(all))
            }
            (Value::String(_), other) => Err((false, format!("is {}, not a text as the prompt is", shown(other)))),
            (other, _) => Err((true, format!("is {}, neither a text nor a list of messages", shown(Some(other))))),
        }
    }

    fn check(&self, required: bool) -> Result<(), String> {
        match self {
            Self::Chat(messages) if messages.is_empty() => Err("holds no message".to_owned()),
            Self::Chat(messages) if required => {
                let mut said: Vec<&Value> = messages.iter().filter(|one| one["role"] == "assistant").collect();
                if said.is_empty() {
                    return Err("has no turn of the assistant: there is nothing to learn in it".to_owned());
                }
                said.retain(|one| counts(one));
                if said.is_empty() {
                    return Err(
                        "has the weight 0 in each turn of the assistant: there is nothing to learn in it".to_owned()
                    );
                }
                let empty = |one: &&Value| one["content"].as_str().is_some_and(|text| text.trim().is_empty());
                match said.iter().any(|one| empty(one) && one.get("tool_calls").is_none()) {
                    true => Err(format!("has an empty turn of the assistant; {SKIP}")),
                    false => Ok(()),
                }
            }
            Self::Prompt { completion, .. } if required => match completion.as_deref() {
                None => Err(format!("has no completion; {SKIP}")),
                Some(text) if text.trim().is_empty() => Err(format!("has an empty completion; {SKIP}")),
                Some(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The same without what is to be written: what the assistant says last, or the completion.
    #[must_use]
    pub fn asked(self) -> Self {
        match self {
            Self::Chat(mut messages) => {
                while messages.len() > 1 && messages.last().is_some_and(|one| one["role"] == "assistant") {
                    messages.pop();
                }
                Self::Chat(messages)
            }
            Self::Prompt { prompt, .. } => Self::Prompt { prompt, completion: None },
        }
    }

    /// The text that is to be written after what is [asked](Self::asked), where there is one: the completion, or the only turn of
    /// the assistant behind that of another. A call of a tool is no text.
    pub fn reference(&self) -> Option<&str> {
        match self {
            Self::Prompt { completion, .. } => completion.as_deref(),
            Self::Chat(messages) => {
                let [.., before, last] = &messages[..] else { return None };
                let is_text =
                    last["role"] == "assistant" && last.get("tool_calls").is_none_or(Value::is_null) && counts(last);
                last["content"].as_str().filter(|_| is_text && before["role"] != "assistant")
            }
        }
    }
}

/// What to do with rows of which nothing can be learnt.
const SKIP: &str = "fill it in, remove the row, or have such rows left out with --on-bad-example skip";

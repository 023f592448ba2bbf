//! The messages of a conversation as files spell them: who says what, whether it is to be learnt, and what stands before them in
//! columns of their own.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// What files call roles, and what templates do. OASST calls the user `prompter`.
const ROLES: [(&str, &str); 14] = [
    ("human", "user"),
    ("user", "user"),
    ("prompter", "user"),
    ("gpt", "assistant"),
    ("chatgpt", "assistant"),
    ("bot", "assistant"),
    ("model", "assistant"),
    ("assistant", "assistant"),
    ("system", "system"),
    ("developer", "developer"),
    ("tool", "tool"),
    ("function", "function"),
    ("ipython", "ipython"),
    ("context", "context"),
];

/// Messages of a list, which a cell of a CSV spells as JSON; `shared` has `from` and `value` in place of `role` and `content`.
pub(super) fn messages(list: &Value, shared: bool) -> Result<Vec<Value>, String> {
    listed(list, "messages")?.iter().enumerate().map(|(at, message)| one(at + 1, message, shared)).collect()
}

/// A list, or one that a text spells as JSON.
fn listed<'a>(value: &'a Value, of: &str) -> Result<Cow<'a, [Value]>, String> {
    let wrong = |value: &Value| format!("is {}, not a list of {of}", shown(Some(value)));
    match value {
        Value::Array(list) => Ok(Cow::Borrowed(list)),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Array(list)) => Ok(Cow::Owned(list)),
            Ok(other) => Err(wrong(&other)),
            Err(error) => Err(format!("is a text that is no JSON: {error}")),
        },
        other => Err(wrong(other)),
    }
}

fn one(number: usize, message: &Value, shared: bool) -> Result<Value, String> {
    let mut message = message.as_object().cloned().ok_or_else(|| format!("message {number} is no object"))?;
    let role = if !shared || message.contains_key("role") {
        let role =
            message.get("role").and_then(Value::as_str).ok_or_else(|| format!("message {number} has no `role`"))?;
        known(role).ok_or_else(|| format!("message {number} has the role `{role}`; {KNOWN}"))?
    } else {
        let from = message.get("from").and_then(Value::as_str).unwrap_or_default().to_owned();
        let role = known(&from).ok_or_else(|| format!("message {number} is from `{from}`; {KNOWN}"))?;
        let value = message.remove("value").ok_or_else(|| format!("message {number} has no `value`"))?;
        let weight = message.remove("weight").map(|weight| ("weight".to_owned(), weight));
        message = Map::from_iter([("content".to_owned(), value)].into_iter().chain(weight));
        role
    };
    message.insert("role".to_owned(), json!(role));
    match message.get("weight") {
        Some(weight) if role == "assistant" && weighed(weight).is_none() => {
            Err(format!("message {number} has the weight {weight}; known: 1, and 0 for what is not to be learnt"))
        }
        _ => Ok(Value::Object(message)),
    }
}

const KNOWN: &str =
    "known: user (human, prompter), assistant (gpt, bot, model), system, developer, tool, function, ipython, context";

fn known(role: &str) -> Option<&'static str> {
    ROLES.iter().find(|(theirs, _)| *theirs == role).map(|(_, role)| *role)
}

/// Whether a message of some weight is to be learnt; `None` where the weight says neither.
fn weighed(weight: &Value) -> Option<bool> {
    match weight {
        Value::Null => Some(true),
        Value::Bool(learnt) => Some(*learnt),
        other => [0.0, 1.0].into_iter().find(|known| other.as_f64() == Some(*known)).map(|known| known == 1.0),
    }
}

/// Whether what the assistant says in a message is to be learnt: OpenAI's files give those a `weight` of 0 that are not.
pub(super) fn counts(message: &Value) -> bool {
    message.get("weight").and_then(weighed).unwrap_or(true)
}

/// Puts the system prompt of a column before the messages.
pub(super) fn with_system(messages: &mut Vec<Value>, system: Option<&Value>) -> Result<(), String> {
    let system = match system {
        None => return Ok(()),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(()),
        Some(Value::String(text)) => text,
        Some(other) => return Err(format!("is {}, not a text", shown(Some(other)))),
    };
    match messages.first().filter(|first| first["role"] == "system") {
        Some(first) if first["content"] == system.as_str() => Ok(()),
        Some(_) => Err("is another system prompt than that of the messages; remove one of the two".to_owned()),
        None => {
            messages.insert(0, json!({"role": "system", "content": system}));
            Ok(())
        }
    }
}

/// The messages of Alpaca's `history`: pairs of what was asked and answered before.
pub(super) fn of_history(history: Option<&Value>) -> Result<Vec<Value>, String> {
    let history = match history {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(Vec::new()),
        Some(other) => other,
    };
    let mut messages = Vec::new();
    for (at, turn) in listed(history, "turns")?.iter().enumerate() {
        match turn.as_array().map(Vec::as_slice) {
            Some([Value::String(asked), Value::String(answered)]) => {
                messages.push(json!({"role": "user", "content": asked}));
                messages.push(json!({"role": "assistant", "content": answered}));
            }
            _ => return Err(format!("turn {} is no pair of texts, a question and its answer", at + 1)),
        }
    }
    Ok(messages)
}

pub(super) fn shown(value: Option<&Value>) -> &'static str {
    match value {
        None | Some(Value::Null) => "nothing",
        Some(Value::Bool(_)) => "true or false",
        Some(Value::Number(_)) => "a number",
        Some(Value::String(_)) => "a text",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    }
}

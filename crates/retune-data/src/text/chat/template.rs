//! A model's chat template: Jinja, as transformers' `apply_chat_template` renders it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use minijinja::{Environment, Error, ErrorKind, Value as Rendering};
use regex::Regex;
use serde_json::{Map, Value, json};

use super::python;
use crate::DataError;

/// Stand around what the assistant says while a template is rendered; private characters, which no text has.
pub(super) const BEGIN: char = '\u{f8f0}';
const END: char = '\u{f8f1}';
const NAME: &str = "chat_template";

/// A text, and the parts of it that the assistant said, in characters; nothing where the template does not mark them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// The whole text.
    pub text: String,
    /// What the template marks as generated (`{% generation %}`).
    pub marked: Vec<Range<usize>>,
}

/// The chat template of a model. Cloning is cheap.
#[derive(Clone)]
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    /// Special tokens by their names, such as `bos_token`.
    tokens: Arc<Map<String, Value>>,
    place: PathBuf,
    marks: bool,
}

impl ChatTemplate {
    /// The template of a model's folder: `chat_template.jinja`, or `chat_template` of `tokenizer_config.json` (of several the one
    /// called `default`); `None` where there is none.
    ///
    /// # Errors
    /// Files that cannot be read, a template that is no Jinja.
    pub fn load(folder: &Path) -> Result<Option<Self>, DataError> {
        let config_file = folder.join("tokenizer_config.json");
        let config = read_json(&config_file)?;
        let others = read_json(&folder.join("special_tokens_map.json"))?;
        let own = folder.join("chat_template.jinja");
        let (place, source) = if own.is_file() {
            let read = |source| DataError::Read { file: own.clone(), source };
            (own.clone(), Some(std::fs::read_to_string(&own).map_err(read)?))
        } else {
            (config_file.clone(), of_config(&config))
        };
        let Some(source) = source else { return Ok(None) };
        let mut tokens = Map::new();
        for (name, token) in others.iter().chain(&config) {
            let spelled = token.as_str().or_else(|| token.get("content")?.as_str());
            if let Some(spelled) = spelled.filter(|_| name.ends_with("_token")) {
                tokens.insert(name.clone(), json!(spelled));
            }
        }
        Self::new(&source, tokens, &place).map(Some)
    }

    /// A template, with special tokens by their names; `place` is where it came from, for messages.
    ///
    /// # Errors
    /// It is no Jinja.
    pub fn new(source: &str, tokens: Map<String, Value>, place: &Path) -> Result<Self, DataError> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_formatter(python::written);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", |value: Rendering, options: minijinja::value::Kwargs| {
            python::tojson(&value, &options)
        });
        environment.add_function("strftime_now", |format: String| python::strftime_now(&format));
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        let (source, marks) = with_marks(source);
        environment.add_template_owned(NAME, source).map_err(|error| failed(place, &error))?;
        Ok(Self { environment: Arc::new(environment), tokens: Arc::new(tokens), place: place.to_owned(), marks })
    }

    /// Whether it marks what the assistant says.
    pub fn marks(&self) -> bool {
        self.marks
    }

    /// The text of a conversation; with `prompt`, up to where the assistant is to speak.
    ///
    /// # Errors
    /// The template refuses it, with its message and line.
    pub fn render(&self, messages: &[Value], prompt: bool) -> Result<Rendered, DataError> {
        let refuse = |error: Error| failed(&self.place, &error);
        let template = self.environment.get_template(NAME).map_err(refuse)?;
        let mut values = (*self.tokens).clone();
        let messages: Vec<Value> = messages.iter().map(without_null).collect();
        values.extend([
            ("messages".to_owned(), Value::Array(messages)),
            ("add_generation_prompt".to_owned(), json!(prompt)),
            ("tools".to_owned(), Value::Null),
            ("documents".to_owned(), Value::Null),
        ]);
        let text = template.render(Rendering::from_serialize(&values)).map_err(refuse)?;
        Ok(if self.marks { parted(&text) } else { Rendered { text, marked: Vec::new() } })
    }
}

/// Keys without a value are as good as absent, as transformers has it.
fn without_null(message: &Value) -> Value {
    match message {
        Value::Object(map) => {
            Value::Object(map.iter().filter(|(_, it)| !it.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect())
        }
        other => other.clone(),
    }
}

fn failed(place: &Path, error: &Error) -> DataError {
    let line = error.line().map_or_else(String::new, |line| format!(":{line}"));
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let message = format!("{}{line}: the chat template fails: {detail}", place.display());
    DataError::Columns { message }
}

fn read_json(file: &Path) -> Result<Map<String, Value>, DataError> {
    if !file.is_file() {
        return Ok(Map::new());
    }
    let bytes = std::fs::read(file).map_err(|source| DataError::Read { file: file.to_owned(), source })?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| DataError::Malformed {
        file: file.to_owned(),
        line: error.line() as u64,
        message: format!("is no JSON: {error}"),
    })?;
    Ok(if let Value::Object(map) = value { map } else { Map::new() })
}

/// The template of a configuration, of several the usual one.
fn of_config(config: &Map<String, Value>) -> Option<String> {
    match config.get("chat_template")? {
        Value::String(source) => Some(source.clone()),
        Value::Array(all) => {
            let named = all.iter().find(|one| one["name"] == "default")?;
            named["template"].as_str().map(str::to_owned)
        }
        _ => None,
    }
}

/// The source with marks for `{% generation %}`, which Jinja alone does not know, and whether there are any. What trims the text
/// around a tag trims it still.
fn with_marks(source: &str) -> (String, bool) {
    let begin = Regex::new(r"\{%(-?)\s*generation\s*(-?)%\}").expect("a valid pattern");
    let end = Regex::new(r"\{%(-?)\s*endgeneration\s*(-?)%\}").expect("a valid pattern");
    if !begin.is_match(source) {
        return (source.to_owned(), false);
    }
    let mut text = String::new();
    let mut rest = source;
    while let Some(found) = begin.captures(rest) {
        let whole = found.get(0).expect("a match");
        text += &rest[..whole.start()];
        text += &format!("{{%{} if true %}}{{{{ '{BEGIN}' }}}}", &found[1]);
        rest = &rest[whole.end()..];
        rest = if &found[2] == "-" { rest.trim_start() } else { rest.strip_prefix('\n').unwrap_or(rest) };
    }
    text += rest;
    let mut marked = String::new();
    let mut rest = text.as_str();
    while let Some(found) = end.captures(rest) {
        let whole = found.get(0).expect("a match");
        let before = &rest[..whole.start()];
        let blank = before.trim_end_matches([' ', '\t']);
        marked += match &found[1] {
            "-" => before.trim_end(),
            _ if blank.ends_with('\n') => blank,
            _ => before,
        };
        marked += &format!("{{{{ '{END}' }}}}{{% endif {}%}}", &found[2]);
        rest = &rest[whole.end()..];
    }
    (marked + rest, true)
}

/// A text without its marks, and where they were.
fn parted(text: &str) -> Rendered {
    let mut rendered = Rendered::default();
    let (mut at, mut begin) = (0, None);
    for one in text.chars() {
        match one {
            BEGIN => begin = Some(at),
            END => rendered.marked.extend(begin.take().map(|begin| begin..at)),
            other => {
                rendered.text.push(other);
                at += 1;
            }
        }
    }
    rendered
}

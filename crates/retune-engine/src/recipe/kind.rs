//! What the value of a setting is: in a recipe, on the command line, and in Rust.

use std::path::PathBuf;
use toml::Value;

/// What a value is, in TOML and on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A text, or a whole number in its place, which is kept as text.
    Word,
    /// A number that is at least 0 and has no fraction.
    Whole,
    /// Any number.
    Number,
    /// `true` or `false`.
    Switch,
    /// A single character.
    Character,
    /// Several texts; on the command line separated by commas.
    List,
}

/// What a type of Rust is in a recipe.
pub trait Held {
    /// Its kind.
    const KIND: Kind;
}

macro_rules! held {
    ($($type:ty: $kind:ident),+) => { $(impl Held for $type { const KIND: Kind = Kind::$kind; })+ };
}
held!(String: Text, PathBuf: Text, i64: Whole, u64: Whole, usize: Whole, f64: Number, bool: Switch, char: Character);
held!(Vec<String>: List);

impl<T: Held> Held for Option<T> {
    const KIND: Kind = T::KIND;
}

impl Kind {
    /// The value as it is kept, if it is of the right kind.
    pub fn normal(self, value: Value) -> Result<Value, String> {
        let (expected, value) = match (self, value) {
            (Kind::Text | Kind::Word, value @ Value::String(_)) => return Ok(value),
            (Kind::Word, Value::Integer(number)) => return Ok(Value::String(number.to_string())),
            (Kind::Whole, Value::Integer(number)) if number < 0 => return Err(format!("{number} is negative")),
            (Kind::Whole, value @ Value::Integer(_)) => return Ok(value),
            (Kind::Number, value @ Value::Float(_)) => return Ok(value),
            (Kind::Number, Value::Integer(number)) => return Ok(Value::Float(number as f64)),
            (Kind::Switch, value @ Value::Boolean(_)) => return Ok(value),
            (Kind::Character, Value::String(text)) if text.chars().count() == 1 => return Ok(Value::String(text)),
            (Kind::List, Value::Array(all)) if all.iter().all(Value::is_str) => return Ok(Value::Array(all)),
            (kind, value) => (kind.expected(), value),
        };
        Err(format!("invalid type: {} {value}, expected {expected}", value.type_str()))
    }

    /// The value of a text on the command line; of a list, one of its parts.
    pub fn parse(self, text: &str) -> Result<Value, String> {
        let wrong = || format!("`{text}` is not {}", self.expected());
        match self {
            Kind::Text | Kind::Word | Kind::List => Ok(text.into()),
            Kind::Whole => text.parse().map(Value::Integer).map_err(|_| wrong()).and_then(|it| self.normal(it)),
            Kind::Number => text.parse().map(Value::Float).map_err(|_| wrong()),
            Kind::Switch => text.parse().map(Value::Boolean).map_err(|_| wrong()),
            Kind::Character => self.normal(text.into()).map_err(|_| wrong()),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Word => "a text or a whole number",
            Self::Whole => "a whole number",
            Self::Number => "a number",
            Self::Switch => "true or false",
            Self::Character => "a single character",
            Self::List => "a list of texts",
        }
    }
}

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
    /// A text of one or several names, with commas between them; a list of texts in its place, which is kept as such a text.
    Names,
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
            (Kind::Text | Kind::Word | Kind::Names, value @ Value::String(_)) => return Ok(value),
            (Kind::Names, Value::Array(all)) if all.iter().all(Value::is_str) && !all.is_empty() => {
                return Ok(Value::String(joined(all.iter().filter_map(Value::as_str))));
            }
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
            Kind::Text | Kind::Word | Kind::Names | Kind::List => Ok(text.into()),
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
            Self::Names => "a text or a list of texts",
            Self::Whole => "a whole number",
            Self::Number => "a number",
            Self::Switch => "true or false",
            Self::Character => "a single character",
            Self::List => "a list of texts",
        }
    }
}

/// Names with commas between them, those in double quotes that hold one, as `retune_data::column_list` reads them.
fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let spelled = |name: &str| match name.contains([',', '"']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => name.to_owned(),
    };
    names.map(spelled).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names_are_kept_as_one_text() {
        let list = Value::Array(vec!["a, b".into(), "c".into(), "say \"d\"".into()]);
        let kept = Kind::Names.normal(list).unwrap();
        assert_eq!(retune_data::column_list(kept.as_str().unwrap()), ["a, b", "c", "say \"d\""]);
        assert_eq!(Kind::Names.normal("a, b".into()), Ok("a, b".into()));
        assert!(Kind::Names.normal(Value::Array(vec![])).is_err() && Kind::Text.normal(Value::Array(vec![])).is_err());
    }
}

//! One value of a table, as the file types it.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;

/// A cell. CSV and TSV know only text, which may be empty; JSON and Parquet know the rest.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// No value: JSON null, an absent key, a Parquet null.
    Null,
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// The content of a file, with its name where the table gives it.
    File {
        /// Name or path, as the table has it.
        name: Option<String>,
        /// The file's bytes.
        bytes: Vec<u8>,
    },
    /// A list, for several labels.
    List(Vec<Cell>),
    /// Something no column here can use; the word says what (`an object`).
    Other(&'static str),
}

impl Cell {
    /// The number the cell holds or, as text, spells; may be NaN or infinite.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The whole number the cell holds or spells, `1.0` included.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            Self::Bool(_) => None,
            Self::Text(text) if text.trim().parse::<i64>().is_ok() => text.trim().parse().ok(),
            // 2^53: beyond it a float no longer names one whole number.
            _ => self.number().filter(|x| x.fract() == 0.0 && x.abs() <= 9_007_199_254_740_992.0).map(|x| x as i64),
        }
    }

    /// The flag the cell holds or spells: a bool, 0 or 1, `true` or `false`.
    pub fn flag(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
            _ => match self.number()? {
                0.0 => Some(false),
                1.0 => Some(true),
                _ => None,
            },
        }
    }

    /// The cell as a class name: text is trimmed, numbers and bools as JSON writes them.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.trim().to_owned()),
            Self::Integer(value) => Some(value.to_string()),
            Self::Number(value) => Some(self.integer().map_or_else(|| value.to_string(), |whole| whole.to_string())),
            Self::Bool(value) => Some(value.to_string()),
            Self::Null | Self::File { .. } | Self::List(_) | Self::Other(_) => None,
        }
    }

    /// The cell as JSON, for predictions.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Null | Self::Other(_) => Value::Null,
            Self::Text(text) => Value::from(text.as_str()),
            Self::File { name, .. } => name.as_deref().map_or(Value::Null, Value::from),
            Self::Integer(value) => Value::from(*value),
            Self::Number(value) => Value::from(*value),
            Self::Bool(value) => Value::from(*value),
            Self::List(cells) => Value::Array(cells.iter().map(Self::to_json).collect()),
        }
    }

    /// Takes a JSON value over. With `bytes`, an object is the file that its `bytes` (base64) hold or
    /// its `path` names, as Hugging Face's image and audio columns have it.
    pub(crate) fn from_json(value: Value, bytes: bool) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => number
                .as_i64()
                .map(Self::Integer)
                .or_else(|| number.as_f64().map(Self::Number))
                .unwrap_or(Self::Other("a number out of range")),
            Value::String(text) => Self::Text(text),
            Value::Array(values) => Self::List(values.into_iter().map(|value| Self::from_json(value, bytes)).collect()),
            Value::Object(object) if bytes => match (object.get("bytes"), object.get("path")) {
                (Some(Value::String(text)), name) => match BASE64_STANDARD.decode(text) {
                    Ok(bytes) => Self::File { name: name.and_then(Value::as_str).map(str::to_owned), bytes },
                    Err(_) => Self::Other("an object whose `bytes` are not base64"),
                },
                (None | Some(Value::Null), Some(Value::String(path))) => Self::Text(path.clone()),
                _ => Self::Other("an object without `bytes` (base64) or `path`"),
            },
            Value::Object(_) => Self::Other("an object"),
        }
    }

    /// Appends a compact encoding of the cell, read back by [`Cell::decode`].
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Null | Self::Other(_) => into.push(0),
            Self::Text(text) => {
                into.push(1);
                into.extend((text.len() as u64).to_le_bytes());
                into.extend(text.as_bytes());
            }
            Self::Integer(value) => {
                into.push(2);
                into.extend(value.to_le_bytes());
            }
            Self::Number(value) => {
                into.push(3);
                into.extend(value.to_le_bytes());
            }
            Self::Bool(value) => into.extend([4, u8::from(*value)]),
            Self::File { name, bytes } => {
                into.push(6);
                Self::Text(name.clone().unwrap_or_default()).encode(into);
                into.extend((bytes.len() as u64).to_le_bytes());
                into.extend(bytes);
            }
            Self::List(cells) => {
                into.push(5);
                into.extend((cells.len() as u64).to_le_bytes());
                cells.iter().for_each(|cell| cell.encode(into));
            }
        }
    }

    /// Reads one cell from the front of `bytes`; `None` when they are not what `encode` wrote.
    pub(crate) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let [tag, rest @ ..] = *bytes else {
            return None;
        };
        *bytes = rest;
        Some(match tag {
            0 => Self::Null,
            1 => {
                let length = usize::try_from(u64::from_le_bytes(take(bytes)?)).ok()?;
                let (text, rest) = bytes.split_at_checked(length)?;
                *bytes = rest;
                Self::Text(String::from_utf8(text.to_vec()).ok()?)
            }
            2 => Self::Integer(i64::from_le_bytes(take(bytes)?)),
            3 => Self::Number(f64::from_le_bytes(take(bytes)?)),
            4 => Self::Bool(take::<1>(bytes)? == [1]),
            5 => {
                let length = u64::from_le_bytes(take(bytes)?);
                Self::List((0..length).map(|_| Self::decode(bytes)).collect::<Option<_>>()?)
            }
            6 => {
                let Self::Text(name) = Self::decode(bytes)? else {
                    return None;
                };
                let length = usize::try_from(u64::from_le_bytes(take(bytes)?)).ok()?;
                let (content, rest) = bytes.split_at_checked(length)?;
                *bytes = rest;
                Self::File { name: Some(name).filter(|name| !name.is_empty()), bytes: content.to_vec() }
            }
            _ => return None,
        })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_survive_encoding() {
        let cell = Cell::List(vec![
            Cell::Null,
            Cell::Text("é\n".into()),
            Cell::Integer(-3),
            Cell::Number(0.25),
            Cell::Bool(true),
            Cell::File { name: None, bytes: vec![0, 255] },
            Cell::File { name: Some("a.png".into()), bytes: vec![] },
            Cell::List(vec![]),
        ]);
        let mut bytes = Vec::new();
        cell.encode(&mut bytes);
        assert_eq!(Cell::decode(&mut bytes.as_slice()), Some(cell));
        for cut in 0..bytes.len() {
            assert_eq!(Cell::decode(&mut &bytes[..cut]), None);
        }
    }

    #[test]
    fn text_spells_numbers_and_flags() {
        let text = |text: &str| Cell::Text(text.into());
        assert_eq!((text(" 2.5 ").number(), text("2.5").integer(), text("3.0").integer()), (Some(2.5), None, Some(3)));
        assert_eq!((text("TRUE").flag(), text("0.0").flag(), text("2").flag()), (Some(true), Some(false), None));
        assert_eq!(text("9007199254740993").integer(), Some(9_007_199_254_740_993));
        assert_eq!(Cell::Number(4.0).name().as_deref(), Some("4"));
    }
}

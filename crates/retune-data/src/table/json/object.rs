//! One JSON object out of its text, as Python's `json` reads it: `NaN` and `Infinity` are accepted and are no values.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::RowProblem;
use crate::error::shortened;

/// An object, and the keys that stand in it more than once.
pub(super) struct Parsed {
    pub(super) object: Map<String, Value>,
    pub(super) twice: Vec<String>,
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Parsed;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed, A::Error> {
                let mut parsed = Parsed { object: Map::new(), twice: Vec::new() };
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if parsed.object.contains_key(&key) {
                        parsed.twice.push(key.clone());
                    }
                    parsed.object.insert(key, value);
                }
                Ok(parsed)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// Parses one object, with the column of the first mistake in the message.
pub(crate) fn parse_object(text: &[u8], line: u64) -> Result<Map<String, Value>, RowProblem> {
    let Parsed { object, twice } = parse(text, line)?;
    match twice.first() {
        Some(key) => Err(stands_twice(key, line)),
        None => Ok(object),
    }
}

/// A key that stands twice means either of two values.
pub(super) fn stands_twice(key: &str, line: u64) -> RowProblem {
    RowProblem::new(line, Some(&shortened(key)), "stands twice in the object; remove one")
}

/// Parses one object whose keys may stand in it more than once.
pub(super) fn parse(text: &[u8], line: u64) -> Result<Parsed, RowProblem> {
    let first = match serde_json::from_slice(text) {
        Ok(parsed) => return Ok(parsed),
        Err(error) => error,
    };
    if let Some(Ok(parsed)) = without_words(text).map(|text| serde_json::from_slice(&text)) {
        return Ok(parsed);
    }
    if first.is_data() {
        return Err(RowProblem::new(line, None, "is not a JSON object; write {\"text\": …, \"label\": …}"));
    }
    // serde_json counts from 1 and gives line 0 when it has no place.
    let line = line + (first.line() as u64).saturating_sub(1);
    let said = first.to_string();
    let reason = said.split(" at line ").next().unwrap_or(&said);
    Err(RowProblem::new(line, None, format!("broken JSON at column {}: {reason}", first.column())))
}

/// Whether an error of [`parse`] is that the text ends too early.
pub(super) fn ends_early(text: &[u8]) -> bool {
    serde_json::from_slice::<Parsed>(text).is_err_and(|error| error.is_eof())
}

/// The text with `null` for the words that Python writes for numbers that are none; `None` if there are none.
fn without_words(text: &[u8]) -> Option<Vec<u8>> {
    const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
    let mut mended = Vec::with_capacity(text.len());
    let (mut at, mut string, mut any) = (0, false, false);
    while at < text.len() {
        let word = WORDS.iter().find(|word| !string && text[at..].starts_with(word));
        if let Some(word) = word {
            mended.extend(b"null");
            at += word.len();
            any = true;
            continue;
        }
        match text[at] {
            b'\\' if string => {
                mended.push(b'\\');
                at += 1;
            }
            b'"' => string = !string,
            _ => {}
        }
        mended.extend(text.get(at));
        at += 1;
    }
    any.then_some(mended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_that_are_no_numbers_are_no_values() {
        let text = br#"{"text": "NaN \" -Infinity", "score": NaN, "more": [Infinity, -Infinity, 1]}"#;
        let expected = json!({"text": "NaN \" -Infinity", "score": null, "more": [null, null, 1]});
        assert_eq!(Value::Object(parse_object(text, 1).unwrap()), expected);
        assert!(parse_object(b"{\"a\": NaNo}", 1).unwrap_err().message.contains("broken JSON at column"));
    }

    #[test]
    fn keys_that_stand_twice_are_named() {
        let problem = parse_object(b"{\"text\": 1, \"text\": 2}", 7).unwrap_err();
        assert_eq!((problem.line, problem.column.as_deref()), (7, Some("text")));
        assert_eq!(parse(b"{\"a\": 1, \"a\": 2}", 1).ok().unwrap().twice, ["a"]);
    }
}

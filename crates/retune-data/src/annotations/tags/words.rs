//! Rows with a list of words and a list of tags: JSON, Parquet, or lists written into cells of a CSV file.

use serde_json::{Map, Value};

use super::Tagged;
use super::parts::{RawGold, RawTagged, Spellings, TagOptions};
use crate::RowProblem;
use crate::annotations::literal;
use crate::error::shortened;

/// Reads one row.
///
/// # Errors
/// What is wrong with the row.
pub(super) fn row(
    line: u64,
    mut row: Map<String, Value>,
    options: &TagOptions,
    names: Option<&[String]>,
    spellings: &mut Spellings,
) -> Result<RawTagged, Vec<RowProblem>> {
    let refuse = |column: &str, message: String| vec![RowProblem::new(line, Some(column), message)];
    let tokens = row.remove(&options.tokens).unwrap_or(Value::Null);
    let words = match list(tokens) {
        Ok(Some(words)) => words,
        Ok(None) => return Err(refuse(&options.tokens, "has no words; fill it in or remove the row".to_owned())),
        Err(message) => return Err(refuse(&options.tokens, message)),
    };
    let words: Result<Vec<String>, String> =
        words.into_iter().enumerate().map(|(at, word)| spelled(at, word)).collect();
    let words = words.map_err(|message| refuse(&options.tokens, message))?;
    if words.is_empty() {
        return Err(refuse(&options.tokens, "has no words; fill it in or remove the row".to_owned()));
    }
    let tags = row.remove(&options.tags).unwrap_or(Value::Null);
    let tags = list(tags).map_err(|message| refuse(&options.tags, message))?;
    let gold = match tags {
        None if options.required => {
            return Err(refuse(&options.tags, "has no tags; fill it in or remove the row".to_owned()));
        }
        None => RawGold::None,
        Some(tags) if tags.len() != words.len() => {
            let message = format!("has {} tags for {} words; each word needs one", tags.len(), words.len());
            return Err(refuse(&options.tags, message));
        }
        Some(tags) => {
            let numbers = tags.iter().enumerate().map(|(at, tag)| Ok(spellings.number(&named(at, tag, names)?)));
            let numbers: Result<Vec<u32>, String> = numbers.collect();
            RawGold::Tags(numbers.map_err(|message| refuse(&options.tags, message))?)
        }
    };
    let id = row.remove("id").filter(|id| !id.is_null());
    Ok(RawTagged { tagged: Tagged { id, ..Tagged::of_words(line, &words) }, gold, comments: None })
}

/// The entries of a cell: a list, a list written as text, or words separated by space. `None` without a value.
fn list(cell: Value) -> Result<Option<Vec<Value>>, String> {
    match cell {
        Value::Null => Ok(None),
        Value::Array(values) => Ok(Some(values)),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => match literal::parse(&text) {
            Some(Ok(Value::Array(values))) => Ok(Some(values)),
            Some(Ok(_)) => Err("is an object, not a list".to_owned()),
            // Words such as `[1]` may begin a sentence.
            Some(Err(reason)) if text.trim_end().ends_with(']') => Err(format!("is a broken list: {reason}")),
            _ => Ok(Some(text.split_whitespace().map(Value::from).collect())),
        },
        other => Err(format!("is `{}`, not a list", shortened(&other.to_string()))),
    }
}

fn spelled(at: usize, word: Value) -> Result<String, String> {
    match word {
        Value::String(word) if word.is_empty() => Err(format!("has an empty word at place {}; remove it", at + 1)),
        Value::String(word) => Ok(word),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        other => {
            Err(format!("has `{}` at place {}, which is no word; quote it", shortened(&other.to_string()), at + 1))
        }
    }
}

/// A tag's name, which an id has in the list of names.
pub(super) fn named(at: usize, tag: &Value, names: Option<&[String]>) -> Result<String, String> {
    let id = match tag {
        Value::String(text) => match (text.trim().parse::<i64>(), names) {
            (Ok(id), Some(names)) if !names.contains(text) => id,
            _ => return Ok(text.trim().to_owned()),
        },
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().filter(|x| x.fract() == 0.0).map(|x| x as i64))
            .ok_or_else(|| format!("has {number} at place {}, which is no tag", at + 1))?,
        other => return Err(format!("has `{}` at place {}, which is no tag", shortened(&other.to_string()), at + 1)),
    };
    let Some(names) = names else {
        return Err(format!(
            "has tags by number ({id} at place {}), but nothing says their names; name a file of them with --tag-names, or \
             put it beside the data as id2label.json",
            at + 1
        ));
    };
    let name = usize::try_from(id).ok().and_then(|id| names.get(id));
    name.cloned().ok_or_else(|| {
        format!("has tag {id} at place {}, but there are names for 0 to {} only", at + 1, names.len().saturating_sub(1))
    })
}

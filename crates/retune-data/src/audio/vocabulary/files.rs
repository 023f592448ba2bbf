//! The files of a vocabulary: `vocab.json`, with `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` beside it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{CtcVocabulary, DELIMITER, Named};
use crate::DataError;
use crate::error::shortened;

const PIECES: &str = "vocab.json";
const CONFIG: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";
/// The class whose files these are.
const CLASS: &str = "Wav2Vec2CTCTokenizer";
/// Languages that a message names, at most.
const MOST_NAMED: usize = 12;
/// Numbers of pieces, at most: a typo in a file must not ask for all memory.
const MOST: u64 = 1 << 20;

impl CtcVocabulary {
    /// The vocabulary of a model's folder; `None` where it has no `vocab.json`. Of several languages it is that of `language`, else
    /// the one that `target_lang` of `tokenizer_config.json` chooses.
    ///
    /// # Errors
    /// Files that cannot be read, or are those of a tokenizer that works in another way; a language that is not there.
    pub fn load(folder: &Path, language: Option<&str>) -> Result<Option<Self>, DataError> {
        let path = folder.join(PIECES);
        if !path.is_file() {
            return Ok(None);
        }
        let refuse = |file: &str, message: String| DataError::Tokenizer { path: folder.join(file), message };
        let config = object(folder, CONFIG)?.unwrap_or_default();
        let special = object(folder, SPECIAL)?.unwrap_or_default();
        if let Some(class) = config.get("tokenizer_class").and_then(Value::as_str).filter(|class| *class != CLASS) {
            return Err(refuse(CONFIG, format!("is of a {class}; only {CLASS} is known for speech")));
        }
        let chosen = config.get("target_lang").and_then(Value::as_str);
        let all = object(folder, PIECES)?.unwrap_or_default();
        let (own, spoken) = of_language(all, language.or(chosen)).map_err(|it| refuse(PIECES, it))?;
        let mut numbered = numbers(own).map_err(|it| refuse(PIECES, it))?;
        if let Some(added) = object(folder, ADDED)? {
            numbered.extend(numbers(added).map_err(|it| refuse(ADDED, it))?);
        }
        for (id, token) in config.get("added_tokens_decoder").and_then(Value::as_object).into_iter().flatten() {
            let id = id.parse().ok().filter(|&id| id < MOST);
            numbered.extend(text_of(token).zip(id));
        }
        let size = numbered.iter().map(|(_, id)| id + 1).max().unwrap_or(0);
        let mut pieces = vec![String::new(); size as usize];
        for (piece, id) in numbered {
            let place = &mut pieces[id as usize];
            if !place.is_empty() && *place != piece {
                return Err(refuse(PIECES, format!("gives the number {id} to `{place}` and to `{piece}`")));
            }
            *place = piece;
        }
        let named = |key: &str, assumed: Option<&str>| match config.get(key).or_else(|| special.get(key)) {
            Some(token) => text_of(token),
            None => assumed.map(str::to_owned),
        };
        let stands = Named {
            blank: named("pad_token", Some("<pad>")).unwrap_or_default(),
            unknown: named("unk_token", Some("<unk>")),
            delimiter: named("word_delimiter_token", Some(DELIMITER)),
        };
        let others: Vec<String> = [("bos_token", "<s>"), ("eos_token", "</s>")]
            .iter()
            .filter_map(|(key, it)| named(key, Some(*it)))
            .collect();
        let lower_case = config.get("do_lower_case").and_then(Value::as_bool).unwrap_or(false);
        if let Some(other) = config.get("replace_word_delimiter_char").filter(|it| *it != " " && !it.is_null()) {
            return Err(refuse(CONFIG, format!("replace_word_delimiter_char is {other}; only a space is supported")));
        }
        let vocabulary = Self::of_pieces(pieces, stands, &others, lower_case).map_err(|it| refuse(PIECES, it))?;
        let files = [PIECES, CONFIG, SPECIAL, ADDED].map(|file| folder.join(file));
        let files = files.into_iter().filter(|file| file.is_file()).collect();
        // What chooses another language is written anew.
        let same = spoken.as_deref() == chosen;
        Ok(Some(Self { files: if same { files } else { Vec::new() }, language: spoken, ..vocabulary }))
    }

    /// The files that belong into a saved model: those that it was read from, else new ones in `folder`.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn save(&self, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
        if !self.files.is_empty() {
            return Ok(self.files.clone());
        }
        let pieces = self.pieces.iter().cloned().zip((0u32..).map(Value::from));
        let mut pieces: Map<String, Value> = pieces.filter(|(piece, _)| !piece.is_empty()).collect();
        let piece = |id: Option<u32>| id.map(|id| self.pieces[id as usize].clone());
        let mut config = json!({
            "tokenizer_class": CLASS,
            "pad_token": piece(Some(self.blank)),
            "unk_token": piece(self.unknown),
            "word_delimiter_token": piece(self.delimiter),
            "bos_token": null,
            "eos_token": null,
            "do_lower_case": self.lower_case,
        });
        if let Some(language) = &self.language {
            pieces = Map::from_iter([(language.clone(), Value::Object(pieces))]);
            config["target_lang"] = json!(language);
        }
        [(PIECES, Value::Object(pieces)), (CONFIG, config)]
            .into_iter()
            .map(|(name, value)| {
                let file = folder.join(name);
                let text = serde_json::to_string_pretty(&value).expect("JSON can be written") + "\n";
                std::fs::write(&file, text).map_err(|source| DataError::Write { file: file.clone(), source })?;
                Ok(file)
            })
            .collect()
    }
}

/// The object in a file; `None` where there is no such file.
fn object(folder: &Path, name: &str) -> Result<Option<Map<String, Value>>, DataError> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(&path).map_err(|source| DataError::Read { file: path.clone(), source })?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(Some(object)),
        Ok(_) => Err(DataError::Tokenizer { path, message: "is not a JSON object".to_owned() }),
        Err(error) => Err(DataError::Tokenizer { path, message: format!("is not JSON: {error}") }),
    }
}

/// The pieces of a language among several, with its name; those of a file that knows none as they are.
fn of_language(
    mut all: Map<String, Value>,
    language: Option<&str>,
) -> Result<(Map<String, Value>, Option<String>), String> {
    if all.is_empty() || !all.values().all(Value::is_object) {
        return match language {
            Some(language) => Err(format!("holds one vocabulary, not one for each language such as `{language}`")),
            None => Ok((all, None)),
        };
    }
    let names: Vec<&str> = all.keys().take(MOST_NAMED).map(String::as_str).collect();
    let known = names.join(", ") + if all.len() > MOST_NAMED { ", …" } else { "" };
    let Some(language) = language else {
        return Err(format!("holds a vocabulary for each language ({known}); say which with --language"));
    };
    match all.remove(language) {
        Some(Value::Object(own)) => Ok((own, Some(language.to_owned()))),
        _ => Err(format!("holds no vocabulary for the language `{language}`; there are {known}")),
    }
}

/// Pieces with their numbers.
fn numbers(object: Map<String, Value>) -> Result<Vec<(String, u64)>, String> {
    let number = |(piece, value): (String, Value)| match value.as_u64().filter(|&id| id < MOST) {
        Some(id) => Ok((piece, id)),
        None => Err(format!("gives `{piece}` the number {}", shortened(&value.to_string()))),
    };
    object.into_iter().map(number).collect()
}

/// A token: its text, or an object that holds it.
fn text_of(token: &Value) -> Option<String> {
    token.as_str().or_else(|| token.get("content")?.as_str()).map(str::to_owned)
}

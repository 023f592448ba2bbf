//! Reads a file of tagged texts, whatever its format: what it holds first, then what its tags mean.

use std::collections::VecDeque;
use std::path::Path;

use super::by_word::{self, Sentences};
use super::parts::{Spellings, TagOptions, TagParts, TaggedFile};
use super::understand::understood;
use super::{Tag, Tagged, conll, label_studio, marked, names, plain, words};
use crate::annotations::repair::{Mends, enough};
use crate::error::quoted;
use crate::table::{Objects, column_names, parse_object, reduced};
use crate::{DataError, RowProblem};

impl TaggedFile {
    /// Reads a file; the module says which formats there are.
    ///
    /// # Errors
    /// An unreadable file, missing columns, or examples that cannot be used, up to ten problems together.
    pub fn read(file: impl AsRef<Path>, options: &TagOptions) -> Result<Self, DataError> {
        let file = file.as_ref();
        let extension = file.extension().and_then(|it| it.to_str()).unwrap_or("").to_ascii_lowercase();
        let parts = match extension.as_str() {
            "txt" if !options.required => plain_or_columns(file, options)?,
            "conll" | "conllu" | "iob" | "iob2" | "bio" | "bioes" | "txt" => conll::read(file, options)?,
            "tsv" if !headed(file, options)? => conll::read(file, options)?,
            "csv" | "tsv" | "jsonl" | "ndjson" | "json" | "parquet" => table(file, options)?,
            _ => {
                crate::table::open_file(file)?;
                let message =
                    "unsupported file type; use .conll, .txt, .iob, .bio, .tsv, .csv, .jsonl, .json or .parquet";
                return Err(DataError::Schema { file: file.to_owned(), message: message.to_owned() });
            }
        };
        understood(file, parts, options)
    }

    /// One line of a stream to predict: a JSON object with words or a text, or anything else, which is itself the text.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn line(line: u64, text: &[u8], options: &TagOptions) -> Result<Tagged, RowProblem> {
        if !text.trim_ascii_start().starts_with(b"{") {
            let text = std::str::from_utf8(text);
            let text = text.map_err(|_| RowProblem::new(line, None, "is not valid UTF-8; save the file as UTF-8"))?;
            return Ok(Tagged::of_text(line, text.to_owned()));
        }
        let options = TagOptions { required: false, ..options.clone() };
        let wanted = [&options.tokens, &options.text].map(Clone::clone).into_iter().chain(["id".to_owned()]);
        let row = reduced(parse_object(text, line)?, &wanted.collect::<Vec<_>>());
        let raw = if row.contains_key(&options.tokens) {
            words::row(line, row, &options, None, &mut Spellings::default())
        } else {
            marked::row(line, row, &options, &options.entities, None, &mut Mends::default())
        };
        let first = |problems: Vec<RowProblem>| problems.into_iter().next();
        raw.map(|raw| raw.tagged)
            .map_err(|all| first(all).unwrap_or_else(|| RowProblem::new(line, None, "cannot be used")))
    }

    /// The labels of the entities, each once, in alphabetical order.
    pub fn labels(&self) -> Vec<String> {
        let labels = self.examples.iter().flat_map(Tagged::labels);
        let all: std::collections::BTreeSet<_> = labels.collect();
        all.iter().map(|label| (**label).to_owned()).collect()
    }
}

/// Reads a `.txt` that need not be marked, and says as what: both are usual.
fn plain_or_columns(file: &Path, options: &TagOptions) -> Result<TagParts, DataError> {
    let columns = plain::has_columns(file, options)?;
    let mut parts = if columns { conll::read(file, options)? } else { plain::read(file)? };
    let what = if columns {
        "its lines are words with their columns, blank lines between sentences (CoNLL)"
    } else {
        "each of its lines is a text"
    };
    parts.notes.push(format!("{}: {what}", file.display()));
    Ok(parts)
}

/// Whether a `.tsv` begins with names of columns; words and their tags might be called like columns.
fn headed(file: &Path, options: &TagOptions) -> Result<bool, DataError> {
    let names = column_names(file)?;
    let named = |wanted: &String| names.iter().any(|name| name.trim() == wanted.trim());
    let tagged = names.last().is_some_and(|name| Tag::parse(name.trim()).is_some());
    Ok((named(&options.tokens) || named(&options.text)) && !tagged)
}

/// Reads a table: words and tags, text and entities, or Label Studio's export.
fn table(file: &Path, options: &TagOptions) -> Result<TagParts, DataError> {
    let entity_columns = marked::columns(options);
    let mut wanted =
        vec![options.tokens.as_str(), &options.tags, &options.text, "id", "data", "annotations", "completions"];
    wanted.extend(entity_columns.iter().map(String::as_str));
    let sentences = by_word::columns(options, Objects::open(file, &[])?.columns());
    wanted.extend(sentences.iter().map(String::as_str).filter(|name| !entity_columns.iter().any(|it| it == name)));
    let mut rows = Objects::open(file, &wanted)?;
    let missing = |column: &str, flag: &'static str| {
        let present = rows.columns().to_vec();
        Err(DataError::MissingColumn {
            file: file.to_owned(),
            column: column.to_owned(),
            flag,
            present,
            headerless: false,
        })
    };
    let has_words = rows.has(&options.tokens);
    let studio = rows.has("data") && (rows.has("annotations") || rows.has("completions"));
    let entities = entity_columns.iter().find(|column| rows.has(column));
    let readable = !rows.columns().is_empty();
    if has_words && options.required && !rows.has(&options.tags) {
        return missing(&options.tags, "--tags-column");
    }
    if let Some(sentence) = options.sentence.as_ref().filter(|sentence| readable && !rows.has(sentence)) {
        return missing(sentence, "--sentence-column");
    }
    if !has_words && !studio && readable {
        if !rows.has(&options.text) {
            let message = format!(
                "there is neither a column `{}` of words nor a column `{}` of text; the columns are {}; name one with \
                 --tokens-column or --text-column",
                options.tokens,
                options.text,
                quoted(rows.columns(), 20)
            );
            return Err(DataError::Schema { file: file.to_owned(), message });
        }
        if entities.is_none() && options.required {
            return missing(&options.entities, "--entities-column");
        }
    }
    let entities = entities.map_or(options.entities.as_str(), String::as_str);
    let mut parts = TagParts::default();
    let mut names = options.names.clone();
    if names.is_none()
        && let Some((found, place)) = names::known(file, if has_words { &options.tags } else { entities })?
    {
        parts.notes.push(format!("{}: the names of tags by number are from {place}", file.display()));
        names = Some(found);
    }
    let ahead: Vec<_> = std::iter::from_fn(|| rows.next()).take(by_word::LOOKED_AT).collect::<Result<_, _>>()?;
    let looked_at = ahead.iter().flatten().map(|(_, row)| row);
    let singles = if has_words { by_word::are_words(looked_at, options) } else { None };
    let mut ahead = VecDeque::from(ahead);
    let mut next = || ahead.pop_front().map(Ok).or_else(|| rows.next());
    let mut problems = 0;
    match singles {
        Some(_) if !sentences.is_empty() => {
            let mut sentences = Sentences::by(sentences);
            while let Some(row) = next() {
                problems += sentences.take(row?, options, names.as_deref(), &mut parts);
                if enough(problems, options.on_bad_example) {
                    break;
                }
            }
            sentences.end(&mut parts);
            return Ok(parts);
        }
        Some(words) if options.required => {
            let message = by_word::homeless(&words, options);
            return Err(DataError::Schema { file: file.to_owned(), message });
        }
        _ => {}
    }
    while let Some(row) = next() {
        let row = match row? {
            Err(problem) => Err(vec![problem]),
            Ok((line, row)) if has_words => words::row(line, row, options, names.as_deref(), &mut parts.spellings),
            Ok((line, row)) if studio => label_studio::row(line, row, options, &mut parts.mends),
            Ok((line, row)) => marked::row(line, row, options, entities, names.as_deref(), &mut parts.mends),
        };
        problems += row.as_ref().err().map_or(0, Vec::len);
        parts.rows.push(row);
        if enough(problems, options.on_bad_example) {
            break;
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests;

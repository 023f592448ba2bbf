//! CoNLL files: a word in each line with its columns, blank lines between sentences.
//!
//! Columns are separated by tabs if the first row has one, else by spaces. `-DOCSTART-` begins a document, as do lines of JNLPBA's kind
//! (`###MEDLINE:95369245`). A line that begins with `# ` is a comment if it has no tag, as CoNLL-U's `# sent_id` lines; `#` as a word
//! is a word.

use std::path::Path;

use super::parts::{RawGold, RawTagged, Spellings, TagOptions, TagParts};
use super::{Tag, TagScheme, Tagged};
use crate::annotations::lines::TextLines;
use crate::annotations::repair::enough;
use crate::{DataError, RowProblem};

/// Which columns hold words and tags, from 0; the last one where it is `None`.
struct Columns {
    token: usize,
    tag: Option<usize>,
}

/// What the first row fixes for the file.
struct Shape {
    tabs: bool,
    width: usize,
    line: u64,
}

/// The sentence being read.
#[derive(Default)]
struct Sentence {
    line: u64,
    words: Vec<String>,
    tags: Vec<u32>,
    /// Before which words a comment stands.
    comments: Vec<usize>,
    problems: Vec<RowProblem>,
    /// Whether the first column counts the words up by one, from any number, and its last number.
    counted: bool,
    number: Option<u64>,
}

/// Reads a whole file.
///
/// # Errors
/// The file cannot be read, or its columns are not what was asked for.
pub(super) fn read(file: &Path, options: &TagOptions) -> Result<TagParts, DataError> {
    let columns = Columns {
        token: numbered(&options.tokens, "tokens", "--tokens-column")?.unwrap_or(0),
        tag: numbered(&options.tags, "ner_tags", "--tags-column")?,
    };
    if let Some(column) = &options.sentence {
        let message = format!(
            "{}: there is no column `{column}` (--sentence-column): blank lines tell the sentences of a CoNLL file apart",
            file.display()
        );
        return Err(DataError::Columns { message });
    }
    let mut lines = TextLines::open(file)?;
    let mut parts = TagParts::default();
    let (mut shape, mut sentence) = (None, Sentence::default());
    let (mut problems, mut numbers) = (0, Numbers::default());
    while let Some((line, text)) = lines.next()? {
        let text = match text {
            Ok(text) => text.trim_end_matches([' ', '\t']),
            Err(problem) => {
                sentence.problems.push(problem);
                continue;
            }
        };
        let document = begins_document(text, shape.as_ref(), &columns, options);
        if text.is_empty() || document {
            numbers.look(&sentence);
            problems += sentence.problems.len();
            sentence.end(&mut parts);
            if document {
                parts.document = Some(parts.document.map_or(0, |before| before + 1));
            }
            if enough(problems, options.on_bad_example) {
                break;
            }
            continue;
        }
        sentence.row(line, text, &mut shape, &columns, options, &mut parts.spellings);
    }
    numbers.look(&sentence);
    sentence.end(&mut parts);
    if numbers.count() && options.tokens == "tokens" && shape.is_some_and(|shape| shape.width > 1) {
        let message = "the first column counts the words; name the column that holds them, such as --tokens-column 2";
        return Err(DataError::Schema { file: file.to_owned(), message: message.to_owned() });
    }
    Ok(parts)
}

/// What the first column of the sentences holds.
#[derive(Default)]
struct Numbers {
    /// Sentences in which it counts, those of several words alone, and those in which it does not.
    counted: usize,
    steps: usize,
    not: usize,
}

impl Numbers {
    fn look(&mut self, sentence: &Sentence) {
        let counts = sentence.counted && sentence.number.is_some();
        self.counted += usize::from(counts);
        self.steps += usize::from(counts && sentence.words.len() > 1);
        self.not += usize::from(!counts && !sentence.words.is_empty());
    }

    /// Whether it counts words in the whole file, and not by chance.
    fn count(&self) -> bool {
        self.not == 0 && self.steps > 0 && self.counted > 1
    }
}

/// Whether a line stands before a document.
fn begins_document(text: &str, shape: Option<&Shape>, columns: &Columns, options: &TagOptions) -> bool {
    const MARKER: &str = "-DOCSTART-";
    // One word alone is a row of words that are to be tagged.
    let lone = !text.contains(['\t', ' ']) && shape.map_or(options.required, |shape| shape.width > 1);
    let behind = || text.split(['\t', ' ']).filter(|field| !field.is_empty()).nth(columns.token) == Some(MARKER);
    text.starts_with(MARKER)
        || text.starts_with("###MEDLINE:")
        || (lone && text.starts_with("###"))
        || (columns.token > 0 && behind())
}

/// The column a setting names, from 0; `None` for its default.
fn numbered(setting: &str, default: &str, flag: &str) -> Result<Option<usize>, DataError> {
    if setting == default {
        return Ok(None);
    }
    match setting.trim().parse::<usize>() {
        Ok(number) if number > 0 => Ok(Some(number - 1)),
        _ => Err(DataError::Columns {
            message: format!("{flag} {setting}: columns of a CoNLL file have no names; give its number, from 1"),
        }),
    }
}

impl Sentence {
    /// Takes one row that is not blank.
    fn row(
        &mut self,
        line: u64,
        text: &str,
        shape: &mut Option<Shape>,
        columns: &Columns,
        options: &TagOptions,
        spellings: &mut Spellings,
    ) {
        let required = options.required;
        let tabs = shape.as_ref().map_or(text.contains('\t'), |shape| shape.tabs);
        let fields: Vec<&str> = if tabs {
            text.split('\t').collect()
        } else {
            text.split([' ', '\t']).filter(|field| !field.is_empty()).collect()
        };
        if is_comment(text, &fields, shape.as_ref(), options) {
            if !self.words.is_empty() {
                self.comments.push(self.words.len());
            }
            return;
        }
        let shape = shape.get_or_insert(Shape { tabs, width: fields.len(), line });
        if self.words.is_empty() {
            (self.line, self.counted, self.number) = (line, true, None);
        }
        let field = |index: usize| fields.get(index).map(|field| field.trim());
        let (token, tag) = (fields.get(columns.token), field(columns.tag.unwrap_or(shape.width - 1)));
        let problem = match (token, tag) {
            _ if fields.len() != shape.width => {
                let separator = if shape.tabs { "tabs" } else { "spaces" };
                let (has, first) = (counted(fields.len()), shape.line);
                Some(format!("has {has} separated by {separator}, where line {first} has {}", shape.width))
            }
            (None, _) => Some(format!("has {}, so no column {} of words", counted(fields.len()), columns.token + 1)),
            (Some(&""), _) => Some("has no word; write one or remove the row".to_owned()),
            (_, tag) if required && shape.width == 1 && columns.tag.is_none() => {
                let what = shortened_tag(tag);
                Some(format!("has one column only ({what}); a word and its tag are needed in each line"))
            }
            (_, None) if required => {
                let tag = columns.tag.map_or(shape.width, |tag| tag + 1);
                Some(format!("has {}, so no column {tag} of tags", counted(fields.len())))
            }
            _ => None,
        };
        if let Some(message) = problem {
            self.problems.push(RowProblem::new(line, None, message));
        }
        let number = token.and_then(|token| token.parse::<u64>().ok());
        self.counted &= match (number, self.number) {
            (Some(number), Some(before)) => number == before + 1,
            (Some(_), None) => true,
            // CoNLL-U counts words that are written as one (`3-4`), and those that are not written (`8.1`), beside the others.
            (None, _) => token.is_some_and(|token| is_between(token)),
        };
        self.number = number.or(self.number);
        self.words.push(token.map_or_else(String::new, |token| (*token).to_owned()));
        if let Some(tag) = tag.filter(|_| shape.width > 1 || columns.tag.is_some()) {
            self.tags.push(spellings.number(tag));
        }
    }

    /// Ends the sentence, if there is one.
    fn end(&mut self, parts: &mut TagParts) {
        let sentence = std::mem::take(self);
        if !sentence.problems.is_empty() {
            parts.rows.push(Err(sentence.problems));
            return;
        }
        if sentence.words.is_empty() {
            return;
        }
        let tagged = Tagged { document: parts.document, ..Tagged::of_words(sentence.line, &sentence.words) };
        let gold =
            if sentence.tags.len() == sentence.words.len() { RawGold::Tags(sentence.tags) } else { RawGold::None };
        parts.rows.push(Ok(RawTagged { tagged, gold, comments: Some(sentence.comments) }));
    }
}

/// Whether a row is a comment: it begins with `# ` and has no tag where rows have theirs.
fn is_comment(text: &str, fields: &[&str], shape: Option<&Shape>, options: &TagOptions) -> bool {
    if text == "#" {
        return options.required && shape.is_none_or(|shape| shape.width > 1);
    }
    let other_width = shape.is_some_and(|shape| shape.width != fields.len());
    // Any word may be a tag of IO.
    let any_tag = options.scheme == Some(TagScheme::Io) && shape.is_some();
    let untagged = fields.last().is_none_or(|last| Tag::parse(last).is_none()) && !any_tag;
    text.starts_with("# ") && (fields.len() == 1 || other_width || untagged)
}

fn is_between(number: &str) -> bool {
    let parts = number.split_once(['-', '.']);
    parts.is_some_and(|(one, other)| [one, other].iter().all(|part| part.parse::<u64>().is_ok()))
}

fn counted(columns: usize) -> String {
    if columns == 1 { "1 column".to_owned() } else { format!("{columns} columns") }
}

fn shortened_tag(tag: Option<&str>) -> String {
    format!("`{}`", crate::error::shortened(tag.unwrap_or("")))
}

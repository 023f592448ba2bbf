//! What a text medium encodes: texts, pairs of them, or words.

use crate::rows::{Input, Kind, Layout, TableRows};
use crate::table::Cell;
use crate::{DataError, Records};

/// The input of one example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextInput {
    /// A text.
    Text(String),
    /// Two texts, such as a question and where its answer may stand.
    Pair(String, String),
    /// A text that is cut into words already.
    Words(Vec<String>),
}

/// Examples whose inputs are texts.
pub trait Texts: Records {
    /// The input of an example.
    ///
    /// # Errors
    /// No such example, or the temporary store cannot be read.
    fn input(&self, example: usize) -> Result<TextInput, DataError>;

    /// Whether inputs are pairs.
    fn pairs(&self) -> bool;

    /// Whether inputs are words.
    fn words(&self) -> bool;

    /// Name of the column that messages about a text name, if there are columns.
    fn column(&self) -> Option<&str>;

    /// Whether the examples are lines of a stream.
    fn streamed(&self) -> bool {
        false
    }
}

/// A word list has this noun in messages.
const WORDS: &str = "list of words";

impl Texts for TableRows {
    fn input(&self, example: usize) -> Result<TextInput, DataError> {
        let mut cells = self.inputs(example)?.into_iter();
        let text = |cell: Option<Cell>| cell.map(spelling).unwrap_or_default();
        Ok(match (cells.next(), self.pairs()) {
            (Some(Cell::List(words)), _) => TextInput::Words(words.into_iter().map(|word| text(Some(word))).collect()),
            (first, true) => TextInput::Pair(text(first), text(cells.next())),
            // A bare line among words: it is cut at white space.
            (first, false) if self.words() => {
                TextInput::Words(text(first).split_whitespace().map(str::to_owned).collect())
            }
            (first, false) => TextInput::Text(text(first)),
        })
    }

    fn pairs(&self) -> bool {
        self.layout().inputs.len() == 2
    }

    fn words(&self) -> bool {
        self.layout().kind.noun == WORDS
    }

    fn column(&self) -> Option<&str> {
        self.layout().input_columns().next()
    }

    fn streamed(&self) -> bool {
        TableRows::streamed(self)
    }
}

/// Layouts of texts.
impl Layout {
    /// A column of texts.
    pub fn text(column: impl Into<String>) -> Self {
        Self::texts([(column.into(), "--text-column")])
    }

    /// Columns of texts, one or two, each with the command-line flag that names it.
    pub fn texts(columns: impl IntoIterator<Item = (impl Into<String>, &'static str)>) -> Self {
        let inputs = columns.into_iter().map(|(name, flag)| Input { name: name.into(), flag }).collect();
        Self::new(inputs, Kind { noun: "text", files: false, blank: true, accept: text_cell })
    }

    /// With the second text of pairs in another column, if there is one.
    pub fn pair(mut self, column: Option<String>) -> Self {
        self.inputs.extend(column.map(|name| Input { name, flag: "--text-pair-column" }));
        self
    }

    /// A column of lists of words. A bare line is cut at white space.
    pub fn words(column: impl Into<String>) -> Self {
        let inputs = vec![Input { name: column.into(), flag: "--tokens-column" }];
        Self::new(inputs, Kind { noun: WORDS, files: false, blank: true, accept: words_cell })
    }
}

/// A text cell, made of what spells one; a text may be empty, but not absent.
fn text_cell(cell: Cell) -> Result<Cell, String> {
    match cell {
        Cell::Null => Err("has no text; fill it in or remove the row".to_owned()),
        Cell::List(_) => Err("is a list, not a text".to_owned()),
        Cell::File { .. } => Err("is a file, not a text".to_owned()),
        Cell::Other(what) => Err(format!("is {what}, not a text")),
        other => Ok(Cell::Text(spelling(other))),
    }
}

/// A list of words, made of what spells them.
fn words_cell(cell: Cell) -> Result<Cell, String> {
    match cell {
        Cell::List(cells) => {
            let words: Result<Vec<Cell>, String> = cells.into_iter().map(text_cell).collect();
            words.map(Cell::List).map_err(|message| format!("has an entry that {message}"))
        }
        Cell::Null => Err("has no words; fill it in or remove the row".to_owned()),
        // A bare line.
        Cell::Text(text) => Ok(Cell::Text(text)),
        _ => Err("is not a list of words".to_owned()),
    }
}

fn spelling(cell: Cell) -> String {
    match cell {
        Cell::Text(text) => text,
        other => other.name().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;

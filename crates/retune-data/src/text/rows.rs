//! The rows of a text table: texts and label cells in a store that spills to disk.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::arena::{Arena, ArenaBuilder};
use crate::problems::Problems;
use crate::table::{self, Cell, RowReader, Wanted};
use crate::{DataError, RowProblem};

/// Which columns of the table mean what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextColumns {
    /// The text.
    pub text: String,
    /// The second text of a pair.
    pub text_pair: Option<String>,
    /// One label column; or several, of 0/1 (several labels) or of numbers (several outputs).
    pub label: Vec<String>,
    /// Separates the labels inside one cell; then an empty cell means `no label`.
    pub label_separator: Option<char>,
}

impl TextColumns {
    /// Single texts with one label column.
    pub fn new(text: impl Into<String>, label: impl Into<String>) -> Self {
        Self { text: text.into(), text_pair: None, label: vec![label.into()], label_separator: None }
    }

    fn check(&self) -> Result<(), DataError> {
        let fail = |message: String| Err(DataError::Columns { message });
        if self.text_pair.as_ref() == Some(&self.text) {
            return fail(format!(
                "text and text pair are both the column `{}`; name another with --text-pair-column",
                self.text
            ));
        }
        for (index, label) in self.label.iter().enumerate() {
            if *label == self.text || Some(label) == self.text_pair.as_ref() {
                return fail(format!("the column `{label}` is both a text and the label; change --label-column"));
            }
            if self.label[..index].contains(label) {
                return fail(format!("the label column `{label}` is named twice; remove one from --label-column"));
            }
        }
        if self.label_separator.is_some() && self.label.len() > 1 {
            return fail("a label separator needs one label column, not several".to_owned());
        }
        Ok(())
    }

    fn wanted(&self, labels_required: bool) -> Vec<Wanted> {
        let wanted = |name: &String, flag, required| Wanted { name: name.clone(), flag, required };
        let mut columns = vec![wanted(&self.text, "--text-column", true)];
        columns.extend(self.text_pair.iter().map(|name| wanted(name, "--text-pair-column", true)));
        columns.extend(self.label.iter().map(|name| wanted(name, "--label-column", labels_required)));
        columns
    }
}

/// The usable rows of one file. Memory holds 16 bytes a row; texts beyond 64 MiB are on disk.
pub struct TextRows {
    file: PathBuf,
    columns: TextColumns,
    lines: Vec<u64>,
    /// Start of each row's record in the store, and its end after the last.
    offsets: Vec<u64>,
    store: Arena,
    labelled: bool,
}

struct Builder {
    columns: TextColumns,
    lines: Vec<u64>,
    offsets: Vec<u64>,
    store: ArenaBuilder,
    scratch: Vec<u8>,
    unlabelled: usize,
    labels_required: bool,
}

impl TextRows {
    /// Reads a table (csv, tsv, jsonl, ndjson, json or parquet by its extension).
    ///
    /// With `labels_required` false the label columns may be absent or empty; rows then have
    /// no label, and [`TextRows::has_labels`] is true only if all have one.
    ///
    /// # Errors
    /// An unreadable file, missing columns, or rows that cannot be used, up to ten together.
    pub fn read(path: impl AsRef<Path>, columns: &TextColumns, labels_required: bool) -> Result<Self, DataError> {
        let path = path.as_ref();
        columns.check()?;
        let mut reader = table::open(path, &columns.wanted(labels_required))?;
        let mut builder = Builder::new(columns, labels_required);
        let mut problems = Problems::new(path);
        while let Some(record) = reader.next_record() {
            let used = record?.and_then(|record| {
                let reader: &dyn RowReader = reader.as_ref();
                builder.check(record.line, record.cells, reader.present())
            });
            match used {
                Ok(row) => builder.push(row)?,
                Err(problem) => problems.push(problem)?,
            }
        }
        if problems.is_empty() && builder.lines.is_empty() {
            return Err(DataError::Empty { file: path.to_owned(), header: true });
        }
        problems.finish()?;
        builder.finish(path)
    }

    /// Reads lines for prediction: a line that starts with `{` is a JSON object with the columns'
    /// names, any other line is itself the text. Blank lines are skipped; labels are optional.
    /// `name` stands for the file in messages.
    ///
    /// # Errors
    /// As [`TextRows::read`]; also plain lines where pairs are needed.
    pub fn from_reader(mut input: impl BufRead, name: &Path, columns: &TextColumns) -> Result<Self, DataError> {
        columns.check()?;
        let mut builder = Builder::new(columns, false);
        let mut problems = Problems::new(name);
        let mut text = Vec::new();
        let mut line = 0;
        loop {
            text.clear();
            let read = table::read_line(&mut input, &mut text, line == 0);
            if read.map_err(|source| DataError::Read { file: name.to_owned(), source })?.is_none() {
                break;
            }
            line += 1;
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match builder.free_line(line, &text) {
                Ok(row) => builder.push(row)?,
                Err(problem) => problems.push(problem)?,
            }
        }
        if problems.is_empty() && builder.lines.is_empty() {
            return Err(DataError::Empty { file: name.to_owned(), header: false });
        }
        problems.finish()?;
        builder.finish(name)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// True when there are no rows (never after a successful read).
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The file the rows came from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The columns the rows were read by.
    pub fn columns(&self) -> &TextColumns {
        &self.columns
    }

    /// True when every row has a value in every label column.
    pub fn has_labels(&self) -> bool {
        self.labelled
    }

    /// The line where row `row` starts, from 1; for Parquet its row number. Panics beyond the end.
    pub fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }

    /// The text of a row.
    ///
    /// # Errors
    /// No such row, or the temporary store cannot be read.
    pub fn text(&self, row: usize) -> Result<String, DataError> {
        Ok(self.texts(row)?.0)
    }

    /// The second text of a row; `None` when the columns have no pair.
    ///
    /// # Errors
    /// As [`TextRows::text`].
    pub fn pair(&self, row: usize) -> Result<Option<String>, DataError> {
        Ok(self.texts(row)?.1)
    }

    /// The label cells of a row, one per label column; `None` when any is absent.
    ///
    /// # Errors
    /// As [`TextRows::text`].
    pub fn label(&self, row: usize) -> Result<Option<Vec<Cell>>, DataError> {
        let cells = self.cells(row)?;
        let labels = cells[self.inputs()..].to_vec();
        Ok((!labels.is_empty() && !labels.contains(&Cell::Null)).then_some(labels))
    }

    /// The input columns of a row by the user's names, and the label as the file has it.
    ///
    /// # Errors
    /// As [`TextRows::text`].
    pub fn fields(&self, row: usize) -> Result<(Map<String, Value>, Option<Value>), DataError> {
        let (text, pair) = self.texts(row)?;
        let mut fields = Map::new();
        fields.insert(self.columns.text.clone(), text.into());
        if let (Some(name), Some(pair)) = (&self.columns.text_pair, pair) {
            fields.insert(name.clone(), pair.into());
        }
        let label = self.label(row)?.map(|cells| match cells.as_slice() {
            [cell] => cell.to_json(),
            cells => Value::Array(cells.iter().map(Cell::to_json).collect()),
        });
        Ok((fields, label))
    }

    fn inputs(&self) -> usize {
        1 + usize::from(self.columns.text_pair.is_some())
    }

    /// Text and pair of a row in one read.
    pub(crate) fn texts(&self, row: usize) -> Result<(String, Option<String>), DataError> {
        let mut cells = self.cells(row)?.into_iter().take(self.inputs()).filter_map(|cell| match cell {
            Cell::Text(text) => Some(text),
            _ => None,
        });
        Ok((cells.next().unwrap_or_default(), cells.next()))
    }

    fn cells(&self, row: usize) -> Result<Vec<Cell>, DataError> {
        let missing = DataError::NoSuchRow { row, rows: self.len() };
        let (Some(&start), Some(&end)) = (self.offsets.get(row), self.offsets.get(row + 1)) else {
            return Err(missing);
        };
        let mut bytes = Vec::new();
        self.store.read(start, (end - start) as usize, &mut bytes)?;
        let mut rest = bytes.as_slice();
        (0..self.inputs() + self.columns.label.len())
            .map(|_| Cell::decode(&mut rest))
            .collect::<Option<_>>()
            .ok_or(missing)
    }
}

/// A checked row: its line and its cells, texts first.
struct Row {
    line: u64,
    cells: Vec<Cell>,
    labelled: bool,
}

impl Builder {
    fn new(columns: &TextColumns, labels_required: bool) -> Self {
        Self {
            columns: columns.clone(),
            lines: Vec::new(),
            offsets: vec![0],
            store: ArenaBuilder::new(),
            scratch: Vec::new(),
            unlabelled: 0,
            labels_required,
        }
    }

    /// Makes texts of the text cells and checks that labels are there. `present` says which
    /// columns the file has at all.
    fn check(&self, line: u64, mut cells: Vec<Cell>, present: &[bool]) -> Result<Row, RowProblem> {
        let names = std::iter::once(&self.columns.text).chain(&self.columns.text_pair);
        let mut inputs = 0;
        for (name, cell) in names.zip(&mut cells) {
            inputs += 1;
            let problem = |message: &str| Err(RowProblem::new(line, Some(name), message));
            let text = match &mut *cell {
                Cell::Text(text) => std::mem::take(text),
                Cell::Null => return problem("is empty; fill it in or remove the row"),
                Cell::List(_) => return problem("is a list, not a text"),
                Cell::Other(what) => return problem(&format!("is {what}, not a text")),
                other => other.name().unwrap_or_default(),
            };
            if text.trim().is_empty() {
                return problem("is empty; fill it in or remove the row");
            }
            *cell = Cell::Text(text);
        }
        let mut labelled = !self.columns.label.is_empty();
        for (index, (name, cell)) in self.columns.label.iter().zip(&mut cells[inputs..]).enumerate() {
            if let Cell::Other(what) = cell {
                return Err(RowProblem::new(line, Some(name), format!("is {what}, which cannot be a label")));
            }
            if matches!(cell, Cell::Text(text) if text.trim().is_empty()) {
                *cell = Cell::Null;
            }
            if *cell == Cell::Null && self.columns.label_separator.is_some() && present[inputs + index] {
                *cell = Cell::Text(String::new());
            }
            if *cell == Cell::Null {
                if self.labels_required {
                    let message = "has no label; fill it in or remove the row";
                    return Err(RowProblem::new(line, Some(name), message));
                }
                labelled = false;
            }
        }
        Ok(Row { line, cells, labelled })
    }

    /// One line of free input: an object or a bare text.
    fn free_line(&self, line: u64, text: &[u8]) -> Result<Row, RowProblem> {
        let wanted = self.columns.wanted(false);
        if !text.trim_ascii_start().starts_with(b"{") {
            let text =
                std::str::from_utf8(text).map_err(|_| RowProblem::new(line, None, "is not valid UTF-8; send UTF-8"))?;
            if let Some(pair) = &self.columns.text_pair {
                let message = format!(
                    "a bare text, but the model takes pairs; send {{\"{}\": …, \"{pair}\": …}}",
                    self.columns.text
                );
                return Err(RowProblem::new(line, None, message));
            }
            let mut cells = vec![Cell::Null; wanted.len()];
            cells[0] = Cell::Text(text.to_owned());
            return self.check(line, cells, &vec![false; wanted.len()]);
        }
        let mut object = table::parse_object(text, line)?;
        let present: Vec<bool> = wanted.iter().map(|column| object.contains_key(&column.name)).collect();
        let cells = wanted.iter().zip(&present).map(|(column, &present)| {
            if column.required && !present {
                let keys: Vec<String> = object.keys().cloned().collect();
                let message =
                    format!("is missing; the object has {}; use {}", crate::error::quoted(&keys, 8), column.flag);
                return Err(RowProblem::new(line, Some(&column.name), message));
            }
            Ok(object.remove(&column.name).map_or(Cell::Null, Cell::from_json))
        });
        let cells = cells.collect::<Result<_, _>>()?;
        self.check(line, cells, &present)
    }

    fn push(&mut self, row: Row) -> Result<(), DataError> {
        self.scratch.clear();
        for cell in &row.cells {
            cell.encode(&mut self.scratch);
        }
        self.store.append(&self.scratch)?;
        self.offsets.push(self.store.len());
        self.lines.push(row.line);
        self.unlabelled += usize::from(!row.labelled);
        Ok(())
    }

    fn finish(self, file: &Path) -> Result<TextRows, DataError> {
        Ok(TextRows {
            file: file.to_owned(),
            columns: self.columns,
            lines: self.lines,
            offsets: self.offsets,
            store: self.store.finish()?,
            labelled: self.unlabelled == 0,
        })
    }
}

#[cfg(test)]
mod tests;

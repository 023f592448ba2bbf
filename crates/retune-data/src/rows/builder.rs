//! Checks the records of a table one by one and gathers them into [`TableRows`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::{Layout, Origin, Part, TableRows};
use crate::arena::ArenaBuilder;
use crate::error::quoted;
use crate::problems::Problems;
use crate::table::{self, Cell, PlainText, TextsOf};
use crate::{BadExample, DataError, OnBadExample, RowProblem};

/// Different groups whose names are kept for people.
const MOST_GROUP_NAMES: usize = 4096;

/// A checked row: its line and its cells, inputs first.
pub(super) struct Row {
    line: u64,
    cells: Vec<Cell>,
    labelled: bool,
    group: Option<String>,
}

/// Rows being gathered.
pub(crate) struct Builder {
    layout: Layout,
    lines: Vec<u64>,
    offsets: Vec<u64>,
    store: ArenaBuilder,
    groups: Vec<u64>,
    group_names: HashMap<u64, String>,
    scratch: Vec<u8>,
    unlabelled: usize,
    /// Whether labels and groups must be there.
    required: bool,
    on_bad_example: OnBadExample,
    label_names: Option<Vec<String>>,
    remarks: Vec<String>,
}

impl Builder {
    /// # Errors
    /// Columns that contradict each other.
    pub(crate) fn new(layout: Layout, required: bool) -> Result<Self, DataError> {
        layout.check()?;
        Ok(Self {
            layout,
            lines: Vec::new(),
            offsets: vec![0],
            store: ArenaBuilder::new(),
            groups: Vec::new(),
            group_names: HashMap::new(),
            scratch: Vec::new(),
            unlabelled: 0,
            required,
            on_bad_example: OnBadExample::Fail,
            label_names: None,
            remarks: Vec::new(),
        })
    }

    /// Whether rows that cannot be used are left out.
    pub(crate) fn on_bad_example(self, on_bad_example: OnBadExample) -> Self {
        Self { on_bad_example, ..self }
    }

    /// Reads all rows of a table; see [`TableRows::read`].
    pub(crate) fn read_table(mut self, path: &Path) -> Result<TableRows, DataError> {
        self.layout.split_labels(|| table::column_names(path))?;
        let found = if self.required { self.layout.find_labels(path)? } else { None };
        let mut reader = table::open(path, &self.layout.wanted(self.required))?;
        if let [_] = self.layout.labels.as_slice() {
            self.label_names = reader.class_names(self.layout.inputs.len()).map(<[String]>::to_vec);
        }
        self.remarks = reader.remarks().into_iter().chain(found).collect();
        let mut problems = Problems::that(self.on_bad_example, path);
        while let Some(record) = reader.next_record() {
            let mut record = record?;
            if let (Ok(record), Some(choice)) = (&mut record, &self.layout.choice) {
                // It comes last, and is no cell of the row.
                let value = record.cells.pop().as_ref().and_then(Cell::name);
                if !value.is_some_and(|value| choice.values.contains(&value)) {
                    continue;
                }
            }
            let used = record.and_then(|record| self.check(record.line, record.cells, reader.present()));
            match used {
                Ok(row) => self.push(row)?,
                Err(problem) => problems.push_row(self.len(), problem)?,
            }
        }
        if problems.is_empty() && self.lines.is_empty() {
            return Err(DataError::Empty { file: path.to_owned(), header: true });
        }
        let left_out = problems.leave_out(!self.lines.is_empty())?;
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        self.finish(path, base, Origin::Table, left_out)
    }

    /// Reads the texts of a plain text file; see [`TableRows::read_plain`].
    pub(super) fn read_plain(mut self, path: &Path, texts: TextsOf) -> Result<TableRows, DataError> {
        let mut reader = PlainText::open(path, texts)?;
        let width = self.layout.width();
        let mut problems = Problems::that(self.on_bad_example, path);
        while let Some(next) = reader.next_text() {
            match next? {
                Ok((line, text)) => {
                    let mut cells = vec![Cell::Null; width];
                    cells[0] = Cell::Text(text);
                    self.push(Row { line, cells, labelled: false, group: None })?;
                }
                Err(problem) => problems.push_row(self.len(), problem)?,
            }
        }
        if problems.is_empty() && self.lines.is_empty() {
            return Err(DataError::Empty { file: path.to_owned(), header: false });
        }
        let left_out = problems.leave_out(!self.lines.is_empty())?;
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        self.finish(path, base, Origin::Table, left_out)
    }

    /// Rows so far.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Adds a row whose input is empty.
    pub(crate) fn push_blank(&mut self, line: u64) -> Result<(), DataError> {
        let mut cells = vec![Cell::Null; self.layout.width()];
        cells[0] = Cell::Text(String::new());
        self.push(Row { line, cells, labelled: false, group: None })
    }

    /// Adds a row that stands in no table: one input and, with one label column, its label.
    pub(crate) fn push_file(&mut self, input: String, label: Option<Cell>) -> Result<(), DataError> {
        self.push_grouped(input, label, None)
    }

    /// As [`Builder::push_file`], of a group.
    pub(crate) fn push_grouped(
        &mut self,
        input: String,
        label: Option<Cell>,
        group: Option<String>,
    ) -> Result<(), DataError> {
        let mut cells = vec![Cell::Null; self.layout.width()];
        cells[0] = Cell::Text(input);
        let mut labelled = false;
        if let (Some(label), Some(cell)) = (label, cells.get_mut(1)) {
            *cell = label;
            labelled = true;
        }
        self.push(Row { line: 0, cells, labelled, group })
    }

    /// Accepts the inputs and checks that labels and group are there. `present` says which
    /// columns the file has at all.
    pub(super) fn check(&self, line: u64, mut cells: Vec<Cell>, present: &[bool]) -> Result<Row, RowProblem> {
        let layout = &self.layout;
        let inputs = layout.inputs.len();
        for (input, cell) in layout.inputs.iter().zip(&mut cells) {
            let accepted = (layout.kind.accept)(std::mem::replace(cell, Cell::Null));
            *cell = accepted.map_err(|message| RowProblem::new(line, Some(&input.name), message))?;
        }
        let mut labelled = !layout.labels.is_empty();
        for (index, (name, cell)) in layout.labels.iter().zip(&mut cells[inputs..]).enumerate() {
            if let Cell::Other(what) = cell
                && self.required
            {
                return Err(RowProblem::new(
                    line,
                    Some(name),
                    format!("is {what}, which cannot be a {}", layout.label_kind.noun),
                ));
            }
            let nothing = match cell {
                Cell::Text(text) => text.trim().is_empty(),
                Cell::Other(_) => true,
                _ => false,
            };
            if nothing {
                *cell = Cell::Null;
            }
            if *cell == Cell::Null && layout.separator.is_some() && present[inputs + index] {
                *cell = Cell::Text(String::new());
            }
            if *cell == Cell::Null {
                if self.required && !layout.gaps {
                    let message = format!("has no {}; fill it in or remove the row", layout.label_kind.noun);
                    return Err(RowProblem::new(line, Some(name), message));
                }
                labelled = false;
            }
        }
        let first = inputs + layout.labels.len();
        let part =
            part_of(layout, &cells[first..]).map_err(|(name, message)| RowProblem::new(line, Some(name), message))?;
        if let Part { start, end: Some(end) } = part
            && end <= start
        {
            let name = layout.part[1].as_ref().or(layout.part[0].as_ref());
            let message = format!("is {end}, not behind the start at {start}");
            return Err(RowProblem::new(line, name.map(String::as_str), message));
        }
        let group = match &layout.group {
            Some(name) => {
                let group = cells.last().and_then(Cell::name).filter(|group| !group.is_empty());
                if group.is_none() && self.required {
                    return Err(RowProblem::new(line, Some(name), "has no group; fill it in or remove the row"));
                }
                group
            }
            None => None,
        };
        Ok(Row { line, cells, labelled, group })
    }

    /// One line of free input: an object or a bare input.
    pub(super) fn free_line(&self, line: u64, text: &[u8]) -> Result<Row, RowProblem> {
        // Streams have no splits.
        let wanted = Layout { choice: None, ..self.layout.clone() }.wanted(false);
        if !is_object(text) {
            let text =
                std::str::from_utf8(text).map_err(|_| RowProblem::new(line, None, "is not valid UTF-8; send UTF-8"))?;
            if let [first, second] = self.layout.inputs.as_slice() {
                let message = format!(
                    "a bare {noun}, but the model takes pairs; send {{\"{}\": …, \"{}\": …}}",
                    first.name,
                    second.name,
                    noun = self.layout.kind.noun
                );
                return Err(RowProblem::new(line, None, message));
            }
            let mut cells = vec![Cell::Null; wanted.len()];
            cells[0] = Cell::Text(text.to_owned());
            return self.check(line, cells, &vec![false; wanted.len()]);
        }
        let mut object = table::parse_object(text, line)?;
        table::lift(&mut object, wanted.iter().map(|column| column.name.as_str()));
        let keys: Vec<Option<String>> =
            wanted.iter().map(|column| table::key(&object, &column.name).map(str::to_owned)).collect();
        let present: Vec<bool> = keys.iter().map(Option::is_some).collect();
        let cells = wanted.iter().zip(&keys).map(|(column, key)| {
            if column.required && key.is_none() {
                let keys: Vec<String> = object.keys().cloned().collect();
                let message = format!("is missing; the object has {}; use {}", quoted(&keys, 8), column.flag);
                return Err(RowProblem::new(line, Some(&column.name), message));
            }
            let value = key.as_ref().and_then(|key| object.remove(key));
            Ok(value.map_or(Cell::Null, |value| Cell::from_json(value, column.bytes)))
        });
        let cells = cells.collect::<Result<_, _>>()?;
        self.check(line, cells, &present)
    }

    pub(super) fn push(&mut self, row: Row) -> Result<(), DataError> {
        self.scratch.clear();
        for cell in &row.cells {
            cell.encode(&mut self.scratch);
        }
        self.store.append(&self.scratch)?;
        self.offsets.push(self.store.len());
        self.lines.push(row.line);
        if let Some(group) = row.group {
            let hash = xxh3_64(group.as_bytes());
            self.groups.push(hash);
            if self.group_names.len() < MOST_GROUP_NAMES {
                self.group_names.entry(hash).or_insert(group);
            }
        }
        self.unlabelled += usize::from(!row.labelled);
        Ok(())
    }

    /// Ends gathering; paths in cells start from `base`.
    pub(crate) fn finish(
        self,
        file: &Path,
        base: PathBuf,
        origin: Origin,
        left_out: Vec<BadExample>,
    ) -> Result<TableRows, DataError> {
        Ok(TableRows {
            file: file.to_owned(),
            layout: self.layout,
            groups: (self.groups.len() == self.lines.len()).then_some(self.groups),
            group_names: self.group_names,
            lines: self.lines,
            offsets: self.offsets,
            store: self.store.finish()?,
            labelled: self.unlabelled == 0,
            left_out,
            label_names: self.label_names,
            remarks: self.remarks,
            base,
            origin,
        })
    }
}

/// Where a row begins and ends in its file, by the cells behind those of its labels; the column that is no time, and why.
pub(super) fn part_of<'a>(layout: &'a Layout, cells: &[Cell]) -> Result<Part, (&'a str, String)> {
    let mut cells = cells.iter();
    let mut time = |name: &'a Option<String>| -> Result<Option<f64>, (&'a str, String)> {
        let (Some(name), Some(cell)) = (name, name.as_ref().and_then(|_| cells.next())) else { return Ok(None) };
        let is_empty = matches!(cell, Cell::Null) || matches!(cell, Cell::Text(text) if text.trim().is_empty());
        let number = match cell {
            Cell::Text(text) => text.trim().parse().ok(),
            other => other.number(),
        };
        let number = number.filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0);
        match number {
            Some(seconds) => Ok(Some(seconds)),
            None if is_empty => Ok(None),
            None => Err((name.as_str(), format!("is {}, which is no time in seconds", cell.to_json()))),
        }
    };
    let [start, end] = &layout.part;
    Ok(Part { start: time(start)?.unwrap_or(0.0), end: time(end)? })
}

/// Whether a line is meant as a JSON object.
pub(super) fn is_object(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{")
}

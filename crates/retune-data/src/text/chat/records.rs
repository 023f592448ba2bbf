//! Conversations of a file as records of a data set, and those that come line by line.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::conversation::{ALPACA, ChatColumns, Conversation, HISTORY, SHARED, SYSTEM};
use crate::problems::Problems;
use crate::table::{self, Objects, PlainText, parse_object, reduced};
use crate::{BadExample, DataError, OnBadExample, Records, RowProblem, Source};

/// Conversations, in memory.
pub struct Conversations {
    file: PathBuf,
    all: Vec<Conversation>,
    lines: Vec<u64>,
    fields: Vec<Map<String, Value>>,
    left_out: Vec<BadExample>,
    remarks: Vec<String>,
    streamed: bool,
}

/// Columns that other programs read with conversations, and that mean something different with each kind of them.
const BESIDE: [&str; 4] = [SYSTEM, HISTORY, "tools", "functions"];

impl Conversations {
    /// Whether a file holds conversations: a table with columns for them.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn are_in(file: &Path, columns: &ChatColumns) -> Result<bool, DataError> {
        if PlainText::is_named(file) {
            return Ok(false);
        }
        let rows = Objects::open(file, &columns.wanted())?;
        Ok(columns.are_in(|name| rows.has(name)))
    }

    /// Reads a file; `required`: what is to be learnt must be there.
    ///
    /// # Errors
    /// Rows that cannot be used, up to ten together.
    pub fn read(
        file: &Path,
        columns: &ChatColumns,
        required: bool,
        on_bad_example: OnBadExample,
    ) -> Result<Self, DataError> {
        let mut rows = Objects::open(file, &columns.wanted())?;
        let mut problems = Problems::that(on_bad_example, file);
        let mut read = Self::empty(file, false);
        while let Some(next) = rows.next() {
            let good = read.all.len();
            match next? {
                Ok((line, fields)) => match Conversation::of_row(line, &fields, columns, required) {
                    Ok(one) => read.push(line, one, fields),
                    Err(all) => all.into_iter().try_for_each(|problem| problems.push_row(good, problem))?,
                },
                Err(problem) => problems.push_row(good, problem)?,
            }
        }
        read.left_out = problems.leave_out(!read.all.is_empty())?;
        let chats = read.all.iter().any(|one| matches!(one, Conversation::Chat(_)));
        let alpaca =
            rows.has(ALPACA[0]) && ![&columns.messages, SHARED, &columns.prompt].iter().any(|name| rows.has(name));
        let used = |name: &&&str| (**name == SYSTEM && chats) || (**name == HISTORY && alpaca);
        let unused = BESIDE.iter().filter(|name| rows.has(name) && !used(name));
        read.remarks = unused.map(|name| format!("{}: the column `{name}` is not used", file.display())).collect();
        Ok(read)
    }

    fn empty(file: &Path, streamed: bool) -> Self {
        let file = file.to_owned();
        let (all, lines, fields) = (Vec::new(), Vec::new(), Vec::new());
        Self { file, all, lines, fields, left_out: Vec::new(), remarks: Vec::new(), streamed }
    }

    fn push(&mut self, line: u64, one: Conversation, fields: Map<String, Value>) {
        self.all.push(one);
        self.lines.push(line);
        self.fields.push(fields);
    }

    /// A conversation. Panics beyond the end.
    pub fn get(&self, example: usize) -> &Conversation {
        &self.all[example]
    }

    /// Whether they are lines of a stream.
    pub fn streamed(&self) -> bool {
        self.streamed
    }
}

impl Records for Conversations {
    fn file(&self) -> &Path {
        &self.file
    }

    fn len(&self) -> usize {
        self.all.len()
    }

    fn line(&self, example: usize) -> u64 {
        self.lines[example]
    }

    fn source(&self, example: usize) -> Result<Source, DataError> {
        let missing = || DataError::NoSuchRow { row: example, rows: self.all.len() };
        let fields = self.fields.get(example).ok_or_else(missing)?.clone();
        Ok(Source { file: self.file.clone(), line: self.lines[example], fields, label: None })
    }

    fn left_out(&self) -> &[BadExample] {
        &self.left_out
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }
}

/// Prompts and conversations, read line by line: a line that starts with `{` is a JSON object, any other one is itself a prompt.
pub struct ConversationLines<R> {
    input: R,
    name: PathBuf,
    columns: ChatColumns,
    on_bad_example: OnBadExample,
    line: u64,
}

impl<R: BufRead> ConversationLines<R> {
    /// `name` stands for the file in messages.
    pub fn new(input: R, name: &Path, columns: &ChatColumns, on_bad_example: OnBadExample) -> Self {
        Self { input, name: name.to_owned(), columns: columns.clone(), on_bad_example, line: 0 }
    }

    /// The next conversations, `most` of them unless the input ends; `None` at its end.
    ///
    /// # Errors
    /// Lines that cannot be used, up to ten together.
    pub fn next_rows(&mut self, most: usize) -> Result<Option<Conversations>, DataError> {
        let mut problems = Problems::that(self.on_bad_example, &self.name);
        let mut read = Conversations::empty(&self.name, true);
        let (mut bytes, mut any) = (Vec::new(), false);
        while read.all.len() < most.max(1) {
            bytes.clear();
            let got = table::read_line(&mut self.input, &mut bytes, self.line == 0);
            if got.map_err(|source| DataError::Read { file: self.name.clone(), source })?.is_none() {
                break;
            }
            self.line += 1;
            any = true;
            match self.row(&bytes) {
                Ok((one, fields)) => read.push(self.line, one, fields),
                Err(all) => {
                    let row = read.all.len();
                    all.into_iter().try_for_each(|problem| problems.push_row(row, problem))?;
                }
            }
        }
        read.left_out = problems.leave_out(true)?;
        Ok(any.then_some(read))
    }

    fn row(&self, bytes: &[u8]) -> Result<(Conversation, Map<String, Value>), Vec<RowProblem>> {
        let line = self.line;
        if !bytes.trim_ascii_start().starts_with(b"{") {
            let text = std::str::from_utf8(bytes);
            let text =
                text.map_err(|_| vec![RowProblem::new(line, None, "is not valid UTF-8; save the file as UTF-8")])?;
            let prompt = text.trim_end_matches(['\r', '\n']).to_owned();
            let fields = Map::from_iter([(self.columns.prompt.clone(), Value::from(prompt.clone()))]);
            return Ok((Conversation::Prompt { prompt, completion: None }, fields));
        }
        let wanted: Vec<String> = self.columns.wanted().into_iter().map(str::to_owned).collect();
        let fields = reduced(parse_object(bytes, line).map_err(|problem| vec![problem])?, &wanted);
        Ok((Conversation::of_row(line, &fields, &self.columns, false)?, fields))
    }
}

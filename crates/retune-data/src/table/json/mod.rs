//! JSON lines (one object a line), JSON arrays of objects, and objects one after the other over several lines, streamed.
//!
//! Which of them a file is, its beginning says. A record's line is where it starts. A file that is one object may hold a
//! table as a whole (`shapes`); its rows count as lines then.

mod cut;
mod object;
mod shapes;

use std::collections::VecDeque;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{Cell, Names, Record, RowReader, Wanted, key, lift, locate};
use crate::error::{nearest, quoted};
use crate::{DataError, RowProblem};
use object::{Parsed, ends_early, parse, stands_twice};
use shapes::{Shape, shape};

pub(crate) use object::parse_object;

/// An object and the line where it starts.
pub(super) type Numbered = (u64, Map<String, Value>);

/// As [`Numbered`], with the keys that stand twice.
type Found = Result<(u64, Parsed), RowProblem>;

/// How the objects of a file follow each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One a line.
    Lines,
    /// In an array.
    Array,
    /// One after the other, over any number of lines.
    Objects,
}

/// Streams the objects of a JSON file.
pub(super) struct JsonReader<R> {
    path: PathBuf,
    input: R,
    wanted: Vec<Wanted>,
    /// Keys of the first object.
    columns: Vec<String>,
    present: Vec<bool>,
    kind: Kind,
    /// Bytes that were read but belong to what comes next, the last first.
    pending: Vec<u8>,
    /// Rows that are read already: the first, or those of a file that is one object.
    rows: VecDeque<Found>,
    /// Lines begun so far.
    line: u64,
    /// The first record, already read to learn which columns there are.
    first: Option<Result<Record, RowProblem>>,
    text: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> JsonReader<R> {
    pub(super) fn new(path: &Path, input: R, wanted: &[Wanted]) -> Result<Self, DataError> {
        let mut reader = Self::begin(path, input, wanted)?;
        let Some(first) = reader.read_object()? else {
            return Err(DataError::Empty { file: path.to_owned(), header: false });
        };
        reader.first = Some(match first {
            Err(problem) => Err(problem),
            Ok((line, parsed)) => {
                reader.columns = parsed.object.keys().cloned().collect();
                reader.look_inside(line, &parsed.object)?;
                reader.present =
                    locate(path, wanted, &reader.columns, Names::Keys)?.iter().map(Option::is_some).collect();
                reader.record(line, &parsed)
            }
        });
        Ok(reader)
    }

    /// Stands before the first object.
    ///
    /// # Errors
    /// The file is unreadable, or holds several tables.
    pub(super) fn begin(path: &Path, input: R, wanted: &[Wanted]) -> Result<Self, DataError> {
        let mut reader = Self {
            path: path.to_owned(),
            input,
            wanted: wanted.to_vec(),
            columns: Vec::new(),
            present: vec![false; wanted.len()],
            kind: Kind::Lines,
            pending: Vec::new(),
            rows: VecDeque::new(),
            line: 1,
            first: None,
            text: Vec::new(),
            ended: false,
        };
        if reader.peek()? == Some(0xef) {
            for expected in [0xef, 0xbb, 0xbf] {
                if reader.byte()? != Some(expected) {
                    return Err(reader.malformed(1, super::NOT_UTF8));
                }
            }
        }
        reader.skip_space()?;
        if reader.peek()? == Some(b'[') {
            reader.kind = Kind::Array;
            reader.byte()?;
        }
        let start = reader.line;
        let Some(mut first) = reader.read_object()? else { return Ok(reader) };
        if first.is_err() && reader.kind == Kind::Lines && reader.is_begun() {
            // The first line of an object that goes on below.
            reader.line = start;
            reader.pending = std::mem::take(&mut reader.text).into_iter().rev().collect();
            reader.kind = Kind::Objects;
            first = reader.read_object()?.unwrap_or(first);
        }
        reader.skip_space()?;
        match first {
            Ok((line, Parsed { object, twice })) if reader.kind != Kind::Array && reader.peek()?.is_none() => {
                reader.whole(line, object, twice)?;
            }
            first => reader.rows.push_back(first),
        }
        Ok(reader)
    }

    /// Whether the line in `text` is the beginning of an object that goes on in the next.
    fn is_begun(&self) -> bool {
        matches!(self.text.trim_ascii_end().last(), Some(b'{' | b'[' | b',')) && ends_early(&self.text)
    }

    /// Keeps the rows of an object that is the whole file.
    fn whole(&mut self, line: u64, object: Map<String, Value>, twice: Vec<String>) -> Result<(), DataError> {
        match shape(object, &self.wanted) {
            Shape::One(object) => self.rows.push_back(Ok((line, Parsed { object, twice }))),
            Shape::Refused(message) => return Err(self.malformed(line, message)),
            Shape::Rows(rows) => {
                let numbered = |(row, object)| Ok((row, Parsed { object, twice: Vec::new() }));
                self.rows = (1..).zip(rows).map(numbered).collect();
            }
        }
        Ok(())
    }

    /// Refuses objects that hold the wanted columns one level deeper, as annotation tools write them.
    fn look_inside(&self, line: u64, object: &Map<String, Value>) -> Result<(), DataError> {
        for column in self.wanted.iter().filter(|column| column.required && key(object, &column.name).is_none()) {
            let inner = object
                .iter()
                .find(|(_, value)| value.as_object().is_some_and(|inner| key(inner, &column.name).is_some()));
            if let Some((outer, _)) = inner {
                let message = format!(
                    "there is no column `{name}` but one inside `{outer}`; name it `{outer}.{name}` ({}), or write each row as one \
                     flat object (Label Studio calls that JSON-MIN)",
                    column.flag,
                    name = column.name
                );
                return Err(self.malformed(line, message));
            }
        }
        Ok(())
    }

    /// The next object, whose wanted keys stand once; `None` at the end.
    pub(super) fn next_object(&mut self) -> Result<Option<Result<Numbered, RowProblem>>, DataError> {
        Ok(self.read_object()?.map(|found| {
            let (line, parsed) = found?;
            self.check_once(line, &parsed)?;
            Ok((line, parsed.object))
        }))
    }

    /// A duplicate nobody asked for does no harm.
    fn check_once(&self, line: u64, parsed: &Parsed) -> Result<(), RowProblem> {
        let twice = self.wanted.iter().find(|column| parsed.twice.contains(&column.name));
        twice.map_or(Ok(()), |column| Err(stands_twice(&column.name, line)))
    }

    /// The next object and its line, with what is wanted of objects in it; `None` at the end.
    fn read_object(&mut self) -> Result<Option<Found>, DataError> {
        let mut found = self.read_whole()?;
        if let Some(Ok((_, parsed))) = &mut found {
            lift(&mut parsed.object, self.wanted.iter().map(|column| column.name.as_str()));
        }
        Ok(found)
    }

    /// The next object and its line; `None` at the end.
    fn read_whole(&mut self) -> Result<Option<Found>, DataError> {
        if let Some(row) = self.rows.pop_front() {
            return Ok(Some(row));
        }
        if self.ended {
            return Ok(None);
        }
        self.skip_space()?;
        let line = if self.kind == Kind::Array {
            match self.cut_element()? {
                Some(line) => line,
                None => return Ok(None),
            }
        } else if self.kind == Kind::Objects {
            match self.cut_object()? {
                Some(line) => line,
                None => return Ok(None),
            }
        } else {
            if self.peek()?.is_none() {
                return Ok(None);
            }
            let line = self.line;
            self.text.clear();
            self.input
                .read_until(b'\n', &mut self.text)
                .map_err(|source| DataError::Read { file: self.path.clone(), source })?;
            self.line += 1;
            // Lines that were cut out of an array.
            let end = self.text.trim_ascii_end().len();
            if self.text[..end].ends_with(b"},") {
                self.text.truncate(end - 1);
            }
            line
        };
        Ok(Some(parse(&self.text, line).map(|parsed| (line, parsed))))
    }

    fn record(&self, line: u64, parsed: &Parsed) -> Result<Record, RowProblem> {
        self.check_once(line, parsed)?;
        let object = &parsed.object;
        let mut cells = Vec::with_capacity(self.wanted.len());
        for column in &self.wanted {
            let key = key(object, &column.name);
            if !column.required && key.is_none() {
                cells.push(Cell::Null);
                continue;
            }
            match key.and_then(|key| object.get(key)) {
                Some(value) => cells.push(Cell::from_json(value.clone(), column.bytes)),
                None => {
                    let keys: Vec<String> = object.keys().cloned().collect();
                    let mut message = format!("is missing; the object has {}", quoted(&keys, 8));
                    if let Some(near) = nearest(&column.name, &keys) {
                        message.push_str(&format!(" (`{near}`?)"));
                    }
                    return Err(RowProblem::new(line, Some(&column.name), message));
                }
            }
        }
        Ok(Record { line, cells })
    }
}

impl<R: BufRead> RowReader for JsonReader<R> {
    fn next_record(&mut self) -> Option<Result<Result<Record, RowProblem>, DataError>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        match self.read_object() {
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
            Ok(None) => None,
            Ok(Some(Err(problem))) => Some(Ok(Err(problem))),
            Ok(Some(Ok((line, parsed)))) => {
                for (present, column) in self.present.iter_mut().zip(&self.wanted) {
                    *present |= key(&parsed.object, &column.name).is_some();
                }
                Some(Ok(self.record(line, &parsed)))
            }
        }
    }

    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn present(&self) -> &[bool] {
        &self.present
    }
}

//! Tagged texts as records of a data set, and as texts to be tokenized; and those that come line by line.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{TagOptions, TaggedFile};
use crate::problems::Problems;
use crate::table;
use crate::text::{TextInput, Texts};
use crate::{BadExample, DataError, Records, Source};

impl Records for TaggedFile {
    fn file(&self) -> &Path {
        &self.file
    }

    fn len(&self) -> usize {
        self.examples.len()
    }

    fn line(&self, example: usize) -> u64 {
        self.examples[example].line
    }

    fn source(&self, example: usize) -> Result<Source, DataError> {
        let missing = || DataError::NoSuchRow { row: example, rows: self.examples.len() };
        let tagged = self.examples.get(example).ok_or_else(missing)?;
        Ok(Source {
            file: self.file.clone(),
            line: tagged.line,
            fields: tagged.fields(&self.columns.0, &self.columns.1),
            label: tagged.entities().map(|entities| entities_json(&tagged.text, &entities)),
        })
    }

    fn left_out(&self) -> &[BadExample] {
        &self.left_out
    }

    fn remarks(&self) -> Vec<String> {
        self.notes.clone()
    }
}

/// Entities as predictions write them, without scores.
fn entities_json(text: &str, entities: &[super::Entity]) -> Value {
    let characters = crate::annotations::Characters::of(text);
    let one = |entity: &super::Entity| {
        let part = characters.part(entity.span).unwrap_or("");
        json!({"text": part, "label": &*entity.label, "start": entity.span.start, "end": entity.span.end})
    };
    Value::Array(entities.iter().map(one).collect())
}

impl Texts for TaggedFile {
    fn input(&self, example: usize) -> Result<TextInput, DataError> {
        let missing = || DataError::NoSuchRow { row: example, rows: self.examples.len() };
        let tagged = self.examples.get(example).ok_or_else(missing)?;
        Ok(match tagged.word_texts() {
            Some(words) => TextInput::Words(words.into_iter().map(str::to_owned).collect()),
            None => TextInput::Text(tagged.text.clone()),
        })
    }

    fn pairs(&self) -> bool {
        false
    }

    fn words(&self) -> bool {
        self.examples.iter().any(|tagged| tagged.words.is_some())
    }

    fn column(&self) -> Option<&str> {
        Some(if self.words() { &self.columns.0 } else { &self.columns.1 })
    }

    fn streamed(&self) -> bool {
        self.streamed
    }
}

/// Texts to predict, read line by line: a line that starts with `{` is a JSON object with words or a text, any other one is
/// itself the text.
pub struct TaggedLines<R> {
    input: R,
    name: PathBuf,
    options: TagOptions,
    line: u64,
}

impl<R: BufRead> TaggedLines<R> {
    /// `name` stands for the file in messages.
    pub fn new(input: R, name: &Path, options: &TagOptions) -> Self {
        Self { input, name: name.to_owned(), options: options.clone(), line: 0 }
    }

    /// The next texts, `most` of them unless the input ends; `None` at its end.
    ///
    /// # Errors
    /// Lines that cannot be used, up to ten together.
    pub fn next_rows(&mut self, most: usize) -> Result<Option<TaggedFile>, DataError> {
        let mut problems = Problems::that(self.options.on_bad_example, &self.name);
        let mut examples = Vec::new();
        let (mut line, mut any) = (Vec::new(), false);
        while examples.len() < most.max(1) {
            line.clear();
            let read = table::read_line(&mut self.input, &mut line, self.line == 0);
            if read.map_err(|source| DataError::Read { file: self.name.clone(), source })?.is_none() {
                break;
            }
            self.line += 1;
            any = true;
            match TaggedFile::line(self.line, &line, &self.options) {
                Ok(tagged) => examples.push(tagged),
                Err(problem) => problems.push_row(examples.len(), problem)?,
            }
        }
        let left_out = problems.leave_out(true)?;
        let file = TaggedFile::of(&self.name, examples, left_out, &self.options);
        Ok(any.then_some(TaggedFile { streamed: true, ..file }))
    }
}

//! Which columns of a table mean what, whatever the medium.

use std::path::Path;

use super::LabelNumbers;
use crate::DataError;
use crate::table::{Cell, Wanted};

/// An input column.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// Its name in the file.
    pub(crate) name: String,
    /// The command-line flag that names it.
    pub(crate) flag: &'static str,
}

/// What a medium makes of input cells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// What an input is called in messages: `text`, `image`.
    pub(crate) noun: &'static str,
    /// Whether input cells are files, by path or as bytes, or are texts.
    pub(crate) files: bool,
    /// Whether an empty input is one: a text can be empty, a path cannot.
    pub(crate) blank: bool,
    /// Makes an input cell what the medium needs, or says why it cannot.
    pub(crate) accept: fn(Cell) -> Result<Cell, String>,
}

/// What labels are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LabelKind {
    /// What a label is called in messages.
    pub(crate) noun: &'static str,
    /// The command-line flag that names its column.
    pub(crate) flag: &'static str,
    /// Whether label cells are files, by path or as bytes.
    pub(crate) files: bool,
    /// Whether the name of a folder is one: that of a class is, a transcription never.
    pub(crate) folders: bool,
    /// Finds their column in a table that has none of the usual name; `None` where there is none either.
    pub(crate) find: Option<FindLabels>,
}

/// Of a table and its layout, the column of the labels.
pub(crate) type FindLabels = fn(&Path, &Layout) -> Result<Option<String>, DataError>;

/// The columns of a table: inputs first, then labels, then where the input begins and ends in its file, then the group. [`Layout::text`], [`Layout::words`],
/// [`Layout::image`] and [`Layout::audio`] make one.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(crate) inputs: Vec<Input>,
    pub(crate) labels: Vec<String>,
    pub(crate) label_kind: LabelKind,
    pub(crate) separator: Option<char>,
    /// Whether labels may be numbers where a model's labels have names.
    pub(crate) label_numbers: LabelNumbers,
    /// Columns that say, in seconds, where the input begins and where it ends in its file.
    pub(crate) part: [Option<String>; 2],
    pub(crate) group: Option<String>,
    /// Whether labels may be missing here and there, though their columns may not.
    pub(crate) gaps: bool,
    /// Which rows count, where not all do.
    pub(crate) choice: Option<Choice>,
    pub(crate) kind: Kind,
}

/// Rows whose cell in a column is one of these values.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    /// The column.
    pub(crate) column: String,
    /// The values, without surrounding space.
    pub(crate) values: Vec<String>,
}

impl Layout {
    pub(crate) fn new(inputs: Vec<Input>, kind: Kind) -> Self {
        Self {
            inputs,
            labels: Vec::new(),
            label_kind: LabelKind { noun: "label", flag: "--label-column", files: false, folders: true, find: None },
            separator: None,
            label_numbers: LabelNumbers::ByOrder,
            part: [None, None],
            group: None,
            gaps: false,
            choice: None,
            kind,
        }
    }

    /// With label columns: one; or several, of 0/1 (several labels) or of numbers (several outputs). One with commas in
    /// its name is several, unless a file has a column of the whole name. Names match exactly, else apart from
    /// surrounding space. In a folder the label is the class folder's name.
    pub fn labels(self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { labels: columns.into_iter().map(Into::into).collect(), ..self }
    }

    /// With what separates the labels inside one cell, if anything; then an empty cell means `no label`.
    pub fn label_separator(self, separator: Option<char>) -> Self {
        Self { separator, ..self }
    }

    /// With what numbers in label cells are where a model's labels have names.
    pub fn label_numbers(self, label_numbers: LabelNumbers) -> Self {
        Self { label_numbers, ..self }
    }

    /// With a group column, if there is one: rows with the same value there (an author, a patient) belong together in a
    /// split.
    pub fn group(self, column: Option<String>) -> Self {
        Self { group: column, ..self }
    }

    /// With columns that say, in seconds, where the input begins and where it ends in its file; an empty cell is its own begin or
    /// end.
    pub fn part(self, start: Option<String>, end: Option<String>) -> Self {
        Self { part: [start, end], ..self }
    }

    /// With label cells that may be empty here and there.
    pub fn with_gaps(self) -> Self {
        Self { gaps: true, ..self }
    }

    /// With label columns that are named by another flag, and hold something else, such as transcriptions.
    pub fn target(self, flag: &'static str, noun: &'static str) -> Self {
        Self { label_kind: LabelKind { noun, flag, files: false, folders: false, find: None }, ..self }
    }

    /// With those rows of a table alone whose cell in a column is one of these values, such as those of one split.
    pub fn only(self, column: impl Into<String>, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self { choice: Some(Choice { column: column.into(), values }), ..self }
    }

    /// Names of the input columns.
    pub fn input_columns(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(|input| input.name.as_str())
    }

    /// Names of the label columns.
    pub fn label_columns(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(String::as_str)
    }

    /// Refuses columns that contradict each other.
    pub(crate) fn check(&self) -> Result<(), DataError> {
        let fail = |message: String| Err(DataError::Columns { message });
        let is_input = |name: &String| self.inputs.iter().any(|input| input.name == *name);
        if let [first, second] = self.inputs.as_slice()
            && first.name == second.name
        {
            return fail(format!(
                "{noun} and {noun} pair are both the column `{}`; name another with {}",
                first.name,
                second.flag,
                noun = self.kind.noun
            ));
        }
        for (index, label) in self.labels.iter().enumerate() {
            if is_input(label) {
                let noun = self.kind.noun;
                let article = if noun.starts_with(['a', 'i']) { "an" } else { "a" };
                let LabelKind { noun: other, flag, .. } = self.label_kind;
                return fail(format!("the column `{label}` is both {article} {noun} and the {other}; change {flag}"));
            }
            if self.labels[..index].contains(label) {
                let LabelKind { noun: what, flag, .. } = self.label_kind;
                return fail(format!("the {what} column `{label}` is named twice; remove one from {flag}"));
            }
        }
        if self.separator.is_some() && self.labels.len() > 1 {
            return fail("a label separator needs one label column, not several".to_owned());
        }
        let parts: Vec<&String> = self.part.iter().flatten().collect();
        let other =
            |part: &&&String| is_input(part) || self.labels.contains(part) || self.group.as_ref() == Some(**part);
        if let Some(part) = parts.iter().find(other).or(parts.first().filter(|first| parts.get(1) == Some(*first))) {
            return fail(format!("the column `{part}` is named twice; change --start-column or --end-column"));
        }
        if let Some(group) = self.group.as_ref().filter(|group| is_input(group) || self.labels.contains(group)) {
            return fail(format!(
                "the group column `{group}` is also a {} or label column; change --group-column",
                self.kind.noun
            ));
        }
        Ok(())
    }

    /// Takes a label column with commas in its name for several columns, unless the table has one of that name. Names that hold
    /// commas themselves stand in double quotes, as in CSV.
    ///
    /// # Errors
    /// The names cannot be had, or columns that contradict each other.
    pub(crate) fn split_labels(
        &mut self,
        names: impl FnOnce() -> Result<Vec<String>, DataError>,
    ) -> Result<(), DataError> {
        if let [one] = self.labels.as_slice()
            && one.contains([',', '"'])
            && !names()?.iter().any(|name| name.trim() == one.trim())
        {
            self.labels = column_list(one);
        }
        self.check()
    }

    /// Takes the labels from where they are in a table that has no column of their usual name; a remark says so.
    ///
    /// # Errors
    /// The file cannot be read; several columns may hold them.
    pub(crate) fn find_labels(&mut self, file: &Path) -> Result<Option<String>, DataError> {
        let Some(found) = self.label_kind.find.map(|find| find(file, self)).transpose()?.flatten() else {
            return Ok(None);
        };
        let noun = self.label_kind.noun;
        let remark = format!("{}: each {noun} is taken from the column `{found}`", file.display());
        self.labels = vec![found];
        Ok(Some(remark))
    }

    /// What to ask a table for; labels and group may be absent unless `required`.
    pub(crate) fn wanted(&self, required: bool) -> Vec<Wanted> {
        let wanted = |name: &String, flag, required, bytes| Wanted { name: name.clone(), flag, required, bytes };
        let inputs = self.inputs.iter().map(|input| wanted(&input.name, input.flag, true, self.kind.files));
        let labels = self.labels.iter().map(|name| wanted(name, self.label_kind.flag, required, self.label_kind.files));
        let group = self.group.iter().map(|name| wanted(name, "--group-column", required, false));
        let choice = self.choice.iter().map(|choice| wanted(&choice.column, "--split-column", true, false));
        let flags = ["--start-column", "--end-column"];
        let parts =
            self.part.iter().zip(flags).filter_map(|(name, flag)| Some(wanted(name.as_ref()?, flag, required, false)));
        inputs.chain(labels).chain(parts).chain(group).chain(choice).collect()
    }

    /// Number of columns.
    pub(crate) fn width(&self) -> usize {
        let parts = self.part.iter().flatten().count();
        self.inputs.len() + self.labels.len() + parts + usize::from(self.group.is_some())
    }
}

/// The names in a list with commas between them. A name that holds a comma stands in double quotes, in which two are one.
pub fn column_list(text: &str) -> Vec<String> {
    let (mut names, mut name, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.next_if_eq(&'"').is_some() => name.push('"'),
            '"' if quoted || name.trim().is_empty() => quoted = !quoted,
            ',' if !quoted => names.push(std::mem::take(&mut name)),
            c => name.push(c),
        }
    }
    names.push(name);
    let names = names.into_iter().map(|name| name.trim().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_commas_stand_in_quotes() {
        assert_eq!(column_list("a, b,c,"), ["a", "b", "c"]);
        assert_eq!(column_list("\"a, b\",c , \"say \"\"d\"\"\""), ["a, b", "c", "say \"d\""]);
        assert_eq!(column_list("5\" screen,b"), ["5\" screen", "b"]);
    }
}

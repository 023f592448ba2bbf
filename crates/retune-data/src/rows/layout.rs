//! Which columns of a table mean what, whatever the modality.

use crate::{DataError, LabelNumbers};
use crate::table::{Cell, Wanted};

/// An input column.
#[derive(Clone)]
pub(crate) struct Input {
    /// Its name in the file.
    pub(crate) name: String,
    /// The command-line flag that names it.
    pub(crate) flag: &'static str,
}

/// The columns of a modality: inputs first, then labels, then the group.
#[derive(Clone)]
pub(crate) struct Layout {
    pub(crate) inputs: Vec<Input>,
    pub(crate) labels: Vec<String>,
    pub(crate) separator: Option<char>,
    /// Whether labels may be numbers where a model's labels have names.
    pub(crate) label_numbers: LabelNumbers,
    pub(crate) group: Option<String>,
    /// What an input is called in messages: `text`, `image`.
    pub(crate) noun: &'static str,
    /// Whether input cells keep their bytes (images) or are texts.
    pub(crate) bytes: bool,
    /// Whether an empty input is one: a text can be empty, a path cannot.
    pub(crate) blank_inputs: bool,
    /// Makes an input cell what the modality needs, or says why it cannot.
    pub(crate) accept: fn(Cell) -> Result<Cell, String>,
}

impl Layout {
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
                noun = self.noun
            ));
        }
        for (index, label) in self.labels.iter().enumerate() {
            if is_input(label) {
                let noun = self.noun;
                let article = if noun.starts_with('i') { "an" } else { "a" };
                return fail(format!(
                    "the column `{label}` is both {article} {noun} and the label; change --label-column"
                ));
            }
            if self.labels[..index].contains(label) {
                return fail(format!("the label column `{label}` is named twice; remove one from --label-column"));
            }
        }
        if self.separator.is_some() && self.labels.len() > 1 {
            return fail("a label separator needs one label column, not several".to_owned());
        }
        if let Some(group) = self.group.as_ref().filter(|group| is_input(group) || self.labels.contains(group)) {
            return fail(format!(
                "the group column `{group}` is also a {} or label column; change --group-column",
                self.noun
            ));
        }
        Ok(())
    }

    /// Takes a label column with commas in its name for several columns, unless the table has one of that name.
    ///
    /// # Errors
    /// The names cannot be had, or columns that contradict each other.
    pub(crate) fn split_labels(
        &mut self,
        names: impl FnOnce() -> Result<Vec<String>, DataError>,
    ) -> Result<(), DataError> {
        if let [one] = self.labels.as_slice()
            && one.contains(',')
            && !names()?.iter().any(|name| name.trim() == one.trim())
        {
            let parts = one.split(',').map(str::trim).filter(|part| !part.is_empty());
            self.labels = parts.map(str::to_owned).collect();
        }
        self.check()
    }

    /// What to ask a table for; labels and group may be absent unless `required`.
    pub(crate) fn wanted(&self, required: bool) -> Vec<Wanted> {
        let wanted = |name: &String, flag, required, bytes| Wanted { name: name.clone(), flag, required, bytes };
        let inputs = self.inputs.iter().map(|input| wanted(&input.name, input.flag, true, self.bytes));
        let labels = self.labels.iter().map(|name| wanted(name, "--label-column", required, false));
        let group = self.group.iter().map(|name| wanted(name, "--group-column", required, false));
        inputs.chain(labels).chain(group).collect()
    }

    /// Number of columns.
    pub(crate) fn width(&self) -> usize {
        self.inputs.len() + self.labels.len() + usize::from(self.group.is_some())
    }
}

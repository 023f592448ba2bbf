//! What the lists of one label column are: sets of labels, one 0 or 1 for each label, or numbers.
//!
//! `[0, 1, 0]` names the second of three labels; `[3, 7]` names two labels by number, or gives two numbers to predict.

use super::Problem;
use super::cells::shown;
use crate::table::Cell;
use crate::{DataError, LabelRows};

/// How the lists of a file are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lists {
    /// Each entry names a label.
    Sets,
    /// Each list has this many entries, 1 where its label applies and 0 where not.
    Flags(usize),
}

impl Lists {
    /// Looks at the lists of a file whose rows have any number of labels.
    ///
    /// # Errors
    /// The temporary store cannot be read.
    pub(crate) fn of(rows: &dyn LabelRows) -> Result<Self, DataError> {
        Ok(Self::from(&Seen::in_rows(rows)?))
    }

    /// The labels that a list of 0 and 1 names.
    ///
    /// # Errors
    /// What is wrong with the list.
    pub(crate) fn named(cell: &Cell, outputs: usize) -> Result<Vec<u32>, String> {
        let Cell::List(list) = cell else {
            return Err(format!("is {} where other rows have lists of 0 and 1; write a list in each row", shown(cell)));
        };
        let flags: Option<Vec<bool>> = list.iter().map(bit).collect();
        match flags {
            Some(flags) if flags.len() == outputs => Ok((0..).zip(flags).filter(|it| it.1).map(|it| it.0).collect()),
            Some(flags) => Err(format!("is a list of {} where {outputs} entries of 0 or 1 are needed", flags.len())),
            None => Err(format!("is {}, not a list of {outputs} entries of 0 or 1", listed(list))),
        }
    }
}

impl From<&Seen> for Lists {
    fn from(seen: &Seen) -> Self {
        // A set names nothing twice, so a list that repeats 0 or 1 is none; without one (two labels, one of them in each
        // row) equal lengths decide.
        match seen.equal {
            _ if seen.repeated > 0 => Self::Flags(seen.repeated),
            Some(length) if length > 1 && seen.bits == seen.rows => Self::Flags(length),
            _ => Self::Sets,
        }
    }
}

/// What all lists of a column have in common.
#[derive(Default)]
struct Seen {
    rows: usize,
    /// The length of all lists, if it is the same.
    equal: Option<usize>,
    /// Lists of nothing but 0 and 1.
    bits: usize,
    /// Length of the longest list of 0 and 1 that has one of them twice; 0 without one.
    repeated: usize,
    /// All entries are numbers.
    numbers: bool,
    /// Some entry has a fraction, or is not finite.
    fractions: bool,
    /// Some entry cannot be the number of a label, or stands twice in its list.
    no_set: bool,
}

impl Seen {
    fn in_rows(rows: &dyn LabelRows) -> Result<Self, DataError> {
        let mut seen = Self { numbers: true, ..Self::default() };
        for row in 0..rows.len() {
            let cells: Vec<Cell> = rows.label(row)?.into_iter().flatten().map(Cell::with_list).collect();
            if let [Cell::List(list)] = cells.as_slice() {
                seen.look(list);
            }
        }
        Ok(seen)
    }

    fn look(&mut self, list: &[Cell]) {
        self.equal = Some(list.len()).filter(|length| self.rows == 0 || self.equal == Some(*length));
        self.rows += 1;
        let twice = (1..list.len()).any(|at| list[..at].contains(&list[at]));
        if list.iter().all(|cell| bit(cell).is_some()) {
            self.bits += 1;
            if twice {
                self.repeated = self.repeated.max(list.len());
            }
        }
        self.no_set |= twice;
        for cell in list {
            match cell {
                Cell::Integer(value) => self.no_set |= *value < 0,
                Cell::Number(value) => self.fractions |= value.fract() != 0.0,
                Cell::Bool(_) => {}
                _ => self.numbers = false,
            }
        }
    }
}

/// Decides what a column of lists is to be learnt as, where nobody says so.
///
/// # Errors
/// Lists that may be either, as a message that follows the file's name.
pub(super) fn problem(rows: &dyn LabelRows) -> Result<Result<Problem, String>, DataError> {
    let seen = Seen::in_rows(rows)?;
    let say = "; say which with --problem multi-label or --problem regression";
    Ok(match seen.equal {
        _ if !seen.numbers || seen.bits == seen.rows => Ok(Problem::MultiLabel),
        Some(_) if seen.fractions => Ok(Problem::Regression),
        None if seen.fractions => {
            Err("has lists of numbers with fractions, but of different lengths; give each row the \
                                       same number of values, or use --problem multi-label if they are names of labels"
                .to_owned())
        }
        Some(length) if length > 1 => Err(format!(
            "has lists of {length} whole numbers, which may be the numbers of labels or {length} values \
             to predict{say}"
        )),
        _ if seen.no_set => Err(format!(
            "has lists of whole numbers with negative or repeated ones, which are no sets of \
             labels{say}"
        )),
        _ => Ok(Problem::MultiLabel),
    })
}

/// An entry 0 or 1 (not a text that spells it: texts are names).
fn bit(cell: &Cell) -> Option<bool> {
    match cell {
        Cell::Text(_) => None,
        cell => cell.flag(),
    }
}

/// A list as it is shown in a message.
fn listed(list: &[Cell]) -> String {
    const MOST: usize = 8;
    let mut shown: Vec<String> = list.iter().take(MOST).map(|cell| shown(cell).trim_matches('`').to_owned()).collect();
    if list.len() > MOST {
        shown.push("…".to_owned());
    }
    format!("`[{}]`", shown.join(", "))
}

//! What to do with annotations that contradict themselves but have an obvious reading.

use std::path::Path;
use std::str::FromStr;

use crate::DataError;
use crate::problems::Problems;
use crate::{BadExample, OnBadExample, RowProblem};

/// Whether annotations that contradict themselves end the reading or are mended in the one way that is named in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repair {
    /// All are listed with their place.
    #[default]
    Fail,
    /// They are mended, counted and told of in a note.
    Mend,
}

impl FromStr for Repair {
    type Err = DataError;

    /// `fail` or `mend`.
    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "fail" => Ok(Self::Fail),
            "mend" => Ok(Self::Mend),
            _ => Err(DataError::Columns { message: format!("unknown choice `{text}`; use fail or mend") }),
        }
    }
}

/// Kinds of mends with how often they were made and where first.
#[derive(Debug, Default)]
pub(crate) struct Mends {
    kinds: Vec<(&'static str, usize, u64)>,
}

impl Mends {
    /// Counts one mend; `kind` continues the sentence "in 3 places, the first in line 7, …".
    pub(crate) fn count(&mut self, kind: &'static str, line: u64) {
        match self.kinds.iter_mut().find(|it| it.0 == kind) {
            Some(found) => found.1 += 1,
            None => self.kinds.push((kind, 1, line)),
        }
    }

    /// One note for each kind.
    pub(crate) fn notes(self, file: &Path) -> impl Iterator<Item = String> {
        let file = file.display().to_string();
        self.kinds.into_iter().map(move |(kind, count, line)| match count {
            1 => format!("{file}:{line}: {kind}"),
            _ => format!("{file}: in {count} places, the first in line {line}: {kind}"),
        })
    }
}

/// Keeps the rows that can be used, in order; the others end the reading or are left out.
///
/// # Errors
/// Rows that cannot be used, up to ten together, unless they are left out; not one row.
pub(crate) fn usable<T>(
    file: &Path,
    rows: Vec<Result<T, Vec<RowProblem>>>,
    on_bad_example: OnBadExample,
) -> Result<(Vec<T>, Vec<BadExample>), DataError> {
    let mut problems = Problems::that(on_bad_example, file);
    let mut good = Vec::with_capacity(rows.len());
    for row in rows {
        match row {
            Ok(row) => good.push(row),
            Err(found) => {
                let mut found = found.into_iter();
                found.next().map_or(Ok(()), |first| problems.push_row(good.len(), first))?;
                if on_bad_example == OnBadExample::Fail {
                    found.try_for_each(|problem| problems.push(problem))?;
                }
            }
        }
    }
    if good.is_empty() && problems.is_empty() {
        return Err(DataError::Empty { file: file.to_owned(), header: false });
    }
    let left_out = problems.leave_out(!good.is_empty())?;
    Ok((good, left_out))
}

/// Whether so many problems were found that reading on changes nothing.
pub(crate) fn enough(problems: usize, on_bad_example: OnBadExample) -> bool {
    on_bad_example == OnBadExample::Fail && problems >= 10
}

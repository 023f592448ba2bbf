//! Label cells to targets, by a schema that is already known.

use crate::problems::Problems;
use crate::schema::{EncodedLabel, LabelEncoder, LabelSchema};
use crate::{DataError, LabelRows, RowProblem};

/// Calls `each` with the encoded label of every row, in order, and says what a person should know about how labels were
/// understood; `None` when not every row has one.
///
/// # Errors
/// Labels that the schema does not know, up to ten rows together.
pub(crate) fn encode(
    rows: &dyn LabelRows,
    schema: &LabelSchema,
    mut each: impl FnMut(EncodedLabel),
) -> Result<Option<Vec<String>>, DataError> {
    if !rows.has_labels() {
        return Ok(None);
    }
    let columns = rows.label_columns();
    let encoder = LabelEncoder::of(rows, schema)?;
    let mut problems = Problems::new(rows.file());
    let mut last = String::new();
    for row in 0..rows.len() {
        let cells = rows.label(row)?.unwrap_or_default();
        match encoder.encode(&cells) {
            Ok(label) => each(label),
            Err((column, message)) => {
                // A class folder is one problem, not one per file in it.
                if rows.line(row) == 0 && message == last {
                    continue;
                }
                last.clone_from(&message);
                let name = columns.get(column).map(String::as_str);
                problems.push(RowProblem::new(rows.line(row), name, message))?;
            }
        }
    }
    problems.finish()?;
    Ok(Some(encoder.note().into_iter().collect()))
}

//! Data for a saved model, from a file at once or from lines a part at a time, whatever its medium.

use super::{Data, Input, Parts, Prepared, Task, Work};
use anyhow::Result;
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

/// What stands for the file in messages about lines.
pub(super) const STREAM: &str = "standard input";

/// Reads the next rows of a stream, that many at most; `None` at its end.
pub(super) type NextRows<'a, R> = Box<dyn FnMut(usize) -> Result<Option<R>> + 'a>;

/// Rows from a file by `file`, or from lines by what `lines` makes of their reader, each encoded by `encode`.
pub(super) fn parts<'a, T: Task, R: 'a>(
    task: T,
    input: Input<'a>,
    file: impl FnOnce(&Path) -> Result<R>,
    lines: impl FnOnce(Box<dyn BufRead + 'a>) -> Result<NextRows<'a, R>>,
    encode: impl Fn(R) -> Result<Data<T>> + 'a,
) -> Result<Parts<'a>> {
    let task = Arc::new(task);
    let part =
        move |rows: R| -> Result<Box<dyn Work>> { Ok(Box::new(Prepared::part(Arc::clone(&task), encode(rows)?))) };
    Ok(match input {
        Input::File(path) => {
            let rows = file(path)?;
            Box::new(std::iter::once_with(move || part(rows)))
        }
        Input::Lines { reader, part: most } => {
            let mut next = lines(reader)?;
            Box::new(std::iter::from_fn(move || Some(next(most).transpose()?.and_then(&part))))
        }
    })
}

//! Which examples and rows of a medium a data set shows, in which order.

use std::ops::Range;
use std::sync::Arc;

use crate::{DataError, Medium};

/// A choice of examples, with their rows. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct View {
    count: usize,
    /// The medium's examples; `None` for all of them.
    examples: Option<Arc<[u32]>>,
    /// Where examples are other than one row of the same number.
    windows: Option<Arc<Windows>>,
}

struct Windows {
    /// Of each row: the medium's row, and the example of the view.
    rows: Vec<(u32, u32)>,
    /// First row of each example, and one past the last.
    first: Vec<u32>,
}

impl View {
    /// All examples that can be used.
    pub(crate) fn whole(medium: &impl Medium) -> Self {
        let all = medium.examples();
        let usable: Vec<u32> =
            (0..all).filter(|&example| !medium.rows(example).is_empty()).map(|it| it as u32).collect();
        let examples = (usable.len() < all).then_some(usable);
        Self::of(medium, all, examples)
    }

    fn of(medium: &impl Medium, all: usize, examples: Option<Vec<u32>>) -> Self {
        let mut view = Self { count: examples.as_ref().map_or(all, Vec::len), examples: None, windows: None };
        view.examples = examples.map(Into::into);
        let one_each = (0..view.count).map(|it| view.example(it)).all(|it| medium.rows(it) == (it..it + 1));
        if !one_each {
            let mut windows = Windows { rows: Vec::new(), first: Vec::with_capacity(view.count + 1) };
            for example in 0..view.count {
                windows.first.push(windows.rows.len() as u32);
                windows.rows.extend(medium.rows(view.example(example)).map(|row| (row as u32, example as u32)));
            }
            windows.first.push(windows.rows.len() as u32);
            view.windows = Some(Arc::new(windows));
        }
        view
    }

    /// The view of some examples of this one.
    pub(crate) fn subset(&self, medium: &impl Medium, examples: &[usize]) -> Result<Self, DataError> {
        let inner = |&example: &usize| self.checked(example).map(|it| it as u32);
        let chosen = examples.iter().map(inner).collect::<Result<Vec<u32>, _>>()?;
        Ok(Self::of(medium, medium.examples(), Some(chosen)))
    }

    /// Number of examples.
    pub(crate) fn examples(&self) -> usize {
        self.count
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.windows.as_ref().map_or(self.count, |windows| windows.rows.len())
    }

    /// The medium's example behind one of the view. Panics beyond the end.
    pub(crate) fn example(&self, example: usize) -> usize {
        self.examples.as_ref().map_or(example, |all| all[example] as usize)
    }

    /// As [`View::example`], of an example that may be beyond the end.
    pub(crate) fn checked(&self, example: usize) -> Result<usize, DataError> {
        let missing = DataError::NoSuchRow { row: example, rows: self.count };
        if example < self.count { Ok(self.example(example)) } else { Err(missing) }
    }

    /// The medium's row behind a row of the view, and the view's example. Panics beyond the end.
    pub(crate) fn row(&self, row: usize) -> (usize, usize) {
        match &self.windows {
            Some(windows) => (windows.rows[row].0 as usize, windows.rows[row].1 as usize),
            None => (self.example(row), row),
        }
    }

    /// The rows of an example of the view. Panics beyond the end.
    pub(crate) fn rows_of(&self, example: usize) -> Range<usize> {
        match &self.windows {
            Some(windows) => windows.first[example] as usize..windows.first[example + 1] as usize,
            None => example..example + 1,
        }
    }
}

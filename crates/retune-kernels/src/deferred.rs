//! AdamW over the rows of a table in use, each brought up to date when it is read.
//!
//! A batch touches a few hundred rows of a vocabulary. AdamW moves all the others too, because their moments decay, but
//! nothing sees that before the row is read again: its missed steps are then replayed, in the arithmetic of the step it
//! missed. The values are those of the dense optimizer; the memory traffic is that of the rows in use.
//! U rows, E embedding size.

use crate::KernelError;
use crate::shim::{self, AdamWStep, AdamWTable};
use tch::{Kind, Tensor};

/// Steps remembered at most; then all rows are brought up to date.
const MEMORY: usize = 1024;

/// Moments of a table and what its rows have missed.
#[derive(Debug)]
pub(crate) struct Deferred {
    first: Tensor,
    second: Tensor,
    last: Tensor, // int64 [U]
    past: Vec<AdamWStep>,
    done: i64,
}

impl Deferred {
    /// Shares the moments [U, E]; every row is up to date.
    pub(crate) fn new(first: &Tensor, second: &Tensor) -> Self {
        let last = Tensor::zeros([first.size()[0]], (Kind::Int64, first.device()));
        Self { first: first.shallow_clone(), second: second.shallow_clone(), last, past: Vec::new(), done: 0 }
    }

    fn table<'a>(&'a self, leaf: &'a Tensor) -> AdamWTable<'a> {
        AdamWTable { weight: leaf, first: &self.first, second: &self.second, last: &self.last }
    }

    /// Brings the rows of `ids` (through a row map, if any) up to date, or all rows.
    pub(crate) fn catch_up(
        &mut self,
        leaf: &Tensor,
        ids: Option<(&Tensor, Option<&Tensor>)>,
    ) -> Result<(), KernelError> {
        if self.past.is_empty() {
            return Ok(());
        }
        shim::adamw_catch_up(&self.table(leaf), ids, &self.past, self.done)?;
        if ids.is_none() {
            self.past.clear();
        }
        Ok(())
    }

    /// One step with gradients [n, E] of `rows` [n], each named once.
    pub(crate) fn step(
        &mut self,
        leaf: &Tensor,
        rows: &Tensor,
        gradients: &Tensor,
        step: AdamWStep,
    ) -> Result<(), KernelError> {
        if self.past.len() == MEMORY {
            self.catch_up(leaf, None)?;
        }
        self.catch_up(leaf, Some((rows, None)))?;
        self.done += 1;
        self.past.push(step);
        shim::adamw_rows(&self.table(leaf), rows, gradients, &step, self.done)
    }
}

//! An embedding table as its layer reads it: whole, or only the rows that the data uses (vocabulary compaction).
//!
//! A fine-tuning set uses a part of the vocabulary. Rows it never uses get no gradient, so AdamW does nothing to them but
//! weight decay, which is a factor that all of them share. A compact table therefore trains a small leaf of the rows in
//! use and keeps the others as they were, times that factor. V vocabulary, U rows in use, E embedding size.

use crate::deferred::Deferred;
use crate::{KernelError, Weight, shim};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tch::{Device, Kind, Tensor, no_grad};

/// The rows in use beside all others.
#[derive(Debug)]
pub(crate) struct Compact {
    /// [U, E]
    pub(crate) leaf: Tensor,
    /// Row of `leaf` for each id, -1 for none; int64 [V].
    pub(crate) row_map: Tensor,
    /// Ids of the rows of `leaf`, ascending; int64 [U].
    pub(crate) rows: Tensor,
    /// The same on the host.
    ids: Vec<i64>,
    /// What weight decay has yet to do to the rows of the whole table that `leaf` lacks, step by step. One after the other
    /// as the steps did it: their product would round otherwise, and a resumed run differ from a straight one.
    rest_factors: Vec<f32>,
    /// The optimizer's side, once there is one.
    pub(crate) deferred: Option<Deferred>,
}

impl Compact {
    /// Notes a step's weight decay of the rows that `leaf` lacks.
    pub(crate) fn decay_rest(&mut self, factor: f64) {
        if factor != 1.0 {
            self.rest_factors.push(factor as f32);
        }
    }

    /// Makes the rows of `ids`, or all of them, what the optimizer's steps so far make of them.
    pub(crate) fn catch_up(&mut self, whole: &Tensor, ids: Option<&Tensor>) -> Result<(), KernelError> {
        // Training reads rows of the leaf only; others are read in evaluation. Not asked where it would wait for a GPU.
        let reads_rest = |ids: &Tensor| -> Result<bool, KernelError> {
            let ids = ids.f_reshape([-1])?;
            let known = || self.row_map.f_index_select(0, &ids)?.f_min()?.f_int64_value(&[]);
            Ok(ids.device() != Device::Cpu || ids.numel() > 0 && known()? < 0)
        };
        if !self.rest_factors.is_empty() && ids.map_or(Ok(true), reads_rest)? {
            if whole.device() == Device::Cpu {
                shim::decay_rest(whole, &self.row_map, &self.rest_factors)?;
            } else {
                // The rows of the leaf change too; their place in the whole table is written before it is read.
                let product: f64 = self.rest_factors.iter().map(|&factor| f64::from(factor)).product();
                let _ = no_grad(|| whole.shallow_clone().f_mul_scalar_(product))?;
            }
            self.rest_factors.clear();
        }
        match &mut self.deferred {
            None => Ok(()),
            Some(deferred) => deferred.catch_up(&self.leaf, ids.map(|ids| (ids, Some(&self.row_map)))),
        }
    }
}

/// A shared handle: the layer's view follows when its parameter is compacted.
#[derive(Debug)]
pub struct Table {
    whole: Weight, // [V, E]
    /// The row that gets no gradient.
    padding: Option<i64>,
    compact: Arc<Mutex<Option<Compact>>>,
}

impl Clone for Table {
    fn clone(&self) -> Self {
        let compact = Arc::clone(&self.compact);
        Self { whole: self.whole.shallow_clone().into(), padding: self.padding, compact }
    }
}

impl Table {
    /// A table [V, E] with all its rows.
    pub fn new(whole: Tensor) -> Self {
        Self { whole: whole.into(), padding: None, compact: Arc::default() }
    }

    /// The same table with a row for padding, which gets no gradient, as PyTorch's `padding_idx`.
    #[must_use]
    pub fn with_padding(self, row: Option<i64>) -> Self {
        Self { padding: row, ..self }
    }

    /// The row that gets no gradient.
    pub fn padding(&self) -> Option<i64> {
        self.padding
    }

    /// The whole table; stale in the rows of a compact leaf.
    pub(crate) fn whole(&self) -> &Tensor {
        &self.whole
    }

    pub(crate) fn compact(&self) -> MutexGuard<'_, Option<Compact>> {
        self.compact.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// E.
    pub fn width(&self) -> i64 {
        self.whole.size().last().copied().unwrap_or(0)
    }

    /// Leaves only `rows` to training; they are sorted and freed of repetitions. Returns the new leaf.
    pub(crate) fn keep_rows(&mut self, rows: &[i64], trainable: bool) -> Result<Tensor, KernelError> {
        let vocabulary = self.whole.size()[0];
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        rows.dedup();
        if let Some(bad) = rows.iter().find(|&&row| row < 0 || row >= vocabulary) {
            return Err(KernelError::Row { row: *bad, rows: vocabulary });
        }
        let ids = rows;
        let rows = Tensor::from_slice(&ids).to_device(self.whole.device());
        let count = rows.size()[0];
        let numbers = Tensor::arange(count, (Kind::Int64, rows.device()));
        let row_map = Tensor::full([vocabulary], -1, (Kind::Int64, rows.device())).index_put(
            &[Some(rows.shallow_clone())],
            &numbers,
            false,
        );
        let leaf = no_grad(|| self.whole.index_select(0, &rows)).set_requires_grad(trainable);
        self.whole = self.whole.set_requires_grad(false).into();
        let shared = leaf.shallow_clone();
        *self.compact() = Some(Compact { leaf, row_map, rows, ids, rest_factors: Vec::new(), deferred: None });
        Ok(shared)
    }

    /// Writes the compact rows, and the decay of the others, into the whole table.
    pub(crate) fn write_back(&self) -> Result<(), KernelError> {
        let mut compact = self.compact();
        let Some(compact) = compact.as_mut() else { return Ok(()) };
        compact.catch_up(&self.whole, None)?;
        no_grad(|| {
            let mut whole = self.whole.shallow_clone();
            let _ = whole.f_index_copy_(0, &compact.rows, &compact.leaf)?;
            Ok(())
        })
    }

    /// Overwrites all rows.
    pub(crate) fn set(&self, value: &Tensor) -> Result<(), KernelError> {
        no_grad(|| {
            let mut compact = self.compact();
            if let Some(compact) = compact.as_mut() {
                compact.catch_up(&self.whole, None)?;
            }
            self.whole.shallow_clone().f_copy_(value)?;
            if let Some(compact) = compact.as_mut() {
                compact.leaf.f_copy_(&self.whole.f_index_select(0, &compact.rows)?)?;
            }
            Ok(())
        })
    }

    /// Rows of `ids`, any shape, as libtorch computes them: the reference of the fused kernel. On a GPU `train` says that all
    /// are among those that are trained, which otherwise is waited for.
    pub fn lookup(&self, ids: &Tensor, train: bool) -> Tensor {
        match self.compact().as_mut() {
            None => Tensor::embedding(&self.whole, ids, self.padding.unwrap_or(-1), false, false),
            Some(compact) => {
                let rows = compact.row_map.index_select(0, &ids.reshape([-1])).reshape(ids.size());
                let padding = self.padding.and_then(|row| compact.ids.binary_search(&row).ok());
                let padding = padding.map_or(-1, |row| row as i64);
                if train && ids.device() != Device::Cpu {
                    return Tensor::embedding(&compact.leaf, &rows, padding, false, false);
                }
                compact.catch_up(&self.whole, Some(ids)).expect("ids inside the table");
                let leaf = &compact.leaf;
                let rest = Tensor::embedding(&self.whole, ids, -1, false, false);
                if leaf.size()[0] == 0 {
                    return rest;
                }
                let known = Tensor::embedding(leaf, &rows.clamp_min(0), padding, false, false);
                known.where_self(&rows.ge(0).unsqueeze(-1), &rest)
            }
        }
    }

    /// Whether the fused kernel can read it.
    pub(crate) fn fits_kernel(&self) -> bool {
        self.whole.device() == Device::Cpu && self.whole.kind() == Kind::Float && self.whole.is_contiguous()
    }
}

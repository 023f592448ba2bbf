//! What went wrong first when a step is not finite: a weight, an activation, or a gradient, and in which examples.

use crate::step::Trainer;
use crate::task::Phase;
use crate::tensors::to_tensors;
use anyhow::{Error, Result, anyhow};
use retune_data::Batch;
use retune_kernels::tch::{Tensor, no_grad};
use retune_kernels::{KernelError, Params, dropout};
use retune_models::{Mode, trace};

impl Trainer<'_> {
    /// Why step `step` is of no use, whose losses and their weight are `sums`: no target, a loss or a gradient that is
    /// not finite. `error` is any other.
    pub(crate) fn diagnose(&self, step: u64, window: &[Batch], sums: &[f64], error: Error) -> Error {
        let [loss, weight] = sums else { return error };
        if *weight == 0.0 {
            return anyhow!("no target in the whole window{}", self.blame(window, "every label is ignored"));
        }
        if !loss.is_finite() {
            return anyhow!("the loss is not a number ({loss}){}", self.blame_forward(step, window));
        }
        match error.downcast_ref() {
            Some(KernelError::NotFinite { .. }) => anyhow!("{error}{}", self.blame_backward(window)),
            _ => error,
        }
    }

    /// For a loss that is not finite: the first bad weight, else the first block whose output is bad, found by running
    /// the forward passes again with the same masks.
    fn blame_forward(&self, step: u64, window: &[Batch]) -> String {
        if let Some(culprit) = first_bad_weight(self.params) {
            return self.blame(window, &culprit);
        }
        let mode = Mode::training(self.depth_of(step).0).with_factors();
        for (micro, batch) in window.iter().enumerate() {
            let mut loss = f64::NAN;
            let bad = trace::first_not_finite(|| {
                dropout::set_stream(self.stream(step, micro));
                loss = no_grad(|| self.loss_of(batch, &mode)).unwrap_or(f64::NAN);
            });
            let culprit = match bad {
                Some(depth) => format!(
                    "all weights are finite; the first output that is not comes from {}",
                    place(self.params, depth, self.network.blocks())
                ),
                None if loss.is_finite() => continue,
                None => "all weights and all outputs of blocks are finite, the loss of these labels is not".to_owned(),
            };
            return self.blame(std::slice::from_ref(batch), &culprit);
        }
        self.blame(window, "all weights are finite")
    }

    fn loss_of(&self, batch: &Batch, mode: &Mode) -> Result<f64> {
        let tensors = to_tensors(batch, self.device)?;
        let outputs = self.network.forward(&tensors.inputs, mode)?;
        Ok(self.work.loss(&outputs, &tensors, Phase::Training)?.sum.f_double_value(&[])?)
    }

    /// For a gradient that is not finite, after a finite loss: the parameter nearest the loss that has one.
    fn blame_backward(&self, window: &[Batch]) -> String {
        let bad = |gradient: &Tensor| gradient.isfinite().all().int64_value(&[]) == 0;
        let trained: Vec<_> = self.params.trainable().collect();
        let first = trained.into_iter().rev().find(|param| param.gradient().as_ref().is_some_and(bad));
        let culprit = match first {
            Some(param) => {
                format!("the loss is finite; on the way back, the first bad gradient is that of `{}`", param.name)
            }
            None => "the loss is finite".to_owned(),
        };
        self.blame(window, &culprit)
    }

    /// Which examples, what went wrong, and what may help.
    fn blame(&self, window: &[Batch], culprit: &str) -> String {
        let place = |&row: &usize| {
            let source = self.dataset.source(self.dataset.example(row)).ok()?;
            Some(format!("{}:{}", source.file.display(), source.line))
        };
        let rows = || window.iter().flat_map(|batch| &batch.rows);
        let places: Vec<String> = rows().take(8).filter_map(place).collect();
        let more = match rows().count() - places.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("; examples {}{more}; {culprit}; try a lower --learning-rate, or --precision fp32", places.join(", "))
    }
}

fn first_bad_weight(params: &Params) -> Option<String> {
    let bad = params.iter().find(|p| p.value().unwrap_or_else(|_| p.leaf()).isfinite().all().int64_value(&[]) == 0)?;
    Some(format!("first tensor with values that are not finite: `{}`", bad.name))
}

/// A depth for a person: `block 3 (bert.encoder.layer.2)`.
fn place(params: &Params, depth: usize, blocks: usize) -> String {
    let name = match depth {
        0 => "the embeddings".to_owned(),
        head if head > blocks => "the head".to_owned(),
        block => format!("block {block}"),
    };
    let names: Vec<&str> = params.iter().filter(|p| p.depth == depth).map(|p| p.name.as_str()).collect();
    match common_path(&names) {
        path if path.is_empty() => name,
        path => format!("{name} ({path})"),
    }
}

/// The path below which all of these tensors lie.
fn common_path(names: &[&str]) -> String {
    let Some((first, others)) = names.split_first() else { return String::new() };
    let mut path: Vec<&str> = first.split('.').collect();
    path.pop();
    for other in others {
        let same = path.iter().zip(other.split('.')).take_while(|(a, b)| *a == b).count();
        path.truncate(same);
    }
    path.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_where_its_tensors_lie() {
        let layer = ["bert.encoder.layer.2.attention.self.query.weight", "bert.encoder.layer.2.output.dense.bias"];
        assert_eq!(common_path(&layer), "bert.encoder.layer.2");
        assert_eq!(common_path(&["classifier.weight"]), "classifier");
        assert_eq!(common_path(&["bert.pooler.dense.weight", "classifier.weight"]), "");
        assert_eq!(common_path(&[]), "");
    }
}

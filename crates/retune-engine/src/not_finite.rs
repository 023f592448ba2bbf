//! What went wrong first when a step is not finite: a weight, an activation, or a gradient, and in which examples.

use crate::step::Trainer;
use retune_data::Batch;
use retune_kernels::tch::{Tensor, no_grad};
use retune_kernels::{Params, dropout};
use retune_models::{Inputs, Mode, trace};

impl Trainer<'_> {
    /// For a loss that is not finite: the first bad weight, else the first block whose output is bad, found by running
    /// the forward pass again with the masks of `stream`.
    pub(crate) fn blame_forward(&self, batch: &Batch, inputs: &Inputs, mode: &Mode, stream: u64) -> String {
        let culprit = first_bad_weight(self.params).unwrap_or_else(|| {
            let bad = trace::first_not_finite(|| {
                dropout::set_stream(stream);
                // What it returns was already found wanting.
                let _ = no_grad(|| self.model.forward(inputs, mode));
            });
            match bad {
                Some(depth) => format!(
                    "all weights are finite; the first output that is not comes from {}",
                    place(self.params, depth, self.model.blocks())
                ),
                None => "all weights and all outputs of blocks are finite, the loss of these labels is not".to_owned(),
            }
        });
        self.blame(std::slice::from_ref(batch), &culprit)
    }

    /// For a gradient that is not finite, after a finite loss: the parameter nearest the loss that has one.
    pub(crate) fn blame_backward(&self, window: &[Batch]) -> String {
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
    pub(crate) fn blame(&self, window: &[Batch], culprit: &str) -> String {
        let place = |&row: &usize| {
            let source = self.dataset.source(row).ok()?;
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
    let bad = params.iter().find(|p| p.value().isfinite().all().int64_value(&[]) == 0)?;
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

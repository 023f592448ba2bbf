//! The head alone, and whatever has no pretrained value.

use super::{Entry, Method};
use retune_kernels::Param;

pub(super) static ENTRY: Entry =
    Entry { written: "head", parse: |flag| (flag == "head").then(|| Box::new(Head) as Box<dyn Method>), settings: &[] };

#[derive(Debug)]
struct Head;

impl Method for Head {
    fn learning_rate(&self) -> f64 {
        1e-2
    }

    fn learns(&self, param: &Param, _blocks: usize) -> bool {
        param.head
    }

    fn backward(&self) -> f64 {
        0.0
    }
}

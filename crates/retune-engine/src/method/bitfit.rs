//! BitFit: biases and the head (Ben Zaken et al. 2021).

use super::{Entry, Method};
use retune_kernels::Param;

pub(super) static ENTRY: Entry = Entry {
    written: "bitfit",
    parse: |flag| (flag == "bitfit").then(|| Box::new(BitFit) as Box<dyn Method>),
    settings: &[],
};

#[derive(Debug)]
struct BitFit;

impl Method for BitFit {
    fn learning_rate(&self) -> f64 {
        2e-3
    }

    fn learns(&self, param: &Param, _blocks: usize) -> bool {
        param.head || param.name.ends_with(".bias")
    }

    fn backward(&self) -> f64 {
        1.0
    }
}

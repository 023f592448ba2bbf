//! Fine-tuning of all parameters.

use super::{Entry, Method};
use retune_kernels::Param;

pub(super) static ENTRY: Entry =
    Entry { written: "full", parse: |flag| (flag == "full").then(|| Box::new(Full) as Box<dyn Method>), settings: &[] };

/// Every parameter learns.
#[derive(Debug)]
pub struct Full;

impl Method for Full {
    fn learning_rate(&self) -> f64 {
        5e-5
    }

    fn learns(&self, _param: &Param, _blocks: usize) -> bool {
        true
    }

    fn backward(&self) -> f64 {
        2.0
    }
}

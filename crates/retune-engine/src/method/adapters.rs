//! The small networks that a checkpoint has behind its layers for a language, and the head (MMS; Pratap et al. 2023; Houlsby et al.
//! 2019).

use super::{Entry, Method};
use retune_kernels::Param;

pub(super) static ENTRY: Entry = Entry {
    written: "adapters",
    parse: |flag| (flag == "adapters").then(|| Box::new(Adapters) as Box<dyn Method>),
    settings: &[],
};

/// How transformers calls them.
const LAYER: &str = ".adapter_layer.";

/// All that is theirs.
#[derive(Debug)]
struct Adapters;

impl Method for Adapters {
    fn learning_rate(&self) -> f64 {
        1e-3
    }

    fn learns(&self, param: &Param, _blocks: usize) -> bool {
        param.head || param.name.contains(LAYER)
    }

    fn check_params(&self, params: &retune_kernels::Params) -> anyhow::Result<()> {
        anyhow::ensure!(
            params.iter().any(|param| param.name.contains(LAYER)),
            "method adapters: this model has none behind its layers (`adapter_attn_dim`); take lora"
        );
        Ok(())
    }

    fn backward(&self) -> f64 {
        1.0
    }
}

//! Folding an adapter into the weights that it stands beside: `W + scale · B A`, in fp32.

use super::DenseLayer;
use crate::checkpoint::TensorNames;
use crate::{LoadedModel, ModelError, registry};
use retune_kernels::tch::{Tensor, no_grad};
use std::collections::BTreeMap;

const A: &str = ".lora_A.weight";
const B: &str = ".lora_B.weight";

impl LoadedModel {
    /// Writes the adapter's updates into the base's weights, by name; nothing without an adapter. The network itself still has the
    /// adapter, and its weights stay as they were.
    ///
    /// # Errors
    /// Values that cannot be read again.
    pub fn merged_weights(&self) -> Result<BTreeMap<String, Tensor>, ModelError> {
        let Some(plan) = &self.adapter else { return Ok(BTreeMap::new()) };
        let names: &TensorNames = registry::family(&self.config)?.names();
        let find = |name: &str| self.params.iter().find(|param| param.name == name);
        let mut merged = BTreeMap::new();
        for low in self.params.iter() {
            let Some(path) = low.name.strip_suffix(A) else { continue };
            let layer = DenseLayer { path: path.to_owned(), module: names.module(path), whole: false, scores: None };
            let lacks = |name: String| ModelError::Adapter(format!("this model has no `{name}`"));
            let update = plan.layer(&layer).ok_or_else(|| lacks(path.to_owned()))?;
            let named = |end: &str| format!("{path}{end}");
            let high = find(&named(B)).ok_or_else(|| lacks(named(B)))?;
            let weight = find(&named(".weight")).ok_or_else(|| {
                ModelError::Adapter(format!(
                    "`{path}` has no weight of its own: its scores are tied to the token table, and merging would change what is read, \
                     too; use base and adapter as they are"
                ))
            })?;
            let sum = no_grad(|| -> Result<Tensor, ModelError> {
                let change = high.value()?.matmul(&low.value()?) * update.scale;
                let change = if weight.transposed { change.tr() } else { change };
                Ok(weight.value()? + change)
            })?;
            merged.insert(weight.name.clone(), sum);
        }
        Ok(merged)
    }

    /// Makes these the values of its parameters, and forgets the adapter: it is saved as a whole model from now on. For a model that
    /// was loaded without the adapter.
    ///
    /// # Errors
    /// Weights that it does not have.
    pub fn take_weights(&mut self, weights: &BTreeMap<String, Tensor>) -> Result<(), ModelError> {
        for (name, value) in weights {
            let param = self.params.get_mut(name);
            let param = param.ok_or_else(|| ModelError::Adapter(format!("this model has no `{name}`")))?;
            param.set(value)?;
        }
        Ok(())
    }

    /// All values of a loaded adapter's model but the low-rank ones: what the base would be with the adapter's head and updates.
    ///
    /// # Errors
    /// Values that cannot be read again.
    pub fn whole_weights(&self) -> Result<BTreeMap<String, Tensor>, ModelError> {
        let mut all: BTreeMap<String, Tensor> = BTreeMap::new();
        for param in self.params.iter().filter(|param| !param.name.contains(".lora_")) {
            all.insert(param.name.clone(), param.value()?);
        }
        all.extend(self.merged_weights()?);
        Ok(all)
    }
}

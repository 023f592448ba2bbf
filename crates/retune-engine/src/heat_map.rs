//! Heat maps over the worst errors of a report: which places of a row its prediction rests on.

use crate::Recipe;
use crate::evaluate::Predictor;
use crate::tensors::to_tensors;
use anyhow::{Context, Result, anyhow};
use retune_data::{Dataset, HeatMap};
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::{Explanation, ModelError, Network, Tensors};

/// The heat maps that a recipe asks for.
pub(crate) fn wanted(recipe: &Recipe) -> Result<Option<Explanation>> {
    match recipe.run.heat_maps.as_str() {
        "none" => Ok(None),
        name => name.parse().map(Some).map_err(|problem: String| anyhow!("heat-maps: {problem}")),
    }
}

/// Whether the model can draw them.
pub(crate) fn check(recipe: &Recipe, network: &Network) -> Result<()> {
    let Some(how) = wanted(recipe)? else { return Ok(()) };
    network.demand(how).context("heat-maps")
}

/// What the colours mean, for the reader of a report.
pub(crate) fn legend(how: Explanation) -> &'static str {
    match how {
        Explanation::Gradient => {
            "Colour, from yellow to red: the places that speak for the prediction, by activation times gradient in the \
             last layer. The picture is what the model sees."
        }
        Explanation::Rollout => {
            "Colour, from yellow to red: the places that attention carries into the prediction, whatever it is \
             (attention rollout). The picture is what the model sees."
        }
    }
}

impl Predictor<'_> {
    /// The heat map of a row for a score \[B\] of the outputs.
    pub(crate) fn heat_map(
        &self,
        data: &dyn Dataset,
        row: usize,
        how: Explanation,
        score: &dyn Fn(&Tensors) -> Result<Tensor, ModelError>,
    ) -> Result<HeatMap> {
        let tensors = to_tensors(&data.batch(&[row], None)?, self.device)?;
        let map = self.network.explain(&tensors.inputs, how, score)?;
        let [_, height, width] = map.size()[..] else { panic!("heat maps are [B, h, w]") };
        let values = Vec::<f32>::try_from(map.to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view([-1]))?;
        Ok(HeatMap::new(height as usize, width as usize, &values))
    }
}

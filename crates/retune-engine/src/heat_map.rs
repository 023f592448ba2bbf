//! Heat maps over the worst errors of a report: which places of a row its prediction rests on.

use crate::Recipe;
use crate::task::Task;
use crate::tensors::to_inputs;
use anyhow::{Context, Result, anyhow};
use retune_data::{Dataset, HeatMap};
use retune_kernels::tch::{Device, Kind};
use retune_models::{Explanation, Network};

/// What a recipe may ask for.
pub(crate) const CHOICES: &[&str] = &["none", "gradient", "rollout"];

/// The heat maps that a recipe asks for.
pub(crate) fn wanted(recipe: &Recipe) -> Result<Option<Explanation>> {
    match recipe.heat_maps.as_str() {
        "none" => Ok(None),
        name => name.parse().map(Some).map_err(|problem: String| anyhow!("heat-maps: {problem}")),
    }
}

/// Whether the model can draw them.
pub(crate) fn check(recipe: &Recipe, model: &Network) -> Result<()> {
    let Some(how) = wanted(recipe)? else { return Ok(()) };
    model.demand(how).context("heat-maps")
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

/// The heat map of a row; `None` where the task has none.
pub(crate) fn of_row(
    (task, model, device): (&dyn Task, &Network, Device),
    data: &dyn Dataset,
    row: usize,
    how: Explanation,
) -> Result<Option<HeatMap>> {
    let inputs = to_inputs(&data.batch(&[row], None)?, device)?;
    let Some(map) = task.explain(model, &inputs, how)? else { return Ok(None) };
    let [_, height, width] = map.size()[..] else { panic!("heat maps are [B, h, w]") };
    let values = Vec::<f32>::try_from(map.to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view([-1]))?;
    Ok(Some(HeatMap::new(height as usize, width as usize, &values)))
}

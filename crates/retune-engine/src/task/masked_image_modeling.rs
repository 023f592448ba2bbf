//! Masked image modeling: patches are hidden, and the model says what they show (He et al. 2021).
//!
//! transformers' `ViTMAEForPreTraining`. Labels are ignored. B batch, N patches, K kept patches, P·Q·C values of a patch.

use super::images::{self, Images, RunRows};
use super::{Input, OnProgress, Opened, Prediction, Scorer, Splits, Task};
use crate::Recipe;
use crate::metric::{Evaluation, ReconstructionMetric};
use crate::tensors::to_inputs;
use anyhow::{Result, ensure};
use retune_data::{Dataset, Described, ImageColumns, ImageRows};
use retune_kernels::loss::SummedLoss;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::heads::{MaskedPatchLoss, Masking, kept_patches, patchify};
use retune_models::registry::{self, Purpose};
use retune_models::{CheckpointFolder, Inputs, Model, ModelConfig, Outputs, ProblemType};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The metric, and the key of a prediction.
const ERROR: &str = "reconstruction_loss";
/// Images scored together for the guess.
const BATCH: usize = 64;

pub(super) fn prepare(recipe: &Recipe, model: &Path, progress: OnProgress<'_>) -> Result<(Box<dyn Task>, Splits)> {
    for (flag, unused) in [
        ("label-smoothing", recipe.label_smoothing == 0.0),
        ("class-weights", recipe.class_weights == "none"),
        ("problem", recipe.problem == "auto"),
        ("positive-class", recipe.positive_class.is_none()),
        ("operating-point", recipe.operating_point.is_none()),
    ] {
        ensure!(unused, "{flag}: masked image modeling has no labels; leave it out");
    }
    let config = CheckpointFolder::config(model)?;
    let images = Images::of(recipe, model, &config)?.masked()?;
    let task = MaskedImageModeling::new(&config, Some(images.processor_file()?))?;
    let columns = columns(recipe);
    // What is required of a table is the group; a folder may hold images directly.
    let rows = RunRows::read(recipe, |path| Ok(ImageRows::read(path, &columns, !path.is_dir())?))?;
    let splits = images.splits(recipe, rows, None, progress)?;
    Ok((Box::new(task), splits))
}

pub(super) fn open<'a>(
    recipe: &Recipe,
    model: &Path,
    config: &ModelConfig,
    input: Input<'a>,
    progress: OnProgress<'_>,
) -> Result<Opened<'a>> {
    let images = Images::of(recipe, model, config)?.masked()?;
    let task = Box::new(MaskedImageModeling::new(config, None)?);
    let parts = images.parts(recipe, input, &columns(recipe), None, false, progress)?;
    Ok(Opened { task, parts })
}

fn columns(recipe: &Recipe) -> ImageColumns {
    ImageColumns { label: Vec::new(), label_separator: None, ..images::columns(recipe, None) }
}

struct MaskedImageModeling {
    loss: MaskedPatchLoss,
    /// K.
    kept: i64,
    files: Vec<PathBuf>,
    /// Where they lie; it goes with the task.
    _folder: Option<TempDir>,
}

impl MaskedImageModeling {
    /// With the processor's file where a model will be saved.
    fn new(config: &ModelConfig, processor: Option<(TempDir, PathBuf)>) -> Result<Self> {
        registry::family(config, Purpose::MaskedImageModeling)?;
        let patches = registry::image_input(config)?.map_or(0, |input| input.patches());
        let (folder, file) = processor.unzip();
        Ok(Self {
            loss: MaskedPatchLoss::new(config)?,
            kept: kept_patches(config, patches)?,
            files: file.into_iter().collect(),
            _folder: folder,
        })
    }

    /// What can be said of hidden patches without a model, [B, N, P·Q·C]: the mean colour of the visible ones, or no
    /// contrast where patches are normalised.
    fn guess(&self, pixels: &Tensor, mask: &Tensor) -> Tensor {
        let patches = patchify(pixels, self.loss.patch);
        if self.loss.normalise {
            return patches.zeros_like();
        }
        let channels = pixels.size()[1];
        let [batch, count, values] = patches.size()[..] else { panic!("patches have three dimensions") };
        let colours = patches.view([batch, count, values / channels, channels]);
        let visible = (1.0f64 - mask).view([batch, count, 1, 1]);
        let sum = (&colours * visible).sum_dim_intlist([1i64, 2].as_slice(), true, Kind::Float);
        let mean = sum / (self.kept * values / channels) as f64;
        mean.expand(colours.size(), false).reshape([batch, count, values])
    }
}

impl Task for MaskedImageModeling {
    fn name(&self) -> &'static str {
        "masked-image-modeling"
    }

    fn purpose(&self) -> Purpose {
        Purpose::MaskedImageModeling
    }

    fn head(&self) -> Option<(Vec<String>, ProblemType)> {
        None
    }

    fn loss(&self, outputs: &Outputs, inputs: &Inputs) -> Result<SummedLoss> {
        Ok(self.loss.summed(outputs, inputs.get("pixel_values")?)?)
    }

    fn plain_loss(&self, outputs: &Outputs, inputs: &Inputs) -> Result<SummedLoss> {
        self.loss(outputs, inputs)
    }

    fn can_score(&self, _dataset: &dyn Dataset) -> bool {
        true
    }

    fn scorer(&self) -> Box<dyn Scorer> {
        Box::new(ReconstructionMetric::new())
    }

    fn decode(&self, outputs: &Outputs, inputs: &Inputs) -> Result<Vec<Prediction>> {
        let (mask, pixels) = (outputs.named.get("mask")?, inputs.get("pixel_values")?);
        let errors = Vec::<f32>::try_from(self.loss.per_image(&outputs.logits, mask, pixels))?;
        Ok(errors.into_iter().map(|error| Prediction { scores: vec![error] }).collect())
    }

    fn describe(&self, prediction: &Prediction) -> Map<String, Value> {
        Map::from_iter([(ERROR.to_owned(), json!(prediction.scores[0]))])
    }

    fn majority(&self, _train: &dyn Described, dataset: &dyn Described) -> Result<(&'static str, Evaluation)> {
        let mut metric = ReconstructionMetric::new();
        let rows: Vec<usize> = (0..dataset.len()).collect();
        for rows in rows.chunks(BATCH) {
            let inputs = to_inputs(&dataset.batch(rows, None)?, Device::Cpu)?;
            let pixels = inputs.get("pixel_values")?;
            let mask = Masking::new(inputs.get("noise")?, self.kept).mask;
            let errors = self.loss.per_image(&self.guess(pixels, &mask), &mask, pixels);
            metric.update(Vec::<f32>::try_from(errors)?);
        }
        let name = if self.loss.normalise { "patches without contrast" } else { "mean of the visible patches" };
        Ok((name, metric.compute()))
    }

    fn severities(&self, _dataset: &dyn Described, predictions: &[Prediction]) -> Result<Vec<f64>> {
        Ok(predictions.iter().map(|prediction| f64::from(prediction.scores[0])).collect())
    }

    fn default_metric(&self) -> &'static str {
        ERROR
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }

    fn check_model(&self, _model: &dyn Model) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(normalise: bool) -> MaskedImageModeling {
        let fields = json!({"model_type": "vit_mae", "patch_size": 2, "image_size": 4, "num_channels": 2,
            "mask_ratio": 0.75, "norm_pix_loss": normalise});
        MaskedImageModeling::new(&ModelConfig::new(fields).unwrap(), None).unwrap()
    }

    #[test]
    fn the_guess_is_the_colour_of_what_is_visible() {
        // The first channel is 1 in the left half and 3 in the right one, the second 5 everywhere.
        let left = Tensor::from_slice(&[1f32, 1.0, 3.0, 3.0]).expand([4, 4], false);
        let pixels = Tensor::stack(&[left, Tensor::full([4, 4], 5.0, (Kind::Float, Device::Cpu))], 0).unsqueeze(0);
        let task = task(false);
        // Only the top right patch is visible.
        let mask = Tensor::from_slice(&[1f32, 0.0, 1.0, 1.0]).unsqueeze(0);
        let guess = task.guess(&pixels, &mask);
        assert_eq!(guess.size(), [1, 4, 8]);
        assert_eq!(Vec::<f32>::try_from(guess.get(0).get(2)).unwrap(), [3.0, 5.0].repeat(4));
        // Of three hidden patches two are off by 2 in half of their values.
        let error = task.loss.per_image(&guess, &mask, &pixels);
        assert!((error.double_value(&[0]) - 4.0 / 3.0).abs() < 1e-6, "{error:?}");
    }

    #[test]
    fn nothing_said_about_normalised_patches_is_wrong_by_their_variance() {
        let pixels = Tensor::arange(32, (Kind::Float, Device::Cpu)).sin().view([1, 2, 4, 4]);
        let mask = Tensor::from_slice(&[0f32, 1.0, 1.0, 1.0]).unsqueeze(0);
        let task = task(true);
        let error = task.loss.per_image(&task.guess(&pixels, &mask), &mask, &pixels).double_value(&[0]);
        // The variance divides by one less than the 8 values.
        assert!((error - 7.0 / 8.0).abs() < 1e-4, "{error}");
    }

    #[test]
    fn another_image_size_or_family_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |fields: Value, recipe: Recipe| {
            std::fs::write(folder.path().join("config.json"), fields.to_string()).unwrap();
            prepare(&recipe, folder.path(), &|_, _, _| {}).err().expect("refused").to_string()
        };
        let fields = json!({"model_type": "vit_mae", "patch_size": 8, "image_size": 32});
        let text = refused(fields.clone(), Recipe { image_size: Some(64), ..Recipe::default() });
        assert!(text.contains("image-size: 64×64") && text.contains("32×32"), "{text}");
        let text = refused(fields, Recipe { class_weights: "balanced".into(), ..Recipe::default() });
        assert!(text.contains("class-weights"), "{text}");
        let other = json!({"model_type": "swin", "patch_size": 8, "image_size": 32});
        let text = refused(other, Recipe::default());
        assert!(text.contains("swin") && text.contains("vit_mae"), "{text}");
    }
}

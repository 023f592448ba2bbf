//! Masked image modeling: patches are hidden, and the model says what they show (He et al. 2021).
//!
//! transformers' `ViTMAEForPreTraining`. Labels are ignored. B batch, N patches, K kept patches, P·Q·C values of a patch.

use super::from_scratch::FromScratchSettings;
use super::images::{ImageSettings, ImagesInput};
use super::splits::Encoded;
use super::{
    BatchTensors, Data, Entry, Guess, Judged, Opening, Parts, Phase, Prepared, Preparing, Scorer, Task, Turn, Work,
    parts,
};
use crate::Recipe;
use crate::metric::{Evaluation, Metric, RECONSTRUCTION_LOSS, ReconstructionMetric, Said};
use crate::number;
use crate::recipe::Settings;
use crate::tensors::to_tensors;
use anyhow::Result;
use retune_data::{Batch, DataError, Dataset, Examples, Images, Layout, Medium, TableRows, Targets};
use retune_kernels::loss::SummedLoss;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::heads::{self, MaskedPatchLoss, patchify};
use retune_models::layers::masking::{Masking, kept_patches};
use retune_models::{ModelConfig, NewHead, Tensors, registry};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use tempfile::TempDir;

/// The task.
pub(super) static ENTRY: Entry = Entry {
    name: "masked-image-modeling",
    purpose: &heads::MASKED_IMAGE_MODELING,
    settings: &[ImageSettings::SECTION, FromScratchSettings::SECTION],
    decides: None,
    targets: &[],
    loss,
    prepare,
    open,
};

/// The key of a prediction.
const ERROR: &str = "reconstruction_loss";

fn loss(config: &ModelConfig) -> Result<super::LossOf> {
    let loss = MaskedPatchLoss::new(config)?;
    Ok(Box::new(move |outputs, batch| Ok(loss.summed(outputs, batch.inputs.get("pixel_values")?)?)))
}

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    let recipe = from.recipe;
    let input = ImagesInput::of(recipe, from.model, from.config)?.masked()?;
    let task = MaskedImageModeling::new(from.config, Some(input.processor_file()?))?;
    let layout = layout(recipe)?;
    // What is required of a table is the group; a folder may hold images directly.
    let rows = Encoded::read(recipe, |path| input.read(path, &layout, !path.is_dir()))?;
    let data = rows.map(|split, rows| {
        let images = input.encode(split, &rows, from.progress)?;
        Ok(Examples::new(rows, images, None)?)
    })?;
    let notes = input.notes(data.train.medium());
    let splits = data.splits(recipe, input.settings(), notes)?;
    Ok(Box::new(Prepared::new(task, splits)))
}

fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let input = Rc::new(ImagesInput::of(from.recipe, from.model, from.config)?.masked()?);
    let task = MaskedImageModeling::new(from.config, None)?;
    let (layout, progress) = (layout(from.recipe)?, from.progress);
    let encode = {
        let input = Rc::clone(&input);
        move |rows: Arc<TableRows>| {
            let report = |done, all| progress("decoding", done, all);
            let images = input.decode(&rows, false, if rows.streamed() { &|_, _| {} } else { &report })?;
            Ok(Examples::new(rows, images, None)?)
        }
    };
    let file = |path: &std::path::Path| input.read(path, &layout, false);
    parts::parts(task, from.input, file, |reader| input.lines(reader, &layout), encode)
}

fn layout(recipe: &Recipe) -> Result<Layout> {
    let images = recipe.read::<ImageSettings>()?;
    Ok(Layout::image(images.image_column).group(recipe.data.group_column.clone()))
}

/// What is right is the input itself: no targets.
struct Itself;

impl<M: Medium> Targets<M> for Itself {
    type Gold = ();

    fn len(&self) -> usize {
        0
    }

    fn gold(&self, _example: usize) -> Result<(), DataError> {
        Ok(())
    }

    fn fill(&self, _examples: &[usize], _seen: &[M::Seen], _into: &mut Batch) -> Result<(), DataError> {
        Ok(())
    }

    fn fingerprint(&self, _example: usize) -> Result<String, DataError> {
        Ok(String::new())
    }
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
        registry::family_for(config, Some(ENTRY.purpose))?;
        let patches = registry::takes(config)?.images().map_or(0, |input| input.patches());
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
    fn guessed(&self, pixels: &Tensor, mask: &Tensor) -> Tensor {
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
    type Medium = Images;
    type Targets = Itself;
    /// The mean squared error of the hidden patches.
    type Answer = f32;

    fn head(&self) -> NewHead {
        NewHead::of(ENTRY.purpose)
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, _phase: Phase) -> Result<SummedLoss> {
        Ok(self.loss.summed(outputs, batch.inputs.get("pixel_values")?)?)
    }

    fn loss_reads(&self) -> &'static [&'static str] {
        &["pixel_values"]
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<f32>> {
        let (outputs, pixels) = (turn.outputs()?, turn.batch.inputs.get("pixel_values")?);
        Ok(Vec::try_from(self.loss.per_image(outputs.get("logits")?, outputs.get("mask")?, pixels))?)
    }

    fn can_score(&self, _data: &Data<Self>) -> bool {
        true
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(Errors(ReconstructionMetric::new()))
    }

    fn guess(&self, _train: &Data<Self>) -> Result<Option<Guess<'_, Self>>> {
        let name = if self.loss.normalise { "patches without contrast" } else { "mean of the visible patches" };
        let answer = |data: &Data<Self>, example: usize| {
            let inputs = to_tensors(&data.batch(&[example], None)?, Device::Cpu)?.inputs;
            let pixels = inputs.get("pixel_values")?;
            let mask = Masking::new(inputs.get("noise")?, self.kept).mask;
            let error = self.loss.per_image(&self.guessed(pixels, &mask), &mask, pixels);
            Ok(error.f_double_value(&[0])? as f32)
        };
        Ok(Some(Guess { name, answer: Box::new(answer) }))
    }

    fn describe(&self, _data: &Data<Self>, _example: usize, error: &f32) -> Result<Map<String, Value>> {
        Ok(Map::from_iter([(ERROR.to_owned(), json!(error))]))
    }

    fn said(&self, _data: &Data<Self>, _example: usize, error: &f32) -> Result<Said> {
        let prediction = format!("{} {}", RECONSTRUCTION_LOSS.name, number::value(f64::from(*error)));
        Ok(Said { prediction, ..Said::default() })
    }

    fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

struct Errors(ReconstructionMetric);

impl Scorer<MaskedImageModeling> for Errors {
    fn add(&mut self, _data: &Data<MaskedImageModeling>, _example: usize, error: &f32) -> Result<Judged> {
        self.0.update([*error]);
        Ok(Judged { right: None, severity: *error })
    }

    fn evaluation(&self) -> Evaluation {
        self.0.compute()
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.0.metrics()
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
        let guess = task.guessed(&pixels, &mask);
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
        let error = task.loss.per_image(&task.guessed(&pixels, &mask), &mask, &pixels).double_value(&[0]);
        // The variance divides by one less than the 8 values.
        assert!((error - 7.0 / 8.0).abs() < 1e-4, "{error}");
    }

    #[test]
    fn another_image_size_or_family_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |fields: Value, recipe: &str| {
            std::fs::write(folder.path().join("config.json"), fields.to_string()).unwrap();
            let config = retune_models::CheckpointFolder::config(folder.path()).unwrap();
            let recipe: Recipe = recipe.parse().unwrap();
            let from = Preparing { recipe: &recipe, model: folder.path(), config: &config, progress: &|_, _, _| {} };
            prepare(&from).err().expect("refused").to_string()
        };
        let fields = json!({"model_type": "vit_mae", "patch_size": 8, "image_size": 32});
        let text = refused(fields, "image-size = 64");
        assert!(text.contains("image-size: 64×64") && text.contains("32×32"), "{text}");
        let other = json!({"model_type": "swin", "patch_size": 8, "image_size": 32});
        let text = refused(other, "");
        assert!(text.contains("swin") && text.contains("vit_mae"), "{text}");
    }
}

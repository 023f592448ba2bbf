//! Images as the tasks on them read them: the model's processor, columns, augmentation, and what to tell about it.

use super::classification::label_numbers;
use super::splits::Encoded;
use super::{Input, OnProgress, Parts, Splits};
use crate::Recipe;
use anyhow::{Context, Result, anyhow, bail, ensure};
use retune_data::{
    Augmentation, Dataset, GreyRange, ImageColumns, ImageDataset, ImageLines, ImageOptions, ImageProcessor, ImageRows,
    LabelSchema, OnBadExample,
};
use retune_kernels::random;
use retune_models::ModelConfig;
use retune_models::registry::{self, ImageInput, Positions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// How images become the model's input.
pub(super) struct Images {
    processor: ImageProcessor,
    /// What the model was made for.
    made_for: ImageInput,
    /// Height and width it gets.
    size: (usize, usize),
    /// Whether patches are hidden from the model.
    masked: bool,
}

/// The rows of a run; all are read before any image is decoded, so that a typo in the last table costs nothing.
pub(super) struct RunRows {
    pub(super) train: ImageRows,
    validation: Option<ImageRows>,
    test: Option<ImageRows>,
}

impl RunRows {
    /// Reads the data that the recipe names.
    pub(super) fn read(recipe: &Recipe, read: impl Fn(&Path) -> Result<ImageRows>) -> Result<Self> {
        Ok(Self {
            train: read(recipe.train.as_deref().context("training data")?)?,
            validation: recipe.validation.as_deref().map(&read).transpose()?,
            test: recipe.test.as_deref().map(&read).transpose()?,
        })
    }
}

impl Images {
    /// The processor of a model folder, at the recipe's image size if it names one.
    pub(super) fn of(recipe: &Recipe, model: &Path, config: &ModelConfig) -> Result<Self> {
        let made_for = registry::image_input(config)?
            .with_context(|| format!("{}: this model takes no images (no `patch_size`)", model.display()))?;
        let (height, width) = (made_for.size.0 as usize, made_for.size.1 as usize);
        let mut processor = ImageProcessor::load(model, (height, width), made_for.channels as usize)?;
        if let Some(size) = recipe.image_size {
            processor = processor.with_size(size, size)?;
        }
        if let Some(range) = &recipe.grey_range {
            let range = range.parse().map_err(|error: String| anyhow!("grey-range: {error}"))?;
            processor = processor.with_grey_range(range);
        }
        let size = processor.output_size().unwrap_or((height, width));
        if let Err(problem) = made_for.sizes.check((size.0 as i64, size.1 as i64)) {
            bail!("image-size: {}×{} does not fit this model: {problem}", size.0, size.1);
        }
        Ok(Self { processor, made_for, size, masked: false })
    }

    /// With random numbers that decide which patches are hidden.
    ///
    /// # Errors
    /// Another size than the model's: a decoder has as many positions as it was made with.
    pub(super) fn masked(self) -> Result<Self> {
        let (height, width) = self.made_for.size;
        ensure!(
            (height as usize, width as usize) == self.size,
            "image-size: {}×{}, but this masked autoencoder takes {height}×{width} only",
            self.size.0,
            self.size.1
        );
        Ok(Self { masked: true, ..self })
    }

    /// Decodes and scales.
    fn encode(
        &self,
        rows: ImageRows,
        schema: Option<&LabelSchema>,
        options: &ImageOptions,
        what: &str,
        progress: OnProgress<'_>,
    ) -> Result<ImageDataset> {
        let report = |done, all| progress(what, done, all);
        let patches = self.patches();
        let data = ImageDataset::encode(rows, &self.processor, schema, options, &report)?.with_patches(patches);
        Ok(if self.masked { data.with_noise(patches) } else { data })
    }

    /// The data of a run; without a schema it has no labels.
    pub(super) fn splits(
        &self,
        recipe: &Recipe,
        rows: RunRows,
        schema: Option<&LabelSchema>,
        progress: OnProgress<'_>,
    ) -> Result<Splits> {
        let (augmented, plain) = (options(recipe, true)?, options(recipe, false)?);
        let whole = self.encode(rows.train, schema, &augmented, "decoding training images", progress)?;
        let encode = |name, rows| self.encode(rows, schema, &plain, name, progress);
        let mut notes = self.notes();
        notes.extend(self.grey_note(&whole));
        let data = Encoded {
            train: whole,
            validation: rows.validation.map(|rows| encode("decoding validation images", rows)).transpose()?,
            test: rows.test.map(|rows| encode("decoding test images", rows)).transpose()?,
        };
        data.splits(recipe, self.settings(), notes)
    }

    /// Data for a saved model, as it comes; without a schema it has no labels.
    pub(super) fn parts<'a>(
        self,
        recipe: &Recipe,
        input: Input<'a>,
        columns: &ImageColumns,
        schema: Option<LabelSchema>,
        labels: bool,
        progress: OnProgress<'_>,
    ) -> Result<Parts<'a>> {
        let options = options(recipe, false)?;
        match input {
            Input::File(path) => {
                let rows = ImageRows::read(path, columns, labels)?;
                let dataset = self.encode(rows, schema.as_ref(), &options, "decoding", progress)?;
                Ok(Box::new(std::iter::once(Ok(Arc::new(dataset) as Arc<dyn Dataset>))))
            }
            Input::Lines { reader, part } => {
                let mut lines = ImageLines::new(reader, Path::new("standard input"), columns)?;
                let mut next = move || -> Result<Option<Arc<dyn Dataset>>> {
                    let Some(rows) = lines.next_rows(part)? else { return Ok(None) };
                    let dataset = self.encode(rows, schema.as_ref(), &options, "decoding", &|_, _, _| {})?;
                    Ok(Some(Arc::new(dataset)))
                };
                Ok(Box::new(std::iter::from_fn(move || next().transpose())))
            }
        }
    }

    /// Patches per image.
    fn patches(&self) -> usize {
        let (height, width) = (self.made_for.patch.0 as usize, self.made_for.patch.1 as usize);
        (self.size.0 / height) * (self.size.1 / width)
    }

    /// `preprocessor_config.json` as it belongs into the saved model, in a folder of its own.
    pub(super) fn processor_file(&self) -> Result<(TempDir, PathBuf)> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let file = self.processor.save(folder.path())?;
        Ok((folder, file))
    }

    /// Changes with what encoded images depend on.
    fn settings(&self) -> u64 {
        let processor = serde_json::Value::from(self.processor.config().clone()).to_string();
        random::mix(&[self.size.0 as u64, self.size.1 as u64, random::name_key(&processor)])
    }

    /// That 16-bit images are so dark that they lose most of their shades.
    fn grey_note(&self, train: &ImageDataset) -> Option<String> {
        let deepest = train.deepest_grey().filter(|&deepest| deepest < u16::MAX / 4)?;
        let range = self.processor.grey_range();
        (range == GreyRange::default()).then(|| {
            format!(
                "16-bit grey images reach {deepest} of 65535 only, so that few of 256 shades are left: \
                 --grey-range 0,{deepest} or auto keeps them"
            )
        })
    }

    /// What a person should know about the size.
    fn notes(&self) -> Vec<String> {
        let (height, width) = self.made_for.size;
        let differs = (height as usize, width as usize) != self.size;
        let positions = match self.made_for.positions {
            Positions::Free => "",
            Positions::Interpolated => ": positions are interpolated",
            Positions::InterpolatedOnRequest => {
                ": positions are interpolated (transformers needs interpolate_pos_encoding=True to do the same)"
            }
        };
        let note =
            format!("images are {}×{}, the model was made for {height}×{width}{positions}", self.size.0, self.size.1);
        differs.then_some(note).into_iter().collect()
    }
}

/// Which columns mean what; `model` is a saved one that is used.
pub(super) fn columns(recipe: &Recipe, model: Option<&Path>) -> ImageColumns {
    ImageColumns {
        image: recipe.image_column.clone(),
        label: recipe.label_columns(),
        label_separator: recipe.label_separator,
        label_numbers: label_numbers(recipe, model),
        group: recipe.group_column.clone(),
    }
}

/// How images are read, for training or not.
fn options(recipe: &Recipe, training: bool) -> Result<ImageOptions> {
    let augmentation = if training { recipe.augmentation.parse()? } else { Augmentation::default() };
    let on_bad_example: OnBadExample = recipe.on_bad_example.parse()?;
    Ok(ImageOptions { on_bad_example, augmentation, ..ImageOptions::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_models::CheckpointFolder;
    use serde_json::{Value, json};

    fn settings(processor: &Value) -> u64 {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/vit-image-classification");
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(config.join("config.json"), folder.path().join("config.json")).unwrap();
        std::fs::write(folder.path().join("preprocessor_config.json"), processor.to_string()).unwrap();
        let config = CheckpointFolder::config(folder.path()).unwrap();
        Images::of(&Recipe::default(), folder.path(), &config).unwrap().settings()
    }

    /// A run must not go on with images that are prepared in another way than those it began with.
    #[test]
    fn everything_that_pixels_depend_on_is_in_the_settings() {
        let plain = json!({"image_processor_type": "ViTImageProcessor", "size": 24, "resample": 2});
        let expected = settings(&plain);
        assert_eq!(settings(&plain), expected);
        for (key, value) in [("image_mean", json!(0.4)), ("resample", json!(3)), ("grey_range", json!("auto"))] {
            let mut other = plain.clone();
            other[key] = value;
            assert_ne!(settings(&other), expected, "{key}");
        }
    }
}

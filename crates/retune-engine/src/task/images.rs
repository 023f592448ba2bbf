//! Images as the tasks on them read them: the model's processor, columns, augmentation, and what to tell about it.

use super::parts::{NextRows, STREAM};
use super::{OnProgress, Split};
use crate::Recipe;
use crate::recipe::settings::{AT_LEAST_ONE, DATA, Plain, SHARE, parsed, settings};
use anyhow::{Context, Result, anyhow, bail, ensure};
use retune_data::{
    Augmentation, DataError, GreyRange, ImageOptions, ImageProcessor, Images, Layout, Medium, OnBadExample, TableLines,
    TableRows, TrainingSizes, read_images,
};
use retune_kernels::random;
use retune_models::takes::{ImageInput, Positions};
use retune_models::{ModelConfig, Takes, registry};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

settings! {
    /// Images, and how they become the model's input.
    pub struct ImageSettings, under DATA, else "{task} has no images" {
        /// Column with the image, a path relative to the table or bytes; in a folder of class folders there is none
        image_column: String = "image".to_owned(), value("COLUMN"), at_use();
        /// Height and width of images
        image_size: Option<usize>, value("PIXELS"), usual("as the model's preprocessor_config.json says"),
            range(AT_LEAST_ONE), in_model();
        /// Samples of 16-bit grey images that become black and white: full (0 to 65535), auto (each image's own) or LOW,HIGH;
        /// the saved model remembers it
        grey_range: Option<String>, value("RANGE"), usual("as the model's preprocessor_config.json says, else full"),
            reads(parsed::<GreyRange>), in_model();
        /// Random changes of training images: none, light, medium, strong, scale, medical-light, medical or medical-strong; the
        /// medical ones never flip
        augmentation: String = "light".to_owned(), value("PRESET"), reads(parsed::<Augmentation>),
            overfit(Plain::Word("none"));
    }
}

settings! {
    /// Changes of training images with which boxes and masks move.
    pub struct SceneSettings, under DATA, else "{task} has neither boxes nor masks" {
        /// Share of the training images in whose place parts of four images of the batch stand (mosaic)
        mosaic: f64 = 0.0, value("SHARE"), range(SHARE), overfit(Plain::Number(0.0));
        /// By which share training images are larger or smaller than usual at most; each batch has one size
        multi_scale: f64 = 0.0, value("SHARE"), range(SHARE), overfit(Plain::Number(0.0));
    }
}

/// Sizes of training images on either side of the usual one, at most.
const MOST_SIZES: usize = 4;
/// Pixels from one size to the next, the first of them that gives a few sizes.
const SIZE_STEPS: [usize; 5] = [32, 16, 8, 4, 2];

/// Bad examples that an error lists.
const MOST_BAD: usize = 300;

/// Who says which classes there are.
pub(super) enum ClassesOf<'a> {
    /// The data, in the order of this configuration where it has the same.
    Data(&'a ModelConfig),
    /// A model.
    Model(&'a [String]),
}

/// How images become the model's input.
pub(super) struct ImagesInput {
    processor: ImageProcessor,
    augmentation: Augmentation,
    /// Sizes of training images.
    sizes: TrainingSizes,
    on_bad_example: OnBadExample,
    /// What the model was made for.
    made_for: ImageInput,
    /// Height and width it gets.
    size: (usize, usize),
    /// Whether the model's own processor cuts something of images off, which is not done here.
    cuts: bool,
    /// Whether the model has learnt nothing yet.
    fresh: bool,
    /// Whether patches are hidden from the model.
    masked: bool,
    /// Whether images that cannot be decoded are collected, whatever the recipe says, to be told with other problems.
    collects: bool,
}

/// Refuses a share of images that others of their batch lie over or beside where a batch has no other.
pub(super) fn of_several(recipe: &Recipe, key: &str, share: f64) -> Result<()> {
    let several = share == 0.0 || recipe.optimization.batch_size > 1;
    ensure!(several, "{key}: takes another image of the batch, and a batch has one; give a larger --batch-size");
    Ok(())
}

impl ImagesInput {
    /// The processor of a model folder, at the recipe's image size if it names one.
    pub(super) fn of(recipe: &Recipe, model: &Path, config: &ModelConfig) -> Result<Self> {
        let settings = recipe.read::<ImageSettings>()?;
        let Takes::Images(made_for) = registry::takes(config)? else {
            bail!("{}: this model takes no images (no `patch_size`)", model.display());
        };
        let (height, width) = (made_for.size.0 as usize, made_for.size.1 as usize);
        let mut processor = ImageProcessor::load(model, (height, width), made_for.channels as usize)?;
        if let Some(size) = settings.image_size {
            processor = processor.with_size(size, size)?;
        }
        if let Some(range) = &settings.grey_range {
            let range = range.parse().map_err(|error: String| anyhow!("grey-range: {error}"))?;
            processor = processor.with_grey_range(range);
        }
        ensure!(
            processor.output_size().is_some() || !made_for.sizes.wants_whole_halves(),
            "preprocessor_config.json: the processor keeps the shape of images, of which this model takes few; give size as \
             height and width, or --image-size"
        );
        let size = processor.output_size().unwrap_or((height, width));
        if let Err(problem) = made_for.sizes.check((size.0 as i64, size.1 as i64)) {
            bail!("image-size: {}×{} does not fit this model: {problem}", size.0, size.1);
        }
        let augmentation = settings.augmentation.parse()?;
        let on_bad_example = recipe.data.on_bad_example.parse()?;
        Ok(Self {
            processor,
            augmentation,
            sizes: TrainingSizes::Usual,
            on_bad_example,
            made_for,
            size,
            cuts: false,
            fresh: recipe.data.from_scratch,
            masked: false,
            collects: false,
        })
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
        // Nothing is to be told apart, so images are not mixed.
        let augmentation = self.augmentation.without_mixing();
        Ok(Self { masked: true, augmentation, ..self })
    }

    /// Where targets move with the pixels: images are not mixed, what cannot be decoded is left out until all problems are
    /// known, and masks are read as the processor says, or with `reduced_labels`.
    /// Nothing is cut off an image, about which nothing would be said.
    ///
    /// # Errors
    /// A processor that cannot be changed, sizes that the model does not take.
    pub(super) fn dense(self, recipe: &Recipe, reduced_labels: bool) -> Result<Self> {
        let scenes = recipe.read::<SceneSettings>()?;
        let whole = self.processor.whole()?;
        let (cuts, processor) = (whole != self.processor, whole);
        let reduces = reduced_labels || self.processor.reduces_labels();
        let processor = if reduces { processor.with_reduced_labels(true) } else { processor };
        let sizes = training_sizes(&processor, &self.made_for, scenes.multi_scale)?;
        let augmentation = Augmentation { mosaic: scenes.mosaic, ..self.augmentation.without_mixing() };
        Ok(Self { processor, cuts, sizes, augmentation, collects: true, ..self })
    }

    /// With this share of the training images under another one, whose objects are there, too.
    pub(super) fn with_scene_mixup(mut self, share: f64) -> Self {
        self.augmentation.scene_mixup = share;
        self
    }

    /// Images without targets: what could not be decoded is told now, unless it is to be left out.
    ///
    /// # Errors
    /// Images that cannot be used.
    pub(super) fn complete(&self, images: Images) -> Result<Images> {
        let bad = images.bad_examples();
        if !bad.is_empty() && self.on_bad_example == OnBadExample::Fail {
            let (count, of) = (bad.len(), images.examples());
            return Err(DataError::BadExamples { bad: bad.to_vec(), count, of }.into());
        }
        Ok(images)
    }

    /// Whether 0 in a mask is no class.
    pub(super) fn reduces_labels(&self) -> bool {
        self.processor.reduces_labels()
    }

    /// Whether examples that cannot be used end the run.
    pub(super) fn on_bad_example(&self) -> OnBadExample {
        self.on_bad_example
    }

    /// Whether nothing may be left out of these images, or nothing would be left.
    pub(super) fn refuses(&self, images: &Images) -> bool {
        images.examples() == images.bad_examples().len() || self.on_bad_example() == OnBadExample::Fail
    }

    /// What is wrong with these images, where it is refused.
    pub(super) fn refusal(&self, images: &Images) -> Option<DataError> {
        let all = images.bad_examples();
        let bad = || all.iter().take(MOST_BAD).cloned().collect();
        let refused = !all.is_empty() && self.refuses(images);
        refused.then(|| DataError::BadExamples { bad: bad(), count: all.len(), of: images.examples() })
    }

    /// Reads rows; all are read before any image is decoded, so that a typo in the last table costs nothing.
    pub(super) fn read(&self, path: &Path, layout: &Layout, labels: bool) -> Result<Arc<TableRows>> {
        Ok(Arc::new(read_images(path, layout, labels, self.on_bad_example)?))
    }

    /// Reads rows of a stream.
    pub(super) fn lines<'a>(
        &self,
        reader: Box<dyn BufRead + 'a>,
        layout: &Layout,
    ) -> Result<NextRows<'a, Arc<TableRows>>> {
        let mut lines = TableLines::new(reader, Path::new(STREAM), layout)?.on_bad_example(self.on_bad_example);
        Ok(Box::new(move |most| Ok(lines.next_rows(most)?.map(Arc::new))))
    }

    /// Decodes and scales the images of a split; those of training are augmented.
    pub(super) fn encode(&self, split: Split, rows: &Arc<TableRows>, progress: OnProgress<'_>) -> Result<Images> {
        let what = format!("decoding {} images", split.whole_name());
        self.decode(rows, split == Split::Train, &|done, all| progress(&what, done, all))
    }

    /// Decodes and scales images for a saved model.
    pub(super) fn decode(
        &self,
        rows: &Arc<TableRows>,
        augmented: bool,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Images> {
        let augmentation = if augmented { self.augmentation.clone() } else { Augmentation::default() };
        let on_bad_example = if self.collects { OnBadExample::Skip } else { self.on_bad_example };
        let options = ImageOptions { on_bad_example, augmentation, ..ImageOptions::default() };
        let patches = self.patches();
        let images = Images::encode(rows, &self.processor, &options, progress)?.with_patches(patches);
        let images = images.with_patch((self.made_for.patch.0 as usize, self.made_for.patch.1 as usize));
        let images = if augmented { images.with_sizes(self.sizes.clone()) } else { images };
        Ok(if self.masked { images.with_noise(patches) } else { images })
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
    pub(super) fn settings(&self) -> u64 {
        let processor = serde_json::Value::from(self.processor.config().clone()).to_string();
        random::mix(&[self.size.0 as u64, self.size.1 as u64, random::name_key(&processor)])
    }

    /// That 16-bit images are so dark that they lose most of their shades.
    fn grey_note(&self, train: &Images) -> Option<String> {
        let deepest = train.deepest_grey().filter(|&deepest| deepest < u16::MAX / 4)?;
        let range = self.processor.grey_range();
        (range == GreyRange::default()).then(|| {
            format!(
                "16-bit grey images reach {deepest} of 65535 only, so that few of 256 shades are left: \
                 --grey-range 0,{deepest} or auto keeps them"
            )
        })
    }

    /// What a person should know about the images and their size.
    pub(super) fn notes(&self, train: &Images) -> Vec<String> {
        let (height, width) = self.made_for.size;
        // Without positions, a model that has learnt nothing is made for no size.
        let made = !self.fresh || self.made_for.positions != Positions::Free;
        let differs = made && (height as usize, width as usize) != self.size;
        let positions = match self.made_for.positions {
            Positions::Free => "",
            Positions::Interpolated => ": positions are interpolated",
            Positions::InterpolatedOnRequest => {
                ": positions are interpolated (transformers needs interpolate_pos_encoding=True to do the same)"
            }
        };
        let note =
            format!("images are {}×{}, the model was made for {height}×{width}{positions}", self.size.0, self.size.1);
        let (tall, wide) = self.size;
        let whole = self.cuts.then(|| {
            format!("images are scaled whole to {tall}×{wide}, where the model's preprocessor_config.json cuts out their middle")
        });
        // Of other pictures nobody needs to know; pixels and boxes could be meant either way.
        let turned = Some(train.turned()).filter(|&count| self.collects && count > 0).map(|count| {
            format!(
                "{count} training images are turned or mirrored by their EXIF orientation, as viewers show them; what belongs \
                 to their pixels must be of the turned image"
            )
        });
        differs.then_some(note).into_iter().chain(whole).chain(turned).chain(self.grey_note(train)).collect()
    }
}

/// Sizes that differ by this share at most from the usual one.
fn training_sizes(processor: &ImageProcessor, made_for: &ImageInput, share: f64) -> Result<TrainingSizes> {
    if share == 0.0 {
        return Ok(TrainingSizes::Usual);
    }
    let Some((height, width)) = processor.output_size() else {
        let most = MOST_SIZES as i64;
        return Ok(TrainingSizes::Factors((-most..=most).map(|n| 1.0 + share * n as f64 / most as f64).collect()));
    };
    let of_step = |step: usize| {
        let (least, most) = (height as f64 * (1.0 - share), height as f64 * (1.0 + share));
        let tall = ((least / step as f64).ceil() as usize..=(most / step as f64) as usize).map(|n| n * step);
        let wide = |tall: usize| ((tall * width) as f64 / (height * step) as f64).round() as usize * step;
        let sizes = tall.map(|tall| (tall, wide(tall))).filter(|size| *size != (height, width));
        let fits = |&(tall, wide): &(usize, usize)| made_for.sizes.check((tall as i64, wide as i64)).is_ok();
        sizes.filter(fits).collect::<Vec<_>>()
    };
    let found: Vec<(usize, usize)> =
        SIZE_STEPS.into_iter().map(of_step).find(|sizes| sizes.len() > 1).unwrap_or_default();
    ensure!(
        !found.is_empty(),
        "multi-scale: this model takes no size near {height}×{width} but that one; give a larger share"
    );
    let every = found.len().div_ceil(2 * MOST_SIZES);
    let thinned = found.iter().copied().skip(every / 2).step_by(every);
    Ok(TrainingSizes::Sizes(thinned.chain([(height, width)]).collect()))
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
        ImagesInput::of(&Recipe::default(), folder.path(), &config).unwrap().settings()
    }

    #[test]
    fn sizes_around_the_usual_one_are_those_that_a_model_takes() {
        let of = |size: usize, share: f64| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/vit-image-classification");
            let config = CheckpointFolder::config(&folder).unwrap();
            let Takes::Images(made_for) = registry::takes(&config).unwrap() else { panic!("it takes images") };
            let processor = ImageProcessor::load(&folder, (size, size), 3).unwrap();
            training_sizes(&processor, &made_for, share)
        };
        let TrainingSizes::Sizes(sizes) = of(640, 0.25).unwrap() else { panic!("squares") };
        assert_eq!((sizes.len(), sizes.last()), (6, Some(&(640, 640))));
        let fits = |&(tall, wide): &(usize, usize)| tall == wide && tall % 32 == 0 && (480..=800).contains(&tall);
        assert!(sizes.iter().all(fits), "{sizes:?}");
        // Of a few pixels, whole patches still.
        let TrainingSizes::Sizes(sizes) = of(32, 0.5).unwrap() else { panic!("squares") };
        assert!(sizes.len() > 2 && sizes.iter().all(|(tall, _)| tall % 8 == 0), "{sizes:?}");
        assert!(of(32, 0.01).unwrap_err().to_string().contains("larger share"));
        assert_eq!(of(32, 0.0).unwrap(), TrainingSizes::Usual);
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

//! Object detection: boxes with classes.
//!
//! transformers' `…ForObjectDetection`. A set of boxes is learnt as a set (Carion et al. 2020): each object is matched with one
//! query. Answers and metrics are in pixels of the original. B images, N objects at most, Q queries, L classes.

mod answers;
mod data;
mod detector;
mod loss;
mod schedule;
mod settings;
mod threshold;

use super::backbone::{Backbone, BackboneSettings};
use super::drawn::{DrawSettings, Drawn};
use super::from_scratch::FromScratchSettings;
use super::images::{ClassesOf, ImageSettings, ImagesInput, SceneSettings, of_several};
use super::splits::Encoded;
use super::{Entry, Opening, Parts, Prepared, Preparing, Split, Work, parts};
use crate::Recipe;
use crate::metric::detection::KEY;
use crate::recipe::Settings;
use anyhow::{Context, Result, ensure};
use data::examples;
use detector::Detection;
use retune_data::{Boxes, Dataset, Examples, Images, Layout, ObjectRows, read_objects};
use retune_kernels::random;
use retune_models::{ModelConfig, heads};
use settings::DetectionSettings;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// The task.
pub(super) static ENTRY: Entry = Entry {
    name: "object-detection",
    purpose: &heads::OBJECT_DETECTION,
    settings: &[
        ImageSettings::SECTION,
        SceneSettings::SECTION,
        DetectionSettings::SECTION,
        DrawSettings::SECTION,
        BackboneSettings::SECTION,
        FromScratchSettings::SECTION,
    ],
    decides: Some(KEY),
    targets: &[LABELS, BOXES],
    loss: loss::saved_loss,
    prepare,
    open,
};

/// Names of the targets.
const LABELS: &str = "class_labels";
const BOXES: &str = "boxes";
/// Objects and images of the step that a batch belongs to, [B, 2].
const OF_STEP: &str = "of_step";

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    let recipe = from.recipe;
    let settings = recipe.read::<DetectionSettings>()?;
    let weights = heads::detection_weights(from.config)?;
    let input = ImagesInput::of(recipe, from.model, from.config)?.dense(recipe, false)?;
    of_several(recipe, "mosaic", recipe.read::<SceneSettings>()?.mosaic)?;
    of_several(recipe, "mixup", settings.mixup)?;
    let input = input.with_scene_mixup(settings.mixup);
    let layout = layout(recipe)?;
    let Encoded { train, validation, test } =
        Encoded::read(recipe, |path| read(&input, &settings, path, &layout, true))?;
    let encode = |split: Split, rows: &ObjectRows, classes: &ClassesOf<'_>| {
        let images = input.encode(split, rows.rows(), from.progress)?;
        examples(&input, &settings, (rows, images), classes)
    };
    let (train, mut notes) = encode(Split::Train, &train, &ClassesOf::Data(from.config))?;
    let names = train.targets().context("training data has objects")?.names().to_vec();
    ensure!(
        has_objects(&train),
        "train: no image of the training data has an object that could be learnt (crowds are not)"
    );
    let known = ClassesOf::Model(&names);
    let mut other = |split: Split, rows: Option<ObjectRows>| {
        let read = rows.map(|rows| encode(split, &rows, &known)).transpose()?;
        Ok::<_, anyhow::Error>(read.map(|(examples, more)| {
            notes.extend(more);
            examples
        }))
    };
    let validation = other(Split::Validation, validation)?;
    let test = other(Split::Test, test)?;
    notes.extend(input.notes(train.medium()));
    notes.push(format!("{} classes: {}", names.len(), names.join(", ")));
    notes.extend(too_many(&train, from.config));
    let mut splits =
        Encoded { train, validation, test }.splits::<Detection>(recipe, random::mix(&[input.settings()]), notes)?;
    let grafted = Backbone::named(recipe)?.is_some();
    let learns = schedule::Learns::of(recipe, from.config, grafted, &names);
    let rows = Dataset::len(splits.train());
    splits.about.notes.extend(learns.and_then(|learns| schedule::too_short(recipe, rows, learns)));
    let task = Detection::new(names, weights, &settings, Drawn::new(recipe.read()?)).with_file(input.processor_file()?);
    Ok(Box::new(Prepared::new(task, splits)))
}

/// Whether there is an object to learn from.
fn has_objects(train: &Examples<Images, Boxes>) -> bool {
    let learnt = |boxes: &Boxes, example| boxes.objects(example).iter().any(|object| !object.crowd);
    train.targets().is_some_and(|boxes| train.inner_examples().into_iter().any(|example| learnt(boxes, example)))
}

/// That images have more objects than the model has queries, which can then never all be found.
fn too_many(train: &Examples<Images, Boxes>, config: &ModelConfig) -> Option<String> {
    let queries = ["num_queries", "num_detection_tokens"].iter().find_map(|field| config.size(field).ok())? as usize;
    let boxes = train.targets()?;
    let count = train.inner_examples().into_iter().filter(|&example| boxes.objects(example).len() > queries).count();
    (count > 0)
        .then(|| format!("{count} training images have more objects than the model's {queries} queries can find"))
}

fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let settings = from.recipe.read::<DetectionSettings>()?;
    let input = Rc::new(ImagesInput::of(from.recipe, from.model, from.config)?.dense(from.recipe, false)?);
    let count = from.config.label_count() as usize;
    let names = from.config.labels().unwrap_or_else(|| (0..count).map(|i| format!("LABEL_{i}")).collect());
    let (weights, drawn) = (heads::detection_weights(from.config)?, Drawn::new(from.recipe.read()?));
    let task = Detection::new(names.clone(), weights, &settings, drawn);
    let (layout, progress, targets) = (layout(from.recipe)?, from.progress, from.targets);
    let encode = {
        let (input, settings) = (Rc::clone(&input), settings.clone());
        move |rows: ObjectRows| {
            let report = |done, all| progress("decoding", done, all);
            let streamed = rows.rows().streamed();
            let images = input.decode(rows.rows(), false, if streamed { &|_, _| {} } else { &report })?;
            if targets {
                return examples(&input, &settings, (&rows, images), &ClassesOf::Model(&names)).map(|read| read.0);
            }
            let images = input.complete(images)?;
            Ok(Examples::new(Arc::clone(rows.rows()) as _, images, None)?)
        }
    };
    let file = |path: &Path| read(&input, &settings, path, &layout, targets);
    let lines = |reader| {
        let mut next = input.lines(reader, &layout)?;
        Ok(Box::new(move |most| Ok(next(most)?.map(ObjectRows::bare))) as parts::NextRows<'_, ObjectRows>)
    };
    parts::parts(task, from.input, file, lines, encode)
}

fn read(
    input: &ImagesInput,
    settings: &DetectionSettings,
    path: &Path,
    layout: &Layout,
    objects: bool,
) -> Result<ObjectRows> {
    let folder = settings.image_folder.as_deref();
    Ok(read_objects(path, folder, layout, &settings.objects_column, (objects, input.on_bad_example()))?)
}

fn layout(recipe: &Recipe) -> Result<Layout> {
    let images = recipe.read::<ImageSettings>()?;
    Ok(Layout::image(images.image_column).group(recipe.data.group_column.clone()))
}

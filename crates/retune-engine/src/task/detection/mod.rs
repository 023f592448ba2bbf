//! Object detection: boxes with classes.
//!
//! transformers' `…ForObjectDetection`. A set of boxes is learnt as a set (Carion et al. 2020): each object is matched with one
//! query. Answers and metrics are in pixels of the original. B images, N objects at most, Q queries, L classes.

mod answers;
mod data;
mod scorer;
mod settings;
mod threshold;

use super::images::{ClassesOf, ImageSettings, ImagesInput};
use super::splits::Encoded;
use super::written::Written;
use super::{
    BatchTensors, Data, Decision, Entry, Guess, LossOf, Opening, Parts, Phase, Prepared, Preparing, Scorer, Split,
    Task, Turn, Work, parts,
};
use crate::Recipe;
use crate::metric::detail::Picture;
use crate::metric::detection::KEY;
use crate::metric::{FoundBox, Said, TrueBox};
use crate::recipe::Settings;
use answers::Raw;
use anyhow::{Context, Result, ensure};
use data::examples;
use retune_data::{
    Array, ArrayData, Batch, Boxes, Dataset, DrawnBox, Examples, IGNORED, ImageObject, Images, Layout, ObjectRows,
    read_objects,
};
use retune_kernels::loss::{self, DetectionWeights, IGNORE_INDEX, Objects, StepObjects, SummedLoss};
use retune_kernels::random;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::{Mode, ModelConfig, NewHead, Tensors, heads};
use serde_json::{Map, Value, json};
use settings::DetectionSettings;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use tempfile::TempDir;
use threshold::Threshold;

/// The task.
pub(super) static ENTRY: Entry = Entry {
    name: "object-detection",
    purpose: &heads::OBJECT_DETECTION,
    settings: &[ImageSettings::SECTION, DetectionSettings::SECTION],
    decides: Some(KEY),
    targets: &[LABELS, BOXES],
    loss: saved_loss,
    prepare,
    open,
};

/// Names of the targets.
const LABELS: &str = "class_labels";
const BOXES: &str = "boxes";
/// Objects and images of the step that a batch belongs to, [B, 2].
const OF_STEP: &str = "of_step";
/// Longer side of a picture in the report, in pixels.
const PICTURE_SIDE: usize = 280;

/// The loss of a saved model, for raw outputs, as transformers' class computes it.
fn saved_loss(config: &ModelConfig) -> Result<LossOf> {
    let (weights, classes) = (heads::detection_weights(config)?, config.label_count());
    Ok(Box::new(move |outputs, batch| {
        let (labels, boxes) = (batch.targets.get(LABELS)?, batch.targets.get(BOXES)?);
        let shape = labels.size();
        ensure!(shape.len() == 2, "{LABELS}: shape {shape:?}, not [images, objects]; fill rows up with {IGNORE_INDEX}");
        ensure!(
            boxes.size() == [shape[0], shape[1], 4],
            "{BOXES}: shape {:?}, not [{}, {}, 4] as {LABELS} say",
            boxes.size(),
            shape[0],
            shape[1]
        );
        // PyTorch would read memory that is not there.
        let there = labels.ne(IGNORE_INDEX);
        let outside = labels.ge(classes).logical_or(&labels.lt(0)).logical_and(&there);
        ensure!(
            !outside.any().f_int64_value(&[]).map(|any| any != 0)?,
            "{LABELS}: a class outside 0..{classes}, and not {IGNORE_INDEX}"
        );
        let gap = there
            .narrow(1, 1, (shape[1] - 1).max(0))
            .logical_and(&there.narrow(1, 0, (shape[1] - 1).max(0)).logical_not());
        ensure!(
            !gap.any().f_int64_value(&[]).map(|any| any != 0)?,
            "{LABELS}: {IGNORE_INDEX} before a class; it stands behind the objects of an image"
        );
        let objects = Objects { labels, boxes };
        let all = of_layers(outputs)?;
        let all: Vec<(&Tensor, &Tensor)> = all.iter().map(|(logits, boxes)| (logits, boxes)).collect();
        Ok(loss::detection_loss(&all, objects, &weights, None))
    }))
}

/// Logits and boxes of the last layer, and of the earlier ones where they are learnt, too.
fn of_layers(outputs: &Tensors) -> Result<Vec<(Tensor, Tensor)>> {
    let mut all = vec![(outputs.get("logits")?.shallow_clone(), outputs.get("pred_boxes")?.shallow_clone())];
    let earlier = (outputs.optional(heads::EARLIER_LOGITS), outputs.optional(heads::EARLIER_BOXES));
    if let (Some(logits), Some(boxes)) = earlier {
        all.extend((0..logits.size()[1]).map(|layer| (logits.select(1, layer), boxes.select(1, layer))));
    }
    Ok(all)
}

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    let recipe = from.recipe;
    let settings = recipe.read::<DetectionSettings>()?;
    let weights = heads::detection_weights(from.config)?;
    let input = ImagesInput::of(recipe, from.model, from.config)?.dense(false)?;
    let layout = layout(recipe)?;
    let Encoded { train, validation, test } =
        Encoded::read(recipe, |path| read(&input, &settings, path, &layout, true))?;
    let encode = |split: Split, rows: &ObjectRows, classes: &ClassesOf<'_>| {
        let images = input.encode(split, rows.rows(), from.progress)?;
        examples(&input, &settings, (rows, images), classes)
    };
    let (train, mut notes) = encode(Split::Train, &train, &ClassesOf::Data(from.config))?;
    let names = train.targets().context("training data has objects")?.names().to_vec();
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
    let splits = Encoded { train, validation, test }.splits(recipe, random::mix(&[input.settings()]), notes)?;
    let (folder, file) = input.processor_file()?;
    let task = Detection { files: vec![file], _folder: Some(folder), ..Detection::new(names, weights, &settings) };
    Ok(Box::new(Prepared::new(task, splits)))
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
    let input = Rc::new(ImagesInput::of(from.recipe, from.model, from.config)?.dense(false)?);
    let count = from.config.label_count() as usize;
    let names = from.config.labels().unwrap_or_else(|| (0..count).map(|i| format!("LABEL_{i}")).collect());
    let task = Detection::new(names.clone(), heads::detection_weights(from.config)?, &settings);
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

/// Boxes of known classes.
pub(super) struct Detection {
    names: Vec<String>,
    weights: DetectionWeights,
    threshold: Threshold,
    nms: Option<f64>,
    draw: Option<PathBuf>,
    written: Written,
    files: Vec<PathBuf>,
    _folder: Option<TempDir>,
}

impl Detection {
    fn new(names: Vec<String>, weights: DetectionWeights, settings: &DetectionSettings) -> Self {
        Self {
            names,
            weights,
            threshold: Threshold::new(settings.score_threshold),
            nms: settings.nms,
            draw: settings.draw.clone(),
            written: Written::default(),
            files: Vec::new(),
            _folder: None,
        }
    }

    /// Boxes that are sure enough.
    fn sure<'a>(&self, found: &'a [FoundBox]) -> impl Iterator<Item = &'a FoundBox> + use<'a> {
        let threshold = self.threshold.value();
        found.iter().filter(move |one| one.score >= threshold)
    }

    /// Outputs for each row. Where images are of several sizes, each is looked at without the padding that the others ask for:
    /// an answer does not depend on what else is in its batch.
    fn raw(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Raw>> {
        let pixels = turn.batch.inputs.optional("pixel_values").filter(|pixels| pixels.dim() == 4);
        let size = |&row: &usize| {
            let example = turn.data.inner_example(turn.data.example(row));
            turn.data.medium().seen_size(example)
        };
        let sizes = turn.rows.iter().map(size).collect::<Result<Vec<_>, _>>()?;
        let mut groups: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        sizes.iter().enumerate().for_each(|(place, size)| groups.entry(*size).or_default().push(place));
        let mut all: Vec<Option<Raw>> = turn.rows.iter().map(|_| None).collect();
        let mut put = |outputs: &Tensors, places: &[usize], frame: (usize, usize)| -> Result<()> {
            let host = |name: &str| -> Result<Tensor> {
                Ok(outputs.get(name)?.to_kind(Kind::Float).to_device(Device::Cpu).contiguous())
            };
            let (logits, boxes) = (host("logits")?, host("pred_boxes")?);
            let found = logits.size().get(2).copied().unwrap_or(0) as usize;
            ensure!(found == self.names.len() + 1, "the model has {found} outputs, not {} and one", self.names.len());
            for (i, &place) in (0i64..).zip(places) {
                let flat = |of: &Tensor| -> Result<Vec<f32>> { Ok(Vec::try_from(of.f_get(i)?.f_reshape([-1])?)?) };
                all[place] = Some(Raw { logits: flat(&logits)?, boxes: flat(&boxes)?, frame });
            }
            Ok(())
        };
        match pixels.filter(|_| groups.len() > 1) {
            None => {
                let places: Vec<usize> = (0..turn.rows.len()).collect();
                put(turn.outputs()?, &places, sizes[0])?;
            }
            Some(pixels) => {
                for ((height, width), places) in groups {
                    let rows: Vec<i64> = places.iter().map(|&place| place as i64).collect();
                    let rows = Tensor::from_slice(&rows).to_device(pixels.device());
                    let cut = pixels.index_select(0, &rows).narrow(2, 0, height as i64).narrow(3, 0, width as i64);
                    let shape = [places.len() as i64, height as i64, width as i64];
                    let mask = Tensor::ones(shape, (Kind::Int64, pixels.device()));
                    let inputs = Tensors::from([("pixel_values", cut.contiguous()), ("pixel_mask", mask)]);
                    put(&turn.network.forward(&inputs, &Mode::evaluation())?, &places, (height, width))?;
                }
            }
        }
        Ok(all.into_iter().flatten().collect())
    }

    fn drawn(&self, found: &[FoundBox]) -> Vec<DrawnBox> {
        // The surest one is drawn last, over the others.
        let mut boxes: Vec<DrawnBox> =
            self.sure(found).map(|it| DrawnBox { corners: it.corners, class: it.class, dashed: false }).collect();
        boxes.reverse();
        boxes
    }

    fn words(&self, found: &[FoundBox]) -> String {
        let words = self.sure(found).map(|it| format!("{} {:.2}", self.names[it.class], it.score));
        let words: Vec<String> = words.collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    }
}

/// What a metric wants to know of objects.
fn true_boxes(objects: &[ImageObject]) -> Vec<TrueBox> {
    let of = |it: &ImageObject| TrueBox { class: it.class, corners: it.corners, area: it.area, crowd: it.crowd };
    objects.iter().map(of).collect()
}

/// To a hundredth of a pixel, or of a percent.
fn rounded(x: f64, places: i32) -> f64 {
    let factor = 10f64.powi(places);
    (x * factor).round() / factor
}

impl Task for Detection {
    type Medium = Images;
    type Targets = Boxes;
    /// Boxes in pixels of the original, the surest first, those included that are not sure enough to be told.
    type Answer = Vec<FoundBox>;

    fn head(&self) -> NewHead {
        NewHead::of(ENTRY.purpose).labels(self.names.clone())
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, _phase: Phase) -> Result<SummedLoss> {
        let objects = Objects { labels: batch.targets.get(LABELS)?, boxes: batch.targets.get(BOXES)? };
        let step = batch.targets.optional(OF_STEP).map(|of| -> Result<StepObjects> {
            Ok(StepObjects { objects: of.f_double_value(&[0, 0])?, images: of.f_double_value(&[0, 1])? })
        });
        let all = of_layers(outputs)?;
        let all: Vec<(&Tensor, &Tensor)> = all.iter().map(|(logits, boxes)| (logits, boxes)).collect();
        Ok(loss::detection_loss(&all, objects, &self.weights, step.transpose()?))
    }

    /// Two means of different weights are summed: each must know what divides it in the whole step.
    fn of_step(&self, window: &mut [Batch]) {
        let objects = |batch: &Batch| match batch.targets.get(LABELS).map(|labels| &labels.data) {
            Some(ArrayData::I64(labels)) => labels.iter().filter(|label| **label != IGNORED).count(),
            _ => 0,
        };
        let all: usize = window.iter().map(objects).sum();
        let images: usize = window.iter().map(|batch| batch.rows.len()).sum();
        for batch in window {
            let rows = batch.rows.len();
            let numbers = [all as f32, images as f32].repeat(rows);
            batch.targets.insert(OF_STEP.to_owned(), Array::floats(&[rows, 2], numbers));
        }
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Vec<FoundBox>>> {
        let of_row = |(raw, &row): (Raw, &usize)| {
            let example = turn.data.inner_example(turn.data.example(row));
            let (moves, size) = (turn.data.seen(row)?.moves, turn.data.medium().original_size(example));
            let found = answers::found(&raw, self.names.len(), &moves, size);
            Ok(match self.nms {
                Some(most) => answers::suppressed(found, most),
                None => found,
            })
        };
        self.raw(turn)?.into_iter().zip(turn.rows).map(of_row).collect()
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(scorer::BoxScorer::new(&self.names, self.threshold.clone()))
    }

    /// Of each class the mean box, as sure as images have the class.
    fn guess(&self, train: &Data<Self>) -> Result<Option<Guess<'_, Self>>> {
        let mut sums = vec![([0f64; 4], 0f64, 0f64); self.names.len()];
        for example in 0..train.examples() {
            let (width, height) = train.medium().original_size(train.inner_example(example));
            let sides = [width, height, width, height].map(|side| side as f64);
            let gold = train.gold(example)?.context("training data has objects")?;
            for object in &gold {
                let (sum, count, _) = &mut sums[object.class];
                sum.iter_mut().zip(object.corners.iter().zip(sides)).for_each(|(sum, (at, side))| *sum += at / side);
                *count += 1.0;
            }
            for (class, (_, _, images)) in sums.iter_mut().enumerate() {
                *images += f64::from(u8::from(gold.iter().any(|object| object.class == class)));
            }
        }
        let all = train.examples().max(1) as f64;
        let answer = move |data: &Data<Self>, example: usize| {
            let (width, height) = data.medium().original_size(data.inner_example(example));
            let sides = [width, height, width, height].map(|side| side as f64);
            let there = sums.iter().enumerate().filter(|(_, (_, count, _))| *count > 0.0);
            let mean = there.map(|(class, (sum, count, images))| {
                let corners = [0, 1, 2, 3].map(|i| sum[i] / count * sides[i]);
                FoundBox { class, score: images / all, corners }
            });
            Ok(mean.collect())
        };
        Ok(Some(Guess { name: "mean box of each class", answer: Box::new(answer) }))
    }

    fn ideal(&self, data: &Data<Self>, example: usize) -> Result<Option<Vec<FoundBox>>> {
        let gold = data.gold(example)?.context("the data has no objects")?;
        let of = |it: &ImageObject| FoundBox { class: it.class, score: 1.0, corners: it.corners };
        Ok(Some(gold.iter().filter(|it| !it.crowd).map(of).collect()))
    }

    fn decides(&self) -> bool {
        self.threshold.decides()
    }

    fn adopt(&self, decision: &Decision) -> Result<()> {
        self.threshold.adopt(decision)
    }

    fn describe(&self, _data: &Data<Self>, _example: usize, found: &Vec<FoundBox>) -> Result<Map<String, Value>> {
        let object = |it: &FoundBox| {
            let [left, top, right, bottom] = it.corners;
            let sides = [left, top, right - left, bottom - top].map(|side| rounded(side, 2));
            json!({"label": self.names[it.class], "score": rounded(it.score, 4), "box": sides})
        };
        let objects: Vec<Value> = self.sure(found).map(object).collect();
        Ok(Map::from_iter([("objects".to_owned(), Value::Array(objects))]))
    }

    /// With `--draw`, a PNG of the image with the boxes that are sure enough.
    fn write(
        &self,
        data: &Data<Self>,
        example: usize,
        found: &Vec<FoundBox>,
        _folder: Option<&Path>,
    ) -> Result<Map<String, Value>> {
        let Some(folder) = &self.draw else { return Ok(Map::new()) };
        let source = data.source(example)?;
        let image = source.fields.values().find_map(Value::as_str).unwrap_or_default();
        let path = folder.join(self.written.name(image, "image"));
        let png = data.medium().with_boxes(data.inner_example(example), &self.drawn(found), usize::MAX)?;
        let write = || {
            std::fs::create_dir_all(folder)?;
            std::fs::write(&path, png)
        };
        write().with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Map::from_iter([("drawn".to_owned(), path.display().to_string().into())]))
    }

    fn pictures(&self, data: &Data<Self>, example: usize, found: &Vec<FoundBox>) -> Result<Vec<Picture>> {
        let inner = data.inner_example(example);
        let truth = data.gold(example)?.map(|gold| {
            let of = |it: &ImageObject| DrawnBox { corners: it.corners, class: it.class, dashed: it.crowd };
            gold.iter().map(of).collect::<Vec<_>>()
        });
        let shown = truth.into_iter().map(|boxes| (boxes, "true")).chain([(self.drawn(found), "predicted")]);
        // That an original is gone must not cost a finished run its report.
        let picture = |(boxes, name): (Vec<DrawnBox>, &str)| {
            let png = data.medium().with_boxes(inner, &boxes, PICTURE_SIDE).ok()?;
            Some(Picture { png, caption: name.to_owned() })
        };
        Ok(shown.filter_map(picture).collect())
    }

    fn said(&self, data: &Data<Self>, example: usize, found: &Vec<FoundBox>) -> Result<Said> {
        let gold = data.gold(example)?.unwrap_or_default();
        let count = |class: usize| gold.iter().filter(|it| it.class == class).count();
        let of = |(class, name): (usize, &String)| match count(class) {
            0 => None,
            1 => Some(name.clone()),
            count => Some(format!("{count} × {name}")),
        };
        let right: Vec<String> = self.names.iter().enumerate().filter_map(of).collect();
        let right = if right.is_empty() { "nothing".to_owned() } else { right.join(", ") };
        Ok(Said { prediction: self.words(found), right, ..Said::default() })
    }

    fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

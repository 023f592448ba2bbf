//! Semantic segmentation: a class for each pixel.
//!
//! transformers' `…ForSemanticSegmentation`. The loss is that of logits brought to the size that the model sees; answers and
//! metrics are in pixels of the original. B images, L classes, h and w map of the logits, H and W size that the model sees.

mod data;
mod loss;
mod raw_loss;
mod resized;
mod scorer;
mod settings;

use super::class_loss::{ClassLossSettings, SmoothingSettings};
use super::drawn::{DrawSettings, Drawn};
use super::from_scratch::FromScratchSettings;
use super::images::{ClassesOf, ImageSettings, ImagesInput, SceneSettings, of_several};
use super::splits::Encoded;
use super::written::Written;
use super::{
    BatchTensors, Data, Entry, Guess, Opening, Parts, Phase, Prepared, Preparing, Scorer, Split, Task, Turn, Work,
    parts,
};
use crate::Recipe;
use crate::metric::Said;
use crate::metric::detail::Picture;
use crate::number;
use crate::recipe::Settings;
use anyhow::{Context, Result, ensure};
use data::examples;
use loss::{MaskLoss, MaskLossSettings, Training};
use raw_loss::saved_loss;
use retune_data::{
    Dataset, Examples, Images, Layout, Mask, Masks, Moves, NO_CLASS, TableRows, coco_counts, coco_string, mask_png,
};
use retune_kernels::loss::{SummedLoss, with_ignored};
use retune_kernels::random;
use retune_kernels::tch::{Device, Kind};
use retune_models::{NewHead, SegmenterLoss, Tensors, heads};
use serde_json::{Map, Value, json};
use settings::SegmentationSettings;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use tempfile::TempDir;

/// The task.
pub(super) static ENTRY: Entry = Entry {
    name: "semantic-segmentation",
    purpose: &heads::SEMANTIC_SEGMENTATION,
    settings: &[
        ImageSettings::SECTION,
        SceneSettings::SECTION,
        SegmentationSettings::SECTION,
        DrawSettings::SECTION,
        MaskLossSettings::SECTION,
        SmoothingSettings::SECTION,
        ClassLossSettings::SECTION,
        FromScratchSettings::SECTION,
    ],
    decides: None,
    targets: &["labels"],
    loss: saved_loss,
    prepare,
    open,
};

/// Longer side of a picture in the report, in pixels.
const PICTURE_SIDE: usize = 240;
/// Side of the grid of places of the guess.
const GRID: usize = 32;
/// Classes that a sentence about a mask names, at most.
const MOST_NAMED: usize = 4;

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    let recipe = from.recipe;
    let (settings, of_loss) = (recipe.read::<SegmentationSettings>()?, recipe.read::<ClassLossSettings>()?);
    let mask_loss = recipe.read::<MaskLossSettings>()?;
    mask_loss.check()?;
    of_several(recipe, "mosaic", recipe.read::<SceneSettings>()?.mosaic)?;
    let input = ImagesInput::of(recipe, from.model, from.config)?.dense(recipe, settings.reduce_labels)?;
    let layout = layout(recipe, &settings)?;
    let Encoded { train, validation, test } = Encoded::read(recipe, |path| input.read(path, &layout, true))?;
    let read = |split: Split, rows: Arc<TableRows>, classes: &ClassesOf<'_>| {
        let images = input.encode(split, &rows, from.progress)?;
        let what = format!("reading {} masks", split.whole_name());
        examples(&input, &settings, (rows, images), classes, &|done, all| (from.progress)(&what, done, all))
    };
    let train = read(Split::Train, train, &ClassesOf::Data(from.config))?;
    let names = train.targets().context("training data has masks")?.names().to_vec();
    let masks = train.targets().context("training data has masks")?;
    let has_class = |example: usize| masks.counts(example).0.iter().any(|&count| count > 0);
    ensure!(
        train.inner_examples().into_iter().any(has_class),
        "train: no pixel of the training masks has a class; see --ignore-index and --ignore-classes"
    );
    let known = ClassesOf::Model(&names);
    let validation = validation.map(|rows| read(Split::Validation, rows, &known)).transpose()?;
    let test = test.map(|rows| read(Split::Test, rows, &known)).transpose()?;
    let weights = match of_loss.class_weights.as_str() {
        "balanced" => Some(balanced(&train)?),
        _ => None,
    };
    let mut notes = input.notes(train.medium());
    notes.push(format!("{} classes: {}", names.len(), names.join(", ")));
    let fingerprint = random::mix(&[input.settings(), settings.ignore_index as u64]);
    let splits = Encoded { train, validation, test }.splits(recipe, fingerprint, notes)?;
    let (folder, file) = input.processor_file()?;
    let training = Training {
        weights,
        smoothing: recipe.read::<SmoothingSettings>()?.label_smoothing,
        auxiliary_weight: SegmenterLoss::of(from.config)?.auxiliary_weight,
    };
    let task = Segmentation {
        ignore_field: SegmenterLoss::ignore_field(from.config),
        files: vec![file],
        _folder: Some(folder),
        ..Segmentation::new(names, MaskLoss::new(&mask_loss, training), Drawn::new(recipe.read()?))
    };
    Ok(Box::new(Prepared::new(task, splits)))
}

fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let settings = from.recipe.read::<SegmentationSettings>()?;
    let input =
        Rc::new(ImagesInput::of(from.recipe, from.model, from.config)?.dense(from.recipe, settings.reduce_labels)?);
    let count = from.config.label_count() as usize;
    ensure!(
        count >= 2,
        "config.json: the model has one output; two classes or more are needed to answer with one of them"
    );
    let names = from.config.labels().unwrap_or_else(|| (0..count).map(|i| format!("LABEL_{i}")).collect());
    let loss = MaskLoss::new(&from.recipe.read::<MaskLossSettings>()?, Training::default());
    let task = Segmentation::new(names.clone(), loss, Drawn::new(from.recipe.read()?));
    let (layout, progress, targets) = (layout(from.recipe, &settings)?, from.progress, from.targets);
    let encode = {
        let input = Rc::clone(&input);
        move |rows: Arc<TableRows>| {
            let report = |done, all| progress("decoding", done, all);
            let images = input.decode(&rows, false, if rows.streamed() { &|_, _| {} } else { &report })?;
            if !targets {
                return input.complete(images).and_then(|images| Ok(Examples::new(rows, images, None)?));
            }
            let report = |done, all| progress("reading masks", done, all);
            examples(&input, &settings, (rows, images), &ClassesOf::Model(&names), &report)
        }
    };
    let file = |path: &Path| input.read(path, &layout, targets);
    parts::parts(task, from.input, file, |reader| input.lines(reader, &layout), encode)
}

fn layout(recipe: &Recipe, settings: &SegmentationSettings) -> Result<Layout> {
    let images = recipe.read::<ImageSettings>()?;
    let images = Layout::image(images.image_column);
    let layout = match &settings.mask_column {
        Some(column) => images.masks(column),
        None => images.usual_masks(),
    };
    Ok(layout.group(recipe.data.group_column.clone()))
}

/// As scikit-learn's `balanced`, of pixels; 1 for classes that do not occur.
fn balanced(train: &Examples<Images, Masks>) -> Result<Vec<f32>> {
    let masks = train.targets().context("training data has masks")?;
    let mut counts = vec![0u64; masks.names().len()];
    for example in train.inner_examples() {
        counts.iter_mut().zip(masks.counts(example).0).for_each(|(all, count)| *all += count);
    }
    let (all, there) = (counts.iter().sum::<u64>(), counts.iter().filter(|&&count| count > 0).count());
    let weight = |&count: &u64| if count == 0 { 1.0 } else { all as f32 / (there as f32 * count as f32) };
    Ok(counts.iter().map(weight).collect())
}

struct Segmentation {
    names: Arc<Vec<String>>,
    loss: MaskLoss,
    /// Where config.json says which label counts in no loss.
    ignore_field: &'static str,
    files: Vec<PathBuf>,
    /// Where they lie; it goes with the task.
    _folder: Option<TempDir>,
    drawn: Drawn,
    /// Mask files.
    written: Written,
}

impl Segmentation {
    fn new(names: Vec<String>, loss: MaskLoss, drawn: Drawn) -> Self {
        Self {
            names: Arc::new(names),
            loss,
            ignore_field: "semantic_loss_ignore_index",
            files: Vec::new(),
            _folder: None,
            drawn,
            written: Written::default(),
        }
    }

    /// Classes of a mask with their share of the pixels that have one, the largest first.
    fn shares(&self, mask: &Mask) -> Vec<(u8, f64)> {
        let mut counts = vec![0u64; self.names.len()];
        mask.classes.iter().filter(|&&class| class != NO_CLASS).for_each(|&class| counts[usize::from(class)] += 1);
        let all = counts.iter().sum::<u64>().max(1) as f64;
        let there = (0u8..).zip(&counts).filter(|(_, count)| **count > 0);
        let mut shares: Vec<(u8, f64)> = there.map(|(class, &count)| (class, count as f64 / all)).collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares
    }

    /// A mask in words.
    fn words(&self, mask: &Mask) -> String {
        let shares = self.shares(mask);
        let named = shares.iter().take(MOST_NAMED);
        let words =
            named.map(|&(class, share)| format!("{} {}", self.names[usize::from(class)], number::percent(share)));
        let more = if shares.len() > MOST_NAMED { ", …" } else { "" };
        words.collect::<Vec<_>>().join(", ") + more
    }
}

impl Task for Segmentation {
    type Medium = Images;
    type Targets = Masks;
    /// A class for each pixel of the original.
    type Answer = Mask;

    const ROWS_TOGETHER: usize = 64;

    fn head(&self) -> NewHead {
        NewHead::of(ENTRY.purpose).labels(self.names.to_vec()).field(self.ignore_field, i64::from(NO_CLASS))
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, phase: Phase) -> Result<SummedLoss> {
        self.loss.of_batch(outputs, &with_ignored(batch.targets.get("labels")?, NO_CLASS.into()), phase)
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Mask>> {
        let logits = turn.outputs()?.get("logits")?.to_kind(Kind::Float).to_device(Device::Cpu).contiguous();
        let [_, classes, height, width] = logits.size()[..] else { anyhow::bail!("logits are [B, L, h, w]") };
        ensure!(classes as usize == self.names.len(), "the model has {classes} classes, not {}", self.names.len());
        let size = (classes as usize, height as usize, width as usize);
        let of_row = |(place, &row): (i64, &usize)| {
            let values = Vec::<f32>::try_from(logits.f_get(place)?.f_reshape([-1])?)?;
            let example = turn.data.inner_example(turn.data.example(row));
            Ok(resized::best_classes(&values, size, turn.data.medium().original_size(example)))
        };
        (0i64..).zip(turn.rows).map(of_row).collect()
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(scorer::Pixels::new(&self.names))
    }

    fn guess(&self, train: &Data<Self>) -> Result<Option<Guess<'_, Self>>> {
        let classes = self.names.len();
        let mut counts = vec![0u32; GRID * GRID * classes];
        let mut of_all = vec![0u64; classes];
        for example in 0..train.examples() {
            let mask = train.gold(example)?.context("training data has masks")?;
            let cells = scaled(&mask.classes, (mask.width, mask.height), (GRID, GRID));
            for (place, &class) in cells.iter().enumerate().filter(|(_, class)| **class != NO_CLASS) {
                counts[place * classes + usize::from(class)] += 1;
                of_all[usize::from(class)] += 1;
            }
        }
        // Of classes that are as frequent, the first one.
        let usual = (0..classes).rev().max_by_key(|&class| of_all[class]).unwrap_or(0);
        let most = |counts: &[u32]| {
            let best = (0..classes).rev().max_by_key(|&class| counts[class]).filter(|&class| counts[class] > 0);
            best.unwrap_or(usual) as u8
        };
        let grid: Vec<u8> = counts.chunks_exact(classes).map(most).collect();
        let answer = move |data: &Data<Self>, example: usize| {
            let (width, height) = data.medium().original_size(data.inner_example(example));
            Ok(Mask { width, height, classes: scaled(&grid, (GRID, GRID), (width, height)) })
        };
        Ok(Some(Guess { name: "most frequent class of each place", answer: Box::new(answer) }))
    }

    fn ideal(&self, data: &Data<Self>, example: usize) -> Result<Option<Mask>> {
        data.gold(example).map_err(Into::into)
    }

    fn describe(&self, _data: &Data<Self>, _example: usize, mask: &Mask) -> Result<Map<String, Value>> {
        let size = (mask.width, mask.height);
        let class = |(class, share): (u8, f64)| {
            let counts = coco_string(&coco_counts(&mask.classes, size, class));
            let rle = json!({"size": [mask.height, mask.width], "counts": counts});
            json!({"label": self.names[usize::from(class)], "id": class, "share": share, "rle": rle})
        };
        let classes: Vec<Value> = self.shares(mask).into_iter().map(class).collect();
        Ok(Map::from_iter([("classes".to_owned(), Value::Array(classes))]))
    }

    /// A PNG of 8-bit grey, of the original's size, whose values are the places of classes in `id2label`; with `--draw` a picture, too,
    /// with the mask over it and the names of its classes below.
    fn write(
        &self,
        data: &Data<Self>,
        example: usize,
        mask: &Mask,
        folder: Option<&Path>,
    ) -> Result<Map<String, Value>> {
        let legend: Vec<(u8, &str)> =
            self.shares(mask).into_iter().map(|(class, _)| (class, self.names[usize::from(class)].as_str())).collect();
        let png = || Ok(data.medium().overlay(data.inner_example(example), mask, &legend, usize::MAX)?);
        let drawn = self.drawn.write(data, example, png)?;
        let Some(folder) = folder else { return Ok(drawn) };
        let source = data.source(example)?;
        let image = source.fields.values().find_map(Value::as_str).unwrap_or_default();
        let path = self.written.write(folder, (image, "mask"), &mask_png(mask).map_err(anyhow::Error::msg)?)?;
        let name = path.file_name().unwrap_or_default();
        let beside = folder.file_name().map_or_else(|| path.clone(), |folder| Path::new(folder).join(name));
        let written = [("mask".to_owned(), beside.display().to_string().into())];
        Ok(written.into_iter().chain(drawn).collect())
    }

    fn pictures(&self, data: &Data<Self>, example: usize, mask: &Mask) -> Result<Vec<Picture>> {
        let inner = data.inner_example(example);
        let gold = data.gold(example)?.map(|gold| (gold, "true"));
        let shown = gold.iter().map(|(gold, name)| (gold, *name)).chain([(mask, "predicted")]);
        // That an original is gone must not cost a finished run its report.
        let picture = |(mask, name): (&Mask, &str)| {
            let png = data.medium().overlay(inner, mask, &[], PICTURE_SIDE).ok()?;
            Some(Picture { png, caption: name.to_owned() })
        };
        Ok(shown.filter_map(picture).collect())
    }

    fn said(&self, data: &Data<Self>, example: usize, mask: &Mask) -> Result<Said> {
        let right = data.gold(example)?.map(|gold| self.words(&gold)).unwrap_or_default();
        Ok(Said { prediction: self.words(mask), right, ..Said::default() })
    }

    fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

/// Cells of one size as those of another, each the nearest one.
fn scaled(cells: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    Moves::scaling(from, to).pick(cells, NO_CLASS)
}

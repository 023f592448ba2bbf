//! The task itself: what a detector learns, answers and shows.

mod scorer;

use super::answers::{self, Raw};
use super::settings::DetectionSettings;
use super::threshold::Threshold;
use super::{ENTRY, loss};
use crate::metric::detail::Picture;
use crate::metric::{FoundBox, Said, TrueBox};
use crate::task::drawn::Drawn;
use crate::task::{BatchTensors, Data, Decision, Guess, Phase, Scorer, Task, Turn};
use anyhow::{Context, Result, ensure};
use retune_data::{Batch, Boxes, Dataset, DrawnBox, ImageObject, Images};
use retune_kernels::loss::{DetectionWeights, SummedLoss};
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::{Mode, NewHead, Tensors};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Longer side of a picture in the report, in pixels.
const PICTURE_SIDE: usize = 280;

/// Boxes of known classes.
pub(in crate::task) struct Detection {
    names: Vec<String>,
    weights: DetectionWeights,
    threshold: Threshold,
    nms: Option<f64>,
    drawn: Drawn,
    /// The processor's file, and the folder that it is in.
    files: Vec<PathBuf>,
    _folder: Option<TempDir>,
}

impl Detection {
    pub(super) fn new(
        names: Vec<String>,
        weights: DetectionWeights,
        settings: &DetectionSettings,
        drawn: Drawn,
    ) -> Self {
        Self {
            names,
            weights,
            threshold: Threshold::new(settings.score_threshold),
            nms: settings.nms,
            drawn,
            files: Vec::new(),
            _folder: None,
        }
    }

    /// The same with a file that belongs into the saved model, in its folder.
    pub(super) fn with_file(self, (folder, file): (TempDir, PathBuf)) -> Self {
        Self { files: vec![file], _folder: Some(folder), ..self }
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
            let wanted = self.weights.classes.outputs(self.names.len() as i64) as usize;
            ensure!(found == wanted, "the model has {found} outputs for each query, not {wanted}");
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

    /// Boxes that are sure enough, the surest first: it is drawn over the others.
    fn boxes(&self, found: &[FoundBox]) -> Vec<DrawnBox> {
        let of = |it: &FoundBox| {
            let (name, score) = (self.names[it.class].clone(), Some(it.score));
            DrawnBox { corners: it.corners, class: it.class, name, score, dashed: false }
        };
        self.sure(found).map(of).collect()
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
        loss::of_batch(outputs, batch, &self.weights)
    }

    fn of_step(&self, window: &mut [Batch]) {
        loss::tell_of_step(window);
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Vec<FoundBox>>> {
        let of_row = |(raw, &row): (Raw, &usize)| {
            let example = turn.data.inner_example(turn.data.example(row));
            let (moves, size) = (turn.data.seen(row)?.moves, turn.data.medium().original_size(example));
            let found = answers::found(&raw, (self.names.len(), self.weights.classes), &moves, size);
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
        let png = || Ok(data.medium().with_boxes(data.inner_example(example), &self.boxes(found), usize::MAX)?);
        self.drawn.write(data, example, png)
    }

    fn pictures(&self, data: &Data<Self>, example: usize, found: &Vec<FoundBox>) -> Result<Vec<Picture>> {
        let inner = data.inner_example(example);
        let truth = data.gold(example)?.map(|gold| {
            let of = |it: &ImageObject| {
                let name = self.names[it.class].clone();
                DrawnBox { corners: it.corners, class: it.class, name, score: None, dashed: it.crowd }
            };
            gold.iter().map(of).collect::<Vec<_>>()
        });
        let shown = truth.into_iter().map(|boxes| (boxes, "true")).chain([(self.boxes(found), "predicted")]);
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

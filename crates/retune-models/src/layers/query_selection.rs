//! Which places of the maps become queries: those that look most like an object (Zhu et al. 2020, §4.2; Zhao et al. 2023, §4.3), as
//! transformers' `RTDetrModel` chooses them.
//!
//! B batch, T places of all maps, Q queries, D hidden size, L classes.

use super::masking::pick;
use super::{ConvolutionShape, Levels, NormedConvolution, Perceptron};
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Dense, LayerNorm, Weight};

/// Side of an anchor on the finest map, as a share of the picture.
pub(super) const ANCHOR: f64 = 0.05;
/// Anchors nearer to a border than this are no candidates.
const BORDER: f64 = 1e-2;

/// Sizes and settings, from config.json.
#[derive(Debug, Clone)]
pub struct QuerySelectionSizes {
    /// D.
    pub hidden: i64,
    /// Channels of each map, the finest first.
    pub channels: Vec<i64>,
    /// Maps in all; those beyond the given ones are halves of the last.
    pub levels: usize,
    /// Q.
    pub queries: i64,
    /// L.
    pub labels: i64,
    /// Bias of a fresh classifier, by which almost nothing is there.
    pub prior: f64,
    /// Whether queries begin with vectors of their own.
    pub own: bool,
    /// Sizes of the maps for which there are anchors in evaluation, where they are fixed.
    pub fixed: Option<Levels>,
    /// Epsilon of the layer norm, and of the norms behind convolutions.
    pub epsilons: (f64, f64),
}

/// What was chosen.
#[derive(Debug)]
pub struct Selected {
    /// What queries begin with, [B, Q, D].
    pub hidden: Tensor,
    /// Their boxes before a sigmoid, [B, Q, 4], with their graph.
    pub boxes: Tensor,
    /// Scores of their classes, [B, Q, L].
    pub logits: Tensor,
}

/// The layers that choose.
#[derive(Debug)]
pub struct QuerySelection {
    projections: Vec<NormedConvolution>,
    output: Dense,
    norm: LayerNorm,
    scores: Dense,
    boxes: Perceptron,
    own: Option<Weight>,
    sizes: QuerySelectionSizes,
}

impl QuerySelection {
    /// `weights` points at the model.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: QuerySelectionSizes) -> Result<Self, ModelError> {
        let d = sizes.hidden;
        let projection = |i: usize| {
            let weights = weights.at(&format!("decoder_input_proj.{i}"));
            // Further maps are all made of the last given one.
            let (input, kernel, stride) = match sizes.channels.get(i) {
                Some(&input) => (input, 1, 1),
                None => (sizes.channels[sizes.channels.len() - 1], 3, 2),
            };
            let shape = ConvolutionShape::new(input, d, kernel, stride);
            NormedConvolution::load(&weights, "0", ("1", sizes.epsilons.1, false), shape, None)
        };
        let head = weights.head();
        let even = |outputs: i64| Init::even(d, outputs);
        let (prior, scores) = (Init::Constant(sizes.prior), head.at("enc_score_head"));
        scores.mark_outputs();
        let own =
            sizes.own.then(|| weights.at("weight_embedding").exact("weight", &[sizes.queries, d], even(sizes.queries)));
        Ok(Self {
            projections: (0..sizes.levels).map(projection).collect::<Result<_, _>>()?,
            output: weights.at("enc_output.0").dense(d, d)?,
            norm: weights.at("enc_output.1").layer_norm(d, sizes.epsilons.0)?,
            scores: scores.dense_from((d, sizes.labels), even(sizes.labels), prior)?,
            boxes: Perceptron::load(&head.at("enc_bbox_head"), &[d, d, d, 4], Init::Constant(0.0))?,
            own: own.transpose()?,
            sizes,
        })
    }

    /// Places [B, T, D] of all `maps` [B, C, h, w], in `kind`, and sizes of these.
    pub fn places(&self, maps: &[Tensor], kind: Kind, train: bool) -> (Tensor, Levels) {
        let last = &maps[maps.len() - 1];
        let project =
            |(i, projection): (usize, &NormedConvolution)| projection.forward(maps.get(i).unwrap_or(last), train);
        let maps: Vec<Tensor> = self.projections.iter().enumerate().map(project).collect();
        let levels = Levels(maps.iter().map(|map| (map.size()[2], map.size()[3])).collect());
        let flat: Vec<Tensor> = maps.iter().map(|map| map.flatten(2, 3).transpose(1, 2).to_kind(kind)).collect();
        (Tensor::cat(&flat, 1), levels)
    }

    /// Of `places` [B, T, D].
    ///
    /// # Errors
    /// Images of another size than that of fixed anchors, or with fewer places than queries.
    pub fn forward(&self, places: &Tensor, levels: &Levels, train: bool) -> Result<Selected, ModelError> {
        let refuse = |problem: String| {
            let (name, shape) = ("pixel_values".to_owned(), places.size());
            Err(ModelError::InputShape { name, shape, problem })
        };
        let levels = self.sizes.fixed.as_ref().filter(|_| !train).unwrap_or(levels);
        let (found, wanted, queries) = (places.size()[1], levels.places(), self.sizes.queries);
        if found != wanted {
            return refuse(format!(
                "the maps have {found} places, but `anchor_image_size` fixes {wanted}; resize the images"
            ));
        }
        if found < queries {
            return refuse(format!("the maps have {found} places for {queries} queries; use larger images"));
        }
        let (anchors, valid) = anchors(levels, places);
        let memory = self.norm.forward(&self.output.forward(&(places * valid.to_kind(places.kind())), train));
        let logits = self.scores.forward(&memory, train).to_kind(Kind::Float);
        let boxes = self.boxes.forward_exact(&memory, train) + anchors;
        let (best, _) = logits.max_dim(-1, false);
        let (_, chosen) = best.topk(queries, 1, true, true);
        let hidden = match &self.own {
            Some(own) => own.unsqueeze(0).repeat([places.size()[0], 1, 1]).to_kind(places.kind()),
            None => pick(&memory, &chosen).detach(),
        };
        Ok(Selected { hidden, boxes: pick(&boxes, &chosen), logits: pick(&logits, &chosen) })
    }

    /// Floating-point operations for a finest map of so many places: places in all, and operations.
    pub fn work(&self, finest: f64) -> (f64, f64) {
        let places = |i: usize| finest / 4f64.powi(i.min(self.sizes.channels.len()) as i32);
        let maps = self.projections.iter().enumerate().map(|(i, it)| it.work(places(i))).sum::<f64>();
        let (all, d) = ((0..self.projections.len()).map(places).sum::<f64>(), self.sizes.hidden as f64);
        (all, maps + 2.0 * all * d * (3.0 * d + (self.sizes.labels + 4) as f64))
    }
}

/// Boxes [.., 4] before a sigmoid, and which of them are far enough from the borders, [.., 1].
pub(super) fn candidates(boxes: &Tensor) -> (Tensor, Tensor) {
    let valid = boxes.gt(BORDER).logical_and(&boxes.lt(1.0 - BORDER)).all_dim(-1, true);
    ((boxes / (1.0f64 - boxes)).log(), valid)
}

/// Anchors before a sigmoid, [1, T, 4], and which of them are candidates, [1, T, 1].
fn anchors(levels: &Levels, like: &Tensor) -> (Tensor, Tensor) {
    let options = (Kind::Float, like.device());
    let of_map = |(level, &(height, width)): (i32, &(i64, i64))| {
        let along = |side: i64| (Tensor::arange(side, options) + 0.5) / side as f64;
        let x = along(width).view([1, -1]).expand([height, width], false);
        let y = along(height).view([-1, 1]).expand([height, width], false);
        let side = x.full_like(ANCHOR * 2f64.powi(level));
        Tensor::stack(&[&x, &y, &side, &side], -1).view([height * width, 4])
    };
    let all: Vec<Tensor> = (0i32..).zip(&levels.0).map(of_map).collect();
    let (logits, valid) = candidates(&Tensor::cat(&all, 0).unsqueeze(0));
    (logits.where_scalarother(&valid, f64::from(f32::MAX)), valid)
}

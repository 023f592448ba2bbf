//! Places of maps as queries of Deformable DETR ("two stages", Zhu et al. 2020, §4.2), as transformers' `DeformableDetrModel` proposes
//! them.
//!
//! B batch, T places of all maps, Q queries, D hidden size.

use super::masking::pick;
use super::query_selection::{ANCHOR, candidates};
use super::{Levels, Perceptron, waves};
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Dense, LayerNorm};
use std::f64::consts::TAU;

/// PyTorch's default.
const NORM_EPSILON: f64 = 1e-5;

/// The layers.
#[derive(Debug)]
pub struct ProposedQueries {
    output: Dense,
    norm: LayerNorm,
    places: Dense,
    places_norm: LayerNorm,
    scores: Dense,
    boxes: Perceptron,
    queries: i64,
}

impl ProposedQueries {
    /// `weights` points at the model, sizes are D, labels and Q; its heads are behind those of so many layers of the decoder.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        (d, labels, queries): (i64, i64, i64),
        layers: usize,
    ) -> Result<Self, ModelError> {
        let head = weights.head();
        let boxes = head.at(&format!("decoder.bbox_embed.{layers}"));
        Ok(Self {
            output: weights.at("enc_output").dense(d, d)?,
            norm: weights.at("enc_output_norm").layer_norm(d, NORM_EPSILON)?,
            places: weights.at("pos_trans").dense(2 * d, 2 * d)?,
            places_norm: weights.at("pos_trans_norm").layer_norm(2 * d, NORM_EPSILON)?,
            scores: head.at(&format!("decoder.class_embed.{layers}")).outputs(d, labels)?,
            boxes: Perceptron::load(&boxes, &[d, d, d, 4], Init::Constant(0.0))?,
            queries,
        })
    }

    /// Of `memory` [B, T, D], where `there` [B, T] is true: places [B, Q, D], contents [B, Q, D] and boxes [B, Q, 4] of queries.
    ///
    /// # Errors
    /// Images with fewer places than queries.
    pub fn forward(
        &self,
        memory: &Tensor,
        levels: &Levels,
        there: &Tensor,
        train: bool,
    ) -> Result<(Tensor, Tensor, Tensor), ModelError> {
        let (shape, d) = (memory.size(), memory.size()[2]);
        if shape[1] < self.queries {
            let problem = format!("the maps have {} places for {} queries; use larger images", shape[1], self.queries);
            return Err(ModelError::InputShape { name: "pixel_values".to_owned(), shape, problem });
        }
        let (proposals, valid) = proposals(levels, there);
        let seen = self.norm.forward(&self.output.forward(&(memory * valid.to_kind(memory.kind())), train));
        let scores = self.scores.forward(&seen, train).to_kind(Kind::Float);
        let boxes = self.boxes.forward_exact(&seen, train) + proposals;
        // What transformers compares is the score of the first class.
        let (_, chosen) = scores.select(2, 0).topk(self.queries, 1, true, true);
        let boxes = pick(&boxes, &chosen).detach().sigmoid();
        let sines = waves(&(&boxes * TAU), d / 2).flatten(2, 3).to_kind(memory.kind());
        let made = self.places_norm.forward(&self.places.forward(&sines, train));
        Ok((made.narrow(2, 0, d), made.narrow(2, d, d), boxes))
    }
}

/// Proposals before a sigmoid, [B, T, 4], and which of them are any, [B, T, 1].
fn proposals(levels: &Levels, there: &Tensor) -> (Tensor, Tensor) {
    let options = (Kind::Float, there.device());
    let batch = there.size()[0];
    let mut start = 0;
    let of_map = |(level, &(height, width)): (i32, &(i64, i64))| {
        let mask = there.narrow(1, start, height * width).view([batch, height, width]).to_kind(Kind::Float);
        start += height * width;
        // How much of the map is of the image.
        let whole = |axis: i64| mask.select(axis, 0).sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
        let along = |side: i64| Tensor::arange(side, options) + 0.5;
        let x = along(width).view([1, 1, -1]) / whole(1).view([-1, 1, 1]);
        let y = along(height).view([1, -1, 1]) / whole(2).view([-1, 1, 1]);
        let (x, y) = (x.expand([batch, height, width], false), y.expand([batch, height, width], false));
        let side = x.full_like(ANCHOR * 2f64.powi(level));
        Tensor::stack(&[&x, &y, &side, &side], -1).view([batch, height * width, 4])
    };
    let all: Vec<Tensor> = (0i32..).zip(&levels.0).map(of_map).collect();
    let (logits, valid) = candidates(&Tensor::cat(&all, 1));
    let valid = valid.logical_and(&there.unsqueeze(-1));
    (logits.where_scalarother(&valid, f64::INFINITY), valid)
}

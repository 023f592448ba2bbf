//! Self-attention of a conformer with positions of one of three kinds, or without: transformers' `Wav2Vec2BertSelfAttention`.
//!
//! Relative ones are those of Transformer-XL (Dai et al. 2019), relative keys those of Shaw et al. (2018), rotary ones (Su et al.
//! 2021) turn the inputs of the projections. B batch, T frames, D hidden size, H heads, K head size, R rows of relative positions.

use super::{Angles, RopeScaling, Rotary};
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{AttentionMask, AttentionOptions, Dense, Weight, fused};

/// What attention knows of positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ConformerPositions {
    /// Nothing.
    None,
    /// `relative`: sines of distances, projected, with two learned biases.
    Relative,
    /// `relative_key`: a table of distances, up to so many to the left and to the right.
    RelativeKey {
        /// Farthest distance of a key before the query.
        left: i64,
        /// Farthest distance of a key behind it.
        right: i64,
    },
    /// `rotary`, with this base of wavelengths.
    Rotary {
        /// θ.
        base: f64,
    },
}

/// Positions of a batch, alike for all layers.
#[derive(Debug)]
pub enum FramePositions {
    /// Of layers without them.
    None,
    /// Sines of distances from T - 1 to 1 - T, [2T - 1, D].
    Sines(Tensor),
    /// The row of each pair of a query and a key, [T, T].
    Rows(Tensor),
    /// Angles of rotary ones.
    Angles(Angles),
}

/// Place of each distance j - i between `-left` and `right`, farther ones as those at the ends, [T, T].
fn distances(frames: i64, (left, right): (i64, i64), device: Device) -> Tensor {
    let places = Tensor::arange(frames, (Kind::Int64, device));
    (places.unsqueeze(0) - places.unsqueeze(1)).clamp(-left, right) + left
}

impl ConformerPositions {
    /// Positions of T `frames`, for D `hidden` features of H `heads`.
    pub fn of(&self, frames: i64, (hidden, heads): (i64, i64), device: Device) -> FramePositions {
        match *self {
            Self::None => FramePositions::None,
            Self::RelativeKey { left, right } => FramePositions::Rows(distances(frames, (left, right), device)),
            Self::Rotary { base } => {
                let rotary = Rotary { size: hidden / heads, base, scaling: RopeScaling::None };
                let places = Tensor::arange(frames, (Kind::Int64, device)).unsqueeze(0);
                FramePositions::Angles(rotary.angles(&places, frames))
            }
            Self::Relative => {
                // Of keys, seen from queries: those far before first. In single precision, as transformers has them.
                let place = (-Tensor::arange_start(1 - frames, frames, (Kind::Int64, device))).to_kind(Kind::Float);
                let steps = Tensor::arange_start_step(0, hidden, 2, (Kind::Int64, device)).to_kind(Kind::Float);
                let scale = (steps * -(10_000f64.ln() / hidden as f64)).exp();
                let angles = place.unsqueeze(1) * scale;
                FramePositions::Sines(Tensor::stack(&[angles.sin(), angles.cos()], 2).view([-1, hidden]))
            }
        }
    }
}

/// Sizes and settings.
#[derive(Debug, Clone, Copy)]
pub struct ConformerAttentionSizes {
    /// D.
    pub hidden: i64,
    /// H.
    pub heads: i64,
    /// On attention probabilities.
    pub dropout: f64,
    /// What it knows of positions.
    pub positions: ConformerPositions,
}

#[derive(Debug)]
enum Relation {
    None,
    Sines { projection: Dense, content: Weight, position: Weight },
    Rows(Weight),
}

/// The projections.
#[derive(Debug)]
pub struct ConformerAttention {
    query: Dense,
    key: Dense,
    value: Dense,
    output: Dense,
    relation: Relation,
    sizes: ConformerAttentionSizes,
}

impl ConformerAttention {
    /// `weights` points at `….self_attn`.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: ConformerAttentionSizes) -> Result<Self, ModelError> {
        let (d, heads) = (sizes.hidden, sizes.heads);
        let size = d / heads;
        let dense = |name: &str| weights.at(name).dense(d, d);
        let relation = match sizes.positions {
            ConformerPositions::None | ConformerPositions::Rotary { .. } => Relation::None,
            ConformerPositions::Relative => {
                let bound = Init::even(heads, size);
                Relation::Sines {
                    projection: weights.at("linear_pos").dense_with(d, d, false)?,
                    content: weights.compute("pos_bias_u", &[heads, size], bound)?,
                    position: weights.compute("pos_bias_v", &[heads, size], bound)?,
                }
            }
            ConformerPositions::RelativeKey { left, right } => {
                let init = Init::Normal(weights.initializer_range());
                Relation::Rows(weights.compute("distance_embedding.weight", &[left + right + 1, size], init)?)
            }
        };
        Ok(Self {
            query: dense("linear_q")?,
            key: dense("linear_k")?,
            value: dense("linear_v")?,
            output: dense("linear_out")?,
            relation,
            sizes,
        })
    }

    /// `x` [B, T, D], whose frames attend to each other where `mask` is true.
    pub fn forward(&self, x: &Tensor, mask: Option<&AttentionMask>, positions: &FramePositions, train: bool) -> Tensor {
        let [batch, frames, hidden] = x.size()[..] else { panic!("hidden states have three dimensions") };
        let heads = self.sizes.heads;
        let rotated = match positions {
            FramePositions::Angles(angles) => {
                angles.rotate(&x.view([batch, frames, heads, hidden / heads])).view([batch, frames, hidden])
            }
            _ => x.shallow_clone(),
        };
        let (query, key) = (self.query.forward(&rotated, train), self.key.forward(&rotated, train));
        let value = self.value.forward(x, train);
        let (query, bias) = self.related(query, positions, train);
        let options =
            AttentionOptions { mask, bias: bias.as_ref(), dropout: self.sizes.dropout, ..AttentionOptions::default() };
        self.output.forward(&fused::attention(&query, &key, &value, heads, &options, train), train)
    }

    /// The query as it meets the keys, and what positions add to scores, [B, H, T, T].
    fn related(&self, query: Tensor, positions: &FramePositions, train: bool) -> (Tensor, Option<Tensor>) {
        let [batch, frames, hidden] = query.size()[..] else { panic!("queries have three dimensions") };
        let (heads, size) = (self.sizes.heads, hidden / self.sizes.heads);
        let scale = 1.0 / (size as f64).sqrt();
        let split = |x: &Tensor| x.view([batch, frames, heads, size]).transpose(1, 2);
        match (&self.relation, positions) {
            (Relation::Rows(table), FramePositions::Rows(rows)) => {
                let scores = split(&query).matmul(&table.transpose(0, 1)) * scale; // [B, H, T, R]
                let rows = rows.expand([batch, heads, frames, frames], false);
                (query, Some(scores.gather(3, &rows, false)))
            }
            (Relation::Sines { projection, content, position }, FramePositions::Sines(sines)) => {
                let sines = projection.forward(&sines.to_kind(query.kind()), train);
                let sines = sines.view([-1, heads, size]).permute([1, 2, 0]); // [H, K, 2T - 1]
                let moved = split(&(&query + position.view([-1])));
                let scores = moved.matmul(&sines) * scale;
                // Of keys at a distance j - i, which stands at T - 1 + j - i.
                let rows = distances(frames, (frames - 1, frames - 1), query.device());
                let rows = rows.expand([batch, heads, frames, frames], false);
                (&query + content.view([-1]), Some(scores.gather(3, &rows, false)))
            }
            _ => (query, None),
        }
    }
}

//! Multi-scale deformable attention with its projections (Zhu et al. 2020, §4.1), transformers'
//! `DeformableDetrMultiscaleDeformableAttention`, `RTDetrMultiscaleDeformableAttention` and `RTDetrV2…`.
//!
//! B batch, T places of all maps, Q queries, H heads, L maps, P places for each query and map, D hidden size.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Dense, Sampling, Weight, deformable_attention};

/// Sizes and settings, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct DeformableSizes {
    /// D.
    pub hidden: i64,
    /// H.
    pub heads: i64,
    /// L.
    pub levels: i64,
    /// P.
    pub points: i64,
    /// How far a step of one goes, as a share of the box that a query stands for.
    pub offset_scale: f64,
    /// Whether the share of each of the P places is stored with the model.
    pub stores_scale: bool,
    /// How maps are read.
    pub sampling: Sampling,
}

/// Height and width of maps, one after another in T, as a tensor [B, L, 2] that can be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels(pub Vec<(i64, i64)>);

impl Levels {
    /// T.
    pub fn places(&self) -> i64 {
        self.0.iter().map(|(height, width)| height * width).sum()
    }

    /// As a tensor with a row for each of so many examples.
    pub fn to_tensor(&self, batch: i64) -> Tensor {
        let sides: Vec<i64> = self.0.iter().flat_map(|&(height, width)| [height, width]).collect();
        Tensor::from_slice(&sides).view([1, self.0.len() as i64, 2]).repeat([batch, 1, 1])
    }

    /// From such a tensor, all rows of which are the same.
    ///
    /// # Errors
    /// libtorch's.
    pub fn of_tensor(tensor: &Tensor) -> Result<Self, ModelError> {
        let sides = Vec::<i64>::try_from(tensor.f_get(0)?.f_reshape([-1])?.f_to_kind(Kind::Int64)?)?;
        Ok(Self(sides.chunks_exact(2).map(|side| (side[0], side[1])).collect()))
    }
}

/// The layer.
#[derive(Debug)]
pub struct DeformableAttention {
    offsets: Dense,
    weights: Dense,
    value: Dense,
    output: Dense,
    /// The share of each place, [L·P], where it is stored; else it is 1/P.
    scale: Option<Weight>,
    sizes: DeformableSizes,
}

impl DeformableAttention {
    /// `weights` points at the module.
    ///
    /// # Errors
    /// A checkpoint or sizes that do not fit.
    pub fn load(weights: &Weights<'_>, sizes: DeformableSizes) -> Result<Self, ModelError> {
        let DeformableSizes { hidden, heads, levels, points, .. } = sizes;
        if hidden % heads != 0 {
            let problem = format!("is {heads}, which does not divide `d_model` {hidden}");
            return Err(ModelError::Config { field: "attention_heads".to_owned(), problem });
        }
        let (zero, places) = (Init::Constant(0.0), heads * levels * points);
        // Xavier: Glorot & Bengio 2010.
        let even = Init::even(hidden, hidden);
        let scale = Tensor::full([levels * points], 1.0 / points as f64, (Kind::Float, weights.device()));
        let stored = sizes.stores_scale && weights.is_at_hand("n_points_scale");
        Ok(Self {
            offsets: weights.at("sampling_offsets").dense_from(
                (hidden, 2 * places),
                zero,
                Init::Directions { heads, points },
            )?,
            weights: weights.at("attention_weights").dense_from((hidden, places), zero, zero)?,
            value: weights.at("value_proj").dense_from((hidden, hidden), even, zero)?,
            output: weights.at("output_proj").dense_from((hidden, hidden), even, zero)?,
            scale: if stored { Some(weights.fixed("n_points_scale", scale)?) } else { None },
            sizes,
        })
    }

    /// `x` [B, Q, D] at `places` [B, Q, D] sees of `memory` [B, T, D] what is around its `references`: middles [B, Q, 1 or L, 2],
    /// or boxes [B, Q, 1 or L, 4], as shares of the maps. Where `there` [B, T] is false, there is nothing to be seen.
    pub fn forward(
        &self,
        (x, places): (&Tensor, &Tensor),
        (memory, levels): (&Tensor, &Levels),
        references: &Tensor,
        there: Option<&Tensor>,
        train: bool,
    ) -> Tensor {
        let DeformableSizes { heads, levels: maps, points, hidden, .. } = self.sizes;
        let placed = x + places.to_kind(x.kind());
        let [batch, queries, _] = x.size()[..] else { panic!("queries are [B, Q, D]") };
        let value = self.value.forward(memory, train).to_kind(Kind::Float);
        let value = there
            .map_or_else(|| value.shallow_clone(), |there| value.masked_fill(&there.logical_not().unsqueeze(-1), 0.0));
        let offsets = self.offsets.forward(&placed, train).to_kind(Kind::Float);
        let offsets = offsets.reshape([batch, queries, heads, maps, points, 2]);
        let weights = self.weights.forward(&placed, train).to_kind(Kind::Float);
        let weights = weights.reshape([batch, queries, heads, maps * points]).softmax(-1, Kind::Float);
        let [_, _, of_maps, numbers] = references.size()[..] else { panic!("references are [B, Q, 1 or L, 2 or 4]") };
        let at = references.to_kind(Kind::Float).reshape([batch, queries, 1, of_maps, 1, numbers]);
        let steps = if numbers == 2 {
            let sides: Vec<f32> = levels.0.iter().flat_map(|&(height, width)| [width as f32, height as f32]).collect();
            offsets / Tensor::from_slice(&sides).view([1, 1, 1, maps, 1, 2]).to_device(x.device())
        } else {
            let shares = match &self.scale {
                Some(scale) => offsets * scale.view([1, 1, 1, maps, points, 1]),
                None => offsets / points as f64,
            };
            shares * at.narrow(-1, 2, 2) * self.sizes.offset_scale
        };
        let locations = at.narrow(-1, 0, 2) + steps;
        let value = value.reshape([batch, -1, heads, hidden / heads]);
        let weights = weights.reshape([batch, queries, heads, maps, points]);
        let seen = deformable_attention(&value, &levels.0, &locations, &weights, self.sizes.sampling);
        self.output.forward(&seen.to_kind(x.kind()), train)
    }

    /// Floating-point operations for so many queries over so many places.
    pub fn work(&self, queries: f64, places: f64) -> f64 {
        let DeformableSizes { hidden, heads, levels, points, .. } = self.sizes;
        let d = hidden as f64;
        2.0 * d * (d * (places + queries) + 3.0 * queries * (heads * levels * points) as f64)
    }
}

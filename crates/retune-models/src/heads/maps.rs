//! Feature maps of several sizes for a head: those of a pyramid's stages, each behind a norm of its own, or the tokens of
//! several depths of an encoder of one scale, brought to four scales. transformers' `hidden_states_norms` of backbones, and
//! `BeitFPNNeck`.
//!
//! B batch, N patches, C channels, h and w map.

use crate::bodies::{GRID, grid_of, stage_name};
use crate::checkpoint::{Init, Weights};
use crate::{ModelError, State};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{BatchNorm, LayerNorm, Weight};

/// PyTorch's defaults of batch norm.
const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;
/// How many patches a place of each of the four scales stands for.
const SCALES: [f64; 4] = [1.0 / 16.0, 1.0 / 4.0, 1.0, 4.0];

/// A stage of a pyramid that is read.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSource {
    /// Its number, from 0.
    pub stage: usize,
    /// C.
    pub width: i64,
    /// How many places of the first map one of its places stands for.
    pub area: f64,
    /// Path of its norm, and what that adds to variances.
    pub norm: Option<(String, f64)>,
}

/// Where maps come from.
#[derive(Debug, Clone, PartialEq)]
pub enum MapSource {
    /// Of a pyramid with so many stages, the hidden state being the last one's.
    Stages(Vec<StageSource>, usize),
    /// Tokens [B, 1 + N, C] that a body of one scale keeps under the names of four stages.
    OneScale(i64),
}

impl MapSource {
    /// C of each map.
    pub fn widths(&self) -> Vec<i64> {
        match self {
            Self::Stages(stages, _) => stages.iter().map(|stage| stage.width).collect(),
            Self::OneScale(width) => vec![*width; SCALES.len()],
        }
    }
}

/// The maps, with the parameters that make them.
#[derive(Debug)]
pub(super) struct Maps {
    source: MapSource,
    made: Made,
}

#[derive(Debug)]
enum Made {
    Normed(Vec<Option<LayerNorm>>),
    Scaled(Box<Neck>),
}

/// Doubles of doubles of the first map, a double of the second, the third as it is, and half of the fourth.
#[derive(Debug)]
struct Neck {
    first: [Doubling; 2],
    norm: BatchNorm,
    second: Doubling,
}

/// A transposed convolution that doubles the sides.
#[derive(Debug)]
struct Doubling {
    weight: Weight, // [C, C, 2, 2]
    bias: Weight,
}

impl Doubling {
    fn load(weights: &Weights<'_>, width: i64) -> Result<Self, ModelError> {
        let init = Init::Normal(weights.initializer_range());
        Ok(Self {
            weight: weights.compute("weight", &[width, width, 2, 2], init)?,
            bias: weights.compute("bias", &[width], Init::Constant(0.0))?,
        })
    }

    /// [B, C, h, w] to [B, C, 2h, 2w] in fp32.
    fn forward(&self, x: &Tensor) -> Tensor {
        let x = x.to_kind(self.weight.kind());
        let y = x.conv_transpose2d(&self.weight, Some(&*self.bias), [2, 2], [0, 0], [0, 0], 1, [1, 1]);
        y.to_kind(Kind::Float)
    }
}

impl Maps {
    /// `weights` points at the top.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub(super) fn load(weights: &Weights<'_>, source: MapSource) -> Result<Self, ModelError> {
        let made = match &source {
            MapSource::Stages(stages, _) => {
                let norm = |stage: &StageSource| {
                    let norm = stage.norm.as_ref();
                    norm.map(|(path, epsilon)| weights.at(path).layer_norm(stage.width, *epsilon)).transpose()
                };
                Made::Normed(stages.iter().map(norm).collect::<Result<_, _>>()?)
            }
            MapSource::OneScale(width) => {
                let doubling = |name: &str| Doubling::load(&weights.at(name), *width);
                Made::Scaled(Box::new(Neck {
                    first: [doubling("fpn1.0")?, doubling("fpn1.3")?],
                    norm: weights.at("fpn1.1").batch_norm(*width, EPSILON, MOMENTUM)?,
                    second: doubling("fpn2.0")?,
                }))
            }
        };
        Ok(Self { source, made })
    }

    /// The maps of a state, [B, C, h, w] in fp32.
    ///
    /// # Errors
    /// A state without them, or too small a map.
    pub(super) fn of(&self, state: &State, train: bool) -> Result<Vec<Tensor>, ModelError> {
        match (&self.source, &self.made) {
            (MapSource::Stages(stages, count), Made::Normed(norms)) => {
                let map = |(stage, norm): (&StageSource, &Option<LayerNorm>)| {
                    let is_last = stage.stage + 1 == *count;
                    let map = if is_last { &state.hidden } else { state.beside.get(&stage_name(stage.stage))? };
                    let map = norm.as_ref().map_or_else(|| map.shallow_clone(), |norm| norm.forward(map));
                    Ok(map.permute([0, 3, 1, 2]).to_kind(Kind::Float))
                };
                stages.iter().zip(norms).map(map).collect()
            }
            (_, Made::Scaled(neck)) => neck.maps(state, train),
            (MapSource::OneScale(_), Made::Normed(_)) => panic!("what is made follows the source"),
        }
    }

    /// How many patches one place of each map stands for.
    pub(super) fn areas(&self) -> Vec<f64> {
        match &self.source {
            MapSource::Stages(stages, _) => stages.iter().map(|stage| stage.area).collect(),
            MapSource::OneScale(_) => SCALES.to_vec(),
        }
    }

    /// Floating-point operations for an image of so many patches.
    pub(super) fn work(&self, patches: f64) -> f64 {
        match &self.source {
            MapSource::Stages(..) => 0.0,
            // Each place of a map becomes four: of the first map, of what that became, of the second.
            MapSource::OneScale(width) => (8.0 + 32.0 + 8.0) * patches * (width * width) as f64,
        }
    }
}

impl Neck {
    fn maps(&self, state: &State, train: bool) -> Result<Vec<Tensor>, ModelError> {
        let (h, w) = grid_of(state.beside.get(GRID)?);
        if h < 2 || w < 2 {
            let problem =
                "the coarsest map halves the grid of patches, which needs two rows and two columns".to_owned();
            return Err(ModelError::InputShape { name: "pixel_values".to_owned(), shape: vec![h, w], problem });
        }
        let map = |number: usize| {
            let tokens = state.beside.get(&stage_name(number))?;
            let [batch, count, width] = tokens.size()[..] else { panic!("hidden states have three dimensions") };
            let patches = tokens.narrow(1, count - h * w, h * w).transpose(1, 2);
            Ok::<_, ModelError>(patches.reshape([batch, width, h, w]).to_kind(Kind::Float))
        };
        let [inner, outer] = &self.first;
        let first = self.norm.forward(&inner.forward(&map(0)?), train).gelu("none");
        Ok(vec![
            outer.forward(&first),
            self.second.forward(&map(1)?),
            map(2)?,
            map(3)?.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false),
        ])
    }
}

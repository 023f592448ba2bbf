//! Deformable DETR below its head (Zhu et al. 2020), transformers `DeformableDetrModel`: convolutions, an encoder over the places of
//! several maps and a decoder of queries, both of which look at a few places only; queries are learnt, or places of the maps
//! ("two stages"), and layers may refine boxes.
//!
//! B batch, H and W image, L maps, T places of all, Q queries, D hidden size, E layers before the last. Blocks are the layers of the
//! convolutions, then those of the encoder, then those of the decoder.

use super::map_stages::MapStages;
use super::set_transformer::{INTERMEDIATE, PIXEL_MASK, pixel_mask};
use super::{REFERENCES, said_name};
use crate::checkpoint::{Init, Weights};
use crate::layers::{
    DeformableDecoderLayer, DeformableEncoderLayer, DeformableSizes, Levels, Perceptron, ProjectedMap, ProposedQueries,
    ResNetSizes, SetLayerSizes, SizeRule, patch_embeddings, sine_positions,
};
use crate::state::HIDDEN;
use crate::{Body, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Dense, Weight};
use std::ops::Range;

/// Where the places of the maps are, [B, T, D].
const PLACES: &str = "places";
/// Which of them are of the image, bool as int64 [B, T].
const THERE: &str = "there";
/// Which share of each map is of the image, in x and y, [B, L, 2].
const RATIOS: &str = "ratios";
/// Height and width of the maps, [B, L, 2].
const LEVELS: &str = "levels";
/// What the encoder returned, [B, T, D].
const MEMORY: &str = "memory";
/// Where queries are, [B, Q, D].
const QUERIES: &str = "queries";

/// Sizes, read from config.json by the family.
#[derive(Debug, Clone)]
pub struct DeformableTransformerSizes {
    /// The convolutions.
    pub backbone: ResNetSizes,
    /// The stages whose maps are read; further maps are halves of the last.
    pub maps: Vec<usize>,
    /// Layers of the encoder.
    pub encoder: Vec<SetLayerSizes>,
    /// How they look at maps.
    pub own: DeformableSizes,
    /// Layers of the decoder.
    pub decoder: Vec<SetLayerSizes>,
    /// How they look at maps.
    pub cross: DeformableSizes,
    /// Q.
    pub queries: i64,
    /// Labels.
    pub labels: i64,
    /// Whether queries are places of the maps.
    pub proposes: bool,
    /// Whether layers refine boxes.
    pub refines: bool,
    /// Whether what earlier layers say is learnt, too.
    pub auxiliary: bool,
}

/// What decoders begin with.
enum Start {
    /// Places and contents [Q, 2D], and the middles of the former.
    Learnt {
        queries: Weight,
        middles: Dense,
    },
    Proposed(ProposedQueries),
}

/// The body.
pub struct DeformableTransformer {
    convolutions: MapStages,
    projections: Vec<ProjectedMap>,
    levels: Weight, // [L, D]
    encoder: Vec<DeformableEncoderLayer>,
    start: Start,
    decoder: Vec<DeformableDecoderLayer>,
    /// By which all layers but the last refine boxes.
    boxes: Vec<Perceptron>,
    sizes: DeformableTransformerSizes,
    kind: Kind,
}

impl DeformableTransformer {
    /// `weights` points at the model.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: DeformableTransformerSizes) -> Result<Self, ModelError> {
        let backbone = weights.at("backbone.conv_encoder.model");
        let convolutions = MapStages::load(&backbone, &sizes.backbone, &sizes.maps)?;
        let first = convolutions.len() + 1;
        let behind = first + sizes.encoder.len();
        let (hidden, maps) = (sizes.cross.hidden, sizes.cross.levels as usize);
        let projection = |i: usize| {
            let last = sizes.backbone.width_of(sizes.maps[sizes.maps.len() - 1]);
            // The first further map is made of the convolutions' last, the others each of the one before.
            let (input, halves) = match sizes.maps.get(i) {
                Some(&stage) => (sizes.backbone.width_of(stage), false),
                None => (if i == sizes.maps.len() { last } else { hidden }, true),
            };
            ProjectedMap::load(&weights.depth(first).at(&format!("input_proj.{i}")), (input, hidden), halves)
        };
        let layer = |part: &str, i: usize, depth: usize| weights.at(&format!("{part}.layers.{i}")).depth(depth + i);
        let encoder = |(i, of): (usize, &SetLayerSizes)| {
            DeformableEncoderLayer::load(&layer("encoder", i, first), *of, sizes.own)
        };
        let decoder = |(i, of): (usize, &SetLayerSizes)| {
            DeformableDecoderLayer::load(&layer("decoder", i, behind), *of, sizes.cross)
        };
        let starting = weights.depth(behind);
        let start = if sizes.proposes {
            let layers = sizes.decoder.len();
            Start::Proposed(ProposedQueries::load(&starting, (hidden, sizes.labels, sizes.queries), layers)?)
        } else {
            let table = starting.at("query_position_embeddings");
            let even = Init::even(hidden, 2);
            Start::Learnt {
                queries: table.exact("weight", &[sizes.queries, 2 * hidden], Init::Normal(1.0))?,
                middles: starting.at("reference_points").dense_from((hidden, 2), even, Init::Constant(0.0))?,
            }
        };
        let refining = if sizes.refines && !weights.is_headless() { sizes.decoder.len() - 1 } else { 0 };
        let boxes = |i: usize| {
            let weights = weights.head().depth(behind + i).at(&format!("decoder.bbox_embed.{i}"));
            Perceptron::load(&weights, &[hidden, hidden, hidden, 4], Init::Constant(0.0))
        };
        Ok(Self {
            projections: (0..maps).map(projection).collect::<Result<_, _>>()?,
            levels: weights.depth(first).exact("level_embed", &[maps as i64, hidden], Init::Normal(1.0))?,
            encoder: sizes.encoder.iter().enumerate().map(encoder).collect::<Result<_, _>>()?,
            start,
            decoder: sizes.decoder.iter().enumerate().map(decoder).collect::<Result<_, _>>()?,
            boxes: (0..refining).map(boxes).collect::<Result<_, _>>()?,
            convolutions,
            sizes,
            kind: weights.compute_kind(),
        })
    }

    /// From the maps of the convolutions to their places.
    fn places(&self, beside: &Tensors, train: bool) -> Result<Tensors, ModelError> {
        let given = self.convolutions.maps(beside)?.iter().map(|map| map.permute([0, 3, 1, 2])).collect::<Vec<_>>();
        let mut maps: Vec<Tensor> = Vec::new();
        for (i, projection) in self.projections.iter().enumerate() {
            let from = match given.get(i) {
                Some(map) => map,
                None if i == given.len() => &given[i - 1],
                None => &maps[i - 1],
            };
            maps.push(projection.forward(from));
        }
        let pixels = beside.get(PIXEL_MASK)?.to_kind(Kind::Float).unsqueeze(0);
        let (mut places, mut there, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for (i, map) in (0i64..).zip(&maps) {
            let [_, hidden, height, width] = map.size()[..] else { panic!("maps have four dimensions") };
            let mask = pixels.upsample_nearest2d([height, width], None, None).squeeze_dim(0).ne(0.0);
            places.push(sine_positions(&mask, hidden, 0.5) + self.levels.select(0, i).view([1, 1, hidden]));
            let share = |axis: i64, side: i64| {
                let line = mask.select(axis, 0).to_kind(Kind::Float);
                line.sum_dim_intlist([1i64].as_slice(), false, Kind::Float) / side as f64
            };
            ratios.push(Tensor::stack(&[share(1, width), share(2, height)], -1));
            there.push(mask.flatten(1, 2));
        }
        let levels = Levels(maps.iter().map(|map| (map.size()[2], map.size()[3])).collect());
        let flat: Vec<Tensor> = maps.iter().map(|map| map.flatten(2, 3).transpose(1, 2)).collect();
        let hidden = Tensor::cat(&flat, 1).to_kind(self.kind);
        let batch = hidden.size()[0];
        let rate = self.sizes.encoder.first().map_or(0.0, |of| of.dropout);
        Ok(Tensors::from([
            (HIDDEN, dropout(&hidden, rate, train)),
            (PLACES, Tensor::cat(&places, 1)),
            (THERE, Tensor::cat(&there, 1).to_kind(Kind::Int64)),
            (RATIOS, Tensor::stack(&ratios, 1)),
            (LEVELS, levels.to_tensor(batch)),
        ]))
    }

    /// What the decoder begins with.
    fn begin_decoder(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let (memory, hidden) = (&state.hidden, self.sizes.cross.hidden);
        let (queries, content, references) = match &self.start {
            Start::Learnt { queries, middles } => {
                let own = queries.unsqueeze(0).repeat([memory.size()[0], 1, 1]).to_kind(memory.kind());
                let (places, content) = (own.narrow(2, 0, hidden), own.narrow(2, hidden, hidden));
                let references = middles.forward(&places, train).to_kind(Kind::Float).sigmoid();
                (places, content, references)
            }
            Start::Proposed(proposed) => {
                let levels = Levels::of_tensor(state.beside.get(LEVELS)?)?;
                proposed.forward(memory, &levels, &state.beside.get(THERE)?.ne(0), train)?
            }
        };
        Ok(Tensors::from([
            (HIDDEN, content.contiguous()),
            (QUERIES, queries.contiguous()),
            (REFERENCES, references),
            (MEMORY, memory.shallow_clone()),
        ]))
    }

    fn decode(&self, number: usize, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let (references, ratios) = (state.beside.get(REFERENCES)?, state.beside.get(RATIOS)?);
        let ratios = if references.size()[2] == 4 { ratios.repeat([1, 1, 2]) } else { ratios.shallow_clone() };
        let levels = Levels::of_tensor(state.beside.get(LEVELS)?)?;
        let y = self.decoder[number].forward(
            (&state.hidden, state.beside.get(QUERIES)?),
            (state.beside.get(MEMORY)?, &levels),
            (&(references.unsqueeze(2) * ratios.unsqueeze(1)), Some(&state.beside.get(THERE)?.ne(0))),
            None,
            train,
        );
        let mut outputs = Tensors::default();
        if let Some(boxes) = self.boxes.get(number) {
            let boxes = boxes.refined(&y, references, train);
            outputs.insert(REFERENCES, boxes.detach());
            if self.sizes.auxiliary {
                outputs.insert(&said_name(&number.to_string(), "boxes"), boxes);
            }
        }
        if self.sizes.auxiliary && number + 1 < self.decoder.len() {
            let mut all = state.beside.optional(INTERMEDIATE).map(|all| all.unbind(1)).unwrap_or_default();
            all.push(y.shallow_clone());
            outputs.insert(INTERMEDIATE, Tensor::stack(&all, 1));
        }
        outputs.insert(HIDDEN, y);
        Ok(outputs)
    }
}

impl Body for DeformableTransformer {
    fn blocks(&self) -> usize {
        self.convolutions.len() + self.encoder.len() + self.decoder.len()
    }

    fn width(&self) -> i64 {
        self.sizes.cross.hidden
    }

    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let pixels = patch_embeddings::pixel_values(inputs, self.sizes.backbone.channels, &SizeRule::at_least((1, 1)))?;
        let mask = pixel_mask(inputs, pixels)?;
        let mut state = self.convolutions.begin(pixels, mode);
        state.beside.insert(PIXEL_MASK, mask);
        Ok(state)
    }

    fn run(&self, from: State, blocks: Range<usize>, _reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let mut state = from;
        let first = self.convolutions.len() + 1;
        let behind = first + self.encoder.len();
        for depth in blocks {
            if depth < first {
                state = self.convolutions.run(state, depth, mode);
                continue;
            }
            if depth == first {
                let outputs = mode.block(depth, |train| self.places(&state.beside, train))?;
                state = MapStages::taken(state).with(&outputs);
            }
            if depth < behind {
                let levels = Levels::of_tensor(state.beside.get(LEVELS)?)?;
                let (places, there) = (state.beside.get(PLACES)?, state.beside.get(THERE)?.ne(0));
                let ratios = state.beside.get(RATIOS)?;
                state.hidden = mode.block(depth, |train| {
                    let layer = &self.encoder[depth - first];
                    layer.forward((&state.hidden, places), &levels, (ratios, &there), train)
                });
                continue;
            }
            if depth == behind {
                let outputs = mode.block(depth, |train| self.begin_decoder(&state, train))?;
                state = state.with(&outputs);
            }
            let outputs = mode.block(depth, |train| self.decode(depth - behind, &state, train))?;
            state = state.with(&outputs);
        }
        Ok(state)
    }

    fn work(&self, patches: f64, _reads: Reads) -> f64 {
        // Patches are places behind the stem.
        let places = |stage: usize| self.convolutions.places(stage, patches);
        let given = self.sizes.maps.len();
        let of_map = |i: usize| match self.sizes.maps.get(i) {
            Some(&stage) => places(stage),
            None => places(self.sizes.maps[given - 1]) / 4f64.powi((i + 1 - given) as i32),
        };
        let all = (0..self.projections.len()).map(of_map).sum::<f64>();
        let projections = self.projections.iter().enumerate().map(|(i, it)| it.work(of_map(i))).sum::<f64>();
        let encoder = self.encoder.iter().map(|layer| layer.work(all)).sum::<f64>();
        let decoder = self.decoder.iter().map(|layer| layer.work(self.sizes.queries as f64, all)).sum::<f64>();
        self.convolutions.work(patches) + projections + encoder + decoder
    }

    fn begin_is_costly(&self) -> bool {
        true
    }
}

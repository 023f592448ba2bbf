//! RT-DETR below its last layer's head (Zhao et al. 2023): convolutions, a hybrid encoder of their maps, places of these that become
//! queries, and a decoder each of whose layers refines their boxes; transformers `RTDetrModel` and `RTDetrV2Model`.
//!
//! B batch, H and W image, T places of all maps, N noised queries while training, Q others, D hidden size, L classes. Blocks are
//! the layers of the convolutions, the encoder, the choice of queries, then the layers of the decoder.

use super::map_stages::MapStages;
use crate::checkpoint::{Init, Weights};
use crate::heads::{DENOISING_DRAWS, OBJECT_BOXES, OBJECT_LABELS};
use crate::layers::{
    DeformableDecoderLayer, DeformableSizes, Denoising, HybridEncoder, HybridEncoderSizes, Levels, Perceptron,
    QuerySelection, QuerySelectionSizes, ResNetSizes, SetLayerSizes, SizeRule, patch_embeddings,
};
use crate::state::HIDDEN;
use crate::{Body, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Dense, Weight};
use std::ops::Range;

/// Places of all maps, [B, T, D].
const MEMORY: &str = "memory";
/// Height and width of the maps, [B, L, 2].
const LEVELS: &str = "levels";
/// Boxes that queries stand for, [B, N + Q, 4], which the next layer refines.
pub const REFERENCES: &str = "references";
/// Which queries do not know each other, [1, 1, N + Q, N + Q].
const BIAS: &str = "bias";
/// What the choice of queries says of them, as of [`said_name`].
pub const CHOSEN: &str = "chosen";

/// Beside the hidden states: what was said at a stage, `logits` or `boxes`.
pub fn said_name(stage: &str, what: &str) -> String {
    format!("said.{stage}.{what}")
}

/// In front of the numbers of the encoder's maps, [B, D, h, w] each.
const LEVEL: &str = "level.";

fn level_name(level: usize) -> String {
    format!("{LEVEL}{level}")
}

/// Sizes, read from config.json by the family.
#[derive(Debug, Clone)]
pub struct RefiningTransformerSizes {
    /// The convolutions.
    pub backbone: ResNetSizes,
    /// The stages whose maps are encoded.
    pub maps: Vec<usize>,
    /// The encoder.
    pub encoder: HybridEncoderSizes,
    /// The choice of queries.
    pub selection: QuerySelectionSizes,
    /// Layers of the decoder.
    pub decoder: Vec<SetLayerSizes>,
    /// How they look at maps.
    pub cross: DeformableSizes,
    /// Noised queries while training, where earlier layers are learnt.
    pub denoising: Option<Denoising>,
    /// Whether what earlier layers say is learnt, too.
    pub auxiliary: bool,
}

/// What a layer says of its queries.
#[derive(Debug)]
pub struct BoxHead {
    classes: Dense,
    boxes: Perceptron,
}

impl BoxHead {
    /// Of the layer of this number; `weights` points at the decoder.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        number: usize,
        (hidden, labels, prior): (i64, i64, f64),
    ) -> Result<Self, ModelError> {
        let (head, even) = (weights.head(), Init::even(hidden, labels));
        let classes = head.at(&format!("class_embed.{number}"));
        classes.mark_outputs();
        let boxes = head.at(&format!("bbox_embed.{number}"));
        Ok(Self {
            classes: classes.dense_from((hidden, labels), even, Init::Constant(prior))?,
            boxes: Perceptron::load(&boxes, &[hidden, hidden, hidden, 4], Init::Constant(0.0))?,
        })
    }

    /// Logits [B, N + Q, L] and boxes [B, N + Q, 4] of `x` [B, N + Q, D], which stands for `references` [B, N + Q, 4].
    pub fn forward(&self, x: &Tensor, references: &Tensor, train: bool) -> (Tensor, Tensor) {
        let boxes = self.boxes.refined(x, references, train);
        (self.classes.forward(x, train).to_kind(Kind::Float), boxes)
    }
}

/// The body.
pub struct RefiningTransformer {
    convolutions: MapStages,
    encoder: HybridEncoder,
    selection: QuerySelection,
    classes: Option<Weight>, // [L + 1, D]
    places: Perceptron,
    decoder: Vec<DeformableDecoderLayer>,
    /// Of all layers of the decoder but the last, whose is the model's head.
    heads: Vec<BoxHead>,
    sizes: RefiningTransformerSizes,
    kind: Kind,
}

impl RefiningTransformer {
    /// `weights` points at the model.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, sizes: RefiningTransformerSizes) -> Result<Self, ModelError> {
        let backbone = weights.at("backbone.model");
        let convolutions = MapStages::load(&backbone, &sizes.backbone, &sizes.maps)?;
        let encoder = convolutions.len() + 1;
        let first = encoder + 2;
        let (hidden, labels, prior) = (sizes.selection.hidden, sizes.selection.labels, sizes.selection.prior);
        let decoder = weights.at("decoder");
        let layer = |(i, of): (usize, &SetLayerSizes)| {
            DeformableDecoderLayer::load(&decoder.at(&format!("layers.{i}")).depth(first + i), *of, sizes.cross)
        };
        let head = |i: usize| BoxHead::load(&decoder.depth(first + i), i, (hidden, labels, prior));
        let selecting = weights.depth(encoder + 1);
        let table = selecting.head().at("denoising_class_embed");
        let classes = sizes.denoising.map(|_| {
            table.mark_outputs();
            table.exact("weight", &[labels + 1, hidden], Init::even(labels + 1, hidden))
        });
        let places = decoder.at("query_pos_head").depth(first);
        let usual = Init::Normal(weights.initializer_range());
        let earlier = if weights.is_headless() { 0 } else { sizes.decoder.len() - 1 };
        Ok(Self {
            convolutions,
            encoder: HybridEncoder::load(&weights.depth(encoder), sizes.encoder.clone())?,
            selection: QuerySelection::load(&selecting, sizes.selection.clone())?,
            classes: classes.transpose()?,
            places: Perceptron::load(&places, &[4, 2 * hidden, hidden], usual)?,
            decoder: sizes.decoder.iter().enumerate().map(layer).collect::<Result<_, _>>()?,
            heads: (0..earlier).map(head).collect::<Result<_, _>>()?,
            sizes,
            kind: weights.compute_kind(),
        })
    }

    /// Which sizes of images it takes.
    pub fn size_rule(backbone: &ResNetSizes, maps: &[usize]) -> SizeRule {
        SizeRule::halved(backbone.stride_of(maps[0]), backbone.stride_of(maps[maps.len() - 1]))
    }

    /// From the encoder's maps to queries.
    fn choose(&self, beside: &Tensors, train: bool) -> Result<Tensors, ModelError> {
        let maps = (0..self.sizes.maps.len()).map(|level| beside.get(&level_name(level)).map(Tensor::shallow_clone));
        let (memory, levels) = self.selection.places(&maps.collect::<Result<Vec<_>, _>>()?, self.kind, train);
        let chosen = self.selection.forward(&memory, &levels, train)?;
        let (mut hidden, mut boxes) = (chosen.hidden, chosen.boxes.detach());
        let given =
            (beside.optional(OBJECT_LABELS), beside.optional(OBJECT_BOXES), self.sizes.denoising, &self.classes);
        let mut outputs = Tensors::default();
        // What nobody learns from need not be noised.
        if let (true, (Some(labels), Some(truth), Some(denoising), Some(table))) =
            (train && self.sizes.auxiliary, given)
            && let Some(noised) =
                denoising.noised(labels, truth, beside.optional(DENOISING_DRAWS), self.sizes.selection.queries)
        {
            // The row of no object gets no gradient.
            let classes = Tensor::embedding(table, &noised.classes, denoising.classes, false, false);
            hidden = Tensor::cat(&[classes.to_kind(hidden.kind()), hidden], 1);
            boxes = Tensor::cat(&[noised.boxes, boxes], 1);
            outputs.insert(BIAS, noised.bias);
        }
        if self.sizes.auxiliary {
            outputs.insert(&said_name(CHOSEN, "logits"), chosen.logits);
            outputs.insert(&said_name(CHOSEN, "boxes"), chosen.boxes.sigmoid());
        }
        outputs.insert(LEVELS, levels.to_tensor(memory.size()[0]));
        outputs.insert(MEMORY, memory);
        outputs.insert(REFERENCES, boxes.sigmoid());
        outputs.insert(HIDDEN, hidden);
        Ok(outputs)
    }

    /// One layer of the decoder, and what it says where it has a head.
    fn refine(&self, number: usize, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let references = state.beside.get(REFERENCES)?;
        let places = self.places.forward(&references.to_kind(self.kind), train);
        let levels = Levels::of_tensor(state.beside.get(LEVELS)?)?;
        let hidden = self.decoder[number].forward(
            (&state.hidden, &places),
            (state.beside.get(MEMORY)?, &levels),
            (&references.unsqueeze(2), None),
            state.beside.optional(BIAS),
            train,
        );
        let mut outputs = Tensors::default();
        if let Some(head) = self.heads.get(number) {
            let (logits, boxes) = head.forward(&hidden, references, train);
            outputs.insert(REFERENCES, boxes.detach());
            if self.sizes.auxiliary {
                outputs.insert(&said_name(&number.to_string(), "logits"), logits);
                outputs.insert(&said_name(&number.to_string(), "boxes"), boxes);
            }
        }
        outputs.insert(HIDDEN, hidden);
        Ok(outputs)
    }
}

impl Body for RefiningTransformer {
    fn blocks(&self) -> usize {
        self.convolutions.len() + 2 + self.decoder.len()
    }

    fn width(&self) -> i64 {
        self.sizes.selection.hidden
    }

    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let rule = Self::size_rule(&self.sizes.backbone, &self.sizes.maps);
        let pixels = patch_embeddings::pixel_values(inputs, self.sizes.backbone.channels, &rule)?;
        Ok(self.convolutions.begin(pixels, mode))
    }

    fn run(&self, from: State, blocks: Range<usize>, _reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let mut state = from;
        let encoder = self.convolutions.len() + 1;
        for depth in blocks {
            if depth < encoder {
                state = self.convolutions.run(state, depth, mode);
            } else if depth == encoder {
                let maps = self.convolutions.maps(&state.beside)?;
                let outputs = mode.block(depth, |train| {
                    let levels = self.encoder.forward(&maps, self.kind, train);
                    levels.into_iter().enumerate().map(|(level, map)| (level_name(level), map)).collect::<Tensors>()
                });
                // Its coarsest map stands for what it returned.
                state.hidden = outputs.get(&level_name(self.sizes.maps.len() - 1))?.shallow_clone();
                state = MapStages::taken(state).with(&outputs);
            } else if depth == encoder + 1 {
                let outputs = mode.block(depth, |train| self.choose(&state.beside, train))?;
                state = state.without(LEVEL).with(&outputs);
            } else {
                let outputs = mode.block(depth, |train| self.refine(depth - encoder - 2, &state, train))?;
                state = state.with(&outputs);
            }
        }
        Ok(state)
    }

    fn work(&self, patches: f64, _reads: Reads) -> f64 {
        // Patches are places behind the stem.
        let finest = self.convolutions.places(self.sizes.maps[0], patches);
        let (all, selection) = self.selection.work(finest);
        let queries = self.sizes.selection.queries as f64;
        let decoder = self.decoder.iter().map(|layer| layer.work(queries, all)).sum::<f64>();
        self.convolutions.work(patches) + self.encoder.work(finest) + selection + decoder
    }

    fn begin_is_costly(&self) -> bool {
        true
    }
}

//! Convolutions whose maps later blocks of a detector read: block 0 is their stem, then come their layers. Maps are kept beside the
//! hidden states until they are taken.
//!
//! B batch, C channels, H and W image, h and w map.

use crate::checkpoint::Weights;
use crate::layers::{MapLayer, ResNetLayer, ResNetSizes, ResNetStem};
use crate::{Mode, ModelError, State, Tensors};
use retune_kernels::tch::Tensor;

/// In front of the numbers of stages, [B, h, w, C] each.
const MAP: &str = "map.";

/// The convolutions.
pub(super) struct MapStages {
    stem: ResNetStem,
    layers: Vec<(usize, ResNetLayer)>,
    sizes: ResNetSizes,
    /// The stages whose maps are kept; 0 is the stem.
    maps: Vec<usize>,
}

impl MapStages {
    /// `weights` points at the convolutions.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub(super) fn load(weights: &Weights<'_>, sizes: &ResNetSizes, maps: &[usize]) -> Result<Self, ModelError> {
        Ok(Self {
            stem: sizes.stem(&weights.depth(0))?,
            layers: sizes.layers(weights, 1)?,
            sizes: sizes.clone(),
            maps: maps.to_vec(),
        })
    }

    /// Blocks behind the stem.
    pub(super) fn len(&self) -> usize {
        self.layers.len()
    }

    /// The stem, of `pixels` [B, C, H, W].
    pub(super) fn begin(&self, pixels: &Tensor, mode: &Mode) -> State {
        let pixels = pixels.permute([0, 2, 3, 1]);
        let state = State::new(mode.block(0, |train| self.stem.forward(&pixels, train)));
        self.kept(state, 0)
    }

    /// One block, of 1 to [`Self::len`].
    pub(super) fn run(&self, mut state: State, depth: usize, mode: &Mode) -> State {
        let (stage, layer) = &self.layers[depth - 1];
        let x = state.hidden.shallow_clone();
        state.hidden = mode.block(depth, |train| layer.forward(&x, train));
        let is_last = self.layers.get(depth).is_none_or(|(next, _)| next != stage);
        if is_last { self.kept(state, stage + 1) } else { state }
    }

    fn kept(&self, mut state: State, stage: usize) -> State {
        if self.maps.contains(&stage) {
            let map = state.hidden.shallow_clone();
            state.beside.insert(&format!("{MAP}{stage}"), map);
        }
        state
    }

    /// The maps [B, h, w, C] that were kept, the finest first.
    pub(super) fn maps(&self, beside: &Tensors) -> Result<Vec<Tensor>, ModelError> {
        let map = |stage: &usize| beside.get(&format!("{MAP}{stage}")).map(Tensor::shallow_clone);
        self.maps.iter().map(map).collect()
    }

    /// The state without them.
    pub(super) fn taken(state: State) -> State {
        state.without(MAP)
    }

    /// Places of the map of a stage, for so many behind the stem.
    pub(super) fn places(&self, stage: usize, patches: f64) -> f64 {
        patches / (self.sizes.stride_of(stage) as f64 / 4.0).powi(2)
    }

    /// Floating-point operations for so many places behind the stem.
    pub(super) fn work(&self, patches: f64) -> f64 {
        let layers = self.layers.iter().map(|(stage, layer)| layer.work(self.places(stage + 1, patches))).sum::<f64>();
        self.stem.work(patches) + layers
    }
}

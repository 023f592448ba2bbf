//! Vectors of the items of a catalogue: learned for each, or made of what a text encoder said of its text, so that an item that
//! nobody has met has one too, and a model can move to another catalogue (UniSRec, Hou et al. 2022, with one projection in
//! the place of its experts).
//!
//! N items, numbered from 1; 0 is padding. E width of text features, D hidden size.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Dense, Weight};

/// Path of learned vectors.
const LEARNED: &str = "item_embeddings";
/// Name of what a text encoder said: never trained, and stored with the model.
pub const FEATURES: &str = "item_features.weight";
const ADAPTOR: &str = "item_adaptor";

/// The vectors of all items.
#[derive(Debug)]
pub enum ItemVectors {
    /// One for each, [1 + N, D].
    Learned(Weight),
    /// Projections of features [1 + N, E].
    Texts {
        /// What a text encoder said.
        features: Weight,
        /// From E to D.
        adaptor: Dense,
        /// D.
        width: i64,
    },
}

impl ItemVectors {
    /// `weights` points at the base; `items` is N, `features` E where there are any.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, items: i64, features: Option<i64>, hidden: i64) -> Result<Self, ModelError> {
        let Some(width) = features else {
            let init = Init::Normal(weights.initializer_range());
            return Ok(Self::Learned(weights.at(LEARNED).exact("weight", &[1 + items, hidden], init)?));
        };
        let zeros = Tensor::zeros([1 + items, width], (Kind::Float, weights.device()));
        let features = weights.fixed(FEATURES, zeros)?;
        Ok(Self::Texts { features, adaptor: weights.at(ADAPTOR).dense(width, hidden)?, width: hidden })
    }

    /// Those that were loaded at the same place before.
    pub fn made(weights: &Weights<'_>) -> Option<Self> {
        let path = |name: &str| weights.at(name).path().to_owned();
        if let Some(learned) = weights.made(&path(&format!("{LEARNED}.weight"))) {
            return Some(Self::Learned(learned));
        }
        let adaptor = weights.made(&path(&format!("{ADAPTOR}.weight")))?;
        let width = adaptor.size()[0];
        let adaptor = Dense::new(adaptor, weights.made(&path(&format!("{ADAPTOR}.bias"))));
        Some(Self::Texts { features: weights.kept(&path(FEATURES))?, adaptor, width })
    }

    /// N.
    pub fn items(&self) -> i64 {
        match self {
            Self::Learned(all) => all.size()[0] - 1,
            Self::Texts { features, .. } => features.size()[0] - 1,
        }
    }

    /// D.
    pub fn width(&self) -> i64 {
        match self {
            Self::Learned(all) => all.size()[1],
            Self::Texts { width, .. } => *width,
        }
    }

    /// Of these items [..], [.., D] in fp32. What is no item gets some vector.
    pub fn of(&self, ids: &Tensor, train: bool) -> Tensor {
        let ids = ids.clamp(0, self.items());
        match self {
            Self::Learned(all) => Tensor::embedding(all, &ids, 0, false, false),
            Self::Texts { features, adaptor, .. } => {
                let rows = features.index_select(0, &ids.flatten(0, -1));
                let shape: Vec<i64> = ids.size().into_iter().chain([-1]).collect();
                adaptor.forward(&rows, train).to_kind(Kind::Float).view(shape.as_slice())
            }
        }
    }

    /// Of all items, [N, D] in fp32: item i is row i - 1.
    pub fn all(&self, train: bool) -> Tensor {
        let items = self.items();
        match self {
            Self::Learned(all) => all.narrow(0, 1, items),
            Self::Texts { features, adaptor, .. } => {
                adaptor.forward(&features.narrow(0, 1, items), train).to_kind(Kind::Float)
            }
        }
    }
}

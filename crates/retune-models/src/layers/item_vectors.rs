//! Vectors of the items of a catalogue: learned for each, or made of what a text encoder said of its text, so that an item that
//! nobody has met has one too, and a model can move to another catalogue (UniSRec, Hou et al. 2022, with one projection in
//! the place of its experts).
//!
//! N items, numbered from 1; 0 is padding. E width of text features, D hidden size.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::{Kind, Tensor, no_grad};
use retune_kernels::{Dense, Weight};

/// Path of learned vectors.
const LEARNED: &str = "item_embeddings";
/// Name of what a text encoder said: stored with the model, and computed anew where that encoder learns with it.
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
    /// `weights` points at the base; `items` is N, `features` E where there are any, `renewed` whether their encoder learns, too.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        items: i64,
        features: Option<i64>,
        renewed: bool,
        hidden: i64,
    ) -> Result<Self, ModelError> {
        let Some(width) = features else {
            let init = Init::Normal(weights.initializer_range());
            return Ok(Self::Learned(weights.at(LEARNED).exact("weight", &[1 + items, hidden], init)?));
        };
        let zeros = Tensor::zeros([1 + items, width], (Kind::Float, weights.device()));
        let features = if renewed { weights.renewed(FEATURES, zeros)? } else { weights.fixed(FEATURES, zeros)? };
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
            Self::Texts { features, .. } => self.made_of(&rows(features, &ids), train),
        }
    }

    /// What was kept of the texts of these items [..], [.., E]; `None` where vectors are learnt item by item.
    pub fn kept(&self, ids: &Tensor) -> Option<Tensor> {
        match self {
            Self::Learned(_) => None,
            Self::Texts { features, .. } => Some(rows(features, &ids.clamp(0, self.items()))),
        }
    }

    /// Of items of which a text encoder said this [.., E], [.., D] in fp32. What is learnt item by item is made of nothing.
    pub fn made_of(&self, said: &Tensor, train: bool) -> Tensor {
        match self {
            Self::Learned(_) => said.shallow_clone(),
            Self::Texts { adaptor, .. } => adaptor.forward(said, train).to_kind(Kind::Float),
        }
    }

    /// Puts what a text encoder says of items now, [U, E], in the place of what it said before.
    ///
    /// # Errors
    /// Items that are not there, or another width.
    pub fn keep(&self, items: &Tensor, said: &Tensor) -> Result<(), ModelError> {
        if let Self::Texts { features, .. } = self {
            no_grad(|| features.shallow_clone().f_index_copy_(0, items, &said.to_kind(Kind::Float)).map(drop))?;
        }
        Ok(())
    }

    /// Of all items, [N, D] in fp32: item i is row i - 1.
    pub fn all(&self, train: bool) -> Tensor {
        let items = self.items();
        match self {
            Self::Learned(all) => all.narrow(0, 1, items),
            Self::Texts { features, .. } => self.made_of(&features.narrow(0, 1, items), train),
        }
    }
}

/// Rows of a table by numbers [..], [.., E].
fn rows(table: &Tensor, ids: &Tensor) -> Tensor {
    let shape: Vec<i64> = ids.size().into_iter().chain([-1]).collect();
    table.index_select(0, &ids.flatten(0, -1)).view(shape.as_slice())
}

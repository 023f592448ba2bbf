//! Scores of all items of a catalogue: products of what a history became with the vectors of the items.
//!
//! B batch, T items of a history, P places of a row, M places in all, N items, D hidden size.

use super::places::{self, LOGIT_POSITIONS};
use super::transform::{Transform, TransformPlan};
use super::{SCORE_WEIGHT, SCORED};
use crate::checkpoint::Weights;
use crate::layers::ItemVectors;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::tch::{Kind, Tensor};

/// Beside a state: vectors of the items that are scored [U, D], where those are not all.
pub const ITEM_CANDIDATES: &str = "item_candidates";

/// What a person meets next.
pub static NEXT_ITEM: Purpose =
    Purpose { key: "next-item", class_ending: "ForNextItem", peft: None, fresh: false, labels: false };

/// The head as data.
#[derive(Debug, Clone, Copy)]
pub struct NextItemPlan {
    /// Path of the base, whose vectors of items it reads.
    pub base: &'static str,
    /// Between hidden states and products, where there is one.
    pub transform: Option<TransformPlan>,
}

impl HeadPlan for NextItemPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let (head, d) = (weights.head(), body.width());
        let transform = self.transform.map(|plan| plan.build(&head, config, (d, d))).transpose()?;
        let vectors = ItemVectors::made(&weights.at(self.base)).ok_or_else(|| ModelError::Config {
            field: "model_type".to_owned(),
            problem: "this family has no vectors of items".to_owned(),
        })?;
        Ok(Box::new(NextItemHead { transform, vectors }))
    }
}

#[derive(Debug)]
struct NextItemHead {
    transform: Option<Transform>,
    vectors: ItemVectors,
}

impl NextItemHead {
    /// States at the places that are asked for, and vectors of all items, or of those that the body has made vectors of.
    fn parts(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let hidden = places::pick(&state.hidden, state.beside.optional(LOGIT_POSITIONS))?;
        let hidden = self.transform.as_ref().map_or_else(|| hidden.shallow_clone(), |it| it.forward(&hidden, train));
        let candidates = state.beside.optional(ITEM_CANDIDATES).map(Tensor::shallow_clone);
        let vectors = candidates.unwrap_or_else(|| self.vectors.all(train));
        Ok(Tensors::from([(SCORED, hidden.to_kind(Kind::Float)), (SCORE_WEIGHT, vectors)]))
    }
}

impl Head for NextItemHead {
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// `logits` [B, T, N]; with [`LOGIT_POSITIONS`] of these places only, [M, N]. Item i is column i - 1.
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let parts = self.parts(state, train)?;
        let logits = parts.get(SCORED)?.matmul(&parts.get(SCORE_WEIGHT)?.transpose(0, 1));
        Ok(Tensors::from([("logits", logits)]))
    }

    /// [`SCORED`] [M, D] and [`SCORE_WEIGHT`] [N, D], or [U, D] of some items.
    fn factors(&self, state: &State, _train: bool) -> Option<Tensors> {
        // Whether a graph is recorded decides nothing here: there is no dropout in a head.
        self.parts(state, true).ok()
    }

    /// 2·T·N·D.
    fn work(&self, items: f64) -> f64 {
        2.0 * items * self.vectors.items() as f64 * self.vectors.width() as f64
    }
}

//! Sequential recommendation: what a person meets next, by what they met before.
//!
//! SASRec (Kang and McAuley 2018) or BERT4Rec (Sun et al. 2019) over vectors of items that are learnt, or made of their texts
//! (UniSRec, Hou et al. 2022). All items are ranked, because samples of them mislead (Krichene and Rendle 2020). B batch, M
//! places that are asked for, N items, D width.
//!
//! | file | holds |
//! |---|---|
//! | `settings` | what a recipe says |
//! | `prepare`, `split` | the data of a run; who is asked for what |
//! | `loss` | what is learnt |
//! | `features`, `item_encoder` | vectors of texts of items: computed once, or by an encoder that learns with the model |
//! | `saved`, `queries` | what lies beside a saved model; how it is used |
//! | `answer`, `scorer` | ranks and metrics |
//! | `baselines` | popularity, item k-nearest-neighbours |

mod answer;
mod baselines;
mod features;
mod item_encoder;
mod loss;
mod order;
mod prepare;
mod queries;
mod saved;
mod scorer;
mod settings;
mod split;

use super::{BatchTensors, Data, Entry, FromScratchSettings, Guess, Phase, Scorer, Task, Turn};
use crate::metric::Said;
use crate::recipe::settings::Settings;
use answer::Answer;
use anyhow::{Result, bail};
pub(crate) use item_encoder::item_backbone;
use loss::{ItemLoss, Learnt};
use retune_data::{Batching, Catalogue, ItemHistories, NextItems};
use retune_kernels::Lanes;
use retune_kernels::loss::{IGNORE_INDEX, SummedLoss, cross_entropy};
use retune_kernels::tch::Device;
use retune_models::checkpoint::GivenTensor;
use retune_models::heads::{self, LOGIT_POSITIONS, SCORE_WEIGHT, SCORED};
use retune_models::item_texts::ITEM_BACKBONE;
use retune_models::{ModelConfig, Network, NewHead, Takes, Tensors, registry};
use scorer::Ranks;
use serde_json::{Map, Value, json};
use settings::{InteractionSettings, ItemSettings};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

const ENTRY_NAME: &str = "recommendation";

/// The task.
pub(super) static ENTRY: Entry = Entry {
    name: ENTRY_NAME,
    purpose: &heads::NEXT_ITEM,
    settings: &[InteractionSettings::SECTION, ItemSettings::SECTION, FromScratchSettings::SECTION],
    decides: None,
    targets: &["labels"],
    loss: raw_loss,
    prepare: prepare::prepare,
    open: queries::open,
};

/// The medium.
type Histories = ItemHistories;

/// Cross-entropy over all items of raw outputs; `labels` are items from 1, of which 0 and [`IGNORE_INDEX`] count for nothing.
fn raw_loss(_: &ModelConfig) -> Result<super::LossOf> {
    Ok(Box::new(|outputs, batch| {
        let logits = outputs.get("logits")?;
        let labels = batch.targets.get("labels")?;
        let labels = (labels - 1).masked_fill(&labels.le(0), IGNORE_INDEX).f_reshape([-1])?;
        Ok(cross_entropy(&logits.f_reshape([-1, logits.size()[logits.dim() - 1]])?, &labels, None, 0.0))
    }))
}

/// How a model of this configuration reads histories: how many items of them, and whether it looks both ways.
fn reads(config: &ModelConfig) -> Result<(usize, bool)> {
    let mut known = config.clone();
    known.set("num_items", json!(1));
    let Takes::Tokens { longest: Some(longest), vocabulary } = registry::takes(&known)? else {
        bail!("this model reads no histories of items");
    };
    // Beside padding and the one item there is one that stands for a hidden item.
    Ok((longest, vocabulary == 3))
}

struct Recommendation {
    catalogue: Arc<Catalogue>,
    /// Whether each item, from 0 on, is in a training history.
    known: Arc<Vec<bool>>,
    /// The loss in training.
    loss: ItemLoss,
    given: Option<Arc<GivenTensor>>,
    /// What the encoder of texts learns from, where it does.
    learnt: Option<Learnt>,
    /// Whether vectors are learnt item by item, whatever the model has.
    identities: bool,
    /// Places that a new model has.
    positions: Option<usize>,
    recommendations: usize,
    protocol: Arc<str>,
    files: Vec<PathBuf>,
    /// Where files lie that were made for this run; it goes with the task.
    _folder: Option<Arc<TempDir>>,
}

impl Task for Recommendation {
    type Medium = Histories;
    type Targets = NextItems;
    type Answer = Answer;

    fn head(&self) -> NewHead {
        let head = NewHead::of(ENTRY.purpose).field("num_items", self.catalogue.len());
        let head = match self.positions {
            Some(positions) => head.field("max_position_embeddings", positions),
            None => head,
        };
        if self.identities {
            return head.field("item_features", Value::Null).field(item_encoder::CONFIG, Value::Null);
        }
        match &self.given {
            Some(given) => head.field("item_features", given.shape[1]).given(Arc::clone(given)),
            None => head,
        }
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, phase: Phase) -> Result<SummedLoss> {
        loss::of_batch(self.loss, self.learnt.as_ref(), self.catalogue.len(), outputs, batch, phase)
    }

    fn loss_reads(&self) -> &'static [&'static str] {
        &[LOGIT_POSITIONS]
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Answer>> {
        let outputs = turn.outputs()?;
        let scores = outputs.get(SCORED)?.f_matmul(&outputs.get(SCORE_WEIGHT)?.transpose(0, 1))?;
        let flat = Vec::<f32>::try_from(scores.f_reshape([-1])?)?;
        let items = scores.size()[1] as usize;
        let rows = turn.data.medium().sequences();
        let of = |(&row, scores): (&usize, &[f32])| {
            let example = turn.data.inner_example(row);
            let right = turn.data.gold(row)?.flatten();
            Ok(Answer::of(scores.to_vec(), rows.items(example), right, self.recommendations))
        };
        turn.rows.iter().zip(flat.chunks(items)).map(of).collect()
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(Ranks::new(Arc::clone(&self.known), Arc::clone(&self.protocol)))
    }

    fn guesses(&self, train: &Data<Self>) -> Result<Vec<Guess<'_, Self>>> {
        Ok(baselines::guesses(train, self.recommendations))
    }

    fn rival(&self) -> Option<(&'static str, Self)> {
        self.given.as_ref()?;
        let rival = Self {
            catalogue: Arc::clone(&self.catalogue),
            known: Arc::clone(&self.known),
            loss: self.loss.without_texts(),
            given: None,
            learnt: None,
            identities: true,
            positions: self.positions,
            recommendations: self.recommendations,
            protocol: Arc::clone(&self.protocol),
            files: self.files.clone(),
            _folder: self._folder.clone(),
        };
        Some(("identities without texts", rival))
    }

    fn ideal(&self, data: &Data<Self>, example: usize) -> Result<Option<Answer>> {
        let right = data.gold(example)?.flatten();
        Ok(right.map(|item| Answer { rank: Some(1), best: vec![(item, 1.0)] }))
    }

    fn describe(&self, _data: &Data<Self>, _example: usize, answer: &Answer) -> Result<Map<String, Value>> {
        let one = |(item, score): &(u32, f32)| json!({"item_id": self.catalogue.id(*item), "score": score});
        let items = answer.best.iter().take(self.recommendations).map(one).collect();
        let mut line = Map::from_iter([("items".to_owned(), Value::Array(items))]);
        line.extend(answer.rank.map(|rank| ("rank".to_owned(), json!(rank))));
        Ok(line)
    }

    fn said(&self, _data: &Data<Self>, _example: usize, answer: &Answer) -> Result<Said> {
        const SHOWN: usize = 3;
        let named = |item: u32| match self.catalogue.text(item) {
            "" => self.catalogue.id(item).to_owned(),
            text => format!("{} ({})", self.catalogue.id(item), text.lines().next().unwrap_or_default()),
        };
        let first: Vec<String> = answer.best.iter().take(SHOWN).map(|(item, _)| named(*item)).collect();
        let rank = answer.rank.map_or_else(String::new, |rank| format!("; what came next has rank {rank}"));
        Ok(Said { prediction: format!("{}{rank}", first.join(", ")), ..Said::default() })
    }

    fn batching(&self) -> Batching {
        Batching::Examples
    }

    fn frozen_part(&self) -> Option<&'static str> {
        self.learnt.is_none().then_some(ITEM_BACKBONE)
    }

    fn renew(&self, network: &Network, device: Device, lanes: &Lanes) -> Result<()> {
        self.learnt.as_ref().map_or(Ok(()), |learnt| item_encoder::renew(&learnt.tokens, network, device, lanes))
    }

    fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

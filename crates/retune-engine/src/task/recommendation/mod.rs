//! Sequential recommendation: what a person meets next, by what they met before.
//!
//! SASRec (Kang and McAuley 2018) or BERT4Rec (Sun et al. 2019) over vectors of items that are learnt, or made of their texts
//! (UniSRec, Hou et al. 2022). All items are ranked, because samples of them mislead (Krichene and Rendle 2020). B batch, M
//! places that are asked for, N items, D width.
//!
//! | file | holds |
//! |---|---|
//! | `settings` | what a recipe says |
//! | `split` | who is asked for what |
//! | `features` | vectors of texts of items |
//! | `saved`, `queries` | what lies beside a saved model; how it is used |
//! | `answer`, `scorer` | ranks and metrics |
//! | `baselines` | popularity, item k-nearest-neighbours |

mod answer;
mod baselines;
mod features;
mod queries;
mod saved;
mod scorer;
mod settings;
mod split;

use super::splits::Encoded;
use super::{
    BatchTensors, Data, Entry, FromScratchSettings, Guess, Phase, Prepared, Preparing, Scorer, Task, Turn, Work,
};
use crate::metric::Said;
use crate::recipe::settings::Settings;
use answer::Answer;
use anyhow::{Context, Result, bail, ensure};
use retune_data::{
    Batching, Catalogue, Events, Examples, HistoryOptions, ItemHistories, Names, NextItems, OnBadExample, Sequences,
};
use retune_kernels::loss::{self, DrawnLoss, IGNORE_INDEX, Scoring, SummedLoss};
use retune_kernels::random;
use retune_kernels::tch::{Kind, Tensor};
use retune_models::checkpoint::GivenTensor;
use retune_models::heads::{self, LOGIT_POSITIONS, SCORE_WEIGHT, SCORED};
use retune_models::{ModelConfig, NewHead, Takes, Tensors, registry};
use saved::SavedItems;
use scorer::Ranks;
use serde_json::{Map, Value, json};
use settings::{InteractionSettings, ItemSettings};
use split::{Files, Stretches};
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
    prepare,
    open: queries::open,
};

/// The medium.
type Histories = ItemHistories;

/// Name of the vectors of texts in a model.
const FEATURES: &str = "model.item_features.weight";

/// Cross-entropy over all items of raw outputs; `labels` are items from 1, of which 0 and [`IGNORE_INDEX`] count for nothing.
fn raw_loss(_: &ModelConfig) -> Result<super::LossOf> {
    Ok(Box::new(|outputs, batch| {
        let logits = outputs.get("logits")?;
        let labels = batch.targets.get("labels")?;
        let labels = (labels - 1).masked_fill(&labels.le(0), IGNORE_INDEX).f_reshape([-1])?;
        Ok(loss::cross_entropy(&logits.f_reshape([-1, logits.size()[logits.dim() - 1]])?, &labels, None, 0.0))
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

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    let recipe = from.recipe;
    let (interactions, settings) = (recipe.read::<InteractionSettings>()?, recipe.read::<ItemSettings>()?);
    settings.check(recipe)?;
    ensure!(
        recipe.run.overfit.is_none(),
        "overfit: histories are cut by time, so that the same ones cannot be learnt and evaluated; leave it out"
    );
    ensure!(interactions.interactions.is_none(), "interactions: belongs to use; training reads --train");
    registry::family_for(from.config, Some(ENTRY.purpose))?;
    let (own, both_ways) = reads(from.config)?;
    let longest = settings.history_length.unwrap_or(own);
    ensure!(
        recipe.data.from_scratch || longest <= own,
        "history-length: {longest} is more than the {own} items that this model sees"
    );
    ensure!(longest >= 2, "history-length: a model sees at least 2 items");
    let on_bad_example: OnBadExample = recipe.data.on_bad_example.parse()?;
    let mut notes = Vec::new();
    let saved = if recipe.data.from_scratch { None } else { SavedItems::of(from.model)? };
    let known_items = saved.as_ref().map(|saved| saved.items.clone()).unwrap_or_default();
    let mut catalogue = match &settings.items {
        Some(path) => Catalogue::read(path, &interactions.item_column, &settings.item_text_columns, on_bad_example)?,
        None => Catalogue::default(),
    };
    notes.extend(catalogue.remarks().iter().cloned());
    let listed = catalogue.len();
    let mut users = Names::default();
    let columns = interactions.columns();
    let mut read = |path: &std::path::Path| Events::read(path, &columns, on_bad_example, &mut users, &mut catalogue);
    let files = Files {
        train: read(recipe.data.train.as_deref().context("training data")?)?,
        validation: recipe.data.validation.as_deref().map(&mut read).transpose()?,
        test: recipe.data.test.as_deref().map(&mut read).transpose()?,
    };
    let unlisted = catalogue.len() - listed;
    if listed > 0 && unlisted > 0 {
        let first: Vec<&str> = catalogue.ids()[listed..].iter().take(5).map(String::as_str).collect();
        notes.push(format!(
            "{unlisted} items of interactions are not in the table of items, such as {}",
            first.join(", ")
        ));
    }
    let catalogue = if known_items.is_empty() { catalogue } else { catalogue.ordered(&known_items) };
    let files =
        if known_items.is_empty() { files } else { renumbered(files, recipe, &interactions, &catalogue, &mut users)? };
    let catalogue = Arc::new(catalogue);
    let cut = Stretches { longest, overlap: !both_ways };
    let held = split::hold_out(files, &users, &catalogue, cut)?;
    let counts = counts(&held.train, catalogue.len(), both_ways);
    let given = vectors(from, &settings, &catalogue, &known_items, &mut notes)?;
    let draws = settings.item_loss != "full";
    let options = HistoryOptions {
        longest,
        items: catalogue.len(),
        masked: both_ways.then_some(settings.item_mask_share),
        negatives: if draws { settings.negatives } else { 0 },
    };
    notes.push(format!(
        "{} users, {} items, {} of them in training; {}",
        users.all().len(),
        catalogue.len(),
        counts.iter().filter(|&&count| count > 0).count(),
        held.protocol
    ));
    notes.extend(held.notes);
    let examples = |rows: Sequences| {
        let rows = Arc::new(rows);
        Ok::<_, anyhow::Error>(Examples::new(
            Arc::clone(&rows) as _,
            ItemHistories::new(&rows, options),
            Some(NextItems(rows)),
        )?)
    };
    let data = Encoded {
        train: examples(held.train)?,
        validation: Some(examples(held.validation)?),
        test: held.test.map(examples).transpose()?,
    };
    let key = |text: &str| random::name_key(text);
    let texts = given
        .as_ref()
        .map_or(0, |given| given.values.iter().fold(1, |key, it| random::mix(&[key, u64::from(it.to_bits())])));
    let fingerprint = random::mix(&[
        longest as u64,
        options.negatives as u64,
        key(&settings.item_loss),
        texts,
        catalogue.len() as u64,
    ]);
    let splits = data.splits::<Recommendation>(recipe, fingerprint, notes)?;
    let items = SavedItems { items: catalogue.ids().to_vec(), training_counts: counts };
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let files = vec![items.write(folder.path())?];
    let task = Recommendation {
        known: Arc::new(items.known()),
        catalogue,
        loss: drawn(&settings),
        given,
        positions: recipe.data.from_scratch.then_some(longest),
        recommendations: interactions.recommendations,
        protocol: held.protocol.into(),
        files,
        _folder: Some(Arc::new(folder)),
    };
    Ok(Box::new(Prepared::new(task, splits)))
}

/// The files read again, so that items have the numbers of a catalogue.
fn renumbered(
    files: Files,
    recipe: &crate::Recipe,
    settings: &InteractionSettings,
    catalogue: &Catalogue,
    users: &mut Names,
) -> Result<Files> {
    let on_bad_example: OnBadExample = recipe.data.on_bad_example.parse()?;
    let mut all = catalogue.clone();
    let mut again = |events: &Events| Events::read(&events.file, &settings.columns(), on_bad_example, users, &mut all);
    Ok(Files {
        train: again(&files.train)?,
        validation: files.validation.as_ref().map(&mut again).transpose()?,
        test: files.test.as_ref().map(&mut again).transpose()?,
    })
}

/// How often each item stands in the training stretches; where those overlap, what they share counts once.
fn counts(train: &Sequences, items: usize, both_ways: bool) -> Vec<u64> {
    let mut counts = vec![0; items];
    let mut user = None;
    for row in 0..retune_data::Records::len(train) {
        let same = user == train.row(row).user.as_deref();
        user = train.row(row).user.as_deref();
        let shared = usize::from(same && !both_ways);
        train.items(row).iter().skip(shared).for_each(|&item| counts[item as usize - 1] += 1);
    }
    counts
}

/// Vectors of the texts of items, where the run or the model has them.
fn vectors(
    from: &Preparing<'_>,
    settings: &ItemSettings,
    catalogue: &Catalogue,
    known: &[String],
    notes: &mut Vec<String>,
) -> Result<Option<Arc<GivenTensor>>> {
    let made_of_texts = from.config.get("item_features").is_some();
    let same = catalogue.ids() == known;
    let fresh = from.recipe.data.from_scratch;
    if let Some(encoder) = &settings.item_encoder {
        ensure!(
            fresh || made_of_texts,
            "item-encoder: this model has learnt vectors item by item; train a new one (--from-scratch --config)"
        );
        let (given, note) = features::of(from.recipe, encoder, catalogue, FEATURES, from.progress)?;
        notes.push(note);
        return Ok(Some(Arc::new(given)));
    }
    ensure!(
        fresh || same,
        "{}: the model's catalogue has {} items, the data {}, {}",
        from.model.display(),
        known.len(),
        catalogue.len(),
        if made_of_texts {
            "and what their texts say is to be computed anew; give --items and --item-encoder"
        } else {
            "and it has learnt vectors item by item, which mean nothing for others; train a new one (--from-scratch --config)"
        }
    );
    Ok(None)
}

fn drawn(settings: &ItemSettings) -> Option<DrawnLoss> {
    match settings.item_loss.as_str() {
        "sampled" => Some(DrawnLoss::Softmax),
        "bpr" => Some(DrawnLoss::Pairwise),
        "gbce" => Some(DrawnLoss::Calibrated { calibration: settings.gbce_calibration, items: 0 }),
        _ => None,
    }
}

struct Recommendation {
    catalogue: Arc<Catalogue>,
    /// Whether each item, from 0 on, is in a training history.
    known: Arc<Vec<bool>>,
    /// The loss in training, where it is not that over all items.
    loss: Option<DrawnLoss>,
    given: Option<Arc<GivenTensor>>,
    /// Places that a new model has.
    positions: Option<usize>,
    recommendations: usize,
    protocol: Arc<str>,
    files: Vec<PathBuf>,
    /// Where files lie that were made for this run; it goes with the task.
    _folder: Option<Arc<TempDir>>,
}

/// The labels that count, from 0, and which of all they are.
fn counted(labels: &Tensor) -> (Tensor, Tensor) {
    let counted = labels.ge(1);
    (labels.masked_select(&counted) - 1, counted)
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
        match &self.given {
            Some(given) => head.field("item_features", given.shape[1]).given(Arc::clone(given)),
            None => head,
        }
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, phase: Phase) -> Result<SummedLoss> {
        let (states, weight) = (outputs.get(SCORED)?, outputs.get(SCORE_WEIGHT)?);
        let (labels, counted) = counted(batch.targets.get("labels")?);
        let drawn = self.loss.filter(|_| phase == Phase::Training);
        let Some((loss, negatives)) = drawn.zip(batch.targets.optional("negatives")) else {
            let scoring = Scoring { weight, bias: None, softcap: None };
            return Ok(loss::next_token_cross_entropy(states, scoring, &labels, 0.0).loss);
        };
        let [_, _, count] = negatives.size()[..] else { bail!("negatives have three dimensions") };
        let negatives =
            negatives.f_reshape([-1, count])?.f_index_select(0, &counted.f_reshape([-1])?.nonzero().squeeze_dim(1))?
                - 1;
        let of = |items: &Tensor| weight.f_index_select(0, &items.f_reshape([-1])?);
        let right = (states * of(&labels)?).sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
        let others = of(&negatives)?.f_reshape([-1, count, states.size()[1]])?;
        let others = others.f_bmm(&states.unsqueeze(2))?.squeeze_dim(2); // [M, K]
        let loss = match loss {
            DrawnLoss::Calibrated { calibration, .. } => DrawnLoss::Calibrated { calibration, items: weight.size()[0] },
            other => other,
        };
        Ok(loss::drawn_items(&right, &others, loss))
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
            loss: self.loss,
            given: None,
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

    fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

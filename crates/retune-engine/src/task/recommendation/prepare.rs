//! The data of a run: interactions as histories that are learnt and asked, the catalogue, and vectors of its texts.

use super::item_encoder::{CONFIG, Encoder};
use super::loss::{ItemLoss, Learnt};
use super::saved::SavedItems;
use super::settings::{InteractionSettings, ItemSettings};
use super::split::{self, Files, Stretches};
use super::{ENTRY, Recommendation, features, reads};
use crate::task::splits::Encoded;
use crate::task::{Prepared, Preparing, Work};
use anyhow::{Context, Result, bail, ensure};
use retune_data::{
    Catalogue, Events, Examples, HistoryOptions, ItemHistories, Names, NextItems, OnBadExample, Sequences,
};
use retune_kernels::random;
use retune_models::checkpoint::GivenTensor;
use retune_models::registry;
use std::sync::Arc;

/// Name of the vectors of texts in a model.
const FEATURES: &str = "model.item_features.weight";

/// All data of a run.
///
/// # Errors
/// Settings that contradict each other, data that cannot be used.
pub(super) fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
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
    let encoder = Encoder::of(settings.item_encoder.as_deref(), from.model, from.config)?;
    let given = vectors(from, &settings, &catalogue, &known_items, encoder.as_ref(), &mut notes)?;
    let learnt = match &encoder {
        Some(encoder) if settings.train_item_encoder => {
            Some(Learnt::new(encoder.tokens(&catalogue, from.progress)?, &counts))
        }
        None if settings.train_item_encoder => {
            bail!("train-item-encoder: the model has none inside; give --item-encoder")
        }
        _ => None,
    };
    let tokens = learnt.as_ref().map(|learnt| Arc::clone(&learnt.tokens));
    let options = HistoryOptions {
        longest,
        items: catalogue.len(),
        masked: both_ways.then_some(settings.item_mask_share),
        negatives: if settings.draws() { settings.negatives } else { 0 },
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
            ItemHistories::new(&rows, options).with_texts(tokens.clone()),
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
        key(settings.item_loss()),
        texts,
        catalogue.len() as u64,
    ]);
    let splits = data.splits::<Recommendation>(recipe, fingerprint, notes)?;
    let items = SavedItems { items: catalogue.ids().to_vec(), training_counts: counts };
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut files = vec![items.write(folder.path())?];
    if let Some(encoder) = encoder.as_ref().filter(|_| from.config.get(CONFIG).is_some()) {
        files.push(encoder.write(folder.path())?);
    }
    let task = Recommendation {
        known: Arc::new(items.known()),
        catalogue,
        loss: ItemLoss::of(&settings),
        given,
        learnt,
        identities: false,
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

/// Vectors of the texts of items, where the run or the model has them; `None`: those that the model has stand.
fn vectors(
    from: &Preparing<'_>,
    settings: &ItemSettings,
    catalogue: &Catalogue,
    known: &[String],
    encoder: Option<&Encoder>,
    notes: &mut Vec<String>,
) -> Result<Option<Arc<GivenTensor>>> {
    let made_of_texts = from.config.get("item_features").is_some();
    let (same, fresh) = (catalogue.ids() == known, from.recipe.data.from_scratch);
    let named = settings.item_encoder.is_some();
    if let Some(encoder) = encoder.filter(|_| named || !same) {
        ensure!(
            fresh || made_of_texts,
            "item-encoder: this model has learnt vectors item by item; train a new one (--from-scratch --config)"
        );
        ensure!(
            !named || settings.train_item_encoder || from.config.get(CONFIG).is_none(),
            "item-encoder: this model has one inside that has learnt with it; leave it out, or give --train-item-encoder to learn \
             with another one"
        );
        ensure!(
            settings.items.is_some(),
            "{}: the data has items that the model does not know, and texts say what they are; give --items",
            from.model.display()
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

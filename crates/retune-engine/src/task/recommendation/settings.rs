//! What a recipe says of interactions, items, and how they are learnt.

use super::ENTRY_NAME;
use crate::Recipe;
use crate::recipe::settings::{AT_LEAST_ONE, DATA, NOT_NEGATIVE, SHARE, TRAINING, settings};
use anyhow::{Result, ensure};
use retune_data::EventColumns;
use std::path::PathBuf;

settings! {
    /// Who met what.
    pub(super) struct InteractionSettings, under DATA, else "{task} has no interactions" {
        /// Column with the user of an interaction
        user_column: String = "user_id".to_owned(), value("COLUMN"), at_use();
        /// Column with its item, in the table of items too
        item_column: String = "item_id".to_owned(), value("COLUMN"), at_use();
        /// Column with its time, in seconds or as a date
        time_column: Option<String>, value("COLUMN"), usual("timestamp; without it rows are in order"), at_use();
        /// Column with its rating, for --min-rating
        rating_column: String = "rating".to_owned(), value("COLUMN"), at_use();
        /// Least rating of interactions that count
        min_rating: Option<f64>, value("X"), usual("all count"), at_use();
        /// Interactions that users' histories are taken from
        interactions: Option<PathBuf>, value("FILE"), usual("the files of the run"), at_use();
        /// Items for each answer
        recommendations: usize = 10, value("N"), range(AT_LEAST_ONE), at_use();
    }
}

settings! {
    /// What is recommended, and how it is learnt.
    pub(super) struct ItemSettings, under DATA, else "{task} has no items" {
        /// Table of items
        items: Option<PathBuf>, value("FILE");
        /// Its columns with texts
        item_text_columns: Vec<String> = vec!["title".to_owned()], value("COLUMN,COLUMN");
        /// Makes vectors of items from their texts, by this encoder (a checkpoint folder or hub id); it stays as it is, unless
        /// --train-item-encoder is given
        item_encoder: Option<String>, value("DIR|HUB_ID"), usual("vectors are learnt item by item");
        /// The encoder of texts learns with the model, and is saved with it; --backbone-learning-rate is its own
        train_item_encoder: bool, under(TRAINING);
        /// Items of a history that the model sees, the newest ones
        history_length: Option<usize>, value("N"), usual("the model's; 50 for a new one"), range(AT_LEAST_ONE);
        /// full: softmax over all items; in-batch: over those of a batch, each by how likely it is to be in one; sampled: over
        /// the right one and some that are drawn; bpr: pairs of them; gbce: each by itself, calibrated
        item_loss: Option<String>, value("LOSS"), under(TRAINING), usual("full; in-batch with --train-item-encoder"), one_of(&["full", "in-batch", "sampled", "bpr", "gbce"]);
        /// Items drawn beside each right one, for the losses that draw
        negatives: usize = 32, value("N"), under(TRAINING), range(AT_LEAST_ONE);
        /// Calibration of gbce, from 0 to 1
        gbce_calibration: f64 = 0.75, value("T"), under(TRAINING), range(NOT_NEGATIVE);
        /// Share of items that are hidden, for models that look both ways
        item_mask_share: f64 = 0.2, value("SHARE"), under(TRAINING), range(SHARE);
    }
}

/// The usual name of the column with times.
const TIMES: &str = "timestamp";

impl InteractionSettings {
    /// The columns of interactions.
    pub(super) fn columns(&self) -> EventColumns {
        EventColumns {
            user: self.user_column.clone(),
            item: self.item_column.clone(),
            time: self.time_column.clone().unwrap_or_else(|| TIMES.to_owned()),
            time_required: self.time_column.is_some(),
            rating: self.min_rating.map(|least| (self.rating_column.clone(), least)),
        }
    }
}

impl ItemSettings {
    /// What is learnt.
    pub(super) fn item_loss(&self) -> &str {
        let usual = if self.train_item_encoder { "in-batch" } else { "full" };
        self.item_loss.as_deref().unwrap_or(usual)
    }

    /// Whether items are drawn for it.
    pub(super) fn draws(&self) -> bool {
        !["full", "in-batch"].contains(&self.item_loss())
    }

    /// Refuses what contradicts itself or would not be read.
    pub(super) fn check(&self, recipe: &Recipe) -> Result<()> {
        ensure!(self.gbce_calibration <= 1.0, "gbce-calibration: {} is more than 1", self.gbce_calibration);
        ensure!(
            self.item_encoder.is_none() || self.items.is_some(),
            "item-encoder: needs a table of items with texts (--items)"
        );
        ensure!(
            !self.train_item_encoder || self.items.is_some(),
            "train-item-encoder: needs a table of items with texts (--items)"
        );
        ensure!(
            !self.train_item_encoder || self.item_loss() != "full",
            "item-loss: full scores all items in each step, whose texts would all go through the encoder each time; with \
             --train-item-encoder use in-batch, sampled, bpr or gbce"
        );
        ensure!(
            self.train_item_encoder || self.item_loss() != "in-batch",
            "item-loss: in-batch spares the encoder the texts of other items, and needs --train-item-encoder; without it full \
             costs little more"
        );
        let method = &recipe.optimization.method;
        let learns = method == "full" || method == "bitfit" || method.starts_with("last:");
        ensure!(
            !self.train_item_encoder || learns,
            "method: {method} leaves the weights of an encoder of texts as they are; leave out --train-item-encoder, and its \
             vectors are computed once and kept, or use full, last:K or bitfit"
        );
        ensure!(recipe.data.group_column.is_none(), "group-column: {ENTRY_NAME} holds out by time; leave it out");
        Ok(())
    }
}

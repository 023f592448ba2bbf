//! Texts as the tasks on them read them: the model's tokenizer, how long rows may be, columns.

use crate::recipe::settings::{AT_LEAST_ONE, DATA, TRAINING, settings};
use anyhow::{Result, ensure};
use retune_data::annotations::Repair;
use retune_data::{Batching, TextOptions, Tokenizer, user_cache};
use retune_models::{ModelConfig, Takes, heads, registry};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Longest input when nobody says otherwise: what BERT-like encoders were pretrained with.
const USUAL_MAX_LENGTH: usize = 512;

settings! {
    /// How texts become tokens.
    pub struct TokenSettings, under DATA, else "{task} does not cut texts to a length (documents have --block-size)" {
        /// Longest input in tokens
        max_length: Option<usize>, value("TOKENS"), range(AT_LEAST_ONE), at_use();
    }
}

settings! {
    /// How tokens become batches.
    pub struct BatchSettings, under DATA, else "{task} has no tokens" {
        /// examples: equally many in each micro-batch; tokens: as many micro-batches, of about equally many tokens, so that
        /// steps take equally long
        batch_by: String = "examples".to_owned(), under(TRAINING), one_of(&["examples", "tokens"]);
    }
}

settings! {
    /// The column of texts.
    pub struct TextSettings, under DATA, else "{task} has no column of texts" {
        /// Column with the text
        text_column: String = "text".to_owned(), value("COLUMN"), at_use();
    }
}

settings! {
    /// What people marked in texts.
    pub struct AnnotationSettings, under DATA, else "{task} has no annotations that could be mended" {
        /// Marks that contradict themselves or do not stand where they say: fail, or mend them
        on_bad_annotation: String = "fail".to_owned(), value("fail|mend"), one_of(&["fail", "mend"]), at_use();
    }
}

impl AnnotationSettings {
    /// What becomes of such marks.
    pub(super) fn repair(&self) -> Repair {
        if self.on_bad_annotation == "mend" { Repair::Mend } else { Repair::Fail }
    }
}

impl BatchSettings {
    /// What micro-batches have equally many of.
    pub fn batching(&self) -> Batching {
        if self.batch_by == "tokens" { Batching::Tokens } else { Batching::Examples }
    }
}

/// How texts become a model's input.
pub(super) struct TextInput {
    /// The model's tokenizer.
    pub(super) tokenizer: Tokenizer,
    /// Tokens of a row at most, special ones included.
    pub(super) max_length: usize,
}

impl TextInput {
    /// For a model folder, at the recipe's length if it names one.
    pub(super) fn of(max_length: Option<usize>, model: &Path, config: &ModelConfig) -> Result<Self> {
        Self::up_to(USUAL_MAX_LENGTH, max_length, model, config)
    }

    /// As [`Self::of`], for a task whose rows are usually no longer than that.
    pub(super) fn up_to(usual: usize, max_length: Option<usize>, model: &Path, config: &ModelConfig) -> Result<Self> {
        let tokenizer = Tokenizer::load(model)?;
        let tokenizer = match user_cache() {
            Some(cache) => tokenizer.with_cache(cache.join("tokens")),
            None => tokenizer,
        };
        let Takes::Tokens { longest, vocabulary } = registry::takes(config)? else {
            anyhow::bail!("{}: this model takes no texts", model.display());
        };
        ensure!(
            tokenizer.vocabulary_size() <= vocabulary,
            "{}: the tokenizer has {} pieces, but the model's embedding has {vocabulary} rows; they do not belong together",
            tokenizer.folder().display(),
            tokenizer.vocabulary_size()
        );
        let positions = longest.unwrap_or(usize::MAX);
        let allowed = tokenizer.model_max_length().unwrap_or(usize::MAX).min(positions);
        let max_length = max_length.unwrap_or(allowed.min(usual));
        ensure!(
            max_length <= positions,
            "max-length: {max_length} is more than the {positions} positions this model has"
        );
        let two_types = config.get("type_vocab_size").and_then(Value::as_u64).is_some_and(|n| n > 1);
        let wanted = tokenizer.token_types() && two_types;
        let tokenizer = tokenizer.with_token_types(wanted);
        // A decoder tells the last token of a text by what fills the row behind it.
        let filler = config.get("pad_token_id").and_then(Value::as_u64).filter(|&token| token < vocabulary as u64);
        let decoder = registry::supports(config, &heads::CAUSAL_LM);
        let tokenizer = match filler.filter(|_| decoder) {
            Some(filler) => tokenizer.with_pad_id(filler as u32),
            None => tokenizer,
        };
        Ok(Self { tokenizer, max_length })
    }

    /// Rows of that length.
    pub(super) fn options(&self) -> TextOptions {
        TextOptions::new(self.max_length)
    }

    /// Files that belong into the saved model.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.tokenizer.files().to_vec()
    }
}

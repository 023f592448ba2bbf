//! Texts as a model makes vectors of them: its tokenizer, and what sentence-transformers wrote beside it.

use super::SentenceSimilarity;
use crate::Recipe;
use crate::task::parts::{self, NextRows};
use crate::task::texts::{TextInput, TokenSettings};
use anyhow::{Context, Result, ensure};
use retune_data::{Batching, Layout, OnBadExample, SeveralTexts, Similarity, TableLines, TableRows, TextOptions};
use retune_models::ModelConfig;
use retune_models::checkpoint::SentenceModules;
use std::path::Path;
use std::sync::Arc;

/// How a model makes vectors of texts.
pub(super) struct Reading {
    pub(super) text: TextInput,
    pub(super) modules: SentenceModules,
    pub(super) on_bad_example: OnBadExample,
}

impl Reading {
    pub(super) fn of(recipe: &Recipe, model: &Path, config: &ModelConfig, pooling: &str) -> Result<Self> {
        let saved = SentenceModules::of(model)?;
        let mut modules = saved.clone().unwrap_or_default();
        if pooling != "auto" {
            modules.pooling = pooling.parse().map_err(|problem| anyhow::anyhow!("pooling: {problem}"))?;
        }
        let max_length = recipe.read::<TokenSettings>()?.max_length;
        let text = match modules.max_length {
            Some(usual) => TextInput::up_to(usual, max_length, model, config)?,
            None => TextInput::of(max_length, model, config)?,
        };
        if modules.lower_case {
            let both = ["ABC xyz", "abc xyz"].map(|it| text.tokenizer.encode(it, None, text.max_length));
            let [upper, lower] = both;
            ensure!(
                upper?.ids == lower?.ids,
                "{}: sentence_bert_config.json wants texts in lower case, but the tokenizer tells cases apart; write them \
                 in lower case and set do_lower_case to false",
                model.display()
            );
        }
        modules.max_length = Some(text.max_length);
        Ok(Self { text, modules, on_bad_example: recipe.data.on_bad_example.parse()? })
    }

    pub(super) fn options(&self) -> TextOptions {
        self.text.options().on_bad_example(self.on_bad_example)
    }

    pub(super) fn read(&self, path: &Path, layout: &Layout, targets: bool) -> Result<Arc<TableRows>> {
        Ok(Arc::new(TableRows::read(path, layout, targets, self.on_bad_example)?))
    }

    pub(super) fn encode(&self, rows: &Arc<TableRows>, progress: &dyn Fn(usize, usize)) -> Result<SeveralTexts> {
        Ok(SeveralTexts::encode(rows, &self.text.tokenizer, &self.options(), progress)?)
    }

    pub(super) fn task(&self, kind: Option<Similarity>) -> SentenceSimilarity {
        SentenceSimilarity {
            kind,
            modules: self.modules.clone(),
            threshold: Arc::default(),
            batching: Batching::Examples,
            files: Vec::new(),
            _folder: None,
        }
    }
}

/// D.
pub(super) fn width(config: &ModelConfig) -> Result<i64> {
    let width = ["hidden_size", "dim"].iter().find_map(|field| config.size(field).ok());
    width.context("config.json: no `hidden_size`")
}

/// What reads a file, and what reads lines.
pub(super) type FromFile<'a> = Box<dyn FnOnce(&Path) -> Result<Arc<TableRows>> + 'a>;
pub(super) type FromLines<'a> =
    Box<dyn FnOnce(Box<dyn std::io::BufRead + 'a>) -> Result<NextRows<'a, Arc<TableRows>>> + 'a>;

pub(super) fn readers<'a>(reading: &Arc<Reading>, layout: Layout, targets: bool) -> (FromFile<'a>, FromLines<'a>) {
    let (own, of_lines, on_bad_example) = (Arc::clone(reading), layout.clone(), reading.on_bad_example);
    let file: FromFile<'a> = Box::new(move |path| own.read(path, &layout, targets));
    let lines: FromLines<'a> = Box::new(move |reader| {
        let mut lines = TableLines::new(reader, Path::new(parts::STREAM), &of_lines)?.on_bad_example(on_bad_example);
        Ok(Box::new(move |most| Ok(lines.next_rows(most)?.map(Arc::new))))
    });
    (file, lines)
}

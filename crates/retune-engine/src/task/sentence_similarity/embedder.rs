//! Vectors of texts one by one.

use super::reading::{Reading, readers, width};
use super::vectors::Vectors;
use super::{ENTRY, SentenceSimilarity};
use crate::Recipe;
use crate::evaluate::Predictor;
use crate::task::{Entry, Input, OnProgress, parts};
use anyhow::{Result, bail};
use retune_data::{BadExample, Dataset, Examples, Layout, SeveralTexts, Similarities, TableRows};
use retune_models::ModelConfig;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A model that makes vectors of texts.
pub struct Embedder {
    reading: Arc<Reading>,
    task: SentenceSimilarity,
    column: String,
}

/// What is made of one text, or why nothing is.
pub enum Embedded {
    /// Its text and vector.
    Vector(String, Vec<f32>),
    /// It was left out.
    LeftOut(BadExample),
}

impl Embedder {
    /// How such models are loaded.
    pub fn entry() -> &'static Entry {
        &ENTRY
    }

    /// The same where files beside a model's weights tell of it: sentence-transformers' list of modules.
    pub fn of_files(folder: &Path) -> Option<&'static Entry> {
        folder.join("modules.json").is_file().then_some(&ENTRY)
    }

    /// For texts of a column.
    ///
    /// # Errors
    /// A model that takes no texts.
    pub fn of(recipe: &Recipe, model: &Path, config: &ModelConfig, column: &str) -> Result<Self> {
        let reading = Arc::new(Reading::of(recipe, model, config, "auto")?);
        let task = reading.task(None);
        Ok(Self { reading, task, column: column.to_owned() })
    }

    /// How texts become vectors, in words.
    pub fn described(&self) -> String {
        let modules = &self.reading.modules;
        let length = if modules.normalize { "of length 1" } else { "of any length" };
        format!("{} of at most {} tokens, {length}", modules.pooling.name(), self.reading.text.max_length)
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// A tokenizer that fails.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.reading.text.tokenizer.encode(text, None, self.reading.text.max_length)?.ids)
    }

    /// What fills a row of tokens.
    pub fn padding(&self) -> u32 {
        self.reading.text.tokenizer.pad_id()
    }

    /// The files of its tokenizer.
    pub fn files(&self) -> Vec<PathBuf> {
        self.reading.text.files()
    }

    /// Writes into a folder how texts become vectors, as sentence-transformers reads it.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn write_modules(&self, folder: &Path, config: &ModelConfig) -> Result<Vec<PathBuf>> {
        Ok(self.reading.modules.write(folder, width(config)?)?)
    }

    /// Calls `each` for every text, in order.
    ///
    /// # Errors
    /// Texts that cannot be read or used; an error of `each`.
    pub fn run(
        &self,
        input: Input<'_>,
        with: &Predictor<'_>,
        progress: OnProgress<'_>,
        each: &mut dyn FnMut(Embedded) -> Result<()>,
    ) -> Result<()> {
        let layout = Layout::text(self.column.clone());
        let (file, lines) = readers(&self.reading, layout, false);
        let mut encode = |rows: Arc<TableRows>| -> Result<()> {
            let report = |done, all| progress("tokenizing", done, all);
            let texts = self.reading.encode(&rows, if rows.streamed() { &|_, _| {} } else { &report })?;
            self.part(Examples::new(rows, texts, None)?, with, progress, each)
        };
        match input {
            Input::File(path) => encode(file(path)?),
            Input::Lines { reader, part } => {
                let mut next: parts::NextRows<'_, Arc<TableRows>> = lines(reader)?;
                while let Some(rows) = next(part)? {
                    encode(rows)?;
                }
                Ok(())
            }
        }
    }

    fn part(
        &self,
        data: Examples<SeveralTexts, Similarities>,
        with: &Predictor<'_>,
        progress: OnProgress<'_>,
        each: &mut dyn FnMut(Embedded) -> Result<()>,
    ) -> Result<()> {
        let data = Arc::new(data);
        let rows: Arc<dyn Dataset> = Arc::clone(&data) as Arc<dyn Dataset>;
        let mut bad = data.bad_examples().to_vec().into_iter().peekable();
        let mut next = 0;
        let mut visit = |example: usize, answer: &Vectors| {
            while let Some(bad) = bad.next_if(|bad| bad.row == next) {
                next += 1;
                each(Embedded::LeftOut(bad))?;
            }
            next += 1;
            let Vectors::Dense(vectors) = answer else { bail!("a model makes dense vectors") };
            let text = data.medium().text(data.inner_example(example), 0)?;
            each(Embedded::Vector(text, vectors[0].clone()))
        };
        let mut told = |done, all| progress("embedding", done, all);
        with.answer(&self.task, (&data, &rows), 0..rows.len(), false, &mut visit, &mut told)?;
        bad.try_for_each(|bad| each(Embedded::LeftOut(bad)))
    }
}

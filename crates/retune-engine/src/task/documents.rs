//! Documents as the tasks on running text read them: files, blocks, and what validates where no file does.

use super::parts::{NextRows, STREAM};
use super::splits::{Encoded, check_groups};
use super::texts::{TextInput, TextSettings};
use super::{OnProgress, Split};
use crate::Recipe;
use crate::recipe::settings::{AT_LEAST_ONE, DATA, parsed, settings};
use anyhow::{Context, Result, anyhow, ensure};
use retune_data::{
    BlockOptions, Blocks, Cut, Documents, Layout, OnBadExample, TableLines, TableRows, TextsOf, Tokenizer,
    read_documents,
};
use retune_kernels::random;
use retune_models::ModelConfig;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

settings! {
    /// Running text, and how it becomes blocks.
    pub struct DocumentSettings, under DATA, else "{task} reads no documents" {
        /// Tokens of a block at most, special ones included
        block_size: Option<usize>, value("TOKENS"), usual("the model's longest input, at most 512"), range(AT_LEAST_ONE),
            at_use();
        /// How documents become blocks: join (one after the other), split (each by itself) or whole (a block each; what is too
        /// long is cut off)
        blocks: String = "join".to_owned(), value("join|split|whole"), one_of(&["join", "split", "whole"]), at_use();
        /// What the documents of a text file are: line, paragraph (what stands between blank lines) or file
        document: String = "line".to_owned(), value("line|paragraph|file"), reads(parsed::<TextsOf>), at_use();
    }
}

/// How documents become a model's input.
pub(super) struct DocumentInput {
    /// The model's tokenizer.
    pub(super) tokenizer: Tokenizer,
    /// Tokens of a block at most, special ones included.
    pub(super) size: usize,
    /// How documents are cut.
    pub(super) cut: Cut,
    texts: TextsOf,
    layout: Layout,
    on_bad_example: OnBadExample,
    files: Vec<PathBuf>,
}

/// The texts of a run's training file, before there is a tokenizer.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn training_texts(recipe: &Recipe) -> Result<Arc<TableRows>> {
    let (settings, text) = (recipe.read::<DocumentSettings>()?, recipe.read::<TextSettings>()?);
    let path = recipe.data.train.as_deref().context("train: give a training file (--train)")?;
    let texts = settings.document.parse().map_err(|error: String| anyhow!("document: {error}"))?;
    let layout = Layout::text(text.text_column);
    Ok(Arc::new(read_documents(path, &layout, texts, recipe.data.on_bad_example.parse()?)?))
}

impl DocumentInput {
    /// For a model folder.
    ///
    /// # Errors
    /// Settings of texts that mean nothing here; blocks that are longer than the model's longest input.
    pub(super) fn of(recipe: &Recipe, model: &Path, config: &ModelConfig) -> Result<Self> {
        let (settings, text) = (recipe.read::<DocumentSettings>()?, recipe.read::<TextSettings>()?);
        let input = TextInput::of(settings.block_size, model, config)
            .map_err(|error| anyhow!(format!("{error:#}").replace("max-length:", "block-size:")))?;
        let cut = match settings.blocks.as_str() {
            "split" => Cut::Split,
            "whole" => Cut::Whole,
            _ => Cut::Join,
        };
        let group = recipe.data.group_column.clone();
        ensure!(
            group.is_none() || cut != Cut::Join,
            "group-column: joined documents of several groups share a block; give --blocks split or whole"
        );
        Ok(Self {
            files: input.files(),
            tokenizer: input.tokenizer,
            size: input.max_length,
            cut,
            texts: settings.document.parse().map_err(|error: String| anyhow!("document: {error}"))?,
            layout: Layout::text(text.text_column).group(group),
            on_bad_example: recipe.data.on_bad_example.parse()?,
        })
    }

    /// Files that belong into the saved model.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }

    /// Blocks between the tokenizer's special tokens. Documents that are joined have its separator between them.
    ///
    /// # Errors
    /// A tokenizer whose special tokens cannot be told.
    pub(super) fn framed(&self) -> Result<BlockOptions> {
        let separator = self.tokenizer.frame()?.after.first().map(|(id, _)| *id).filter(|_| self.cut == Cut::Join);
        Ok(BlockOptions { cut: self.cut, separator, ..BlockOptions::new(self.size) })
    }

    /// Reads the texts of a file.
    pub(super) fn read(&self, path: &Path) -> Result<Arc<TableRows>> {
        Ok(Arc::new(read_documents(path, &self.layout, self.texts, self.on_bad_example)?))
    }

    /// Reads texts of a stream.
    pub(super) fn lines<'a>(&self, reader: Box<dyn BufRead + 'a>) -> Result<NextRows<'a, Arc<TableRows>>> {
        let mut lines = TableLines::new(reader, Path::new(STREAM), &self.layout)?.on_bad_example(self.on_bad_example);
        Ok(Box::new(move |most| Ok(lines.next_rows(most)?.map(Arc::new))))
    }

    /// Tokenizes texts; with `words`, which tokens go on with a word is kept.
    pub(super) fn encode(
        &self,
        rows: &Arc<TableRows>,
        words: bool,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Arc<Documents>> {
        Ok(Arc::new(Documents::encode(rows, &self.tokenizer, words, progress)?))
    }

    /// The blocks of a run. Where no file validates, some documents of the training file do: blocks of one document would
    /// know each other. With a note that says so.
    ///
    /// # Errors
    /// Files that cannot be read, or hold too little.
    pub(super) fn blocks(
        &self,
        recipe: &Recipe,
        words: bool,
        options: &BlockOptions,
        progress: OnProgress<'_>,
    ) -> Result<(Encoded<Blocks>, Vec<String>)> {
        let rows = Encoded::read(recipe, |path| self.read(path))?;
        let documents = rows.map(|split: Split, rows| {
            let what = format!("tokenizing {} data", split.whole_name());
            self.encode(&rows, words, &|done, all| progress(&what, done, all))
        })?;
        held_out(recipe, &documents, [options, options])
    }

    /// Changes with what blocks depend on, beside their tokens.
    pub(super) fn settings(&self) -> u64 {
        random::mix(&[self.size as u64, self.cut as u64])
    }
}

/// The blocks of a run, cut from documents: those that are learnt from by the first options, others by the second. Where no file validates, some documents of the training file do: blocks of one document
/// would know each other. With a note that says so.
///
/// # Errors
/// Documents that hold too little.
pub(super) fn held_out(
    recipe: &Recipe,
    documents: &Encoded<Arc<Documents>>,
    [learnt, judged]: [&BlockOptions; 2],
) -> Result<(Encoded<Blocks>, Vec<String>)> {
    check_groups(recipe, documents.train.records())?;
    let whole = |documents: &Arc<Documents>, options: &BlockOptions| Blocks::cut(documents, None, options.clone());
    let (train, mut notes) = (&documents.train, Vec::new());
    let (train, validation) = match &documents.validation {
        Some(validation) => (whole(train, learnt)?, whole(validation, judged)?),
        None => {
            let (fraction, seed) = (recipe.data.validation_fraction, recipe.run.seed);
            let (kept, held) = train.hold_out(fraction, seed).with_context(|| {
                format!("{}: no validation file, and none can be made", train.records().file().display())
            })?;
            let (count, all) = (held.len(), train.len());
            notes.push(format!("no validation file: {count} of {all} training documents validate (seed {seed})"));
            let learnt = Blocks::cut(train, Some(&kept), learnt.clone())?;
            (learnt, Blocks::cut_held_out(train, &held, judged.clone())?)
        }
    };
    let test = documents.test.as_ref().map(|test| whole(test, judged)).transpose()?;
    Ok((Encoded { train, validation: Some(validation), test }, notes))
}

//! The tokens of whole documents, special ones left out: in a store that spills to disk, four bytes each.

use std::ops::Range;
use std::sync::Arc;

use super::super::encoded::Encoded;
use super::super::remarks::{Look, Oddities, remarks};
use super::super::tokenizer::Tokenizer;
use super::super::{TextOptions, Texts};
use crate::examples::merged;
use crate::{BadExample, DataError, Records, stratified_group_split};

/// A token of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) id: u32,
    /// Whether it goes on with the word of the token before it; known only where words were asked for.
    pub(super) continues: bool,
}

/// Tokenized documents, from which [`super::Blocks`] are cut.
pub struct Documents {
    records: Arc<dyn Records>,
    encoded: Encoded,
    tokenizer: Tokenizer,
    /// Equal for texts that are equal apart from surrounding white space.
    hashes: Vec<u64>,
    remarks: Vec<String>,
    /// Places of the tokens of each document that are to be learnt; all are without.
    learnt: Option<Vec<Vec<Range<u32>>>>,
    /// Numbers of documents of which nothing could be made.
    refused: Vec<usize>,
    /// Those and what was left out before them.
    left_out: Vec<BadExample>,
}

impl Documents {
    /// Tokenizes all documents, in parallel; kept tokens of an earlier run are taken instead. With `words`, which tokens
    /// go on with a word is kept too. `progress` is called with documents done and documents in all.
    ///
    /// # Errors
    /// A tokenizer that fails; a temporary folder without space.
    pub fn encode<R: Texts + 'static>(
        texts: &Arc<R>,
        tokenizer: &Tokenizer,
        words: bool,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, DataError> {
        let options = TextOptions::document(words);
        let (encoded, looks, _) = Encoded::make(texts.as_ref(), tokenizer, &options, progress)?;
        let left_out = texts.left_out().to_vec();
        let mut odd = Oddities::default();
        for (example, look) in looks.iter().enumerate() {
            odd.look(texts.line(example), look);
        }
        Ok(Self {
            records: Arc::clone(texts) as Arc<dyn Records>,
            encoded,
            tokenizer: tokenizer.clone(),
            remarks: remarks(texts.as_ref(), &odd),
            hashes: looks.into_iter().map(|Look { hash, .. }| hash).collect(),
            learnt: None,
            refused: Vec::new(),
            left_out,
        })
    }

    /// Documents whose tokens are made elsewhere, such as conversations in a chat template: one list of ids for each
    /// record. Panics where the lists are not as many.
    ///
    /// # Errors
    /// A list that cannot be made; a temporary folder without space.
    pub fn of_tokens(
        records: Arc<dyn Records>,
        tokenizer: &Tokenizer,
        tokens: impl IntoIterator<Item = Result<Vec<u32>, DataError>>,
    ) -> Result<Self, DataError> {
        let mut hashes = Vec::with_capacity(records.len());
        let each = tokens.into_iter().inspect(|ids| {
            let bytes = ids.iter().flatten().flat_map(|id| id.to_le_bytes());
            hashes.push(xxhash_rust::xxh3::xxh3_64(&bytes.collect::<Vec<u8>>()));
        });
        let encoded = Encoded::of_tokens(each, tokenizer.unknown_id())?;
        assert_eq!(hashes.len(), records.len(), "every record has its tokens");
        let (left_out, tokenizer) = (records.left_out().to_vec(), tokenizer.clone());
        let (remarks, refused) = (Vec::new(), Vec::new());
        Ok(Self { records, encoded, tokenizer, hashes, remarks, learnt: None, refused, left_out })
    }

    /// The same documents, of which nothing could be made of some, each by its number as its row: they have no token.
    #[must_use]
    pub fn with_refused(self, refused: Vec<BadExample>) -> Self {
        let left_out = merged(self.records.left_out(), &refused);
        Self { refused: refused.into_iter().map(|bad| bad.row).collect(), left_out, ..self }
    }

    /// Whether nothing could be made of a document.
    pub(super) fn is_refused(&self, document: usize) -> bool {
        self.refused.binary_search(&document).is_ok()
    }

    /// Examples of the file that are not among the documents, or of which nothing could be made.
    pub fn left_out(&self) -> &[BadExample] {
        &self.left_out
    }

    /// The same documents, of which only some tokens are to be learnt: their places, for each document. Panics where these are
    /// not as many.
    #[must_use]
    pub fn with_learnt(self, learnt: Vec<Vec<Range<u32>>>) -> Self {
        assert_eq!(learnt.len(), self.len(), "every document says what is to be learnt");
        Self { learnt: Some(learnt), ..self }
    }

    /// Places of the tokens of a document that are to be learnt; `None`: all.
    pub fn learnt(&self, document: usize) -> Option<&[Range<u32>]> {
        self.learnt.as_ref().map(|all| &all[document][..])
    }

    /// The same documents with these tokens before and behind each that is not empty.
    ///
    /// # Errors
    /// A store that cannot be read; a temporary folder without space.
    pub fn between(&self, before: &[u32], after: &[u32]) -> Result<Self, DataError> {
        let whole = |document: usize| {
            let ids = self.ids(document)?;
            Ok(if ids.is_empty() { ids } else { [before, &ids, after].concat() })
        };
        let made = Self::of_tokens(Arc::clone(&self.records), &self.tokenizer, (0..self.len()).map(whole))?;
        Ok(Self { hashes: self.hashes.clone(), remarks: self.remarks.clone(), ..made })
    }

    /// Number of documents, those without any token included.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// True when there are no documents.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Tokens of a document. Panics beyond the end.
    pub fn length(&self, document: usize) -> usize {
        self.encoded.length(document)
    }

    /// Tokens that stand for unknown pieces of a document. Panics beyond the end.
    pub(super) fn unknown(&self, document: usize) -> usize {
        self.encoded.facts(document).unknown as usize
    }

    /// Where the documents are from.
    pub fn records(&self) -> &dyn Records {
        self.records.as_ref()
    }

    /// What cut them into tokens.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What a person should know about how the texts were read.
    pub(super) fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Documents that train and documents that validate, both ascending; equal ones and those of one group stay on one
    /// side.
    ///
    /// # Errors
    /// A share outside (0, 1), or fewer than two documents that differ.
    pub fn hold_out(&self, fraction: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>), DataError> {
        let groups = crate::groups::joined_groups(&self.hashes, &|document| self.records.group(document));
        stratified_group_split(&vec![0; self.len()], &groups, fraction, seed)
    }

    /// Calls `each` with some tokens of a document; `bytes` is scratch.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn for_each(
        &self,
        document: usize,
        from: usize,
        count: usize,
        bytes: &mut Vec<u8>,
        mut each: impl FnMut(Token),
    ) -> Result<(), DataError> {
        self.encoded.for_each_of(document, from..from + count, bytes, |id, kind, _| {
            each(Token { id, continues: kind & super::super::row_facts::CONTINUES != 0 });
        })
    }

    /// The ids of a document's tokens.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn ids(&self, document: usize) -> Result<Vec<u32>, DataError> {
        let mut ids = Vec::with_capacity(self.length(document));
        self.for_each(document, 0, self.length(document), &mut Vec::new(), |token| ids.push(token.id))?;
        Ok(ids)
    }
}

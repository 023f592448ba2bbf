//! Histories as examples: stretches that are learnt from, and histories with the item that came next.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Catalogue;
use crate::{BadExample, DataError, Records, Source};

/// Items of a history that are shown to people.
const SHOWN: usize = 5;

/// What is asked of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Every item of it, from those before or around.
    All,
    /// What comes behind it, which is known.
    Next(u32),
    /// What comes behind it.
    Unknown,
}

/// One history.
#[derive(Debug, Clone)]
pub struct HistoryRow {
    /// Its user's name.
    pub user: Option<String>,
    /// Where it stands in the file; 0 where it is made of several rows.
    pub line: u64,
    /// Its items, oldest first, a place in the pool of [`Sequences`].
    pub items: Range<usize>,
    /// What is asked.
    pub asked: Asked,
}

/// Histories of one split.
pub struct Sequences {
    file: PathBuf,
    catalogue: Arc<Catalogue>,
    pool: Vec<u32>,
    rows: Vec<HistoryRow>,
    left_out: Vec<BadExample>,
    remarks: Vec<String>,
}

impl Sequences {
    /// Of a file, with none so far.
    pub fn new(file: &Path, catalogue: &Arc<Catalogue>) -> Self {
        let catalogue = Arc::clone(catalogue);
        Self {
            file: file.to_owned(),
            catalogue,
            pool: Vec::new(),
            rows: Vec::new(),
            left_out: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Adds a history.
    pub fn push(&mut self, user: Option<&str>, line: u64, items: &[u32], asked: Asked) {
        let start = self.pool.len();
        self.pool.extend(items);
        self.rows.push(HistoryRow { user: user.map(str::to_owned), line, items: start..self.pool.len(), asked });
    }

    /// Adds a row of which nothing can be asked, and why.
    pub fn push_left_out(&mut self, user: Option<&str>, line: u64, reason: String) {
        let row = self.rows.len() + self.left_out.len();
        let place = format!("{}:{line}", self.file.display());
        let fields = user.map(|user| ("user_id".to_owned(), json!(user))).into_iter().collect();
        self.left_out.push(BadExample { place, reason, row, line, fields });
    }

    /// Adds what a person should know.
    pub fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// A history. Panics beyond the end.
    pub fn row(&self, row: usize) -> &HistoryRow {
        &self.rows[row]
    }

    /// Its items, oldest first. Panics beyond the end.
    pub fn items(&self, row: usize) -> &[u32] {
        &self.pool[self.rows[row].items.clone()]
    }

    /// The items that there are.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }
}

impl Records for Sequences {
    fn file(&self) -> &Path {
        &self.file
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn line(&self, example: usize) -> u64 {
        self.rows[example].line
    }

    /// The user, the last items of the history, and what came next.
    fn source(&self, example: usize) -> Result<Source, DataError> {
        let row = self.rows.get(example).ok_or(DataError::NoSuchRow { row: example, rows: self.rows.len() })?;
        let items = self.items(example);
        let name = |item: &u32| json!(self.catalogue.id(*item));
        let mut fields = Map::new();
        match &row.user {
            Some(user) => {
                fields.insert("user_id".to_owned(), json!(user));
                let last: Vec<Value> = items[items.len().saturating_sub(SHOWN)..].iter().map(name).collect();
                fields.insert("last_items".to_owned(), json!(last));
            }
            None => drop(fields.insert("history".to_owned(), items.iter().map(name).collect())),
        }
        let label = if let Asked::Next(item) = row.asked { Some(name(&item)) } else { None };
        Ok(Source { file: self.file.clone(), line: row.line, fields, label })
    }

    fn left_out(&self) -> &[BadExample] {
        &self.left_out
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }
}

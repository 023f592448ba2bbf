//! The rows of all examples, made in parallel or read from where an earlier run kept them.

use std::ops::Range;

use rayon::prelude::*;

use super::place::Place;
use super::remarks::Look;
use super::row_facts::{CONTINUES, RowFacts, TOKEN, width};
use super::token_cache::Entry;
use super::tokenizer::{Tokenizer, Window, Windows};
use super::{TextInput, TextOptions, Texts};
use crate::DataError;
use crate::arena::{Arena, ArenaBuilder};

/// Examples tokenized in parallel before they are stored.
const CHUNK: usize = 4096;
/// The same where an example may be many rows.
const CHUNK_OF_WINDOWS: usize = 256;

const ID_BITS: u32 = 28;
const ID_MASK: u32 = (1 << ID_BITS) - 1;

/// Tokens with what is known of their rows.
pub(super) struct Encoded {
    /// Four bytes a token: the low 28 bits are its id, the high 4 its type; after them its place, where places are kept.
    tokens: Arena,
    /// Bytes of a token.
    width: usize,
    /// First token of each row, and one past the last.
    offsets: Vec<u64>,
    facts: Vec<RowFacts>,
    /// First row of each example, and one past the last, where that is not its number.
    first: Option<Vec<u32>>,
}

/// Examples of which no row can be made, and why.
pub(super) type Bad = Vec<(usize, String)>;

impl Encoded {
    /// Rows, a look at each example's texts, and examples that have no rows.
    pub(super) fn make(
        texts: &dyn Texts,
        tokenizer: &Tokenizer,
        options: &TextOptions,
        progress: &dyn Fn(usize, usize),
    ) -> Result<(Self, Vec<Look>, Bad), DataError> {
        let total = texts.len();
        let look = |example| texts.input(example).map(|input| Look::at(&input));
        let looks: Vec<Look> = (0..total).into_par_iter().map(look).collect::<Result<_, _>>()?;
        let entry = Entry::of(tokenizer, options, texts.words(), looks.iter().map(|look| look.exact));
        let width = width(options);
        if let Some((tokens, facts)) = entry.as_ref().and_then(|entry| entry.read(total, width)) {
            progress(total, total);
            return Ok((Self::new(tokens, facts, width, &[]), looks, Vec::new()));
        }
        let chunk = if width == TOKEN && options.stride.is_none() { CHUNK } else { CHUNK_OF_WINDOWS };
        let (mut store, mut facts, mut bad) = (ArenaBuilder::new(), Vec::with_capacity(total), Vec::new());
        progress(0, total);
        for start in (0..total).step_by(chunk) {
            let end = total.min(start + chunk);
            // `collect` keeps the order, so the result does not depend on the threads.
            let encoded: Vec<Result<Result<Packed, String>, DataError>> =
                (start..end).into_par_iter().map(|example| pack(texts, example, tokenizer, options)).collect();
            for (example, packed) in (start..).zip(encoded) {
                match packed? {
                    Ok(packed) => {
                        store.append(&packed.bytes)?;
                        facts.extend(packed.facts);
                    }
                    Err(reason) => bad.push((example, reason)),
                }
            }
            progress(end, total);
        }
        let tokens = store.finish()?;
        if let Some(entry) = entry.filter(|_| bad.is_empty()) {
            // A run needs no cache: where it cannot be written, the next one tokenizes again.
            let _ = entry.write(&tokens, &facts, width);
        }
        Ok((Self::new(tokens, facts, width, &bad), looks, bad))
    }

    /// Rows whose tokens are given.
    pub(super) fn of_tokens(
        rows: impl Iterator<Item = Result<Vec<u32>, DataError>>,
        unknown: Option<u32>,
    ) -> Result<Self, DataError> {
        let (mut store, mut facts) = (ArenaBuilder::new(), Vec::new());
        for ids in rows {
            let ids = ids?;
            store.append(&ids.iter().flat_map(|&id| (id & ID_MASK).to_le_bytes()).collect::<Vec<u8>>())?;
            let unknown = ids.iter().filter(|&&id| Some(id) == unknown).count() as u32;
            let (length, words) = (ids.len() as u32, ids.len() as u32);
            facts.push(RowFacts { length, truncated: false, continues: false, unknown, words });
        }
        Ok(Self::new(store.finish()?, facts, TOKEN, &[]))
    }

    fn new(tokens: Arena, facts: Vec<RowFacts>, width: usize, bad: &[(usize, String)]) -> Self {
        let mut offsets = Vec::with_capacity(facts.len() + 1);
        offsets.push(0);
        for row in &facts {
            offsets.push(offsets[offsets.len() - 1] + u64::from(row.length));
        }
        let first = (!bad.is_empty() || facts.iter().any(|row| row.continues)).then(|| first_rows(&facts, bad));
        Self { tokens, width, offsets, facts, first }
    }

    /// The rows of an example.
    pub(super) fn rows(&self, example: usize) -> Range<usize> {
        match &self.first {
            Some(first) => first[example] as usize..first[example + 1] as usize,
            None => example..example + 1,
        }
    }

    /// The example that a row is of.
    pub(super) fn example(&self, row: usize) -> usize {
        match &self.first {
            // Of examples without rows, which begin where the next one does, the last is not the row's.
            Some(first) => first.partition_point(|&begin| begin as usize <= row) - 1,
            None => row,
        }
    }

    pub(super) fn facts(&self, row: usize) -> RowFacts {
        self.facts[row]
    }

    pub(super) fn length(&self, row: usize) -> usize {
        self.facts[row].length as usize
    }

    /// Calls `each` with the id, type and place of every token of a row; `bytes` is scratch.
    pub(super) fn for_each(
        &self,
        row: usize,
        bytes: &mut Vec<u8>,
        mut each: impl FnMut(u32, u32, Option<Place>),
    ) -> Result<(), DataError> {
        self.for_each_of(row, 0..self.length(row), bytes, &mut each)
    }

    /// As [`Self::for_each`], of some tokens of a row.
    pub(super) fn for_each_of(
        &self,
        row: usize,
        some: Range<usize>,
        bytes: &mut Vec<u8>,
        mut each: impl FnMut(u32, u32, Option<Place>),
    ) -> Result<(), DataError> {
        let first = self.offsets[row] + some.start as u64;
        self.tokens.read(first * self.width as u64, some.len() * self.width, bytes)?;
        for token in bytes.chunks_exact(self.width) {
            let Some((number, place)) = token.split_first_chunk::<TOKEN>() else { continue };
            let number = u32::from_le_bytes(*number);
            each(number & ID_MASK, number >> ID_BITS, (!place.is_empty()).then(|| Place::unpack(place)));
        }
        Ok(())
    }
}

/// First row of each example, those included that have none, and one past the last.
fn first_rows(facts: &[RowFacts], bad: &[(usize, String)]) -> Vec<u32> {
    let mut first = Vec::new();
    let mut bad = bad.iter().map(|(example, _)| *example).peekable();
    for (row, _) in facts.iter().enumerate().filter(|(_, facts)| !facts.continues) {
        while bad.next_if_eq(&first.len()).is_some() {
            first.push(row as u32);
        }
        first.push(row as u32);
    }
    let end = facts.len() as u32;
    first.extend(bad.map(|_| end).chain([end]));
    first
}

/// The rows of one example, as they are stored.
struct Packed {
    bytes: Vec<u8>,
    facts: Vec<RowFacts>,
}

fn pack(
    texts: &dyn Texts,
    example: usize,
    tokenizer: &Tokenizer,
    options: &TextOptions,
) -> Result<Result<Packed, String>, DataError> {
    let input = texts.input(example)?;
    if options.document {
        let TextInput::Text(text) = &input else {
            return Ok(Err("is no single text, and so no document".to_owned()));
        };
        return Ok(Ok(pack_document(tokenizer, text, options)?));
    }
    let windows = match (&input, options.stride, options.keep_offsets) {
        // The way of whole texts, which is the fast one.
        (TextInput::Text(text), None, false) => cut(tokenizer, text, None, options)?,
        (TextInput::Pair(text, pair), None, false) => cut(tokenizer, text, Some(pair), options)?,
        _ => match tokenizer.windows(&input, options)? {
            Ok(windows) => windows,
            Err(reason) => return Ok(Err(reason)),
        },
    };
    if windows.rows.iter().any(|row| row.ids.is_empty()) {
        return Ok(Err("is a text of which this tokenizer makes no token; remove the row".to_owned()));
    }
    let mut packed = Packed { bytes: Vec::new(), facts: Vec::with_capacity(windows.rows.len()) };
    for (index, row) in windows.rows.iter().enumerate() {
        for (place, (&id, &kind)) in row.ids.iter().zip(&row.type_ids).enumerate() {
            packed.bytes.extend((id & ID_MASK | kind << ID_BITS).to_le_bytes());
            packed.bytes.extend(row.places.get(place).into_iter().flat_map(|place| place.pack()));
        }
        let whole = |count: usize| if index == 0 { count as u32 } else { 0 };
        packed.facts.push(RowFacts {
            length: row.ids.len() as u32,
            truncated: windows.truncated,
            continues: index > 0,
            unknown: whole(windows.unknown),
            words: whole(windows.words),
        });
    }
    Ok(Ok(packed))
}

fn pack_document(tokenizer: &Tokenizer, text: &str, options: &TextOptions) -> Result<Packed, DataError> {
    let bare = tokenizer.bare(text, options.marks_words)?;
    let mark = |token: usize| if bare.continues.get(token) == Some(&true) { CONTINUES << ID_BITS } else { 0 };
    let bytes = bare.ids.iter().enumerate().flat_map(|(token, &id)| (id & ID_MASK | mark(token)).to_le_bytes());
    let unknown = bare.ids.iter().filter(|&&id| Some(id) == tokenizer.unknown_id()).count() as u32;
    let (length, words) = (bare.ids.len() as u32, bare.ids.len() as u32);
    let facts = vec![RowFacts { length, truncated: false, continues: false, unknown, words }];
    Ok(Packed { bytes: bytes.collect(), facts })
}

fn cut(tokenizer: &Tokenizer, text: &str, pair: Option<&str>, options: &TextOptions) -> Result<Windows, DataError> {
    let tokens = tokenizer.encode(text, pair, options.max_length)?;
    let (truncated, unknown, words) = (tokens.truncated, tokens.unknown, tokens.words);
    let row = Window { ids: tokens.ids, type_ids: tokens.type_ids, places: Vec::new() };
    Ok(Windows { rows: vec![row], truncated, unknown, words })
}

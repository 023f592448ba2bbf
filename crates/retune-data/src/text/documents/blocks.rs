//! Blocks of tokens cut from documents, as records and as a medium. B rows, T tokens of the longest.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::super::medium::{TRUNCATED, UNKNOWN_TOKENS};
use super::super::tokenizer::Frame;
use super::cut::{Cut, Piece, Pieces, cut};
use super::masking::Masking;
use super::seen::{BlockSeen, Masked, SeenPiece};
use super::store::Documents;
use crate::{Array, BadExample, Batch, DataError, Fact, FactValue, Medium, Pass, Records, Source, Units};

/// Name of the fact that counts the documents that blocks are cut from.
pub const DOCUMENTS: &str = "documents";

/// Name of the input with the places of hidden tokens.
const LOGIT_POSITIONS: &str = "logit_positions";

/// How blocks are made.
#[derive(Debug, Clone)]
pub struct BlockOptions {
    /// Tokens of a block at most, special ones included.
    pub size: usize,
    /// How documents are cut.
    pub cut: Cut,
    /// Whether a block stands between the special tokens that the tokenizer puts around a text.
    pub framed: bool,
    /// What ends each document: the separator of an encoder where documents are joined, a decoder's end of text. A document
    /// that is cut off has none.
    pub separator: Option<u32>,
    /// Whether batches say where documents begin: `position_ids` `[B, T]` start anew at each, and `document_ids` `[B, T]`
    /// count them from 1 within a row; both are 0 on padding.
    pub boundaries: bool,
    /// Which tokens are hidden, if any.
    pub masking: Option<Masking>,
}

impl BlockOptions {
    /// Blocks of at most so many tokens, of documents one after the other, between the tokenizer's special tokens.
    pub fn new(size: usize) -> Self {
        Self { size, cut: Cut::Join, framed: true, separator: None, boundaries: false, masking: None }
    }
}

/// Blocks cut from documents. Each is an example and a row. Cloning is cheap.
#[derive(Clone)]
pub struct Blocks(Arc<Inner>);

struct Inner {
    documents: Arc<Documents>,
    options: BlockOptions,
    frame: Frame,
    pieces: Pieces,
    /// Equal for blocks of equal tokens.
    hashes: Vec<u64>,
    /// The most tokens that are hidden in a block where nothing is learnt.
    most_hidden: usize,
    /// Documents without any token.
    nothing: usize,
    /// Whether what is to be said of the file is said here.
    tells: bool,
}

/// A block as it goes into a batch.
struct Row {
    ids: Vec<u32>,
    seen: BlockSeen,
}

impl Blocks {
    /// Cuts documents, all or the chosen ones.
    ///
    /// # Errors
    /// Blocks without room for text; documents without any token; a store that cannot be read.
    pub fn cut(
        documents: &Arc<Documents>,
        chosen: Option<&[usize]>,
        options: BlockOptions,
    ) -> Result<Self, DataError> {
        Self::make(documents, chosen, options, true)
    }

    /// Cuts the documents that are held out of a file, of whose reading the blocks of the others tell.
    ///
    /// # Errors
    /// As [`Self::cut`].
    pub fn cut_held_out(
        documents: &Arc<Documents>,
        chosen: &[usize],
        options: BlockOptions,
    ) -> Result<Self, DataError> {
        Self::make(documents, Some(chosen), options, false)
    }

    fn make(
        documents: &Arc<Documents>,
        chosen: Option<&[usize]>,
        options: BlockOptions,
        tells: bool,
    ) -> Result<Self, DataError> {
        let tokenizer = documents.tokenizer();
        let frame = if options.framed { tokenizer.frame()? } else { Frame::default() };
        let around = frame.before.len() + frame.after.len();
        let fail = |message: String| Err(DataError::Tokenizer { path: tokenizer.folder().to_owned(), message });
        let Some(room) = options.size.checked_sub(around).filter(|&room| room > usize::from(options.separator.is_some()))
        else {
            let least = around + 1 + usize::from(options.separator.is_some());
            let size = options.size;
            return fail(format!("blocks of {size} tokens leave no room for text; give at least {least} (--block-size)"));
        };
        let separator = u32::from(options.separator.is_some());
        let all = chosen.map_or_else(|| (0..documents.len()).collect(), <[usize]>::to_vec);
        let lengths: Vec<(u32, u32)> = all
            .iter()
            .map(|&document| (document as u32, documents.length(document) as u32))
            // Where texts hide words themselves, each has its answer.
            .filter(|(_, length)| *length > 0 || matches!(options.masking, Some(Masking::Given(_))))
            .map(|(document, length)| (document, length + separator))
            .collect();
        let nothing = all.len() - lengths.len();
        if lengths.is_empty() {
            let file = documents.records().file().display();
            return fail(format!("makes no token of {file}, whose {} texts may be empty or in another script", all.len()));
        }
        let pieces = cut(&lengths, room.min(u32::MAX as usize) as u32, options.cut);
        let documents = Arc::clone(documents);
        let mut inner = Inner { documents, options, frame, pieces, hashes: Vec::new(), most_hidden: 0, nothing, tells };
        inner.hashes = inner.hashed()?;
        if matches!(inner.options.masking, Some(Masking::Drawn(_))) {
            let mut bytes = Vec::new();
            for block in 0..inner.pieces.blocks() {
                inner.most_hidden = inner.most_hidden.max(inner.row(block, None, &mut bytes)?.seen.masked.len());
            }
        }
        Ok(Self(Arc::new(inner)))
    }

    /// The documents that they are cut from.
    pub fn documents(&self) -> &Documents {
        &self.0.documents
    }

    /// How they were made.
    pub fn options(&self) -> &BlockOptions {
        &self.0.options
    }

    /// Calls `each` with every token of a block that is not special to the block: without what stands around it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn for_each(&self, block: usize, mut each: impl FnMut(u32)) -> Result<(), DataError> {
        self.0.text(block, &mut Vec::new(), |id, _| each(id))
    }

}

impl Inner {
    fn length(&self, block: usize) -> usize {
        let text: usize = self.pieces.of(block).iter().map(|piece| piece.length as usize).sum();
        self.frame.before.len() + text + self.frame.after.len()
    }

    /// Tokens of a document that a piece has, and whether the separator follows them.
    fn of_piece(&self, piece: &Piece) -> (usize, bool) {
        let end = piece.from as usize + piece.length as usize;
        let separated = end > self.documents.length(piece.document as usize);
        (piece.length as usize - usize::from(separated), separated)
    }

    /// Calls `each` with the ids of a block's documents, and whether they go on with a word.
    fn text(&self, block: usize, bytes: &mut Vec<u8>, mut each: impl FnMut(u32, bool)) -> Result<(), DataError> {
        for piece in self.pieces.of(block) {
            let (count, separated) = self.of_piece(piece);
            let mut first = true;
            self.documents.for_each(piece.document as usize, piece.from as usize, count, bytes, |token| {
                each(token.id, token.continues && !first);
                first = false;
            })?;
            if let Some(separator) = self.options.separator.filter(|_| separated) {
                each(separator, false);
            }
        }
        Ok(())
    }

    fn hashed(&self) -> Result<Vec<u64>, DataError> {
        let mut bytes = Vec::new();
        let of = |block| {
            let mut ids = Vec::new();
            self.text(block, &mut bytes, |id, _| ids.extend(id.to_le_bytes()))?;
            Ok(xxh3_64(&ids))
        };
        (0..self.pieces.blocks()).map(of).collect()
    }

    /// A block with its special tokens, and hidden ones hidden.
    fn row(&self, block: usize, pass: Option<Pass>, bytes: &mut Vec<u8>) -> Result<Row, DataError> {
        let (mut ids, mut continues) = (Vec::with_capacity(self.length(block)), Vec::new());
        ids.extend(self.frame.before.iter().map(|(id, _)| *id));
        continues.resize(ids.len(), false);
        self.text(block, bytes, |id, more| {
            ids.push(id);
            continues.push(more);
        })?;
        ids.extend(self.frame.after.iter().map(|(id, _)| *id));
        let mut at = self.frame.before.len();
        let pieces = self.pieces.of(block).iter().map(|piece| {
            let begin = at;
            at += piece.length as usize;
            let (document, from) = (piece.document as usize, piece.from as usize);
            SeenPiece { document, from, at: begin..at, separated: self.of_piece(piece).1 }
        });
        let mut seen = BlockSeen { length: ids.len(), pieces: pieces.collect(), masked: Vec::new() };
        seen.masked = match &self.options.masking {
            None => Vec::new(),
            Some(Masking::Given(mask)) => {
                let hidden = (0..ids.len()).filter(|&at| ids[at] == *mask);
                hidden.map(|at| Masked { at, id: None }).collect()
            }
            Some(Masking::Drawn(options)) => {
                let drawn = options.draw(&mut ids, &continues, pass, block as u64, self.hashes[block]);
                drawn.into_iter().map(|(at, id)| Masked { at, id: Some(id) }).collect()
            }
        };
        Ok(Row { ids, seen })
    }

    /// The type of each token of a row.
    fn types(&self, length: usize) -> impl Iterator<Item = u32> {
        let (before, after) = (&self.frame.before, &self.frame.after);
        let text = length - before.len() - after.len();
        let text = std::iter::repeat_n(self.frame.kind, text);
        before.iter().map(|it| it.1).chain(text).chain(after.iter().map(|it| it.1))
    }

    /// The document of a block that is the whole of it.
    fn whole_document(&self, block: usize) -> Option<usize> {
        match self.pieces.of(block) {
            [piece] if piece.from == 0 => {
                let document = piece.document as usize;
                (self.of_piece(piece).0 == self.documents.length(document)).then_some(document)
            }
            _ => None,
        }
    }
}

impl Medium for Blocks {
    type Seen = BlockSeen;

    fn examples(&self) -> usize {
        self.0.pieces.blocks()
    }

    fn length(&self, row: usize) -> usize {
        self.0.length(row)
    }

    /// `input_ids` and `attention_mask` `[B, T]` i64, padded on the right; `token_type_ids` where the model takes them; what
    /// [`BlockOptions::boundaries`] adds; and where tokens are hidden `logit_positions` `[B, P]`, their places.
    fn fill(&self, rows: &[usize], pass: Option<Pass>, into: &mut Batch) -> Result<Vec<BlockSeen>, DataError> {
        let tokenizer = self.documents().tokenizer();
        let lengths: Vec<usize> = rows.iter().map(|&row| self.0.length(row)).collect();
        let width = lengths.iter().copied().max().unwrap_or(0);
        let size = rows.len() * width;
        let mut ids = vec![i64::from(tokenizer.pad_id()); size];
        let mut mask = vec![0; size];
        let mut types = vec![0; if tokenizer.token_types() { size } else { 0 }];
        let mut positions = vec![0; if self.0.options.boundaries { size } else { 0 }];
        let mut documents = positions.clone();
        let mut bytes = Vec::new();
        let mut all = Vec::with_capacity(rows.len());
        for ((index, &row), &length) in rows.iter().enumerate().zip(&lengths) {
            let places = index * width..index * width + length;
            let Row { ids: tokens, seen } = self.0.row(row, pass, &mut bytes)?;
            for (into, id) in ids[places.clone()].iter_mut().zip(tokens) {
                *into = i64::from(id);
            }
            mask[places.clone()].fill(1);
            for (into, kind) in types.iter_mut().skip(places.start).zip(self.0.types(length)) {
                *into = i64::from(kind);
            }
            if self.0.options.boundaries {
                boundaries(&seen, &mut positions[places.clone()], &mut documents[places]);
            }
            all.push(seen);
        }
        let shape = [rows.len(), width];
        let mut insert = |name: &str, values| into.inputs.insert(name.to_owned(), Array::integers(&shape, values));
        insert("input_ids", ids);
        insert("attention_mask", mask);
        if tokenizer.token_types() {
            insert("token_type_ids", types);
        }
        if self.0.options.boundaries {
            insert("position_ids", positions);
            insert("document_ids", documents);
        }
        if self.0.options.masking.is_some() {
            // What is computed once and kept has one size in all batches.
            let least = if pass.is_none() { self.0.most_hidden } else { 0 };
            let most = all.iter().map(|seen| seen.masked.len()).max().unwrap_or(0).max(least);
            into.inputs.insert(LOGIT_POSITIONS.to_owned(), logit_positions(&all, most));
        }
        into.extent.input = Units { real: lengths.iter().sum(), padded: size };
        Ok(all)
    }

    fn seen(&self, row: usize) -> Result<BlockSeen, DataError> {
        Ok(self.0.row(row, None, &mut Vec::new())?.seen)
    }

    fn hash(&self, example: usize) -> u64 {
        self.0.hashes[example]
    }

    fn size(&self, example: usize) -> usize {
        self.0.length(example)
    }

    fn unit(&self) -> &'static str {
        "tokens"
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let documents: BTreeSet<u32> =
            examples.iter().flat_map(|&block| self.0.pieces.of(block)).map(|piece| piece.document).collect();
        let sum = |of: &dyn Fn(usize) -> usize| documents.iter().map(|&document| of(document as usize) as u64).sum();
        let unknown: u64 = sum(&|document| self.0.documents.unknown(document));
        let tokens: u64 = sum(&|document| self.0.documents.length(document));
        let mut facts = vec![Fact::new(DOCUMENTS, FactValue::Count(documents.len() as u64))];
        if self.0.options.cut == Cut::Whole {
            let cut_off = |&&block: &&usize| self.0.whole_document(block).is_none();
            facts.push(Fact::part(TRUNCATED, examples.iter().filter(cut_off).count(), examples.len()));
        }
        facts.push(Fact::new(UNKNOWN_TOKENS, FactValue::Share(unknown as f64 / tokens.max(1) as f64)));
        facts
    }

    fn varies(&self) -> bool {
        matches!(self.0.options.masking, Some(Masking::Drawn(_)))
    }

    fn remarks(&self, file: &Path) -> Vec<String> {
        let name = file.display();
        let mut remarks = if self.0.tells { self.0.documents.remarks().to_vec() } else { Vec::new() };
        if self.0.nothing > 0 {
            remarks.push(format!("{name}: {} texts have no token and are left out", self.0.nothing));
        }
        if self.0.options.cut == Cut::Whole {
            let blocks = self.examples();
            let cut_off = (0..blocks).filter(|&block| self.0.whole_document(block).is_none()).count();
            if cut_off > 0 {
                let size = self.0.options.size;
                remarks.push(format!("{name}: {cut_off} of {blocks} texts are longer than {size} tokens and cut off"));
            }
        }
        remarks
    }

    /// `None` where any token may stand in place of another.
    fn tokens_in_use(&self, rows: &mut dyn Iterator<Item = usize>) -> Result<Option<Vec<i64>>, DataError> {
        if self.varies() {
            return Ok(None);
        }
        let around = self.0.frame.before.iter().chain(&self.0.frame.after).map(|(id, _)| *id);
        let mut used: BTreeSet<u32> = around.chain([self.documents().tokenizer().pad_id()]).collect();
        let mut bytes = Vec::new();
        for row in rows {
            self.0.text(row, &mut bytes, |id, _| {
                used.insert(id);
            })?;
        }
        Ok(Some(used.into_iter().map(i64::from).collect()))
    }
}

/// The places of hidden tokens, `[B, P]` i64 with -1 behind the last.
fn logit_positions(seen: &[BlockSeen], size: usize) -> Array {
    let of = |seen: &BlockSeen| {
        let places: Vec<i64> = seen.masked.iter().map(|masked| masked.at as i64).collect();
        places.into_iter().chain(std::iter::repeat(-1)).take(size).collect::<Vec<i64>>()
    };
    Array::integers(&[seen.len(), size], seen.iter().flat_map(of).collect())
}

/// Positions that start anew at each document, and numbers of documents, of a row without its padding.
fn boundaries(seen: &BlockSeen, positions: &mut [i64], documents: &mut [i64]) {
    let pieces = seen.pieces.len();
    for (number, piece) in seen.pieces.iter().enumerate() {
        // What stands before the first document belongs to it, and what stands after the last one.
        let begin = if number == 0 { 0 } else { piece.at.start };
        let end = if number + 1 == pieces { positions.len() } else { piece.at.end };
        for (position, place) in (begin..end).enumerate() {
            (positions[place], documents[place]) = (position as i64, number as i64 + 1);
        }
    }
}

impl Records for Blocks {
    fn file(&self) -> &Path {
        self.0.documents.records().file()
    }

    fn len(&self) -> usize {
        self.examples()
    }

    /// The line where the first document of the block begins.
    fn line(&self, block: usize) -> u64 {
        self.0.documents.records().line(self.0.pieces.of(block)[0].document as usize)
    }

    /// The document where the block is the whole of one, else its text as the tokenizer spells it.
    fn source(&self, block: usize) -> Result<Source, DataError> {
        if block >= self.examples() {
            return Err(DataError::NoSuchRow { row: block, rows: self.examples() });
        }
        if let Some(document) = self.0.whole_document(block) {
            return self.0.documents.records().source(document);
        }
        let mut ids = Vec::new();
        self.for_each(block, |id| ids.push(id))?;
        let text = Value::from(self.documents().tokenizer().decode(&ids)?);
        let fields = Map::from_iter([("text".to_owned(), text)]);
        Ok(Source { file: self.file().to_owned(), line: self.line(block), fields, label: None })
    }

    fn group(&self, block: usize) -> Option<u64> {
        match self.0.pieces.of(block) {
            [piece] => self.0.documents.records().group(piece.document as usize),
            _ => None,
        }
    }

    fn left_out(&self) -> &[BadExample] {
        if self.0.tells { self.0.documents.records().left_out() } else { &[] }
    }

    fn remarks(&self) -> Vec<String> {
        if self.0.tells { self.0.documents.records().remarks() } else { Vec::new() }
    }
}

//! Blocks of tokens cut from documents, and where they come from.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::super::tokenizer::Frame;
use super::cut::{Cut, Piece, Pieces, cut};
use super::masking::Masking;
use super::seen::{BlockSeen, Masked, SeenPiece};
use super::store::Documents;
use crate::{BadExample, DataError, Medium, Pass, Records, Source};

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
    /// that is cut off has none, nor has the last one where special tokens follow it.
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
pub struct Blocks(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) documents: Arc<Documents>,
    pub(super) options: BlockOptions,
    pub(super) frame: Frame,
    pub(super) pieces: Pieces,
    /// Equal for blocks of equal tokens.
    pub(super) hashes: Vec<u64>,
    /// The most tokens that are hidden in a block where nothing is learnt.
    pub(super) most_hidden: usize,
    /// Documents without any token.
    pub(super) nothing: usize,
    /// Whether what is to be said of the file is said here.
    pub(super) tells: bool,
}

/// A block as it goes into a batch.
pub(super) struct Row {
    pub(super) ids: Vec<u32>,
    pub(super) seen: BlockSeen,
}

impl Blocks {
    /// Cuts documents, all or the chosen ones.
    ///
    /// # Errors
    /// Blocks without room for text; documents without any token; a store that cannot be read.
    pub fn cut(documents: &Arc<Documents>, chosen: Option<&[usize]>, options: BlockOptions) -> Result<Self, DataError> {
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
        let Some(room) =
            options.size.checked_sub(around).filter(|&room| room > usize::from(options.separator.is_some()))
        else {
            let least = around + 1 + usize::from(options.separator.is_some());
            let size = options.size;
            return fail(format!(
                "blocks of {size} tokens leave no room for text; give at least {least} (--block-size)"
            ));
        };
        let separator = u32::from(options.separator.is_some());
        let all = chosen.map_or_else(|| (0..documents.len()).collect(), <[usize]>::to_vec);
        let mut lengths: Vec<(u32, u32)> = all
            .iter()
            .map(|&document| (document as u32, documents.length(document) as u32))
            // Where texts hide words themselves, each has its answer.
            .filter(|(_, length)| *length > 0 || matches!(options.masking, Some(Masking::Given(_))))
            .map(|(document, length)| (document, length + separator))
            .collect();
        if let Some((_, length)) = lengths.last_mut().filter(|_| !frame.after.is_empty()) {
            // Behind the last document stands what follows every text.
            *length -= separator;
        }
        let refused = all.iter().filter(|document| documents.is_refused(**document)).count();
        let nothing = all.len() - lengths.len() - refused;
        if lengths.is_empty() {
            let file = documents.records().file().display();
            return fail(format!(
                "makes no token of {file}, whose {} texts may be empty or in another script",
                all.len()
            ));
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

    /// The document that a block begins with and holds nothing else of, though it may be cut off.
    pub fn only_document(&self, block: usize) -> Option<usize> {
        match self.0.pieces.of(block) {
            [piece] if piece.from == 0 => Some(piece.document as usize),
            _ => None,
        }
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
    pub(super) fn length(&self, block: usize) -> usize {
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
    pub(super) fn text(
        &self,
        block: usize,
        bytes: &mut Vec<u8>,
        mut each: impl FnMut(u32, bool),
    ) -> Result<(), DataError> {
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
    pub(super) fn row(&self, block: usize, pass: Option<Pass>, bytes: &mut Vec<u8>) -> Result<Row, DataError> {
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
    pub(super) fn types(&self, length: usize) -> impl Iterator<Item = u32> {
        let (before, after) = (&self.frame.before, &self.frame.after);
        let text = length - before.len() - after.len();
        let text = std::iter::repeat_n(self.frame.kind, text);
        before.iter().map(|it| it.1).chain(text).chain(after.iter().map(|it| it.1))
    }

    /// Whether all that is to be learnt of a document lies behind the end of its block.
    pub(super) fn is_cut_before_what_is_learnt(&self, block: usize) -> bool {
        let [piece] = self.pieces.of(block) else { return false };
        let kept = piece.from as usize + self.of_piece(piece).0;
        let learnt = self.documents.learnt(piece.document as usize);
        learnt.is_some_and(|ranges| ranges.iter().all(|range| range.start as usize >= kept))
    }

    /// The document of a block that is the whole of it.
    pub(super) fn whole_document(&self, block: usize) -> Option<usize> {
        match self.pieces.of(block) {
            [piece] if piece.from == 0 => {
                let document = piece.document as usize;
                (self.of_piece(piece).0 == self.documents.length(document)).then_some(document)
            }
            _ => None,
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
        if self.0.tells { self.0.documents.left_out() } else { &[] }
    }

    fn remarks(&self) -> Vec<String> {
        if self.0.tells { self.0.documents.records().remarks() } else { Vec::new() }
    }
}

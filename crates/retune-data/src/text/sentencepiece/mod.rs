//! SentencePiece models (Kudo and Richardson 2018): their file, and texts cut into pieces as the library itself cuts them.
//!
//! | file | holds |
//! |---|---|
//! | `proto` | the file, a protocol buffer |
//! | `charsmap` | its table of characters that are replaced: a double array with the replacements |
//! | `normalize` | texts as pieces are looked for in them |
//! | `unigram` | the likeliest pieces (Kudo 2018) |
//! | `bpe` | pieces by merging (Sennrich et al. 2016) |

mod bpe;
mod charsmap;
mod normalize;
mod proto;
mod unigram;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use charsmap::CharsMap;
pub(super) use proto::{Kind, Piece, PieceKind, Proto};

/// A SentencePiece model.
pub(super) struct SentencePiece {
    proto: Proto,
    map: Option<CharsMap>,
    /// Pieces that texts are cut into, by spelling.
    pieces: HashMap<String, u32>,
    /// Pieces that are taken whole wherever they stand, the longest first.
    defined: Vec<String>,
    /// Most bytes of a piece.
    longest: usize,
    /// Smallest and largest score of usual pieces.
    scores: (f32, f32),
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    /// Its spelling: that of the piece, or of the text where no piece fits.
    pub(super) spelling: String,
    /// Bytes of the text that it stands for.
    pub(super) range: Range<usize>,
}

impl SentencePiece {
    /// Reads a model.
    ///
    /// # Errors
    /// A file that is none, or one that cuts texts in a way that is not known here.
    pub(super) fn load(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        Self::new(Proto::parse(&bytes)?)
    }

    fn new(proto: Proto) -> Result<Self, String> {
        if proto.kind == Kind::Other {
            return Err("cuts texts into words or characters; models of kind unigram and BPE are known here".to_owned());
        }
        if proto.suffix_space {
            return Err(
                "puts the mark of a space behind words (treat_whitespace_as_suffix), which is not known here".into()
            );
        }
        let map = (!proto.charsmap.is_empty()).then(|| CharsMap::parse(&proto.charsmap)).transpose()?;
        let is_cut = |piece: &&Piece| matches!(piece.kind, PieceKind::Usual | PieceKind::Defined | PieceKind::Unused);
        let pieces: HashMap<String, u32> = (0u32..)
            .zip(&proto.pieces)
            .filter(|(_, piece)| is_cut(piece))
            .map(|(id, piece)| (piece.spelling.clone(), id))
            .collect();
        let longest = pieces.keys().map(String::len).max().unwrap_or(0);
        let usual = || proto.pieces.iter().filter(|piece| piece.kind == PieceKind::Usual).map(|piece| piece.score);
        let scores = (usual().fold(f32::MAX, f32::min), usual().fold(f32::MIN_POSITIVE, f32::max));
        let of_kind = |piece: &&Piece| piece.kind == PieceKind::Defined && !piece.spelling.is_empty();
        let mut defined: Vec<String> = proto.pieces.iter().filter(of_kind).map(|it| it.spelling.clone()).collect();
        defined.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
        Ok(Self { proto, map, pieces, defined, longest, scores })
    }

    /// What the file says.
    pub(super) fn proto(&self) -> &Proto {
        &self.proto
    }

    /// Cuts a text into pieces.
    pub(super) fn cut(&self, text: &str) -> Vec<Cut> {
        let normal = self.normalize(text);
        if normal.text.is_empty() {
            return Vec::new();
        }
        let found = match self.proto.kind {
            Kind::Unigram => self.likeliest(&normal.text),
            Kind::Bpe | Kind::Other => self.merged(&normal.text),
        };
        let mut cuts: Vec<Cut> = Vec::with_capacity(found.len());
        let mut unknown_before = false;
        for (range, id) in found {
            let spelling = &normal.text[range.clone()];
            let place = normal.place(&range);
            if id.is_none() && self.proto.byte_fallback {
                let bytes = spelling.bytes().map(|byte| format!("<0x{byte:02X}>"));
                cuts.extend(bytes.map(|spelling| Cut { spelling, range: place.clone() }));
            } else if let Some(last) = cuts.last_mut().filter(|_| unknown_before && id.is_none()) {
                last.spelling += spelling;
                last.range.end = place.end;
            } else {
                cuts.push(Cut { spelling: spelling.to_owned(), range: place });
            }
            unknown_before = id.is_none();
        }
        cuts
    }

    fn kind_of(&self, id: u32) -> PieceKind {
        self.proto.pieces[id as usize].kind
    }

    fn score(&self, id: u32) -> f32 {
        self.proto.pieces[id as usize].score
    }

    /// Bytes of the piece that is taken whole at the begin of `text`.
    fn whole_at(&self, text: &str) -> Option<usize> {
        self.defined.iter().find(|spelling| text.starts_with(spelling.as_str())).map(String::len)
    }
}

#[cfg(test)]
mod tests;

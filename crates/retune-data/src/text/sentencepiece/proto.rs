//! The file of a SentencePiece model: the fields of its protocol buffer that texts are cut by.

/// How a model cuts texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// Into the likeliest pieces.
    Unigram,
    /// By merging.
    Bpe,
    /// Into words or characters.
    Other,
}

/// What a piece is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum PieceKind {
    /// Texts are cut into it.
    Usual,
    /// It stands for what no piece fits.
    Unknown,
    /// It stands in no text.
    Control,
    /// It is taken whole wherever it stands.
    Defined,
    /// It is not used, though it may be merged.
    Unused,
    /// It stands for a byte.
    Byte,
}

/// A piece of the vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Piece {
    pub(in super::super) spelling: String,
    pub(in super::super) score: f32,
    pub(in super::super) kind: PieceKind,
}

/// What a model's file says.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Proto {
    pub(in super::super) pieces: Vec<Piece>,
    pub(in super::super) kind: Kind,
    /// Numbers of the special pieces; none is less than 0.
    pub(in super::super) unknown: i64,
    pub(in super::super) begin: i64,
    pub(in super::super) end: i64,
    /// Whether what no piece fits becomes its bytes.
    pub(in super::super) byte_fallback: bool,
    /// Whether the mark of a space stands behind words.
    pub(in super::super) suffix_space: bool,
    /// The table of characters that are replaced.
    pub(in super::super) charsmap: Vec<u8>,
    /// Whether texts get a space before them.
    pub(in super::super) dummy_prefix: bool,
    /// Whether spaces around a text, and of several all but one, are dropped.
    pub(in super::super) drops_spaces: bool,
    /// Whether spaces become `▁`.
    pub(in super::super) marks_spaces: bool,
}

/// A value of a field.
enum Value<'a> {
    Number(u64),
    Float(f32),
    Bytes(&'a [u8]),
}

/// The next field and its value; `None` at the end.
fn field<'a>(bytes: &mut &'a [u8]) -> Option<Result<(u64, Value<'a>), String>> {
    if bytes.is_empty() {
        return None;
    }
    Some(read(bytes).ok_or_else(|| "is no SentencePiece model, or a damaged one; fetch the file again".to_owned()))
}

fn read<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let key = number(bytes)?;
    let value = match key & 7 {
        0 => Value::Number(number(bytes)?),
        1 => {
            take(bytes, 8)?;
            Value::Number(0)
        }
        2 => {
            let length = usize::try_from(number(bytes)?).ok()?;
            Value::Bytes(take(bytes, length)?)
        }
        5 => Value::Float(f32::from_le_bytes(take(bytes, 4)?.try_into().ok()?)),
        _ => return None,
    };
    Some((key >> 3, value))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *take(bytes, 1)?.first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

impl Proto {
    /// Reads the bytes of a file.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, String> {
        let mut proto = Self {
            pieces: Vec::new(),
            kind: Kind::Unigram,
            unknown: 0,
            begin: 1,
            end: 2,
            byte_fallback: false,
            suffix_space: false,
            charsmap: Vec::new(),
            dummy_prefix: true,
            drops_spaces: true,
            marks_spaces: true,
        };
        while let Some(read) = field(&mut bytes) {
            match read? {
                (1, Value::Bytes(piece)) => proto.pieces.push(self::piece(piece)?),
                (2, Value::Bytes(trainer)) => proto.trainer(trainer)?,
                (3, Value::Bytes(normalizer)) => proto.normalizer(normalizer)?,
                _ => (),
            }
        }
        match proto.pieces.get(usize::try_from(proto.unknown).unwrap_or(usize::MAX)) {
            _ if proto.pieces.is_empty() => Err("is no SentencePiece model: it has no pieces".to_owned()),
            Some(piece) if piece.kind == PieceKind::Unknown => Ok(proto),
            _ => Err(format!("piece {} should stand for what is unknown, but does not", proto.unknown)),
        }
    }

    fn trainer(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while let Some(read) = field(&mut bytes) {
            match read? {
                (3, Value::Number(1)) => self.kind = Kind::Unigram,
                (3, Value::Number(2)) => self.kind = Kind::Bpe,
                (3, Value::Number(_)) => self.kind = Kind::Other,
                (24, Value::Number(flag)) => self.suffix_space = flag != 0,
                (35, Value::Number(flag)) => self.byte_fallback = flag != 0,
                // Numbers less than 0 are those of 64 bits that do not fit.
                (40, Value::Number(id)) => self.unknown = id as i64,
                (41, Value::Number(id)) => self.begin = id as i64,
                (42, Value::Number(id)) => self.end = id as i64,
                _ => (),
            }
        }
        Ok(())
    }

    fn normalizer(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while let Some(read) = field(&mut bytes) {
            match read? {
                (2, Value::Bytes(map)) => self.charsmap = map.to_vec(),
                (3, Value::Number(flag)) => self.dummy_prefix = flag != 0,
                (4, Value::Number(flag)) => self.drops_spaces = flag != 0,
                (5, Value::Number(flag)) => self.marks_spaces = flag != 0,
                _ => (),
            }
        }
        Ok(())
    }
}

fn piece(mut bytes: &[u8]) -> Result<Piece, String> {
    let mut piece = Piece { spelling: String::new(), score: 0.0, kind: PieceKind::Usual };
    while let Some(read) = field(&mut bytes) {
        match read? {
            (1, Value::Bytes(spelling)) => {
                let spelling = std::str::from_utf8(spelling);
                piece.spelling = spelling.map_err(|_| "has a piece that is no UTF-8".to_owned())?.to_owned();
            }
            (2, Value::Float(score)) => piece.score = score,
            (3, Value::Number(kind)) => {
                piece.kind = match kind {
                    1 => PieceKind::Usual,
                    2 => PieceKind::Unknown,
                    3 => PieceKind::Control,
                    4 => PieceKind::Defined,
                    5 => PieceKind::Unused,
                    6 => PieceKind::Byte,
                    other => return Err(format!("has a piece of kind {other}, which is not known here")),
                }
            }
            _ => (),
        }
    }
    Ok(piece)
}

//! The bytes of a text file as UTF-8 with line feeds: unpacked (gzip, Zstandard), decoded, old Macintosh line ends mended.

use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use super::open_file;
use crate::DataError;

/// How the characters of a text file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// UTF-8, or UTF-16 where a byte order mark says so.
    #[default]
    Utf8,
    /// Windows-1252, which Latin-1 texts mostly are.
    Latin1,
}

/// Bytes looked at to find out what a file is.
const HEAD: usize = 1 << 16;

/// Opens a text file.
///
/// # Errors
/// It is missing, a folder or unreadable.
pub(crate) fn open_text(path: &Path, encoding: Encoding) -> Result<Box<dyn BufRead>, DataError> {
    let failed = |source| DataError::Read { file: path.to_owned(), source };
    let file = BufReader::new(open_file(path)?);
    let (head, input) = split_head(file, 4).map_err(failed)?;
    let input: Box<dyn Read> = match head.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(input)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::stream::read::Decoder::new(input).map_err(failed)?),
        _ => Box::new(input),
    };
    let (head, input) = split_head(input, HEAD).map_err(failed)?;
    let input: Box<dyn Read> = match (head.as_slice(), encoding) {
        ([0xff, 0xfe, ..], _) => Box::new(Utf16 { input, pair: u16::from_le_bytes, rest: Vec::new(), high: None }),
        ([0xfe, 0xff, ..], _) => Box::new(Utf16 { input, pair: u16::from_be_bytes, rest: Vec::new(), high: None }),
        (_, Encoding::Latin1) => Box::new(Latin1 { input, rest: Vec::new() }),
        _ => Box::new(input),
    };
    let (head, input) = split_head(input, HEAD).map_err(failed)?;
    let old = head.contains(&b'\r') && !head.contains(&b'\n');
    let input: Box<dyn Read> = if old { Box::new(OldLines(input)) } else { Box::new(input) };
    Ok(Box::new(BufReader::with_capacity(HEAD, input)))
}

/// The file's extension in lower case, that of a packed file without the one of the packing.
pub(super) fn extension(path: &Path) -> String {
    let of = |path: &Path| path.extension().and_then(|it| it.to_str()).unwrap_or("").to_ascii_lowercase();
    match of(path).as_str() {
        "gz" | "gzip" | "zst" | "zstd" => of(Path::new(path.file_stem().unwrap_or_default())),
        extension => extension.to_owned(),
    }
}

/// What stands at the beginning of an input (at most `most` bytes), and the whole input.
fn split_head<R: Read>(mut input: R, most: usize) -> std::io::Result<(Vec<u8>, impl Read + use<R>)> {
    let mut head = Vec::new();
    input.by_ref().take(most as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(input)))
}

/// Carriage returns alone become line feeds.
struct OldLines<R>(R);

impl<R: Read> Read for OldLines<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(into)?;
        into[..read].iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        Ok(read)
    }
}

/// Hands out of `rest` what has room.
fn hand_out(rest: &mut Vec<u8>, into: &mut [u8]) -> usize {
    let count = rest.len().min(into.len());
    into[..count].copy_from_slice(&rest[..count]);
    rest.drain(..count);
    count
}

/// Windows-1252 to UTF-8.
struct Latin1<R> {
    input: R,
    rest: Vec<u8>,
}

impl<R: Read> Read for Latin1<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.rest.is_empty() {
            let mut bytes = [0; 1 << 13];
            let read = self.input.read(&mut bytes)?;
            let text: String = bytes[..read].iter().map(|&byte| windows_1252(byte)).collect();
            self.rest = text.into_bytes();
        }
        Ok(hand_out(&mut self.rest, into))
    }
}

fn windows_1252(byte: u8) -> char {
    const FROM_128: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..0xa0 => FROM_128[usize::from(byte) - 0x80],
        byte => char::from(byte),
    }
}

/// UTF-16 to UTF-8; a lone half of a pair becomes the replacement character.
struct Utf16<R> {
    input: R,
    pair: fn([u8; 2]) -> u16,
    rest: Vec<u8>,
    /// The first half of a pair whose second is still to come.
    high: Option<u16>,
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.rest.is_empty() {
            let mut bytes = Vec::new();
            self.input.by_ref().take(1 << 13).read_to_end(&mut bytes)?;
            if bytes.is_empty() && self.high.is_none() {
                return Ok(0);
            }
            let ended = bytes.is_empty();
            let mut units: Vec<u16> = self.high.take().into_iter().collect();
            units.extend(bytes.chunks_exact(2).map(|pair| (self.pair)([pair[0], pair[1]])));
            if bytes.len() % 2 == 1 {
                units.push(0xfffd);
            }
            if !ended {
                self.high = units.pop_if(|unit| (0xd800..0xdc00).contains(unit));
            }
            self.rest = String::from_utf16_lossy(&units).into_bytes();
        }
        Ok(hand_out(&mut self.rest, into))
    }
}

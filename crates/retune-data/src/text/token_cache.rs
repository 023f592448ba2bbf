//! Tokens kept between runs: the same texts through the same tokenizer need not be cut again.
//!
//! One file a data set, named by a hash of all that decides its tokens: this program's version, the tokenizer's files, the
//! longest input, how windows overlap, whether offsets are kept, the texts. Files are written whole or not at all, and one whose checksum does not fit is made anew.
//! The oldest ones go when all of them together take more than [`LIMIT`].

use std::fs::{self, File, FileTimes};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use xxhash_rust::xxh3::Xxh3;

use super::TextOptions;
use super::row_facts::{RowFacts, width};
use super::tokenizer::Tokenizer;
use crate::arena::Arena;

/// Fewer rows are tokenized faster than a file is found.
const FEWEST_ROWS: usize = 1000;
/// Bytes of all files together.
const LIMIT: u64 = 4 << 30;
const MAGIC: &[u8; 8] = b"RTNTOK02";
const ENDING: &str = "tokens";
/// Magic, rows, checksum of all that follows.
const HEADER: usize = 24;
/// Length, unknown, words (4 bytes each) and flags (1 byte): truncated, continues.
const FACTS: usize = 13;

/// The place of one data set's tokens.
pub(super) struct Entry {
    path: PathBuf,
}

impl Entry {
    /// `texts`: a hash of each row's texts. `None` where the tokenizer keeps nothing, or the rows are few.
    pub(super) fn of(
        tokenizer: &Tokenizer,
        options: &TextOptions,
        words: bool,
        texts: impl ExactSizeIterator<Item = u64>,
    ) -> Option<Self> {
        let folder = tokenizer.cache().filter(|_| texts.len() >= FEWEST_ROWS)?;
        let mut key = Xxh3::new();
        key.update(env!("CARGO_PKG_VERSION").as_bytes());
        for file in tokenizer.files() {
            key.update(&fs::read(file).ok()?);
        }
        let stride = options.stride.map_or(u64::MAX, |stride| stride as u64);
        let flags = [options.marks_words, options.document, words, tokenizer.prefix_space()];
        let flags = flags.into_iter().fold(0, |all, flag| all << 1 | u64::from(flag));
        for number in [options.max_length as u64, stride, width(options) as u64, flags] {
            key.update(&number.to_le_bytes());
        }
        texts.for_each(|text| key.update(&text.to_le_bytes()));
        Some(Self { path: folder.join(format!("{:032x}.{ENDING}", key.digest128())) })
    }

    /// What was kept of so many examples, at `width` bytes a token, if it is whole.
    pub(super) fn read(&self, examples: usize, width: usize) -> Option<(Arena, Vec<RowFacts>)> {
        let mut file = File::open(&self.path).ok()?;
        let mut header = [0; HEADER];
        file.read_exact(&mut header).ok()?;
        let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap_or_default());
        let length = file.metadata().ok()?.len();
        let rows = usize::try_from(number(8)).ok()?;
        // A damaged count must ask for no more memory than the file has bytes.
        if header[..8] != *MAGIC || number(8) > length / FACTS as u64 {
            return None;
        }
        let mut bytes = vec![0; rows * FACTS];
        file.read_exact(&mut bytes).ok()?;
        let mut check = Xxh3::new();
        check.update(&bytes);
        let facts: Vec<RowFacts> = bytes.as_chunks::<FACTS>().0.iter().map(unpack).collect();
        let mut left: u64 = facts.iter().map(|row| u64::from(row.length) * width as u64).sum();
        let found = facts.iter().filter(|row| !row.continues).count();
        if length != (HEADER + rows * FACTS) as u64 + left || found != examples {
            return None;
        }
        let mut block = vec![0; 1 << 20];
        while left > 0 {
            let part = &mut block[..left.min(1 << 20) as usize];
            file.read_exact(part).ok()?;
            check.update(part);
            left -= part.len() as u64;
        }
        // So that what is in use is not the oldest.
        let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
        (check.digest() == number(16))
            .then(|| (Arena::of_file(file, (HEADER + rows * FACTS) as u64, &self.path), facts))
    }

    /// Keeps tokens for the next run.
    pub(super) fn write(&self, tokens: &Arena, facts: &[RowFacts], width: usize) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut check = Xxh3::new();
        let packed: Vec<u8> = facts.iter().flat_map(pack).collect();
        check.update(&packed);
        let temporary = tempfile::NamedTempFile::new_in(folder)?;
        let mut file = BufWriter::with_capacity(1 << 20, temporary);
        file.write_all(&[0; HEADER])?;
        file.write_all(&packed)?;
        let all: u64 = facts.iter().map(|row| u64::from(row.length) * width as u64).sum();
        let (mut at, mut block) = (0, Vec::new());
        while at < all {
            let length = (all - at).min(1 << 20);
            tokens.read(at, length as usize, &mut block).map_err(io::Error::other)?;
            check.update(&block);
            file.write_all(&block)?;
            at += length;
        }
        let mut temporary = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let header = [*MAGIC, (facts.len() as u64).to_le_bytes(), check.digest().to_le_bytes()].concat();
        io::Seek::rewind(&mut temporary)?;
        temporary.write_all(&header)?;
        temporary.persist(&self.path).map_err(|error| error.error)?;
        make_room(folder, LIMIT)
    }
}

fn pack(row: &RowFacts) -> [u8; FACTS] {
    let mut bytes = [0; FACTS];
    for (at, number) in [(0, row.length), (4, row.unknown), (8, row.words)] {
        bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    bytes[12] = u8::from(row.truncated) | u8::from(row.continues) << 1;
    bytes
}

fn unpack(bytes: &[u8; FACTS]) -> RowFacts {
    let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (truncated, continues) = (bytes[12] & 1 != 0, bytes[12] & 2 != 0);
    RowFacts { length: number(0), unknown: number(4), words: number(8), truncated, continues }
}

/// Removes the files that were used longest ago until the rest takes at most `limit` bytes.
fn make_room(folder: &Path, limit: u64) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        let data = entry.metadata()?;
        if entry.path().extension().is_some_and(|ending| ending == ENDING) {
            files.push((data.modified()?, data.len(), entry.path()));
        }
    }
    files.sort();
    let mut all: u64 = files.iter().map(|file| file.1).sum();
    for (_, bytes, path) in files {
        if all <= limit {
            break;
        }
        fs::remove_file(path)?;
        all -= bytes;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::ArenaBuilder;

    fn sample() -> (Arena, Vec<RowFacts>) {
        let mut store = ArenaBuilder::new();
        let facts: Vec<RowFacts> = (0..50u32)
            .map(|row| RowFacts {
                length: 1 + row % 7,
                truncated: row % 3 == 0,
                continues: row >= 40,
                unknown: row,
                words: row + 1,
            })
            .collect();
        for (row, it) in facts.iter().enumerate() {
            store.append(&vec![row as u8; it.length as usize * 4]).unwrap();
        }
        (store.finish().unwrap(), facts)
    }

    #[test]
    fn what_was_kept_is_found_and_what_is_damaged_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let entry = Entry { path: folder.path().join("deep/x.tokens") };
        assert!(entry.read(40, 4).is_none());
        let (tokens, facts) = sample();
        entry.write(&tokens, &facts, 4).unwrap();
        let (again, known) = entry.read(40, 4).unwrap();
        assert_eq!(known, facts);
        let all = facts.iter().map(|row| row.length as usize * 4).sum();
        let read = |arena: &Arena| {
            let mut bytes = Vec::new();
            arena.read(0, all, &mut bytes).unwrap();
            bytes
        };
        assert_eq!(read(&again), read(&tokens));
        assert!(entry.read(50, 4).is_none());
        let good = fs::read(&entry.path).unwrap();
        for at in [0, 9, 17, 30, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&entry.path, &bad).unwrap();
            assert!(entry.read(40, 4).is_none(), "byte {at}");
        }
        fs::write(&entry.path, &good[..good.len() - 1]).unwrap();
        assert!(entry.read(40, 4).is_none());
    }

    #[test]
    fn the_oldest_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let at = |age: u64| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - age);
        for (name, age) in [("a.tokens", 3), ("b.tokens", 1), ("c.tokens", 2), ("other", 9)] {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_len(100).unwrap();
            file.set_modified(at(age)).unwrap();
        }
        make_room(folder.path(), 250).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["b.tokens", "c.tokens", "other"]);
    }
}

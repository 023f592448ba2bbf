//! The stored values of all masks of a data set, read once, in parallel, before anything is computed.

use std::cmp::Reverse;

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::decode::{Cells, Decoded};
use super::joined::joined;
use super::runs::{pack, unpack};
use super::{ClassList, MaskClasses};
use crate::arena::{Arena, ArenaBuilder};
use crate::image::Images;
use crate::image::rows::mask_files;
use crate::{BadExample, DataError, Medium, Records, TableRows};

/// Masks decoded in parallel before they are stored.
const CHUNK: usize = 64;
/// Colours that a message about unknown ones shows.
const SHOWN: usize = 3;
/// Unknown colours that are told apart; a photograph in place of a mask has thousands.
const MOST_UNKNOWN: usize = 64;

/// Where a mask is in the store.
pub(super) struct Entry {
    offset: u64,
    bytes: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) hash: u64,
    /// Pixels of each stored value that occurs.
    pub(super) counts: Vec<(u8, u32)>,
}

/// The masks of all rows, as they are stored.
pub struct RawMasks {
    store: Arena,
    entries: Vec<Option<Entry>>,
    /// Masks whose shades were made black and white.
    cut: usize,
}

/// One mask, ready for the store.
struct Prepared {
    size: (u32, u32),
    packed: Vec<u8>,
    hash: u64,
    counts: Vec<(u8, u32)>,
    cut: bool,
}

impl RawMasks {
    /// Reads the masks of all rows whose image can be used; `list` says what colours mean. Beside them, why some cannot
    /// be used.
    ///
    /// # Errors
    /// A temporary folder without space.
    pub fn read(
        rows: &TableRows,
        images: &Images,
        list: Option<&ClassList>,
        progress: &dyn Fn(usize, usize),
    ) -> Result<(Self, Vec<BadExample>), DataError> {
        let total = rows.len();
        let mut store = ArenaBuilder::new();
        let mut entries = Vec::with_capacity(total);
        let mut bad = Vec::new();
        let mut cut = 0;
        for start in (0..total).step_by(CHUNK) {
            let end = (start + CHUNK).min(total);
            let usable = |row: usize| !images.rows(row).is_empty();
            let chunk: Vec<_> = (start..end)
                .into_par_iter()
                .map(|row| usable(row).then(|| prepare(rows, row, images.original_size(row), list)).transpose())
                .collect();
            for (row, prepared) in (start..end).zip(chunk) {
                entries.push(match prepared? {
                    None => None,
                    Some(Err(reason)) => {
                        bad.push(rows.bad(row, reason)?);
                        None
                    }
                    Some(Ok(it)) => {
                        let (offset, bytes, (width, height)) = (store.len(), it.packed.len() as u32, it.size);
                        store.append(&it.packed)?;
                        cut += usize::from(it.cut);
                        Some(Entry { offset, bytes, width, height, hash: it.hash, counts: it.counts })
                    }
                });
            }
            progress(end, total);
        }
        Ok((Self { store: store.finish()?, entries, cut }, bad))
    }

    /// Whether masks are black and white with soft edges, as drawing programs and resizing make them: shades of all kinds lie
    /// between 0 and 255, but fewer pixels have one than are white.
    pub fn is_soft(&self) -> bool {
        /// Different shades, at the least; numbers of classes are seldom so many.
        const LEAST_SHADES: usize = 24;
        let mut pixels = [0u64; 256];
        let counts = self.entries.iter().flatten().flat_map(|entry| &entry.counts);
        counts.for_each(|&(value, count)| pixels[usize::from(value)] += u64::from(count));
        let shades = pixels[1..255].iter().filter(|&&count| count > 0).count();
        // Numbers of classes end somewhere, those that count objects do not favour the last.
        let bright = pixels[128..255].iter().filter(|&&count| count > 0).count();
        let between: u64 = pixels[16..240].iter().sum();
        let white: u64 = pixels[240..].iter().sum();
        pixels[0] > 0 && pixels[255] > 0 && shades >= LEAST_SHADES && bright * 3 >= shades && white > between
    }

    /// What a person should know about how masks were read.
    pub(super) fn remarks(&self) -> Option<String> {
        let masks = if self.cut == 1 { "mask is a JPEG" } else { "masks are JPEGs" };
        (self.cut > 0)
            .then(|| format!("{} {masks}, read as black and white: what is brighter than 127 is 255", self.cut))
    }

    /// Which values occur.
    pub fn present(&self) -> [bool; 256] {
        let mut present = [false; 256];
        let counts = self.entries.iter().flatten().flat_map(|entry| &entry.counts);
        counts.for_each(|&(value, _)| present[usize::from(value)] = true);
        present
    }

    /// Masks with values that mean nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn unknown(&self, rows: &TableRows, classes: &MaskClasses) -> Result<Vec<BadExample>, DataError> {
        let mut bad = Vec::new();
        for (row, entry) in self.entries.iter().enumerate() {
            let Some(entry) = entry else { continue };
            let unknown: Vec<&(u8, u32)> = entry.counts.iter().filter(|(value, _)| !classes.knows(*value)).collect();
            let Some(&&(value, count)) = unknown.first() else { continue };
            let cells = self.cells(row)?;
            let place = cells.iter().position(|&cell| cell == value).unwrap_or(0);
            let (x, y) = (place % entry.width as usize, place / entry.width as usize);
            let others = match unknown.len() {
                1 => String::new(),
                all => format!(" (and {} other values)", all - 1),
            };
            let pixels = if count == 1 { "1 pixel".to_owned() } else { format!("{count} pixels") };
            let reason = format!(
                "its mask has the value {value}{others} in {pixels}, first at column {x}, row {y}; classes are {}, and {} is none",
                classes.known_values(),
                super::NO_CLASS
            );
            bad.push(rows.bad(row, reason)?);
        }
        Ok(bad)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Panics where a row has no mask: it was left out.
    pub(super) fn entry(&self, row: usize) -> &Entry {
        self.entries[row].as_ref().expect("rows without a mask are left out")
    }

    /// The stored values of a row, row by row of its image.
    pub(super) fn cells(&self, row: usize) -> Result<Vec<u8>, DataError> {
        let entry = self.entry(row);
        let mut bytes = Vec::new();
        self.store.read(entry.offset, entry.bytes as usize, &mut bytes)?;
        let count = entry.width as usize * entry.height as usize;
        Ok(unpack(&bytes, count).expect("the store gives what it was given"))
    }
}

fn prepare(
    rows: &TableRows,
    row: usize,
    image: (usize, usize),
    list: Option<&ClassList>,
) -> Result<Result<Prepared, String>, DataError> {
    let Some((name, files)) = mask_files(rows, row)? else {
        return Ok(Err("has no mask; add one, or remove the image".to_owned()));
    };
    let named = |reason: String| format!("its mask {name} {reason}");
    Ok(files.and_then(|files| joined(&files, image)).and_then(|mask| stored(mask, image, list)).map_err(named))
}

fn stored(mask: Decoded, (width, height): (usize, usize), list: Option<&ClassList>) -> Result<Prepared, String> {
    if (mask.width, mask.height) != (width, height) {
        let turned = if (mask.height, mask.width) == (width, height) {
            "; it is turned, as the image is by its EXIF orientation"
        } else {
            ""
        };
        return Err(format!(
            "is {} × {} pixels, the image {width} × {height}{turned}; both must be of one size",
            mask.width, mask.height
        ));
    }
    let cut = mask.cut;
    let cells = match mask.cells {
        Cells::Values(values) => values,
        Cells::Colours(colours) => by_palette(&colours, list)?,
    };
    let mut histogram = [0u32; 256];
    cells.iter().for_each(|&cell| histogram[usize::from(cell)] += 1);
    let counts = (0..=255u8).zip(histogram).filter(|(_, count)| *count > 0).collect();
    let mut packed = Vec::new();
    pack(&cells, &mut packed);
    let hash = xxh3_64_with_seed(&cells, (width as u64) << 32 | height as u64);
    Ok(Prepared { size: (width as u32, height as u32), packed, hash, counts, cut })
}

/// The values of colours.
fn by_palette(colours: &[[u8; 3]], list: Option<&ClassList>) -> Result<Vec<u8>, String> {
    let Some(list) = list.filter(|list| list.has_colours()) else {
        return Err(
            "holds colours, and nothing says what they mean; name a file of classes with colours with --palette, or \
             give masks of values"
                .to_owned(),
        );
    };
    let mut unknown: Vec<([u8; 3], usize)> = Vec::new();
    let mut last = None;
    let mut cells = Vec::with_capacity(colours.len());
    for &colour in colours {
        // Neighbours are mostly alike.
        let value = match last {
            Some((known, value)) if known == colour => value,
            _ => list.value_of(colour),
        };
        last = Some((colour, value));
        match value {
            Some(value) => cells.push(value),
            None => match unknown.iter().position(|(other, _)| *other == colour) {
                Some(place) => unknown[place].1 += 1,
                None if unknown.len() < MOST_UNKNOWN => unknown.push((colour, 1)),
                None => {}
            },
        }
    }
    if unknown.is_empty() {
        return Ok(cells);
    }
    unknown.sort_by_key(|(_, count)| Reverse(*count));
    let shown = unknown.iter().take(SHOWN).map(|([r, g, b], count)| format!("{r},{g},{b} ({count} pixels)"));
    let more = if unknown.len() > SHOWN { ", …" } else { "" };
    Err(format!(
        "has colours that {} does not list: {}{more}",
        list.file().display(),
        shown.collect::<Vec<_>>().join(", ")
    ))
}

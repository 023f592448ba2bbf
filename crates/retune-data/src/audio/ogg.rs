//! What the pages of an Ogg file say (RFC 3533): whether they are all there, and where each stream ends.
//!
//! A demuxer leaves out pages that are damaged and stops before one that is cut off, without a word.

use std::collections::BTreeMap;

use symphonia::core::checksum::Crc32;
use symphonia::core::io::Monitor;

const MARK: &[u8] = b"OggS";
/// Bytes of a page before the lengths of its segments.
const HEAD: usize = 27;

/// Where the streams of a file end, by their serial numbers, as their last pages count it. A stream whose last page is not marked as the
/// last, as a recorder leaves it that was switched off, has no entry. Files of other formats have no streams.
///
/// # Errors
/// A page is cut off, damaged or missing, or one stream follows the end of another.
pub(super) fn ends(bytes: &[u8]) -> Result<BTreeMap<u32, i64>, String> {
    let mut ends = BTreeMap::new();
    if !bytes.starts_with(MARK) {
        return Ok(ends);
    }
    // The last page of each stream.
    let mut pages: BTreeMap<u32, Page> = BTreeMap::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if !rest.starts_with(&MARK[..rest.len().min(MARK.len())]) {
            if pages.values().all(|page| page.last) {
                // Other programs hang their tags on.
                break;
            }
            return Err(format!("is damaged (no page begins at byte {at}); write the file again"));
        }
        let Some(page) = Page::read(rest) else {
            return Err(format!("is cut off: its last page, from byte {at} on, is not whole; write the file again"));
        };
        if !page.intact {
            return Err(format!("is damaged (the page at byte {at} is not as it was written); write the file again"));
        }
        let before = pages.insert(page.serial, page);
        if page.first && (before.is_some() || pages.values().any(|page| !page.first)) {
            return Err("holds several sounds, one behind the other; write each into a file of its own".to_owned());
        }
        // Who cuts a piece out of a file may keep its first pages, which count no samples.
        if let Some(before) = before.filter(|before| before.samples != 0)
            && page.sequence != before.sequence.wrapping_add(1)
        {
            return Err(format!("lacks what stood before byte {at}; write the file again"));
        }
        // Only a page on which a packet ends counts samples.
        if page.last && page.ends_packet && page.samples != -1 {
            ends.insert(page.serial, page.samples);
        }
        at += page.size;
    }
    Ok(ends)
}

#[derive(Clone, Copy)]
struct Page {
    serial: u32,
    sequence: u32,
    /// Samples up to the end of the last packet that ends here; -1 where none does.
    samples: i64,
    first: bool,
    last: bool,
    ends_packet: bool,
    intact: bool,
    size: usize,
}

impl Page {
    /// `None` if it is not all there.
    fn read(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; HEAD] = bytes.first_chunk()?;
        let segments = bytes.get(HEAD..HEAD + usize::from(head[26]))?;
        let size = HEAD + segments.len() + segments.iter().map(|&size| usize::from(size)).sum::<usize>();
        let page = bytes.get(..size)?;
        let four = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        Some(Self {
            serial: four(14),
            sequence: four(18),
            samples: (u64::from(four(10)) << 32 | u64::from(four(6))).cast_signed(),
            first: head[5] & 2 != 0,
            last: head[5] & 4 != 0,
            ends_packet: segments.iter().any(|&size| size < 255),
            intact: sum(page) == four(22),
            size,
        })
    }
}

/// The sum over a page, made while its own place in it is empty.
fn sum(page: &[u8]) -> u32 {
    let mut sum = Crc32::new(0);
    sum.process_buf_bytes(&page[..22]);
    sum.process_buf_bytes(&[0; 4]);
    sum.process_buf_bytes(&page[26..]);
    sum.crc()
}

/// A file whose bytes were changed, with the sums that its pages should have.
#[cfg(test)]
pub(super) fn mended(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(page) = bytes.get(at..).and_then(Page::read) {
        let right = sum(&bytes[at..at + page.size]);
        bytes[at + 22..at + 26].copy_from_slice(&right.to_le_bytes());
        at += page.size;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::fixture;

    #[test]
    fn every_page_has_to_be_there() {
        let good = std::fs::read(fixture("tone.ogg")).unwrap();
        let said = |bytes: &[u8]| ends(bytes).unwrap_err();
        assert_eq!(ends(&good).unwrap().values().collect::<Vec<_>>(), [&4000]);
        assert!(ends(b"fLaC").unwrap().is_empty());
        // Tags behind the last page are none of it.
        assert_eq!(ends(&[&good[..], b"TAG of another program"].concat()).unwrap().len(), 1);
        assert!(said(&good[..good.len() - 1]).contains("is cut off: its last page"));
        assert!(said(&[&good[..], b"OggS"].concat()).contains("is cut off"));
        assert!(said(&[&good[..], &good[..]].concat()).contains("holds several sounds"));
        let mut changed = good.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(said(&changed).contains("is not as it was written"));
        // Without its last page it ends where it ends.
        let last = good.windows(4).rposition(|word| word == MARK).unwrap();
        assert!(ends(&good[..last]).unwrap().is_empty());
        assert!(said(&[&good[..last], b"TAG"].concat()).contains("no page begins at byte"));
    }
}

//! Masks in few bytes: runs of equal cells, row by row, and COCO's run lengths of one class.

/// Appends the runs of `cells`: a value and its length, in seven bits a byte, the lowest first.
pub(super) fn pack(cells: &[u8], into: &mut Vec<u8>) {
    for run in cells.chunk_by(|a, b| a == b) {
        into.push(run[0]);
        let mut length = run.len();
        while length >= 0x80 {
            into.push(length as u8 | 0x80);
            length >>= 7;
        }
        into.push(length as u8);
    }
}

/// The cells of [`pack`]; `None` where the bytes are no runs of that many cells.
pub(super) fn unpack(bytes: &[u8], count: usize) -> Option<Vec<u8>> {
    let mut cells = Vec::with_capacity(count);
    let mut bytes = bytes.iter();
    while let Some(&value) = bytes.next() {
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = *bytes.next()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
        }
        if length > count - cells.len() {
            return None;
        }
        cells.resize(cells.len() + length, value);
    }
    (cells.len() == count).then_some(cells)
}

/// COCO's uncompressed run lengths of the cells that are `class`: column by column, beginning with those that are not.
pub fn coco_counts(cells: &[u8], (width, height): (usize, usize), class: u8) -> Vec<u32> {
    let mut counts = Vec::new();
    let (mut inside, mut length) = (false, 0);
    for x in 0..width {
        for y in 0..height {
            if (cells[y * width + x] == class) != inside {
                counts.push(length);
                (inside, length) = (!inside, 0);
            }
            length += 1;
        }
    }
    counts.push(length);
    counts
}

/// Run lengths as pycocotools compresses them to text: differences to the run before the last, five bits a character.
pub fn coco_string(counts: &[u32]) -> String {
    let mut text = String::new();
    for (index, &count) in counts.iter().enumerate() {
        let mut rest = i64::from(count) - if index > 2 { i64::from(counts[index - 2]) } else { 0 };
        loop {
            let bits = (rest & 0x1f) as u8;
            rest >>= 5;
            let more = if bits & 0x10 != 0 { rest != -1 } else { rest != 0 };
            text.push(char::from(bits + if more { 0x20 } else { 0 } + 48));
            if !more {
                break;
            }
        }
    }
    text
}

/// COCO's run lengths, compressed or not; `None` where they are neither.
pub(in crate::image) fn coco_runs(counts: &serde_json::Value) -> Option<Vec<u32>> {
    let Some(text) = counts.as_str() else {
        return counts.as_array()?.iter().map(|count| u32::try_from(count.as_u64()?).ok()).collect();
    };
    let mut runs: Vec<i64> = Vec::new();
    let mut bytes = text.bytes();
    while bytes.len() > 0 {
        let (mut run, mut shift) = (0i64, 0);
        loop {
            let bits = i64::from(bytes.next()?.checked_sub(48).filter(|bits| *bits < 64)?);
            run |= (bits & 0x1f) << shift;
            shift += 5;
            if bits & 0x20 == 0 {
                run |= if bits & 0x10 != 0 { -1 << shift } else { 0 };
                break;
            }
            if shift > 35 {
                return None;
            }
        }
        run += if runs.len() > 2 { runs[runs.len() - 2] } else { 0 };
        runs.push(run);
    }
    runs.into_iter().map(|run| u32::try_from(run).ok()).collect()
}

/// Pixels inside.
pub(in crate::image) fn coco_area(runs: &[u32]) -> u64 {
    runs.iter().skip(1).step_by(2).map(|&run| u64::from(run)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let cells: Vec<u8> = [vec![3; 1], vec![0; 127], vec![255; 128], vec![7; 70_000], vec![3; 2]].concat();
        let mut bytes = Vec::new();
        pack(&cells, &mut bytes);
        assert_eq!(bytes.len(), 2 + 2 + 3 + 4 + 2);
        assert_eq!(unpack(&bytes, cells.len()), Some(cells.clone()));
        assert_eq!(unpack(&bytes, cells.len() - 1), None);
        assert_eq!(unpack(&bytes[..bytes.len() - 1], cells.len()), None);
        assert_eq!(unpack(&[], 0), Some(Vec::new()));
    }

    /// `pycocotools.mask.encode` of the same masks.
    #[test]
    fn run_lengths_are_those_of_pycocotools() {
        // 4 × 3, class 1 in the middle of rows 1 and 2, and the last corner.
        let cells = [0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 1];
        let counts = coco_counts(&cells, (4, 3), 1);
        assert_eq!(counts, [4, 2, 1, 1, 3, 1]);
        assert_eq!(coco_string(&counts), "421O20");
        let all = coco_counts(&[1; 6], (3, 2), 1);
        assert_eq!(all, [0, 6]);
        assert_eq!(coco_string(&all), "06");
        assert_eq!(coco_string(&[1000, 40, 3000, 7]), "Xo0X1hm2oN");
        for runs in [&counts[..], &all, &[1000, 40, 3000, 7]] {
            assert_eq!(coco_runs(&coco_string(runs).into()).unwrap(), runs);
        }
        assert_eq!((coco_area(&counts), coco_runs(&"4 ".into()), coco_runs(&"~".into())), (4, None, None));
    }
}

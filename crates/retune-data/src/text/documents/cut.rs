//! How documents become blocks: pieces of documents, side by side.

use std::collections::BTreeMap;

/// How documents are cut into blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cut {
    /// One after the other without a gap: a block may hold the end of one document and the begin of others. All blocks but
    /// the last are full.
    #[default]
    Join,
    /// Each document by itself; its last block may be short.
    Split,
    /// One block a document; what is too long is cut off.
    Whole,
    /// Whole documents side by side where they fit, the longest first, each into the block that it fills best; one that is
    /// too long is cut into full blocks and a rest. (Best-fit decreasing; Ding et al. 2024.)
    Pack,
}

/// Some tokens of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) document: u32,
    /// The first of them.
    pub(super) from: u32,
    /// How many, the separator included that follows the last token of a document.
    pub(super) length: u32,
}

/// Blocks as lists of pieces.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    all: Vec<Piece>,
    /// First piece of each block, and one past the last.
    first: Vec<u32>,
}

impl Pieces {
    fn new() -> Self {
        Self { all: Vec::new(), first: vec![0] }
    }

    /// Number of blocks.
    pub(super) fn blocks(&self) -> usize {
        self.first.len().saturating_sub(1)
    }

    /// The pieces of a block. Panics beyond the end.
    pub(super) fn of(&self, block: usize) -> &[Piece] {
        &self.all[self.first[block] as usize..self.first[block + 1] as usize]
    }

    /// Ends a block that has pieces.
    fn end(&mut self) {
        let end = self.all.len() as u32;
        if self.first.last() != Some(&end) {
            self.first.push(end);
        }
    }

    /// A block of one piece.
    fn push(&mut self, piece: Piece) {
        self.all.push(piece);
        self.end();
    }
}

/// Cuts documents of these numbers and lengths (above 0, separators included) into blocks of at most `room` tokens.
pub(super) fn cut(documents: &[(u32, u32)], room: u32, how: Cut) -> Pieces {
    let mut pieces = Pieces::new();
    match how {
        Cut::Join => {
            let mut left = room;
            for &(document, length) in documents {
                let mut from = 0;
                while from < length {
                    let some = left.min(length - from);
                    pieces.all.push(Piece { document, from, length: some });
                    (from, left) = (from + some, left - some);
                    if left == 0 {
                        pieces.end();
                        left = room;
                    }
                }
            }
            pieces.end();
        }
        Cut::Split => {
            for &(document, length) in documents {
                parts(length, room).for_each(|(from, length)| pieces.push(Piece { document, from, length }));
            }
        }
        Cut::Whole => {
            for &(document, length) in documents {
                pieces.push(Piece { document, from: 0, length: length.min(room) });
            }
        }
        Cut::Pack => pack(documents, room, &mut pieces),
    }
    pieces
}

/// Begin and length of each part of a document by itself.
fn parts(length: u32, room: u32) -> impl Iterator<Item = (u32, u32)> {
    (0..length).step_by(room.max(1) as usize).map(move |from| (from, room.min(length - from)))
}

fn pack(documents: &[(u32, u32)], room: u32, pieces: &mut Pieces) {
    let each = |&(document, length): &(u32, u32)| {
        parts(length, room).map(move |(from, length)| Piece { document, from, length })
    };
    let mut all: Vec<Piece> = documents.iter().flat_map(each).collect();
    // Stable, so that the result is the same each time.
    all.sort_by_key(|piece| std::cmp::Reverse(piece.length));
    let mut blocks: Vec<Vec<Piece>> = Vec::new();
    // Open blocks by the room that is left in them.
    let mut open: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for piece in all {
        let fits = open.range(piece.length..).next().map(|(&left, _)| left);
        let (block, left) = match fits.and_then(|left| Some((open.get_mut(&left)?.pop()?, left))) {
            Some((block, left)) => {
                if open.get(&left).is_some_and(Vec::is_empty) {
                    open.remove(&left);
                }
                (block, left)
            }
            None => {
                blocks.push(Vec::new());
                (blocks.len() - 1, room)
            }
        };
        blocks[block].push(piece);
        if left > piece.length {
            open.entry(left - piece.length).or_default().push(block);
        }
    }
    for mut block in blocks {
        // As they stand in the file.
        block.sort_by_key(|piece| (piece.document, piece.from));
        pieces.all.append(&mut block);
        pieces.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocks(lengths: &[u32], room: u32, how: Cut) -> Vec<Vec<(u32, u32, u32)>> {
        let documents: Vec<(u32, u32)> = (0..).zip(lengths.iter().copied()).collect();
        let pieces = cut(&documents, room, how);
        let of = |block| pieces.of(block).iter().map(|it| (it.document, it.from, it.length)).collect();
        (0..pieces.blocks()).map(of).collect()
    }

    #[test]
    fn documents_are_joined_split_cut_off_or_packed() {
        let lengths = [3, 5, 1];
        assert_eq!(blocks(&lengths, 4, Cut::Join), [vec![(0, 0, 3), (1, 0, 1)], vec![(1, 1, 4)], vec![(2, 0, 1)]]);
        assert_eq!(
            blocks(&lengths, 4, Cut::Split),
            [vec![(0, 0, 3)], vec![(1, 0, 4)], vec![(1, 4, 1)], vec![(2, 0, 1)]]
        );
        assert_eq!(blocks(&lengths, 4, Cut::Whole), [vec![(0, 0, 3)], vec![(1, 0, 4)], vec![(2, 0, 1)]]);
        assert_eq!(blocks(&[2, 3, 1, 2], 4, Cut::Pack), [vec![(1, 0, 3), (2, 0, 1)], vec![(0, 0, 2), (3, 0, 2)]]);
        assert!(blocks(&[], 4, Cut::Join).is_empty());
    }

    proptest! {
        #[test]
        fn every_token_is_in_one_block_once(lengths in prop::collection::vec(1u32..30, 0..30), room in 1u32..12) {
            for how in [Cut::Join, Cut::Split, Cut::Pack] {
                let blocks = blocks(&lengths, room, how);
                prop_assert!(blocks.iter().all(|block| (1..=room).contains(&block.iter().map(|it| it.2).sum::<u32>())));
                let mut all: Vec<(u32, u32)> =
                    blocks.iter().flatten().flat_map(|&(d, from, n)| (from..from + n).map(move |at| (d, at))).collect();
                all.sort_unstable();
                let expected: Vec<(u32, u32)> =
                    (0..).zip(&lengths).flat_map(|(d, &n)| (0..n).map(move |at| (d, at))).collect();
                prop_assert_eq!(all, expected);
            }
        }
    }
}

//! Pieces of a text by merging (Sennrich et al. 2016): of all neighbours, those that make the piece with the highest score, the
//! leftmost first, until no two make one.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;

use super::{PieceKind, SentencePiece};

/// A part of the text; an empty one was merged into the part before it.
struct Part {
    range: Range<usize>,
    before: Option<usize>,
    after: Option<usize>,
    /// Whether it is taken whole, and never merged.
    whole: bool,
}

/// Two neighbours that make a piece.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    /// Bytes of both, when they were found.
    bytes: usize,
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

/// Pieces that are not used once they are made, and how long the first of the two parts is that they were last made of.
type Unmerged<'a> = HashMap<&'a str, usize>;

impl SentencePiece {
    /// Pieces of a text; no number where none fits.
    pub(super) fn merged(&self, text: &str) -> Vec<(Range<usize>, Option<u32>)> {
        let mut parts = self.parts(text);
        let (mut pairs, mut unmerged) = (BinaryHeap::new(), Unmerged::new());
        for right in 1..parts.len() {
            pairs.extend(self.pair(text, &parts, (right - 1, right), &mut unmerged));
        }
        while let Some(Pair { left, right, bytes, .. }) = pairs.pop() {
            let is_there = |part: &Part| !part.range.is_empty();
            if !is_there(&parts[left])
                || !is_there(&parts[right])
                || parts[left].range.len() + parts[right].range.len() != bytes
            {
                continue;
            }
            parts[left].range.end = parts[right].range.end;
            parts[right].range.start = parts[right].range.end;
            let after = parts[right].after;
            parts[left].after = after;
            if let Some(before) = parts[left].before {
                pairs.extend(self.pair(text, &parts, (before, left), &mut unmerged));
            }
            if let Some(after) = after {
                parts[after].before = Some(left);
                pairs.extend(self.pair(text, &parts, (left, after), &mut unmerged));
            }
        }
        let mut found = Vec::new();
        for part in parts.into_iter().filter(|part| !part.range.is_empty()) {
            self.used(text, part.range, &unmerged, &mut found);
        }
        found
    }

    /// Characters, and pieces that are taken whole.
    fn parts(&self, text: &str) -> Vec<Part> {
        let (mut parts, mut at) = (Vec::new(), 0);
        while let Some(letter) = text[at..].chars().next() {
            let whole = self.whole_at(&text[at..]);
            let end = at + whole.unwrap_or(letter.len_utf8());
            let number = parts.len();
            parts.push(Part {
                range: at..end,
                before: number.checked_sub(1),
                after: (end < text.len()).then_some(number + 1),
                whole: whole.is_some(),
            });
            at = end;
        }
        parts
    }

    fn pair<'a>(
        &self,
        text: &'a str,
        parts: &[Part],
        (left, right): (usize, usize),
        unmerged: &mut Unmerged<'a>,
    ) -> Option<Pair> {
        let (first, second) = (&parts[left], &parts[right]);
        if first.whole || second.whole {
            return None;
        }
        let range = first.range.start..second.range.end;
        let &id = self.pieces.get(&text[range.clone()])?;
        if self.kind_of(id) == PieceKind::Unused {
            unmerged.insert(&text[range.clone()], first.range.len());
        }
        Some(Pair { score: self.score(id), left, right, bytes: range.len() })
    }

    /// A part as pieces that are used.
    fn used(
        &self,
        text: &str,
        range: Range<usize>,
        unmerged: &Unmerged<'_>,
        found: &mut Vec<(Range<usize>, Option<u32>)>,
    ) {
        let spelling = &text[range.clone()];
        let id = self.pieces.get(spelling).copied();
        let of = id.filter(|&id| self.kind_of(id) == PieceKind::Unused).and_then(|_| unmerged.get(spelling));
        match of {
            Some(first) => {
                let middle = range.start + first;
                self.used(text, range.start..middle, unmerged, found);
                self.used(text, middle..range.end, unmerged, found);
            }
            None => found.push((range, id)),
        }
    }
}

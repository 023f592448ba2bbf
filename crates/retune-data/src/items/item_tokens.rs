//! Texts of items as tokens, for models whose text encoder learns with them. U items, L tokens of the longest.

use crate::{Array, Arrays};

/// Texts of a catalogue's items as tokens.
#[derive(Debug, Clone, Default)]
pub struct ItemTokens {
    pool: Vec<u32>,
    /// Where those of each item end, item 1 first.
    ends: Vec<usize>,
    /// What fills a row.
    padding: u32,
}

impl ItemTokens {
    /// None so far; rows are filled with `padding`.
    pub fn new(padding: u32) -> Self {
        Self { padding, ..Self::default() }
    }

    /// Adds the next item; no tokens where it has no text.
    pub fn push(&mut self, tokens: &[u32]) {
        self.pool.extend(tokens);
        self.ends.push(self.pool.len());
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The tokens of an item, from 1; nothing of others.
    pub fn of(&self, item: u32) -> &[u32] {
        let Some(place) = (item as usize).checked_sub(1).filter(|&place| place < self.ends.len()) else { return &[] };
        let begin = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.pool[begin..self.ends[place]]
    }

    /// `item_numbers` \[U\], `item_input_ids` and `item_attention_mask` [U, L], and `item_has_text` \[U\], 0 or 1, all i64.
    pub fn fill(&self, items: &[u32], into: &mut Arrays) {
        let longest = items.iter().map(|&item| self.of(item).len()).max().unwrap_or(0).max(1);
        let (mut ids, mut mask) =
            (vec![i64::from(self.padding); items.len() * longest], vec![0; items.len() * longest]);
        for (row, &item) in items.iter().enumerate() {
            for (place, &token) in self.of(item).iter().enumerate() {
                ids[row * longest + place] = i64::from(token);
                mask[row * longest + place] = 1;
            }
            // Where there is no text an encoder sees one token of padding, and what it says of it counts for nothing.
            mask[row * longest] = 1;
        }
        let numbers = items.iter().map(|&item| i64::from(item)).collect();
        let texts = items.iter().map(|&item| i64::from(!self.of(item).is_empty())).collect();
        into.insert("item_numbers".to_owned(), Array::integers(&[items.len()], numbers));
        into.insert("item_input_ids".to_owned(), Array::integers(&[items.len(), longest], ids));
        into.insert("item_attention_mask".to_owned(), Array::integers(&[items.len(), longest], mask));
        into.insert("item_has_text".to_owned(), Array::integers(&[items.len()], texts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArrayData;

    #[test]
    fn texts_are_padded_to_the_longest() {
        let mut tokens = ItemTokens::new(9);
        [&[5, 6, 7][..], &[], &[8]].into_iter().for_each(|it| tokens.push(it));
        assert_eq!((tokens.len(), tokens.of(0), tokens.of(3), tokens.of(4)), (3, &[][..], &[8][..], &[][..]));
        let mut arrays = Arrays::new();
        tokens.fill(&[1, 2, 3], &mut arrays);
        let of = |name: &str| match &arrays[name].data {
            ArrayData::I64(values) => values.clone(),
            _ => panic!("integers"),
        };
        assert_eq!(of("item_input_ids"), [5, 6, 7, 9, 9, 9, 8, 9, 9]);
        assert_eq!(of("item_attention_mask"), [1, 1, 1, 1, 0, 0, 1, 0, 0]);
        assert_eq!((of("item_numbers"), of("item_has_text")), (vec![1, 2, 3], vec![1, 0, 1]));
    }
}

//! Histories as a medium. B rows, T items of the longest, P places of a row that are asked for.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::{Asked, ItemTokens, Sequences};
use crate::{Array, BadExample, Batch, DataError, Fact, FactValue, Medium, Pass, Random, Records, Seen, Units};

/// Tells these draws from others.
const DRAWS: u64 = 0x6974_656d;
/// Share of passes over a history in which its last item alone is hidden, as it is when something is recommended.
const LAST_ONLY: f64 = 0.2;

/// How histories become rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HistoryOptions {
    /// Items that a model sees, the newest ones.
    pub longest: usize,
    /// Items in all.
    pub items: usize,
    /// Share of items that are hidden in training, of models that look both ways; `None`: they look back only.
    pub masked: Option<f64>,
    /// Items drawn beside each that is learnt, which the user has not met in the stretch; 0 = none.
    pub negatives: usize,
}

/// Encoded histories.
pub struct ItemHistories {
    rows: Arc<Sequences>,
    options: HistoryOptions,
    /// Texts of the items, which batches of a pass of training hold.
    texts: Option<Arc<ItemTokens>>,
}

/// What is asked of a row in a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistorySeen {
    /// The items, by place.
    pub labels: Vec<u32>,
    /// Drawn beside each of them, as many for each.
    pub negatives: Vec<u32>,
}

impl Seen for HistorySeen {}

/// A row as a model sees it.
#[derive(Default)]
struct Laid {
    inputs: Vec<u32>,
    places: Vec<usize>,
    seen: HistorySeen,
}

impl ItemHistories {
    /// Of histories.
    pub fn new(rows: &Arc<Sequences>, options: HistoryOptions) -> Self {
        Self { rows: Arc::clone(rows), options, texts: None }
    }

    /// The same with texts of the items: a batch of training holds those of all that it names, see [`ItemTokens::fill`].
    #[must_use]
    pub fn with_texts(self, texts: Option<Arc<ItemTokens>>) -> Self {
        Self { texts, ..self }
    }

    /// The items that rows name, in order: of histories, of what is asked, and those that are drawn.
    fn named(&self, laid: &[Laid]) -> Vec<u32> {
        let all = laid.iter().flat_map(|laid| laid.inputs.iter().chain(&laid.seen.labels).chain(&laid.seen.negatives));
        let mut items: Vec<u32> = all.copied().filter(|&item| item > 0 && item < self.hidden()).collect();
        items.sort_unstable();
        items.dedup();
        items
    }

    /// The histories themselves.
    pub fn sequences(&self) -> &Sequences {
        &self.rows
    }

    /// Items of a stretch that is learnt: the last of one that is read in order is never an input.
    fn longest_stretch(&self) -> usize {
        self.options.longest + usize::from(self.options.masked.is_none())
    }

    /// The number of the item that stands for a hidden one.
    fn hidden(&self) -> u32 {
        self.options.items as u32 + 1
    }

    fn lay(&self, row: usize, pass: Option<Pass>) -> Laid {
        let (items, longest) = (self.rows.items(row), self.options.longest);
        let newest = |count: usize| items[items.len().saturating_sub(count)..].to_vec();
        let Some(share) = self.options.masked else {
            let Asked::All = self.rows.row(row).asked else {
                let inputs = newest(longest);
                return Laid { places: vec![inputs.len().saturating_sub(1)], inputs, seen: self.asked(row) };
            };
            let mut stretch = newest(longest + 1);
            let labels = stretch.split_off(1.min(stretch.len()));
            let mut inputs = stretch;
            inputs.extend(&labels[..labels.len().saturating_sub(1)]);
            let places = (0..labels.len()).collect();
            return Laid { inputs, places, seen: HistorySeen { labels, negatives: Vec::new() } };
        };
        let Asked::All = self.rows.row(row).asked else {
            let mut inputs = newest(longest - 1);
            inputs.push(self.hidden());
            return Laid { places: vec![inputs.len() - 1], inputs, seen: self.asked(row) };
        };
        let mut inputs = newest(longest);
        let (seed, epoch) = pass.map_or((0, 0), |pass| (pass.seed, pass.epoch));
        let mut random = Random::at(&[seed, epoch, row as u64, DRAWS]);
        let last = inputs.len() - 1;
        let mut places: Vec<usize> = match random.unit() < LAST_ONLY {
            true => vec![last],
            false => (0..inputs.len()).filter(|_| random.unit() < share).collect(),
        };
        if places.is_empty() {
            places.push(random.below(inputs.len()));
        }
        let labels = places.iter().map(|&place| inputs[place]).collect();
        places.iter().for_each(|&place| inputs[place] = self.hidden());
        Laid { inputs, places, seen: HistorySeen { labels, negatives: Vec::new() } }
    }

    fn asked(&self, row: usize) -> HistorySeen {
        let labels = if let Asked::Next(item) = self.rows.row(row).asked { vec![item] } else { Vec::new() };
        HistorySeen { labels, negatives: Vec::new() }
    }

    /// Items that the stretch does not hold; where it holds nearly all, some that it does.
    fn draw(&self, row: usize, pass: Pass, count: usize) -> Vec<u32> {
        const TRIES: usize = 16;
        let mut own = self.rows.items(row).to_vec();
        own.sort_unstable();
        let mut random = Random::at(&[pass.seed, pass.epoch, row as u64, DRAWS + 1]);
        let mut one = || {
            let mut item = 0;
            for _ in 0..TRIES {
                item = random.below(self.options.items) as u32 + 1;
                if own.binary_search(&item).is_err() {
                    break;
                }
            }
            item
        };
        (0..count).map(|_| one()).collect()
    }
}

impl Medium for ItemHistories {
    type Seen = HistorySeen;

    fn examples(&self) -> usize {
        self.rows.len()
    }

    fn bad_examples(&self) -> &[BadExample] {
        &[]
    }

    fn length(&self, row: usize) -> usize {
        let items = self.rows.items(row).len();
        let hidden = usize::from(self.options.masked.is_some() && self.rows.row(row).asked != Asked::All);
        (items + hidden).min(self.options.longest)
    }

    /// `input_ids`, `attention_mask` `[B, T]` and `logit_positions` `[B, P]` i64.
    fn fill(&self, rows: &[usize], pass: Option<Pass>, into: &mut Batch) -> Result<Vec<HistorySeen>, DataError> {
        let mut laid: Vec<Laid> = rows.iter().map(|&row| self.lay(row, pass)).collect();
        if let Some(pass) = pass.filter(|_| self.options.negatives > 0) {
            for (laid, &row) in laid.iter_mut().zip(rows) {
                laid.seen.negatives = self.draw(row, pass, laid.seen.labels.len() * self.options.negatives);
            }
        }
        let width = laid.iter().map(|laid| laid.inputs.len()).max().unwrap_or(0);
        let asked = laid.iter().map(|laid| laid.places.len()).max().unwrap_or(0);
        let (mut ids, mut mask) = (vec![0; rows.len() * width], vec![0; rows.len() * width]);
        let mut places = vec![-1; rows.len() * asked];
        for (row, laid) in laid.iter().enumerate() {
            for (place, &item) in laid.inputs.iter().enumerate() {
                ids[row * width + place] = i64::from(item);
                mask[row * width + place] = 1;
            }
            laid.places.iter().enumerate().for_each(|(at, &place)| places[row * asked + at] = place as i64);
        }
        let real = laid.iter().map(|laid| laid.inputs.len()).sum();
        into.inputs.insert("input_ids".to_owned(), Array::integers(&[rows.len(), width], ids));
        into.inputs.insert("attention_mask".to_owned(), Array::integers(&[rows.len(), width], mask));
        into.inputs.insert("logit_positions".to_owned(), Array::integers(&[rows.len(), asked], places));
        if let Some(texts) = self.texts.as_ref().filter(|_| pass.is_some()) {
            texts.fill(&self.named(&laid), &mut into.inputs);
            // So many items were met, each as often as it stands in a stretch.
            let met: usize = rows.iter().map(|&row| self.rows.items(row).len().min(self.longest_stretch())).sum();
            into.inputs.insert("items_met".to_owned(), Array::integers(&[1], vec![met as i64]));
        }
        into.extent.input = Units { real, padded: rows.len() * width };
        Ok(laid.into_iter().map(|laid| laid.seen).collect())
    }

    fn seen(&self, row: usize) -> Result<HistorySeen, DataError> {
        Ok(self.lay(row, None).seen)
    }

    fn hash(&self, example: usize) -> u64 {
        let row = self.rows.row(example);
        let asked = match row.asked {
            Asked::All => u32::MAX,
            Asked::Next(item) => item,
            Asked::Unknown => 0,
        };
        let mut bytes: Vec<u8> = row.user.as_deref().unwrap_or_default().bytes().collect();
        bytes.extend(self.rows.items(example).iter().chain([&asked]).flat_map(|item| item.to_le_bytes()));
        xxh3_64(&bytes)
    }

    fn size(&self, example: usize) -> usize {
        self.rows.items(example).len()
    }

    fn unit(&self) -> &'static str {
        "items"
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let mut users: Vec<&str> = examples.iter().filter_map(|&it| self.rows.row(it).user.as_deref()).collect();
        users.sort_unstable();
        users.dedup();
        let long = examples.iter().filter(|&&it| self.rows.items(it).len() > self.options.longest).count();
        vec![
            Fact::new("users", FactValue::Count(users.len() as u64)),
            Fact::part("longer than the model sees", long, examples.len()),
        ]
    }

    fn varies(&self) -> bool {
        self.options.masked.is_some() || self.options.negatives > 0
    }

    fn one_input_a_row(&self) -> bool {
        self.texts.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::Catalogue;

    fn medium(masked: Option<f64>, negatives: usize) -> ItemHistories {
        let catalogue = Arc::new(Catalogue::of((1..=9).map(|it| it.to_string())));
        let mut rows = Sequences::new("a.csv".as_ref(), &catalogue);
        rows.push(Some("u"), 2, &[1, 2, 3, 4, 5], Asked::All);
        rows.push(Some("u"), 3, &[1, 2, 3, 4, 5], Asked::Next(6));
        rows.push(None, 0, &[7], Asked::Unknown);
        ItemHistories::new(&Arc::new(rows), HistoryOptions { longest: 3, items: 9, masked, negatives })
    }

    fn integers(batch: &Batch, name: &str) -> Vec<i64> {
        let crate::ArrayData::I64(values) = &batch.inputs[name].data else { panic!("integers") };
        values.clone()
    }

    #[test]
    fn each_item_follows_those_before() {
        let medium = medium(None, 2);
        let mut batch = Batch::default();
        let seen = medium.fill(&[0, 1, 2], Some(Pass { seed: 1, epoch: 0 }), &mut batch).unwrap();
        assert_eq!(integers(&batch, "input_ids"), [2, 3, 4, 3, 4, 5, 7, 0, 0]);
        assert_eq!(integers(&batch, "logit_positions"), [0, 1, 2, 2, -1, -1, 0, -1, -1]);
        assert_eq!((&seen[0].labels[..], &seen[1].labels[..], seen[2].labels.len()), (&[3, 4, 5][..], &[6][..], 0));
        assert_eq!((seen[0].negatives.len(), seen[1].negatives.len()), (6, 2));
        assert!(seen[0].negatives.iter().all(|item| (6..=9).contains(item)), "{:?}", seen[0].negatives);
        assert_eq!((0..3).map(|row| medium.length(row)).collect::<Vec<_>>(), [3, 3, 1]);
    }

    #[test]
    fn batches_of_training_hold_the_texts_of_all_items_that_they_name() {
        let mut tokens = ItemTokens::new(0);
        (1..=9).for_each(|item| tokens.push(&[100 + item]));
        let of = |masked, negatives, pass| {
            let medium = medium(masked, negatives).with_texts(Some(Arc::new(tokens.clone())));
            assert!(!medium.one_input_a_row());
            let mut batch = Batch::default();
            let seen = medium.fill(&[0], pass, &mut batch).unwrap();
            (batch, seen)
        };
        let pass = Some(Pass { seed: 1, epoch: 0 });
        let (batch, _) = of(None, 0, pass);
        assert_eq!((integers(&batch, "item_numbers"), integers(&batch, "items_met")), (vec![2, 3, 4, 5], vec![4]));
        assert_eq!(integers(&batch, "item_input_ids"), [102, 103, 104, 105]);
        // A hidden item is named by what is asked, and the one that stands for it has no text.
        let (batch, _) = of(Some(0.5), 0, pass);
        assert_eq!((integers(&batch, "item_numbers"), integers(&batch, "items_met")), (vec![3, 4, 5], vec![3]));
        let (batch, seen) = of(None, 4, pass);
        let numbers = integers(&batch, "item_numbers");
        assert!(seen[0].negatives.iter().all(|&item| numbers.contains(&i64::from(item))) && numbers.is_sorted());
        assert!(!of(None, 0, None).0.inputs.contains_key("item_numbers"));
    }

    #[test]
    fn hidden_items_are_asked_for() {
        let medium = medium(Some(0.5), 0);
        for epoch in 0..20 {
            let mut batch = Batch::default();
            let seen = medium.fill(&[0, 1], Some(Pass { seed: 1, epoch }), &mut batch).unwrap();
            let ids = integers(&batch, "input_ids");
            let hidden: Vec<usize> = (0..3).filter(|&place| ids[place] == 10).collect();
            assert_eq!(hidden.len(), seen[0].labels.len());
            assert!(hidden.iter().zip(&seen[0].labels).all(|(place, label)| *label == [3, 4, 5][*place]));
            assert_eq!((&ids[3..], &seen[1].labels[..]), (&[4, 5, 10][..], &[6][..]));
        }
        assert!(medium.varies());
    }
}

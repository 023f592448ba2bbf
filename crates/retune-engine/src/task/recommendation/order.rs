//! What tells which of a user's interactions came first.

use retune_data::{Catalogue, Events};
use retune_kernels::random;
use std::cmp::Ordering;
use std::path::Path;

/// Pairs of neighbours below which an order of names may be chance.
const FEW: usize = 50;
/// Share of such pairs in one direction from which the rows are sorted by their items.
const SORTED: f64 = 0.95;
/// Tells these draws from others.
const DRAWS: u64 = 0x6c6f_7473;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The times of all files.
    Time,
    /// That of files and rows: one of them has no times.
    Rows,
    /// Lots, because rows without times are sorted by their items: which item has the last name says nothing of what came last, yet
    /// a model would learn it.
    Lots,
}

impl Order {
    /// By what the files say.
    pub(super) fn of_files(files: &[&Events]) -> Self {
        if files.iter().all(|events| events.timed || events.is_empty()) { Self::Time } else { Self::Rows }
    }

    /// The same, with an eye on the rows of the first file.
    pub(super) fn of(files: &[&Events], users: usize, catalogue: &Catalogue) -> Self {
        let order = Self::of_files(files);
        let sorted = || files.first().is_some_and(|train| is_sorted(train, users, catalogue));
        if order == Self::Rows && sorted() { Self::Lots } else { order }
    }

    /// The lot of an interaction: the same in each run, whatever its seed, as times would be.
    pub(super) fn lot(self, user: u32, item: u32) -> u64 {
        if self == Self::Lots { random::mix(&[DRAWS, u64::from(user), u64::from(item)]) } else { 0 }
    }

    /// What a person should know.
    pub(super) fn note(self, file: &Path) -> Option<String> {
        (self == Self::Lots).then(|| {
            format!(
                "{}: interactions have no time, and each user's are sorted by item, which says nothing of what came first: they are \
                 put in an order drawn at random; a column with times (--time-column) would tell more",
                file.display()
            )
        })
    }

    /// How interactions are held out, in words.
    pub(super) fn held_out(self) -> &'static str {
        match self {
            Self::Time => "leave-one-out by time",
            Self::Rows => "leave-one-out in the order of the rows, which have no times",
            Self::Lots => "leave-one-out drawn at random, because rows have no times and are sorted by item",
        }
    }
}

/// Whether nearly all items of a user come in the order of their names, up or down.
fn is_sorted(events: &Events, users: usize, catalogue: &Catalogue) -> bool {
    let mut last: Vec<Option<u32>> = vec![None; users];
    let (mut up, mut down) = (0, 0);
    for (&user, &item) in events.users.iter().zip(&events.items) {
        if let Some(before) = last[user as usize].replace(item) {
            match by_name(catalogue.id(before), catalogue.id(item)) {
                Ordering::Less => up += 1,
                Ordering::Greater => down += 1,
                Ordering::Equal => {}
            }
        }
    }
    let pairs = up + down;
    pairs >= FEW && up.max(down) as f64 >= SORTED * pairs as f64
}

/// Numbers by their value.
fn by_name(one: &str, other: &str) -> Ordering {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one.total_cmp(&other),
        _ => one.cmp(other),
    }
}

//! Arrays of many batches, taken apart by row and put together again for other rows.

use crate::arena::{Arena, ArenaBuilder};
use crate::{Along, Array, ArrayData, DataError};

/// Rows of an array that are all of one size; small enough to stay in memory, in the order in which they came.
pub(super) struct Column {
    shape: Vec<usize>,
    values: ArrayData,
}

impl Column {
    pub(super) fn new(array: &Array) -> Self {
        let values = match array.data {
            ArrayData::I64(_) => ArrayData::I64(Vec::new()),
            ArrayData::F32(_) => ArrayData::F32(Vec::new()),
            ArrayData::U8(_) => ArrayData::U8(Vec::new()),
        };
        Self { shape: array.shape[1..].to_vec(), values }
    }

    pub(super) fn append(&mut self, array: &Array) {
        assert_eq!(
            array.shape[1..],
            self.shape,
            "rows of an array have one size in all batches, unless it lies along a mask"
        );
        match (&mut self.values, &array.data) {
            (ArrayData::I64(all), ArrayData::I64(new)) => all.extend(new),
            (ArrayData::F32(all), ArrayData::F32(new)) => all.extend(new),
            (ArrayData::U8(all), ArrayData::U8(new)) => all.extend(new),
            _ => panic!("an array has one type in all batches"),
        }
    }

    pub(super) fn array(&self, places: &[usize]) -> Array {
        fn gather<T: Copy>(all: &[T], places: &[usize], width: usize) -> Vec<T> {
            places.iter().flat_map(|&place| &all[place * width..(place + 1) * width]).copied().collect()
        }
        let width = self.shape.iter().product();
        let data = match &self.values {
            ArrayData::I64(all) => ArrayData::I64(gather(all, places, width)),
            ArrayData::F32(all) => ArrayData::F32(gather(all, places, width)),
            ArrayData::U8(all) => ArrayData::U8(gather(all, places, width)),
        };
        Array { shape: [&[places.len()], &self.shape[..]].concat(), data, along: None }
    }
}

/// Where the tokens of each row lie, by the masks `[B, T]` of the batches they came in.
#[derive(Default)]
pub(super) struct Places {
    /// First token of each row in its batch, and their number.
    spans: Vec<(u32, u32)>,
    /// Whether padding stands before the tokens.
    left: bool,
}

impl Places {
    pub(super) fn append(&mut self, mask: &Array) {
        let ArrayData::I64(values) = &mask.data else { panic!("masks are integers") };
        for row in values.chunks_exact(mask.shape[1]) {
            let first = row.iter().position(|&value| value != 0).unwrap_or(0);
            let count = row.iter().filter(|&&value| value != 0).count();
            assert!(row[first..first + count].iter().all(|&value| value != 0), "tokens of a row lie side by side");
            self.left |= first > 0;
            self.spans.push((first as u32, count as u32));
        }
    }

    fn span(&self, place: usize) -> (usize, usize) {
        let (first, count) = self.spans[place];
        (first as usize, count as usize)
    }

    fn longest(&self, places: &[usize]) -> usize {
        places.iter().map(|&place| self.span(place).1).max().unwrap_or(0)
    }

    /// Where the tokens of each row begin in a batch of these rows.
    fn starts(&self, places: &[usize]) -> impl Iterator<Item = usize> {
        let longest = self.longest(places);
        places.iter().map(move |&place| if self.left { longest - self.span(place).1 } else { 0 })
    }

    /// The mask of a batch of these rows.
    pub(super) fn array(&self, places: &[usize]) -> Array {
        let longest = self.longest(places);
        let mut mask = vec![0; places.len() * longest];
        for ((row, start), &place) in self.starts(places).enumerate().zip(places) {
            mask[row * longest + start..][..self.span(place).1].fill(1);
        }
        Array::integers(&[places.len(), longest], mask)
    }
}

/// Features of tokens, in the store.
pub(super) struct Ragged {
    /// Shape of one token.
    shape: Vec<usize>,
    mask: Option<String>,
    /// Where each row begins in the store, and its number of tokens.
    records: Vec<(u64, u32)>,
}

impl Ragged {
    pub(super) fn new(values: &Array, mask: Option<String>) -> Self {
        let [_, _, shape @ ..] = &values.shape[..] else { panic!("features are [B, T, ..]") };
        Self { shape: shape.to_vec(), mask, records: Vec::new() }
    }

    pub(super) fn mask(&self) -> Option<&str> {
        self.mask.as_deref()
    }

    /// Adds rows whose tokens lie where `places` has them, from its row `came` on.
    pub(super) fn append(
        &mut self,
        array: &Array,
        places: Option<&Places>,
        came: usize,
        store: &mut ArenaBuilder,
    ) -> Result<(), DataError> {
        let ArrayData::F32(values) = &array.data else { panic!("features are fp32") };
        let (longest, width) = (array.shape[1], self.shape.iter().product::<usize>());
        let mut bytes = Vec::new();
        for row in 0..array.shape[0] {
            let (first, count) = places.map_or((0, longest), |places| places.span(came + row));
            bytes.clear();
            let from = (row * longest + first) * width;
            bytes.extend(values[from..from + count * width].iter().flat_map(|value| value.to_le_bytes()));
            self.records.push((store.len(), count as u32));
            store.append(&bytes)?;
        }
        Ok(())
    }

    pub(super) fn array(&self, places: &[usize], mask: Option<&Places>, store: &Arena) -> Result<Array, DataError> {
        let longest = places.iter().map(|&place| self.records[place].1 as usize).max().unwrap_or(0);
        let width: usize = self.shape.iter().product();
        let mut values = vec![0.0; places.len() * longest * width];
        let starts: Vec<usize> = mask.map_or_else(|| vec![0; places.len()], |mask| mask.starts(places).collect());
        let mut bytes = Vec::new();
        for (row, (&place, start)) in places.iter().zip(starts).enumerate() {
            let (offset, count) = self.records[place];
            store.read(offset, count as usize * width * size_of::<f32>(), &mut bytes)?;
            let into = &mut values[(row * longest + start) * width..][..count as usize * width];
            for (value, stored) in into.iter_mut().zip(bytes.as_chunks().0) {
                *value = f32::from_le_bytes(*stored);
            }
        }
        Ok(Array::floats(&[&[places.len(), longest], &self.shape[..]].concat(), values))
    }
}

/// Integers on tokens; in memory.
pub(super) struct Token {
    along: Along,
    places: Places,
    /// Where each row begins among the values.
    starts: Vec<usize>,
    values: Vec<i64>,
}

impl Token {
    pub(super) fn new(along: Along) -> Self {
        Self { along, places: Places::default(), starts: Vec::new(), values: Vec::new() }
    }

    /// Adds the rows of `array`, whose tokens lie where `places` has them.
    pub(super) fn append(&mut self, array: &Array, places: &Places) {
        let ArrayData::I64(values) = &array.data else { panic!("what lies along a mask are integers") };
        for (row, values) in values.chunks_exact(array.shape[1]).enumerate() {
            let (first, count) = places.span(row);
            self.starts.push(self.values.len());
            self.values.extend(&values[first..first + count]);
        }
        self.places.left |= places.left;
        self.places.spans.extend(&places.spans);
    }

    pub(super) fn array(&self, places: &[usize]) -> Array {
        let longest = self.places.longest(places);
        let mut values = vec![self.along.fill; places.len() * longest];
        for ((row, start), &place) in self.places.starts(places).enumerate().zip(places) {
            let count = self.places.span(place).1;
            let stored = &self.values[self.starts[place]..][..count];
            values[row * longest + start..][..count].copy_from_slice(stored);
        }
        Array::integers(&[places.len(), longest], values).along(self.along)
    }
}

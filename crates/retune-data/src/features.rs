//! Rows as the frozen part of a model left them: computed once, kept, and read in place of what they were made from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::arena::{Arena, ArenaBuilder};
use crate::{Array, ArrayData, BadExample, Batch, DataError, Dataset, Pass, Source};

/// A row's features: where they begin, of how many tokens they are, and its place among the other arrays.
#[derive(Debug, Clone, Copy)]
struct Record {
    offset: u64,
    tokens: usize,
    place: usize,
}

/// Rows of an array that is small enough to stay in memory, in the order in which they came.
struct Column {
    shape: Vec<usize>,
    values: ArrayData,
}

impl Column {
    fn append(&mut self, array: &Array) {
        match (&mut self.values, &array.data) {
            (ArrayData::I64(all), ArrayData::I64(new)) => all.extend(new),
            (ArrayData::F32(all), ArrayData::F32(new)) => all.extend(new),
            (ArrayData::U8(all), ArrayData::U8(new)) => all.extend(new),
            _ => panic!("an array has one type in all batches"),
        }
    }

    fn of_rows(&self, places: &[usize]) -> Array {
        fn gather<T: Copy>(all: &[T], places: &[usize], width: usize) -> Vec<T> {
            places.iter().flat_map(|&place| &all[place * width..(place + 1) * width]).copied().collect()
        }
        let width = self.shape.iter().product();
        let data = match &self.values {
            ArrayData::I64(all) => ArrayData::I64(gather(all, places, width)),
            ArrayData::F32(all) => ArrayData::F32(gather(all, places, width)),
            ArrayData::U8(all) => ArrayData::U8(gather(all, places, width)),
        };
        Array { shape: [&[places.len()], &self.shape[..]].concat(), data }
    }
}

/// What a frozen part of a model returned for one batch.
pub struct Computed<'a> {
    /// Rows of the data set, in the order of the arrays.
    pub rows: &'a [usize],
    /// [B, T, ..], fp32.
    pub features: &'a Array,
    /// [B, T]: how many of T tokens, the first ones, are the row's; absent where all are.
    pub mask: Option<&'a Array>,
    /// Arrays [B, ..] that go with the features, such as `labels`.
    pub others: BTreeMap<String, Array>,
}

/// Features being gathered; every row once, in any order.
pub struct FeatureBuilder {
    rows: Arc<dyn Dataset>,
    name: String,
    store: ArenaBuilder,
    records: Vec<Option<Record>>,
    columns: BTreeMap<String, Column>,
    shape: Vec<usize>,
    masked: bool,
    places: usize,
}

impl FeatureBuilder {
    /// For the rows of `rows`; the features are called `name`. Up to 64 MiB stay in memory, more goes into an unlinked
    /// file in the system's folder for temporary files.
    pub fn new(rows: Arc<dyn Dataset>, name: &str) -> Self {
        let records = vec![None; rows.len()];
        let (store, columns) = (ArenaBuilder::new(), BTreeMap::new());
        Self { rows, name: name.to_owned(), store, records, columns, shape: Vec::new(), masked: false, places: 0 }
    }

    /// Adds a batch. Panics on arrays that do not fit each other: they come from this workspace.
    ///
    /// # Errors
    /// The store cannot be written, for one because the disk is full.
    pub fn push(&mut self, batch: &Computed<'_>) -> Result<(), DataError> {
        let [count, longest, shape @ ..] = &batch.features.shape[..] else { panic!("features are [B, T, ..]") };
        let ArrayData::F32(values) = &batch.features.data else { panic!("features are fp32") };
        assert_eq!(*count, batch.rows.len(), "one feature per row");
        (self.shape, self.masked) = (shape.to_vec(), batch.mask.is_some());
        let width: usize = shape.iter().product();
        let mut bytes = Vec::new();
        for (i, &row) in batch.rows.iter().enumerate() {
            let tokens = batch.mask.map_or(*longest, |mask| ones(mask, i));
            bytes.clear();
            let from = i * longest * width;
            bytes.extend(values[from..from + tokens * width].iter().flat_map(|value| value.to_le_bytes()));
            self.records[row] = Some(Record { offset: self.store.len(), tokens, place: self.places + i });
            self.store.append(&bytes)?;
        }
        for (name, array) in &batch.others {
            let empty = || Column { shape: array.shape[1..].to_vec(), values: none_of(&array.data) };
            self.columns.entry(name.clone()).or_insert_with(empty).append(array);
        }
        self.places += count;
        Ok(())
    }

    /// The data set. Panics when a row is missing.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(self) -> Result<Features, DataError> {
        let records = self.records.into_iter().map(|record| record.expect("every row was pushed")).collect();
        let Self { rows, name, columns, shape, masked, .. } = self;
        Ok(Features { rows, name, store: self.store.finish()?, records, columns, shape, masked })
    }
}

fn ones(mask: &Array, row: usize) -> usize {
    let ArrayData::I64(values) = &mask.data else { panic!("masks are integers") };
    let width = mask.shape[1];
    values[row * width..(row + 1) * width].iter().filter(|&&value| value != 0).count()
}

fn none_of(data: &ArrayData) -> ArrayData {
    match data {
        ArrayData::I64(_) => ArrayData::I64(Vec::new()),
        ArrayData::F32(_) => ArrayData::F32(Vec::new()),
        ArrayData::U8(_) => ArrayData::U8(Vec::new()),
    }
}

/// The same rows with features in place of inputs.
pub struct Features {
    rows: Arc<dyn Dataset>,
    name: String,
    store: Arena,
    records: Vec<Record>,
    columns: BTreeMap<String, Column>,
    /// Of one token.
    shape: Vec<usize>,
    masked: bool,
}

impl Dataset for Features {
    fn len(&self) -> usize {
        self.records.len()
    }

    fn length(&self, row: usize) -> usize {
        self.rows.length(row)
    }

    fn batch(&self, rows: &[usize], _: Option<Pass>) -> Result<Batch, DataError> {
        let records: Vec<Record> = rows.iter().map(|&row| self.records[row]).collect();
        let longest = records.iter().map(|record| record.tokens).max().unwrap_or(0);
        let width: usize = self.shape.iter().product();
        let mut values = vec![0.0; rows.len() * longest * width];
        let mut mask = vec![0; rows.len() * longest];
        let mut bytes = Vec::new();
        for (i, record) in records.iter().enumerate() {
            self.store.read(record.offset, record.tokens * width * size_of::<f32>(), &mut bytes)?;
            let (into, _) = values[i * longest * width..].split_at_mut(record.tokens * width);
            for (value, stored) in into.iter_mut().zip(bytes.as_chunks().0) {
                *value = f32::from_le_bytes(*stored);
            }
            mask[i * longest..][..record.tokens].fill(1);
        }
        let places: Vec<usize> = records.iter().map(|record| record.place).collect();
        let mut arrays: BTreeMap<String, Array> =
            self.columns.iter().map(|(name, column)| (name.clone(), column.of_rows(&places))).collect();
        arrays.insert(self.name.clone(), Array::floats(&[&[rows.len(), longest], &self.shape[..]].concat(), values));
        if self.masked {
            arrays.insert("attention_mask".to_owned(), Array::integers(&[rows.len(), longest], mask));
        }
        let tokens = rows.iter().map(|&row| self.length(row)).sum();
        let padded = if self.masked { rows.len() * longest } else { tokens };
        Ok(Batch { rows: rows.to_vec(), arrays, tokens, padded })
    }

    fn source(&self, row: usize) -> Result<Source, DataError> {
        self.rows.source(row)
    }

    fn has_labels(&self) -> bool {
        self.rows.has_labels()
    }

    fn remarks(&self) -> Vec<String> {
        self.rows.remarks()
    }

    fn bad_examples(&self) -> &[BadExample] {
        self.rows.bad_examples()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Rows(usize);

    impl Dataset for Rows {
        fn len(&self) -> usize {
            self.0
        }
        fn length(&self, row: usize) -> usize {
            1 + row
        }
        fn batch(&self, _: &[usize], _: Option<Pass>) -> Result<Batch, DataError> {
            unreachable!("the features are read instead")
        }
        fn source(&self, _: usize) -> Result<Source, DataError> {
            unreachable!("not asked for")
        }
        fn has_labels(&self) -> bool {
            true
        }
    }

    /// Row r has r + 1 tokens of two values: 100 r + token and its negative.
    fn features(rows: &[usize], masked: bool) -> (Array, Array) {
        let longest = if masked { rows.iter().max().unwrap() + 1 } else { 2 };
        let (mut values, mut mask) = (Vec::new(), Vec::new());
        for &row in rows {
            for token in 0..longest {
                let value = if masked && token > row { 7.0 } else { (100 * row + token) as f32 };
                values.extend([value, -value]);
                mask.push(i64::from(token <= row));
            }
        }
        (Array::floats(&[rows.len(), longest, 2], values), Array::integers(&[rows.len(), longest], mask))
    }

    #[test]
    fn rows_come_back_as_they_went_in() {
        for masked in [false, true] {
            let mut builder = FeatureBuilder::new(Arc::new(Rows(6)), "hidden");
            for rows in [&[5usize, 1, 3][..], &[0, 4], &[2]] {
                let (array, mask) = features(rows, masked);
                let labels = Array::integers(&[rows.len(), 1], rows.iter().map(|&row| row as i64).collect());
                let others = [("labels".to_owned(), labels)].into();
                builder.push(&Computed { rows, features: &array, mask: masked.then_some(&mask), others }).unwrap();
            }
            let kept = builder.finish().unwrap();
            for rows in [&[0usize][..], &[4, 0, 2], &[5, 5, 1]] {
                let batch = kept.batch(rows, None).unwrap();
                let (mut expected, mask) = features(rows, masked);
                if let (true, ArrayData::F32(values)) = (masked, &mut expected.data) {
                    values.iter_mut().filter(|value| value.abs() == 7.0).for_each(|value| *value = 0.0);
                }
                assert_eq!(batch.arrays["hidden"], expected);
                assert_eq!(batch.arrays.get("attention_mask"), masked.then_some(&mask));
                let labels = Array::integers(&[rows.len(), 1], rows.iter().map(|&row| row as i64).collect());
                assert_eq!(batch.arrays["labels"], labels);
                assert_eq!(batch.tokens, rows.iter().map(|row| row + 1).sum::<usize>());
            }
        }
    }

    #[test]
    #[should_panic(expected = "every row was pushed")]
    fn a_missing_row_is_noticed() {
        let _ = FeatureBuilder::new(Arc::new(Rows(1)), "hidden").finish();
    }
}

//! Tests of features: what went in comes back, whatever rows share a batch, on whichever side padding stands.

use super::*;
use crate::{Along, ArrayData};

const ALONG: Along = Along { mask: "attention_mask", fill: -100 };

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
}

/// Row r has r + 1 tokens of two values: 100 r + token and its negative; `padding` elsewhere.
fn features(rows: &[usize], left: bool, padding: f32) -> (Array, Array) {
    let longest = rows.iter().max().unwrap() + 1;
    let (mut values, mut mask) = (Vec::new(), Vec::new());
    for &row in rows {
        let start = if left { longest - row - 1 } else { 0 };
        for place in 0..longest {
            let token = place.checked_sub(start).filter(|&token| token <= row);
            let value = token.map_or(padding, |token| (100 * row + token) as f32);
            values.extend([value, -value]);
            mask.push(i64::from(token.is_some()));
        }
    }
    (Array::floats(&[rows.len(), longest, 2], values), Array::integers(&[rows.len(), longest], mask))
}

/// Tags of tokens: as the first value of their features, -100 on padding.
fn tags(features: &Array, mask: &Array) -> Array {
    let (ArrayData::F32(values), ArrayData::I64(mask_values)) = (&features.data, &mask.data) else { panic!() };
    let tags = values.iter().step_by(2).zip(mask_values);
    let tags = tags.map(|(&value, &mask)| if mask == 1 { value as i64 } else { ALONG.fill }).collect();
    Array::integers(&mask.shape, tags).along(ALONG)
}

fn labels(rows: &[usize]) -> Array {
    Array::integers(&[rows.len(), 1], rows.iter().map(|&row| row as i64).collect())
}

#[test]
fn tokens_stay_where_the_mask_has_them() {
    for left in [false, true] {
        let mut builder = FeatureBuilder::new(Arc::new(Rows(6)));
        // The last batch has a row alone, of which no mask says on which side padding would be.
        for rows in [&[5usize, 1, 3][..], &[0, 4], &[2]] {
            let (values, mask) = features(rows, left, 7.0);
            let (decoder, decoder_mask) = features(&rows.iter().map(|row| 5 - row).collect::<Vec<_>>(), false, 9.0);
            let mut batch = Batch { rows: rows.to_vec(), ..Batch::default() };
            batch.targets.insert("tags".to_owned(), tags(&values, &mask));
            batch.targets.insert("start_positions".to_owned(), labels(rows));
            batch.inputs.insert("attention_mask".to_owned(), mask.clone());
            let computed = |values, mask: &str| Computed { values, mask: Some(mask.to_owned()) };
            let ragged = [
                ("hidden".to_owned(), computed(values, "attention_mask")),
                ("decoded".to_owned(), computed(decoder, "decoder_attention_mask")),
            ];
            let masks =
                [("attention_mask".to_owned(), mask), ("decoder_attention_mask".to_owned(), decoder_mask)].into();
            let others = [("grid".to_owned(), labels(rows))].into();
            builder.push(&batch, &ragged.into(), &masks, &others).unwrap();
        }
        let kept = builder.finish().unwrap();
        for rows in [&[0usize][..], &[4, 0, 2], &[5, 5, 1]] {
            let batch = kept.batch(rows, None).unwrap();
            let (expected, mask) = features(rows, left, 0.0);
            assert_eq!(batch.targets["tags"], tags(&expected, &mask), "left: {left}");
            assert_eq!(
                batch.extent.input.padded,
                mask.data.len().max(batch.inputs["decoder_attention_mask"].data.len())
            );
            assert_eq!(batch.inputs["hidden"], expected, "left: {left}");
            assert_eq!(batch.inputs["attention_mask"], mask);
            let other: Vec<usize> = rows.iter().map(|row| 5 - row).collect();
            let (expected, mask) = features(&other, false, 0.0);
            assert_eq!((&batch.inputs["decoded"], &batch.inputs["decoder_attention_mask"]), (&expected, &mask));
            assert_eq!((&batch.inputs["grid"], &batch.targets["start_positions"]), (&labels(rows), &labels(rows)));
            assert_eq!(batch.extent.input.real, rows.iter().map(|row| row + 1).sum::<usize>());
        }
    }
}

#[test]
fn features_without_a_mask_are_of_one_size() {
    let mut builder = FeatureBuilder::new(Arc::new(Rows(3)));
    for rows in [&[2usize][..], &[0, 1]] {
        let values = rows.iter().flat_map(|&row| [row as f32, -1.0, 2.0, 3.0]).collect();
        let computed = Computed { values: Array::floats(&[rows.len(), 2, 2], values), mask: None };
        let batch = Batch { rows: rows.to_vec(), ..Batch::default() };
        builder.push(&batch, &[("hidden".to_owned(), computed)].into(), &Arrays::new(), &Arrays::new()).unwrap();
    }
    let batch = builder.finish().unwrap().batch(&[2, 0], None).unwrap();
    assert_eq!(batch.inputs["hidden"], Array::floats(&[2, 2, 2], vec![2.0, -1.0, 2.0, 3.0, 0.0, -1.0, 2.0, 3.0]));
    assert!(batch.inputs.len() == 1 && batch.extent.input.padded == 4 && batch.extent.input.real == 4);
}

#[test]
#[should_panic(expected = "every row was pushed")]
fn a_missing_row_is_noticed() {
    let _ = FeatureBuilder::new(Arc::new(Rows(1))).finish();
}

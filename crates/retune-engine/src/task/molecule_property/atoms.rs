//! Which atoms an answer rests on: how much it changes when a token of the SMILES is hidden (occlusion, Zeiler and Fergus 2014).

use super::MoleculeProperty;
use crate::metric::detail::{Mark, Marked, Span};
use crate::task::{Data, Run};
use anyhow::Result;
use retune_data::{Array, ArrayData, Batch, Dataset};
use retune_kernels::tch::Kind;

/// Changes below that share of the largest are not marked.
const LEAST: f32 = 0.15;
/// Longer molecules are not looked at.
const MOST_TOKENS: usize = 256;

/// The SMILES of an example with the places marked that its answer rests on. `hidden` stands for a hidden token.
pub(super) fn marked(
    task: &MoleculeProperty,
    data: &Data<MoleculeProperty>,
    example: usize,
    hidden: u32,
    run: Run<'_>,
) -> Result<Option<Marked>> {
    let row = data.rows_of(example).start;
    let seen = data.seen(row)?;
    let own = |token: &usize| seen.places[*token].end > seen.places[*token].start;
    let tokens: Vec<usize> = (0..seen.places.len()).filter(own).collect();
    if tokens.is_empty() || tokens.len() > MOST_TOKENS {
        return Ok(None);
    }
    let batch = occluded(&data.batch(&[row], None)?, &tokens, seen.first, hidden);
    let answers = task.numbers(run(&batch)?.get("logits")?)?.f_to_kind(Kind::Float)?;
    let own = answers.narrow(0, 0, 1);
    let changes = (answers.narrow(0, 1, tokens.len() as i64) - own).abs();
    // Properties of several units are compared by their spread.
    let changes = match &task.scale {
        Some(scale) => changes / scale.tensors(&answers).1,
        None => changes,
    };
    let changes = Vec::<f32>::try_from(changes.sum_dim_intlist([1i64].as_slice(), false, Kind::Float))?;
    let most = changes.iter().copied().fold(0.0, f32::max);
    let level = |change: f32| match change / most {
        share if share >= 2.0 / 3.0 => Some(3),
        share if share >= 1.0 / 3.0 => Some(2),
        share if share >= LEAST => Some(1),
        _ => None,
    };
    let span = |(&token, &change): (&usize, &f32)| {
        let place = seen.places[token];
        let kind = Mark::Rests(level(change)?);
        Some(Span { start: place.start as usize, end: place.end as usize, label: String::new(), kind })
    };
    let spans = tokens.iter().zip(&changes).filter_map(span).collect();
    let text = data.medium().molecule_rows().smiles(data.inner_example(example))?;
    Ok(Some(Marked { text, spans }))
}

/// The one row of a batch, and once more for each of these tokens, which is hidden there.
fn occluded(batch: &Batch, tokens: &[usize], first: usize, hidden: u32) -> Batch {
    let mut many = Batch::default();
    for (name, array) in &batch.inputs {
        let ArrayData::I64(own) = &array.data else { continue };
        let mut values = own.clone();
        for token in tokens {
            let begin = values.len();
            values.extend(own);
            if name == "input_ids" {
                values[begin + first + token] = i64::from(hidden);
            }
        }
        many.inputs.insert(name.clone(), Array::integers(&[1 + tokens.len(), own.len()], values));
    }
    many
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_is_hidden_at_a_time() {
        let mut batch = Batch::default();
        batch.inputs.insert("input_ids".to_owned(), Array::integers(&[1, 4], vec![1, 7, 8, 2]));
        batch.inputs.insert("attention_mask".to_owned(), Array::integers(&[1, 4], vec![1; 4]));
        let many = occluded(&batch, &[1, 2], 0, 9);
        let ArrayData::I64(ids) = &many.inputs["input_ids"].data else { panic!("integers") };
        assert_eq!(ids, &[1, 7, 8, 2, 1, 9, 8, 2, 1, 7, 9, 2]);
        assert_eq!(many.inputs["attention_mask"].shape, [3, 4]);
    }
}

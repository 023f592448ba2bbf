//! One text for each prompt: the likeliest token at each place, or drawn ones.
//!
//! transformers' `_sample`. R rows, V vocabulary.

use super::rows::{Limits, Row};
use super::scores::{drawable, ruled};
use super::{Continuation, GenerationSettings, OnToken, Prompts, Sampling, Steps};
use crate::ModelError;
use retune_kernels::random;
use retune_kernels::tch::{Kind, Tensor};

/// A row that is being written.
struct Open {
    /// Its place among the prompts.
    prompt: usize,
    key: u64,
    row: Row,
    score: f64,
}

pub(super) fn search(
    steps: &mut dyn Steps,
    prompts: &Prompts,
    settings: &GenerationSettings,
    limits: Limits,
    on_token: OnToken<'_>,
) -> Result<Vec<Continuation>, ModelError> {
    let mut done: Vec<Continuation> = vec![Continuation::default(); prompts.rows.len()];
    let row = |(prompt, (row, &key)): (usize, (&Row, &u64))| Open { prompt, key, row: row.clone(), score: 0.0 };
    let mut open: Vec<Open> = prompts.rows.iter().zip(&prompts.keys).enumerate().map(row).collect();
    let mut scores = steps.step(&prompts.ids)?;
    loop {
        let rows: Vec<Row> = open.iter().map(|open| open.row.clone()).collect();
        let rules = ruled(scores.copy(), &rows, settings, limits);
        let judged = if settings.times.is_some() { &rules } else { &scores };
        let plain = judged.log_softmax(-1, Kind::Float);
        let chosen = match &settings.sampling {
            None => Vec::<i64>::try_from(rules.argmax(-1, false))?,
            Some(sampling) => draw(&drawable(rules, sampling), &open, sampling, limits)?,
        };
        let mut kept = Vec::new();
        let mut still = Vec::new();
        for (index, (mut one, token)) in open.into_iter().zip(chosen).enumerate() {
            one.score += plain.double_value(&[index as i64, token]);
            one.row.tokens.push(token);
            on_token(one.prompt, token);
            if settings.ends.contains(&token) || one.row.tokens.len() >= limits.of(&one.row) {
                let tokens = one.row.tokens.split_off(limits.prompt);
                done[one.prompt] = Continuation { tokens, score: one.score };
            } else {
                kept.push(index as i64);
                still.push(one);
            }
        }
        let all = plain.size()[0];
        open = still;
        if open.is_empty() {
            return Ok(done);
        }
        if (kept.len() as i64) < all {
            steps.choose(&Tensor::from_slice(&kept).to_device(plain.device()));
        }
        let last: Vec<i64> = open.iter().filter_map(|open| open.row.tokens.last().copied()).collect();
        scores = steps.step(&Tensor::from_slice(&last).to_device(plain.device()).unsqueeze(1))?;
    }
}

/// One token for each row: where the running sum of probabilities passes a number that follows from seed, key and place.
fn draw(scores: &Tensor, open: &[Open], sampling: &Sampling, limits: Limits) -> Result<Vec<i64>, ModelError> {
    let shares = scores.to_kind(Kind::Double).softmax(-1, Kind::Double);
    let sums = shares.cumsum(-1, Kind::Double);
    let draw = |(index, open): (usize, &Open)| {
        let at = random::mix(&[sampling.seed, open.key, (open.row.tokens.len() - limits.prompt) as u64]);
        let number = random::uniform(at, 1)[0];
        let passed = sums.get(index as i64).gt(number).logical_and(&shares.get(index as i64).gt(0.0));
        Ok::<_, ModelError>(passed.to_kind(Kind::Int64).argmax(0, false).f_int64_value(&[])?)
    };
    open.iter().enumerate().map(draw).collect()
}

//! Continuing texts: greedy search, drawing, beams (Graves 2012). A search knows no model but by its [`Steps`].
//!
//! Token for token what transformers' `generate` gives for the same settings. R rows, T tokens.

mod beams;
mod one;
mod rows;
mod scores;
mod settings;
mod steps;
mod times;

pub use settings::{EarlyStopping, GenerationSettings, Sampling};
pub use steps::{DecoderSteps, Steps};
pub use times::Times;

use crate::ModelError;
use retune_kernels::tch::{Kind, Tensor};
use rows::{Limits, Row};

/// What is continued: prompts of one width, with padding before the shorter ones.
#[derive(Debug)]
pub struct Prompts {
    /// int64 [R, T].
    ids: Tensor,
    rows: Vec<Row>,
    keys: Vec<u64>,
}

impl Prompts {
    /// `ids` and `attention_mask`, int64 [R, T]; a key of each row stands for it in draws, so that they do not depend on which
    /// rows are continued together.
    ///
    /// # Errors
    /// Shapes that differ, padding that does not stand before a prompt.
    pub fn new(ids: &Tensor, attention_mask: &Tensor, keys: Vec<u64>) -> Result<Self, ModelError> {
        let refuse = |problem: &str| ModelError::InputShape {
            name: "input_ids".to_owned(),
            shape: ids.size(),
            problem: problem.to_owned(),
        };
        let [rows, width] = ids.size()[..] else { return Err(refuse("prompts are [rows, tokens]")) };
        if attention_mask.size() != [rows, width] || keys.len() as i64 != rows || width == 0 {
            return Err(refuse("prompts need a mask and a key for each row, and at least one token"));
        }
        let row = |index: i64| {
            let tokens = Vec::<i64>::try_from(ids.get(index).to_kind(Kind::Int64))?;
            let mask = Vec::<i64>::try_from(attention_mask.get(index).to_kind(Kind::Int64))?;
            let padding = mask.iter().take_while(|&&real| real == 0).count();
            if mask[padding..].contains(&0) || padding == mask.len() {
                return Err(refuse("padding has to stand before prompts, and each of them needs a token"));
            }
            Ok(Row { tokens, padding })
        };
        let rows = (0..rows).map(row).collect::<Result<_, _>>()?;
        Ok(Self { ids: ids.shallow_clone(), rows, keys })
    }

    /// The same first token for all of `rows` texts, as decoders over an encoder begin.
    pub fn begin(token: i64, keys: Vec<u64>, like: &Tensor) -> Self {
        let rows = keys.iter().map(|_| Row { tokens: vec![token], padding: 0 }).collect();
        let ids = Tensor::full([keys.len() as i64, 1], token, (Kind::Int64, like.device()));
        Self { ids, rows, keys }
    }
}

/// What was written after a prompt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Continuation {
    /// New tokens, an end included where there is one.
    pub tokens: Vec<i64>,
    /// Summed log-probability, where times are written among what may follow them; of beams divided by a power of the length.
    pub score: f64,
}

/// Hears each new token with the number of its prompt, where the search decides at once.
pub type OnToken<'a> = &'a mut dyn FnMut(usize, i64);

/// Continues all prompts. Of beams `on_token` hears nothing.
///
/// # Errors
/// Settings that cannot be used, prompts that fill all positions, and what the model refuses.
pub fn generate(
    steps: &mut dyn Steps,
    prompts: &Prompts,
    settings: &GenerationSettings,
    on_token: OnToken<'_>,
) -> Result<Vec<Continuation>, ModelError> {
    settings.check()?;
    let prompt = prompts.ids.size()[1] as usize;
    if let Some(most) = settings.max_length {
        let long = prompts.rows.iter().map(|row| row.real().len()).max().unwrap_or(0);
        if long >= most {
            return Err(ModelError::Generation(format!(
                "a prompt has {long} tokens, but `max_length` is {most} and counts them; say `max_new_tokens`"
            )));
        }
    }
    let longest = prompt + settings.max_new_tokens;
    let longest = steps.longest().map_or(longest, |most| longest.min(most));
    if longest <= prompt {
        let (tokens, longest) = (prompt as i64 + 1, longest as i64);
        return Err(ModelError::TooLong { tokens, longest });
    }
    let limits = Limits { prompt, longest, own: settings.max_length };
    if settings.beams > 1 {
        return beams::search(steps, prompts, settings, limits);
    }
    one::search(steps, prompts, settings, limits, on_token)
}

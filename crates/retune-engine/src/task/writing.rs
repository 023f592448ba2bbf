//! What an encoder–decoder writes for a batch, and how likely the given targets were. B rows, S tokens of targets.

use super::Turn;
use crate::metric::TokenSums;
use anyhow::{Context, Result, ensure};
use retune_data::{Dataset, Examples, Medium, Targets, Tokenizer};
use retune_kernels::loss;
use retune_kernels::random;
use retune_models::ModelConfig;
use retune_models::generate::{DecoderSteps, GenerationSettings, Prompts, generate};
use retune_models::heads::target_token_loss;
use retune_models::{Takes, registry};

/// How likely the tokens of each row's target were; nothing where a batch has no `labels` [B, S].
pub(super) fn likely<D>(turn: &Turn<'_, D>) -> Result<Vec<Option<TokenSums>>> {
    let Some(labels) = turn.batch.targets.optional("labels") else { return Ok(vec![None; turn.rows.len()]) };
    let likely = turn.likely(target_token_loss, &labels.f_ne(loss::IGNORE_INDEX)?)?;
    Ok(likely.into_iter().map(Some).collect())
}

/// What is written for the rows of a batch, and how sure the search was of it.
pub(super) fn written<M: Medium, T: Targets<M>>(
    turn: &Turn<'_, Examples<M, T>>,
    settings: &GenerationSettings,
    tokenizer: &Tokenizer,
) -> Result<Vec<(String, f64)>> {
    let keys: Vec<u64> =
        turn.rows.iter().map(|&row| random::mix(&[turn.data.content_hash(turn.data.example(row))])).collect();
    let begin = settings.begin.context("a text begins with a token")?;
    let (_, input) = turn.batch.inputs.iter().next().context("a batch has inputs")?;
    let prompts = Prompts::begin(begin, keys, input);
    let mut steps = DecoderSteps::over(turn.network, turn.inputs()?)?;
    let found = generate(&mut steps, &prompts, settings, &mut |_, _| ())?;
    let written = found.into_iter().map(|one| {
        let tokens: Vec<u32> = one.tokens.into_iter().map(|token| token as u32).collect();
        Ok((tokenizer.decode(&tokens)?.trim().to_owned(), one.score))
    });
    written.collect()
}

/// The same settings with as many tokens as the model has places for.
///
/// # Errors
/// Nothing says with which token a text begins.
pub(super) fn within(mut settings: GenerationSettings, config: &ModelConfig) -> Result<GenerationSettings> {
    ensure!(
        settings.begin.is_some(),
        "config.json: neither decoder_start_token_id nor bos_token_id says with which token a text begins"
    );
    if let Some(most) = positions(config)? {
        // The token that begins takes a place.
        settings.max_new_tokens = settings.max_new_tokens.min(most - 1);
    }
    Ok(settings)
}

/// Places of a text that is written, where there is an end.
pub(super) fn positions(config: &ModelConfig) -> Result<Option<usize>> {
    // Texts are written into as many places as are read.
    let Takes::Tokens { longest, .. } = registry::takes(config)? else {
        anyhow::bail!("this model takes no texts");
    };
    Ok(longest)
}

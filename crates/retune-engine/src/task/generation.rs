//! How a model goes on with a text: settings, over what its generation_config.json says.

use crate::recipe::settings::{ABOVE_ZERO, AT_LEAST_ONE, DATA, FACTOR, NOT_NEGATIVE, settings};
use anyhow::{Context, Result};
use retune_models::generate::{GenerationSettings, Sampling};
use retune_models::{CheckpointFolder, ModelConfig, Takes, registry};
use std::path::Path;

settings! {
    /// How texts are continued.
    pub struct GenerationFlags, under DATA, else "{task} writes no texts" {
        /// Most new tokens
        max_new_tokens: Option<usize>, value("TOKENS"), usual("the model's own, else 128, or half of its positions"), range(AT_LEAST_ONE), at_use(), neutral();
        /// Texts that a search follows at once; 1 takes the likeliest token each time
        beams: Option<usize>, value("N"), usual("the model's own, else 1"), range(AT_LEAST_ONE), at_use(), neutral();
        /// Exponent of the length that the score of a beam is divided by
        length_penalty: Option<f64>, value("X"), at_use(), neutral();
        /// Runs of so many tokens appear once only
        no_repeat_ngram: Option<usize>, value("N"), at_use(), neutral();
        /// Divides the scores of tokens that are there already
        repetition_penalty: Option<f64>, value("X"), range(ABOVE_ZERO), at_use(), neutral();
        /// Draw tokens by their probability
        sample: bool, at_use(), neutral();
        /// What scores are divided by before drawing
        temperature: Option<f64>, value("X"), range(ABOVE_ZERO), at_use(), neutral();
        /// Draw from so many of the likeliest tokens; 0 is all
        top_tokens: Option<usize>, value("K"), at_use(), neutral();
        /// Draw from the likeliest tokens that together have this probability
        top_p: Option<f64>, value("P"), range(FACTOR), at_use(), neutral();
        /// Draw from tokens with at least this share of the probability of the likeliest
        min_p: Option<f64>, value("P"), range(NOT_NEGATIVE), at_use(), neutral();
    }
}

/// New tokens where neither the model nor the user says how many.
const USUAL_NEW_TOKENS: usize = 128;

impl GenerationFlags {
    /// Whether tokens are to be drawn.
    fn draws(&self) -> bool {
        self.sample || [self.temperature, self.top_p, self.min_p].iter().any(Option::is_some)
    }

    /// The same for answers that are measured: the likeliest tokens, whatever the model says, unless they are to be drawn.
    ///
    /// # Errors
    /// As [`Self::over`].
    pub(crate) fn judged(&self, folder: &Path, config: &ModelConfig, seed: u64) -> Result<GenerationSettings> {
        let settings = self.over(folder, config, seed)?;
        let keeps = self.draws() || self.top_tokens.is_some();
        Ok(GenerationSettings { sampling: settings.sampling.filter(|_| keeps), ..settings })
    }

    /// Over what the model says, in its folder.
    ///
    /// # Errors
    /// Files that cannot be read, settings that are not understood or exclude each other.
    pub(crate) fn over(&self, folder: &Path, config: &ModelConfig, seed: u64) -> Result<GenerationSettings> {
        let own = CheckpointFolder::generation(folder)?;
        let says = |field: &str| own.get(field).is_some_and(|value| !value.is_null());
        let writes_about_others = config.flag_or("is_encoder_decoder", false)?;
        let says_length =
            says("max_new_tokens") || writes_about_others && (says("max_length") || config.get("max_length").is_some());
        let file = folder.join("generation_config.json");
        let mut settings = GenerationSettings::read(&own, config.as_map())
            .with_context(|| format!("{}, or config.json beside it", file.display()))?;
        if !says_length && settings.max_length.is_none() {
            // What goes on with a prompt leaves it half of the positions.
            let half = match registry::takes(config)? {
                Takes::Tokens { longest: Some(longest), .. } if !writes_about_others => (longest / 2).max(1),
                _ => USUAL_NEW_TOKENS,
            };
            settings.max_new_tokens = USUAL_NEW_TOKENS.min(half);
        }
        let take = |own: &mut f64, given: Option<f64>| given.iter().for_each(|given| *own = *given);
        let count = |own: &mut usize, given: Option<usize>| given.iter().for_each(|given| *own = *given);
        if let Some(given) = self.max_new_tokens {
            (settings.max_new_tokens, settings.max_length) = (given, None);
        }
        count(&mut settings.beams, self.beams);
        count(&mut settings.no_repeat_ngram, self.no_repeat_ngram);
        take(&mut settings.length_penalty, self.length_penalty);
        take(&mut settings.repetition_penalty, self.repetition_penalty);
        let draws = self.draws();
        if self.beams.is_some_and(|beams| beams > 1) && !draws {
            settings.sampling = None;
        } else if draws || self.top_tokens.is_some() {
            settings.sampling.get_or_insert_with(Sampling::default);
        }
        if let Some(sampling) = &mut settings.sampling {
            take(&mut sampling.temperature, self.temperature);
            take(&mut sampling.top_p, self.top_p);
            take(&mut sampling.min_p, self.min_p);
            self.top_tokens.iter().for_each(|most| sampling.top_k = *most as i64);
            sampling.seed = seed;
            if settings.beams > 1 && self.beams.is_none() {
                settings.beams = 1;
            }
        }
        settings.check()?;
        Ok(settings)
    }
}

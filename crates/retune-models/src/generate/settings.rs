//! How a text is continued: the fields of transformers' `GenerationConfig` that this program honours.

use super::Times;
use crate::ModelError;
use serde_json::{Map, Value};

/// When a beam search has enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EarlyStopping {
    /// When no open beam looks better than the worst finished one, at its present length.
    #[default]
    No,
    /// When as many texts are finished as there are beams.
    Yes,
    /// When no open beam could become better, at any length.
    Never,
}

/// Drawing tokens by their probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// What scores are divided by.
    pub temperature: f64,
    /// So many of the likeliest tokens; 0 is all.
    pub top_k: i64,
    /// The likeliest tokens that together have this probability.
    pub top_p: f64,
    /// Tokens with at least this share of the probability of the likeliest.
    pub min_p: f64,
    /// With the key of a row and the place it decides every draw.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 50, top_p: 1.0, min_p: 0.0, seed: 0 }
    }
}

/// How texts are continued.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationSettings {
    /// Most new tokens.
    pub max_new_tokens: usize,
    /// Most tokens with those of the prompt, whatever of them `max_new_tokens` leaves; a text's own padding is none of them.
    pub max_length: Option<usize>,
    /// Least new tokens before an end.
    pub min_new_tokens: usize,
    /// Least tokens before an end, with those of the prompt.
    pub min_length: usize,
    /// Tokens that end a text.
    pub ends: Vec<i64>,
    /// Beams; 1 is a greedy search, or drawing.
    pub beams: usize,
    /// Exponent of the length that summed log-probabilities are divided by.
    pub length_penalty: f64,
    /// When a beam search has enough.
    pub early_stopping: EarlyStopping,
    /// Runs of so many tokens appear once only; 0 allows all.
    pub no_repeat_ngram: usize,
    /// What scores of tokens that are there already are divided by, or multiplied with below 0.
    pub repetition_penalty: f64,
    /// The first new token, where the prompt is a single one.
    pub forced_begin: Option<i64>,
    /// The last token of a text that reaches the limit.
    pub forced_end: Option<i64>,
    /// Runs of tokens that never come, none of them empty.
    pub banned: Vec<Vec<i64>>,
    /// Tokens that never come.
    pub suppressed: Vec<i64>,
    /// Tokens that do not come first.
    pub suppressed_at_begin: Vec<i64>,
    /// Tokens that are times, where a text has them.
    pub times: Option<Times>,
    /// Whether the probabilities of what the rules leave add up to 1 again, which changes the scores of beams.
    pub renormalize: bool,
    /// Drawing; `None` takes the likeliest.
    pub sampling: Option<Sampling>,
    /// The token that a text about another one begins with.
    pub begin: Option<i64>,
}

impl Default for GenerationSettings {
    fn default() -> Self {
        Self {
            max_new_tokens: 64,
            max_length: None,
            min_new_tokens: 0,
            min_length: 0,
            ends: Vec::new(),
            beams: 1,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::No,
            no_repeat_ngram: 0,
            repetition_penalty: 1.0,
            forced_begin: None,
            forced_end: None,
            banned: Vec::new(),
            suppressed: Vec::new(),
            suppressed_at_begin: Vec::new(),
            times: None,
            renormalize: false,
            sampling: None,
            begin: None,
        }
    }
}

/// Fields that change which tokens come and are not understood, with the values that change nothing.
const NOT_UNDERSTOOD: &[(&str, f64)] = &[
    ("num_beam_groups", 1.0),
    ("diversity_penalty", 0.0),
    ("penalty_alpha", 0.0),
    ("guidance_scale", 1.0),
    ("encoder_repetition_penalty", 1.0),
    ("encoder_no_repeat_ngram_size", 0.0),
];

/// The same of drawing.
const NOT_DRAWN_BY: &[(&str, f64)] =
    &[("typical_p", 1.0), ("epsilon_cutoff", 0.0), ("eta_cutoff", 0.0), ("top_h", 0.0)];

/// The same of which any value but null and false changes them.
const NEVER_UNDERSTOOD: &[&str] = &[
    "sequence_bias",
    "force_words_ids",
    "constraints",
    "exponential_decay_length_penalty",
    "stop_strings",
    "watermarking_config",
    "dola_layers",
];

impl GenerationSettings {
    /// Of generation_config.json, or of config.json where there is none: as in transformers, what the one does not say the other does
    /// not add, but for the tokens that texts begin and end with.
    ///
    /// # Errors
    /// Values of another kind, and fields that change the result and are not understood; all of them at once.
    pub fn read(generation: &Map<String, Value>, config: &Map<String, Value>) -> Result<Self, ModelError> {
        let fields = Fields { generation, config, problems: Vec::new() };
        fields.read()
    }

    /// Whether they can be used together.
    ///
    /// # Errors
    /// Values out of range; all of them at once.
    pub fn check(&self) -> Result<(), ModelError> {
        let mut problems = Vec::new();
        let mut demand = |fits: bool, field: &str, problem: String| {
            if !fits {
                problems.push(format!("`{field}` {problem}"));
            }
        };
        let positive = |number: f64| number.is_finite() && number > 0.0;
        demand(self.max_new_tokens > 0, "max_new_tokens", "is 0".to_owned());
        let leaves_one = self.max_length.is_none_or(|most| most > 1);
        demand(leaves_one, "max_length", "counts the prompt, and leaves no room for a new token".to_owned());
        demand(self.beams > 0, "num_beams", "is 0".to_owned());
        let penalty = self.repetition_penalty;
        demand(positive(penalty), "repetition_penalty", format!("is {penalty}, not above 0"));
        demand(self.length_penalty.is_finite(), "length_penalty", "is no number".to_owned());
        demand(self.sampling.is_none() || self.beams == 1, "num_beams", "and sampling exclude each other".to_owned());
        if let Some(Sampling { temperature, top_k, top_p, min_p, .. }) = self.sampling {
            demand(positive(temperature), "temperature", format!("is {temperature}, not above 0"));
            demand(top_k >= 0, "top_k", format!("is {top_k}, below 0"));
            demand(positive(top_p) && top_p <= 1.0, "top_p", format!("is {top_p}, not above 0 and up to 1"));
            demand((0.0..=1.0).contains(&min_p), "min_p", format!("is {min_p}, not in 0..=1"));
        }
        refuse(problems)
    }
}

fn refuse(problems: Vec<String>) -> Result<(), ModelError> {
    if problems.is_empty() { Ok(()) } else { Err(ModelError::Generation(problems.join("; "))) }
}

/// What config.json says beside any generation_config.json.
const OF_THE_MODEL: [&str; 5] =
    ["is_encoder_decoder", "decoder_start_token_id", "bos_token_id", "eos_token_id", "pad_token_id"];

struct Fields<'a> {
    generation: &'a Map<String, Value>,
    config: &'a Map<String, Value>,
    problems: Vec<String>,
}

impl Fields<'_> {
    fn get(&self, field: &str) -> Option<&Value> {
        let alone = self.generation.is_empty() || OF_THE_MODEL.contains(&field);
        let map = if self.says(field) || !alone { self.generation } else { self.config };
        map.get(field).filter(|value| !value.is_null())
    }

    fn taken<T>(&mut self, field: &str, what: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let value = self.get(field)?.clone();
        let taken = read(&value);
        if taken.is_none() {
            self.problems.push(format!("`{field}` is {value}, not {what}"));
        }
        taken
    }

    fn number(&mut self, field: &str, usual: f64) -> f64 {
        self.taken(field, "a number", Value::as_f64).unwrap_or(usual)
    }

    fn count(&mut self, field: &str, usual: usize) -> usize {
        self.taken(field, "a whole number from 0", |value| value.as_u64().map(|n| n as usize)).unwrap_or(usual)
    }

    /// Tokens: one, or a list.
    fn tokens(&mut self, field: &str) -> Vec<i64> {
        let read = |value: &Value| match value {
            Value::Array(list) => list.iter().map(Value::as_i64).collect(),
            one => one.as_i64().map(|token| vec![token]),
        };
        self.taken(field, "a token or a list of tokens", read).unwrap_or_default()
    }

    fn flag(&mut self, field: &str) -> bool {
        self.taken(field, "true or false", Value::as_bool).unwrap_or(false)
    }

    /// Runs of tokens.
    fn runs(&mut self, field: &str) -> Vec<Vec<i64>> {
        let run = |value: &Value| {
            let run: Vec<i64> = value.as_array()?.iter().map(Value::as_i64).collect::<Option<_>>()?;
            (!run.is_empty()).then_some(run)
        };
        let read = |value: &Value| value.as_array()?.iter().map(run).collect();
        self.taken(field, "a list of lists of tokens", read).unwrap_or_default()
    }

    /// Most new tokens, and most with the prompt where that is what is said. The texts of an encoder–decoder begin with one token, so that
    /// its length is a number of new ones.
    fn most_tokens(&mut self, usual: usize) -> (usize, Option<usize>) {
        if self.get("max_new_tokens").is_some() {
            return (self.count("max_new_tokens", usual), None);
        }
        let writes_about_others = self.get("is_encoder_decoder") == Some(&Value::Bool(true));
        if self.get("max_length").is_none() {
            return (usual, None);
        }
        let longest = self.count("max_length", usual + 1);
        if writes_about_others { (longest.saturating_sub(1), None) } else { (longest.max(2) - 1, Some(longest)) }
    }

    fn says(&self, field: &str) -> bool {
        self.generation.get(field).is_some_and(|value| !value.is_null())
    }

    /// As transformers chooses it.
    fn begin(&mut self) -> Option<i64> {
        let own = self.tokens("decoder_start_token_id").first().copied();
        own.or_else(|| self.tokens("bos_token_id").first().copied())
    }

    fn read(mut self) -> Result<GenerationSettings, ModelError> {
        let usual = GenerationSettings::default();
        let early_stopping = self.taken("early_stopping", "true, false or \"never\"", |value| match value {
            Value::Bool(true) => Some(EarlyStopping::Yes),
            Value::Bool(false) => Some(EarlyStopping::No),
            Value::String(never) if never == "never" => Some(EarlyStopping::Never),
            _ => None,
        });
        let samples = self.flag("do_sample");
        let sampling = samples.then(|| {
            let usual = Sampling::default();
            Sampling {
                temperature: self.number("temperature", usual.temperature),
                top_k: self.count("top_k", usual.top_k as usize) as i64,
                top_p: self.number("top_p", usual.top_p),
                min_p: self.number("min_p", usual.min_p),
                seed: 0,
            }
        });
        let (max_new_tokens, max_length) = self.most_tokens(usual.max_new_tokens);
        let settings = GenerationSettings {
            max_new_tokens,
            max_length,
            min_new_tokens: self.count("min_new_tokens", 0),
            min_length: self.count("min_length", 0),
            ends: self.tokens("eos_token_id"),
            beams: self.count("num_beams", 1),
            length_penalty: self.number("length_penalty", 1.0),
            early_stopping: early_stopping.unwrap_or_default(),
            no_repeat_ngram: self.count("no_repeat_ngram_size", 0),
            repetition_penalty: self.number("repetition_penalty", 1.0),
            forced_begin: self.tokens("forced_bos_token_id").first().copied(),
            forced_end: self.tokens("forced_eos_token_id").first().copied(),
            banned: self.runs("bad_words_ids"),
            suppressed: self.tokens("suppress_tokens"),
            suppressed_at_begin: self.tokens("begin_suppress_tokens"),
            times: None,
            renormalize: self.flag("renormalize_logits"),
            sampling,
            begin: self.begin(),
        };
        let of_drawing = NOT_DRAWN_BY.iter().filter(|_| settings.sampling.is_some());
        for &(field, neutral) in NOT_UNDERSTOOD.iter().chain(of_drawing) {
            let value = self.number(field, neutral);
            if value != neutral {
                self.problems.push(format!("`{field}` is {value}, which this version cannot honour"));
            }
        }
        for field in NEVER_UNDERSTOOD {
            if self.get(field).is_some_and(|value| *value != Value::Bool(false)) {
                self.problems.push(format!("`{field}` is set, which this version cannot honour"));
            }
        }
        refuse(self.problems)?;
        settings.check()?;
        Ok(settings)
    }
}

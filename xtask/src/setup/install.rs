//! Puts an installation into its place in one step, and the checkout's link onto it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::folder::{BUILD_VERSION, MARKER};
use super::{Device, VERSION};

/// A folder being filled beside its final place. Dropped before [`Staging::finish`], it is removed.
pub(super) struct Staging {
    pub(super) folder: PathBuf,
    place: PathBuf,
}

impl Staging {
    /// Starts filling for `place`.
    pub(super) fn begin(place: &Path) -> Result<Self> {
        let folder = sibling(place, ".incomplete");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self { folder, place: place.to_owned() })
    }

    /// Writes the version and the marker, each to the disk, and moves the folder into place.
    pub(super) fn finish(self, version: &str, device: Device) -> Result<()> {
        write_to_disk(&self.folder.join(BUILD_VERSION), &format!("{version}\n"))?;
        let marker = format!("{VERSION} {}\n", device.name());
        write_to_disk(&self.folder.join(MARKER), &marker)?;
        remove_remains(&self.place)?;
        fs::rename(&self.folder, &self.place).with_context(|| format!("cannot put {} into place", self.place.display()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Nothing is left here after `finish`; what is left after an error nobody needs.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn write_to_disk(path: &Path, text: &str) -> Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Removes what an interrupted set-up left in `place`.
pub(super) fn remove_remains(place: &Path) -> Result<()> {
    if place.symlink_metadata().is_err() {
        return Ok(());
    }
    let removed = if place.is_symlink() { fs::remove_file(place) } else { fs::remove_dir_all(place) };
    removed.with_context(|| format!("cannot remove the unusable {}", place.display()))
}

/// Waits until no other set-up works on `place`; the lock goes with the returned file.
pub(super) fn lock(cache: &Path, place: &Path) -> Result<File> {
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let path = sibling(place, ".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => eprintln!("waiting for another set-up to finish"),
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes `link` point to `folder`; replaces a link that points elsewhere, never a real folder.
pub(super) fn link(link: &Path, folder: &Path) -> Result<()> {
    let folder = folder.canonicalize().with_context(|| format!("cannot follow {}", folder.display()))?;
    match link.symlink_metadata() {
        Ok(there) if !there.is_symlink() => {
            if link.canonicalize().is_ok_and(|real| real == folder) {
                return Ok(());
            }
            bail!(
                "{} is a folder of its own, and not a usable libtorch: move it away and run this again",
                link.display()
            );
        }
        Ok(_) if link.canonicalize().is_ok_and(|real| real == folder) => return Ok(()),
        _ => {}
    }
    // In a folder of its own: another set-up of this checkout may be doing the same.
    let make = || {
        let beside = link.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = tempfile::Builder::new().prefix(".libtorch-").tempdir_in(beside)?;
        let made = temporary.path().join("link");
        symlink(&folder, &made)?;
        fs::rename(&made, link)
    };
    make().with_context(|| {
        format!("cannot link {} to {}; set LIBTORCH to the latter instead", link.display(), folder.display())
    })
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_dir(target, link)
}

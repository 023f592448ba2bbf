//! Takes chosen files out of a zip archive, each checked.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use retune_data::hub::Progress;
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::record::{Record, base64_url};

/// Opens an archive; the error names it.
pub(super) fn open(path: &Path) -> Result<ZipArchive<File>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    ZipArchive::new(file).with_context(|| format!("{} is damaged", path.display()))
}

/// Unpacks every file for which `place` gives a place below `folder`; says how many there were.
///
/// With a record, each file must stand in it with the digest it has. Without one, the checksums of
/// the archive itself count.
pub(super) fn unpack(
    archive: &mut ZipArchive<File>,
    label: &str,
    folder: &Path,
    record: Option<&Record>,
    place: &dyn Fn(&str) -> Option<PathBuf>,
    progress: &dyn Progress,
) -> Result<usize> {
    let mut chosen = Vec::new();
    let mut total = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index)?;
        // A name that leads out of the archive has no enclosed form and is nobody's file.
        let safe = entry.is_file() && entry.enclosed_name().is_some();
        if let Some(to) = place(entry.name()).filter(|_| safe) {
            total += entry.size();
            chosen.push((index, to));
        }
    }
    progress.started(&format!("unpacking {label}"), Some(total), 0);
    for (index, to) in &chosen {
        let mut entry = archive.by_index(*index)?;
        let name = entry.name().to_owned();
        let to = folder.join(to);
        let digest =
            copy(&mut entry, &to, progress).with_context(|| format!("cannot unpack {name} to {}", to.display()))?;
        if let Some(record) = record {
            check(record, &name, &digest)?;
        }
    }
    progress.finished();
    Ok(chosen.len())
}

fn check(record: &Record, name: &str, digest: &str) -> Result<()> {
    match record.sha256(name) {
        None => bail!("{name} does not stand in the wheel's RECORD"),
        Some(recorded) if recorded != digest => {
            bail!("{name} has sha256 {digest}, and the wheel's RECORD says {recorded}")
        }
        Some(_) => Ok(()),
    }
}

/// Writes one file and says its sha256 as a wheel's RECORD writes it.
fn copy(from: &mut impl Read, to: &Path, progress: &dyn Progress) -> io::Result<String> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(to)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        file.write_all(&buffer[..read])?;
        progress.advanced(read as u64);
    }
    Ok(base64_url(&hasher.finalize()))
}

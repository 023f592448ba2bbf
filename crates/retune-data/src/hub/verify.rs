//! Checks a downloaded blob against the digest that its etag is.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::name::is_hex;

/// What the hub announced a file to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    /// The sha256 of an LFS file (64 digits), the git blob hash of a small one (40), or a server's own mark.
    pub(super) etag: String,
    /// In bytes, where the server says it.
    pub(super) size: Option<u64>,
}

/// A difference between what was announced and what is on disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) expected: String,
    pub(super) actual: String,
}

/// Compares the file with `expected`; reads all of it when the etag is a digest.
pub(super) fn check(path: &Path, expected: &Expected) -> io::Result<Result<(), Mismatch>> {
    let size = fs::metadata(path)?.len();
    if let Some(announced) = expected.size
        && announced != size
    {
        return Ok(Err(Mismatch { expected: format!("{announced} bytes"), actual: format!("{size} bytes") }));
    }
    let (kind, actual) = match expected.etag.len() {
        64 if is_hex(&expected.etag) => ("sha256", sha256(path)?),
        40 if is_hex(&expected.etag) => ("git blob", git_blob(path, size)?),
        _ => return Ok(Ok(())),
    };
    if actual == expected.etag {
        return Ok(Ok(()));
    }
    Ok(Err(Mismatch { expected: format!("{kind} {}", expected.etag), actual: format!("{kind} {actual}") }))
}

/// The sha256 of a file, in lower-case hexadecimal.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    digest::<Sha256>(path, Sha256::new())
}

/// The hash git gives this content: sha1 of `blob <size>\0` and the bytes.
fn git_blob(path: &Path, size: u64) -> io::Result<String> {
    digest::<Sha1>(path, Sha1::new_with_prefix(format!("blob {size}\0")))
}

fn digest<D: Digest>(path: &Path, mut hasher: D) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

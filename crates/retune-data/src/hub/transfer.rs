//! Brings one address onto the disk, going on where a broken connection stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::{ATTEMPTS, Answer, Client, Failure};
use super::{HubError, Progress};

/// This much new data makes up for earlier failures, so that a long download over a poor line ends.
const HEADWAY: u64 = 1 << 20;

/// One file to bring.
pub(super) struct Transfer<'a> {
    /// From where.
    pub(super) url: &'a str,
    /// What people know it as.
    pub(super) label: &'a str,
    /// Into this file, which may hold the beginning already.
    pub(super) partial: &'a Path,
    /// In bytes, where known.
    pub(super) size: Option<u64>,
}

/// Downloads `url` to `destination`, going on with an earlier try's `<destination>.incomplete`.
///
/// Does nothing when `destination` exists. The content is not verified beyond its length.
///
/// # Errors
/// [`HubError::NoConnection`], [`HubError::Status`], [`HubError::Interrupted`], [`HubError::Io`]
/// and [`HubError::Protocol`].
pub fn download_file(url: &str, destination: &Path, progress: &dyn Progress) -> Result<(), HubError> {
    if destination.is_file() {
        return Ok(());
    }
    let label = destination.file_name().map_or_else(|| url.to_owned(), |n| n.to_string_lossy().into_owned());
    if let Some(folder) = destination.parent() {
        fs::create_dir_all(folder).map_err(HubError::io("create the folder", folder))?;
    }
    let partial = with_suffix(destination, ".incomplete");
    let client = Client::new(url, None, Duration::from_millis(500));
    let transfer = Transfer { url, label: &label, partial: &partial, size: None };
    transfer.run(&client, progress).map_err(|failure| match failure {
        Failure::Local(error) => error,
        Failure::Unreachable { url, reason } => HubError::NoConnection { url, reason },
        Failure::Status { url, status } => HubError::Status { url, status },
        Failure::Protocol { url, reason } => HubError::Protocol { url, reason },
        Failure::Broken { reason, .. } => interrupted(&label, reason),
    })?;
    fs::rename(&partial, destination).map_err(HubError::io("put into place", destination))
}

pub(super) fn interrupted(label: &str, reason: String) -> HubError {
    HubError::Interrupted { file: label.to_owned(), attempts: ATTEMPTS, reason }
}

/// `path` with more text at its end.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

impl Transfer<'_> {
    /// Completes the partial file and brings it to the disk; tries again while there is hope.
    pub(super) fn run(&self, client: &Client, progress: &dyn Progress) -> Result<(), Failure> {
        let mut furthest = self.length();
        let mut moved = false;
        let mut failures = 0;
        loop {
            let Err(failure) = self.attempt(client, progress) else {
                return Ok(());
            };
            let length = self.length();
            moved |= length > 0;
            if length >= furthest.saturating_add(HEADWAY) {
                furthest = length;
                failures = 0;
            }
            // A server that vanishes in the middle may come back; one that was never there will not.
            let lost = moved && matches!(failure, Failure::Unreachable { .. });
            failures += 1;
            if failures >= ATTEMPTS || !(failure.is_transient() || lost) {
                if length == 0 {
                    // There is nothing to go on with; whether it could be removed changes nothing.
                    let _ = fs::remove_file(self.partial);
                }
                return Err(failure);
            }
            client.pause(failures - 1);
        }
    }

    fn length(&self) -> u64 {
        fs::metadata(self.partial).map_or(0, |data| data.len())
    }

    fn attempt(&self, client: &Client, progress: &dyn Progress) -> Result<(), Failure> {
        let local = |action| HubError::io(action, self.partial);
        let mut file = OpenOptions::new().create(true).append(true).open(self.partial).map_err(local("write"))?;
        let mut have = file.metadata().map_err(local("measure"))?.len();
        if self.size.is_some_and(|size| have > size) {
            file.set_len(0).map_err(local("empty"))?;
            have = 0;
        }
        if self.size == Some(have) {
            progress.started(self.label, self.size, have);
            return self.finish(&file, progress);
        }

        let answer = client.get(self.url, have)?;
        let total = match answer.status {
            206 => {
                let (start, total) = content_range(&answer);
                if start != Some(have) {
                    file.set_len(0).map_err(local("empty"))?;
                    return Err(self.broken("the server sent another part than asked for"));
                }
                total.or_else(|| answer.content_length().map(|rest| have + rest))
            }
            416 => {
                // The partial file is not the beginning of what the server has now.
                file.set_len(0).map_err(local("empty"))?;
                return Err(self.broken("the server refuses to go on in the middle"));
            }
            _ => {
                if have > 0 {
                    file.set_len(0).map_err(local("empty"))?;
                    have = 0;
                }
                answer.content_length()
            }
        };
        progress.started(self.label, self.size.or(total), have);
        have += self.copy(answer, &mut file, progress)?;
        match self.size.or(total) {
            Some(total) if have < total => Err(self.broken(&format!("the connection ended at byte {have} of {total}"))),
            _ => self.finish(&file, progress),
        }
    }

    /// Appends the body; whatever came before an error stays.
    fn copy(&self, answer: Answer, file: &mut File, progress: &dyn Progress) -> Result<u64, Failure> {
        let mut body = answer.body.into_reader();
        let mut buffer = vec![0; 1 << 18];
        let mut copied = 0;
        loop {
            let read = match body.read(&mut buffer) {
                Ok(0) => return Ok(copied),
                Ok(read) => read,
                Err(error) => return Err(self.broken(&error.to_string())),
            };
            file.write_all(&buffer[..read]).map_err(HubError::io("write", self.partial))?;
            copied += read as u64;
            progress.advanced(read as u64);
        }
    }

    fn finish(&self, file: &File, progress: &dyn Progress) -> Result<(), Failure> {
        file.sync_all().map_err(HubError::io("bring to the disk", self.partial))?;
        progress.finished();
        Ok(())
    }

    fn broken(&self, reason: &str) -> Failure {
        Failure::Broken { url: self.url.to_owned(), reason: reason.to_owned() }
    }
}

/// The start and the total of `Content-Range: bytes 5-9/10`.
fn content_range(answer: &Answer) -> (Option<u64>, Option<u64>) {
    let range = answer.header("content-range").and_then(|value| value.trim().strip_prefix("bytes "));
    let Some((part, total)) = range.and_then(|range| range.split_once('/')) else {
        return (None, None);
    };
    let start = part.split_once('-').and_then(|(start, _)| start.parse().ok());
    (start, total.parse().ok())
}

//! Names that come from outside: model ids, revisions, and file names a server lists.

use std::path::{Component, Path};

use super::HubError;

/// A hub model at a revision, both checked to be safe as parts of a path and of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelReference {
    id: String,
    revision: String,
}

impl ModelReference {
    /// Checks an id (`name` or `org/name`) and a revision (`main` when `None`).
    ///
    /// # Errors
    /// [`HubError::InvalidModelId`], [`HubError::InvalidRevision`].
    pub fn new(id: &str, revision: Option<&str>) -> Result<Self, HubError> {
        check_id(id)?;
        let revision = revision.unwrap_or("main");
        check_revision(revision).map_err(|reason| HubError::InvalidRevision {
            model: id.to_owned(),
            revision: revision.to_owned(),
            reason,
        })?;
        Ok(Self { id: id.to_owned(), revision: revision.to_owned() })
    }

    /// The same from text that may carry its revision, `org/name@revision`.
    ///
    /// # Errors
    /// As [`ModelReference::new`]; also when the text and `revision` disagree.
    pub fn parse(text: &str, revision: Option<&str>) -> Result<Self, HubError> {
        match (text.split_once('@'), revision) {
            (Some((id, inside)), Some(outside)) if inside != outside => Err(HubError::InvalidRevision {
                model: id.to_owned(),
                revision: outside.to_owned(),
                reason: "the model's name already asks for another one after its @",
            }),
            (Some((id, inside)), _) => Self::new(id, Some(inside)),
            (None, _) => Self::new(text, revision),
        }
    }

    /// `name` or `org/name`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The branch, tag, pull request or commit.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Whether the revision names one commit for ever.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        is_commit(&self.revision)
    }

    /// The model's folder in the cache, `models--org--name`.
    pub(super) fn folder_name(&self) -> String {
        format!("models--{}", self.id.replace('/', "--"))
    }
}

/// Whether `text` is a full git commit hash.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && is_hex(text)
}

/// Whether `text` is lower-case hexadecimal, as git and sha256sum write it.
pub(super) fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The rules of `huggingface_hub.utils.validate_repo_id`.
fn check_id(id: &str) -> Result<(), HubError> {
    let fail = |reason| Err(HubError::InvalidModelId { id: id.to_owned(), reason });
    let parts: Vec<&str> = id.split('/').collect();
    if parts.len() > 2 {
        return fail("it has more than one slash");
    }
    for part in parts {
        if part.is_empty() || part.len() > 96 {
            return fail("each part must have 1 to 96 characters");
        }
        if !part.bytes().all(is_plain) {
            return fail("only letters, digits, '-', '_' and '.' may stand in it");
        }
        if part.starts_with(['-', '.']) || part.ends_with(['-', '.']) {
            return fail("its parts may not begin or end with '-' or '.'");
        }
    }
    if id.contains("--") || id.contains("..") {
        return fail("'--' and '..' may not stand in it");
    }
    if id.ends_with(".git") {
        return fail("it may not end in .git");
    }
    Ok(())
}

fn check_revision(revision: &str) -> Result<(), &'static str> {
    if revision.is_empty() || revision.len() > 200 {
        return Err("it must have 1 to 200 characters");
    }
    if !revision.bytes().all(|b| is_plain(b) || matches!(b, b'/' | b'+' | b'@' | b'=')) {
        return Err("it has a character that no branch, tag or commit here may have");
    }
    if !is_safe_relative(revision) {
        return Err("it may not be a path that leads elsewhere");
    }
    Ok(())
}

/// Letters, digits, `-`, `_` and `.`.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// Whether a `/`-separated name stays below the folder it is joined to, on any system.
pub(super) fn is_safe_relative(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 1024
        && !name.contains(['\\', ':', '\0'])
        && !name.chars().any(char::is_control)
        && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Whether `text` (a commit or an etag from a server) can be one file name.
pub(super) fn is_safe_component(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(is_plain) && !text.starts_with('.')
}

/// Percent-encodes one path segment (or a whole path with `keep_slash`), RFC 3986 §2.3.
pub(super) fn percent_encode(text: &str, keep_slash: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) || byte == b'~' || (keep_slash && byte == b'/') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

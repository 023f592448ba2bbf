//! The RECORD of a wheel: the sha256 of every file in it (binary distribution format, PEP 427).

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result};
use zip::ZipArchive;

/// File name to sha256, in url-safe base64 without padding.
pub(super) struct Record(HashMap<String, String>);

impl Record {
    /// Reads it from an open wheel.
    pub(super) fn read(wheel: &mut ZipArchive<File>) -> Result<Self> {
        let name = wheel
            .file_names()
            .find(|name| name.ends_with(".dist-info/RECORD") && name.matches('/').count() == 1)
            .context("the wheel has no RECORD")?
            .to_owned();
        let mut text = String::new();
        wheel.by_name(&name)?.read_to_string(&mut text).with_context(|| format!("cannot read {name}"))?;
        Ok(Self::parse(&text))
    }

    /// Lines of `path,sha256=digest,size`; other lines give no digest.
    fn parse(text: &str) -> Self {
        let digests = text.lines().filter_map(|line| {
            let (rest, _size) = line.rsplit_once(',')?;
            let (path, digest) = rest.rsplit_once(',')?;
            let path = match path.strip_prefix('"').and_then(|p| p.strip_suffix('"')) {
                Some(quoted) => quoted.replace("\"\"", "\""),
                None => path.to_owned(),
            };
            Some((path, digest.strip_prefix("sha256=")?.to_owned()))
        });
        Self(digests.collect())
    }

    pub(super) fn sha256(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// RFC 4648 §5, without padding.
pub(super) fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = (at(0) << 16) | (at(1) << 8) | at(2);
        for digit in 0..=group.len() {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(char::from(DIGITS[index as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        // The vectors of RFC 4648 §10, padding removed.
        let vectors = [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in vectors {
            assert_eq!(base64_url(plain.as_bytes()), coded);
        }
        assert_eq!(base64_url(&[0xfb, 0xff, 0xfe]), "-__-");
    }

    #[test]
    fn records_are_read_with_quotes_and_gaps() {
        let record = Record::parse(
            "a/b.so,sha256=abc,12\n\"a,\"\"b\"\".h\",sha256=def,3\nx.dist-info/RECORD,,\nold,md5=1,2\nnonsense\n",
        );
        assert_eq!(record.sha256("a/b.so"), Some("abc"));
        assert_eq!(record.sha256("a,\"b\".h"), Some("def"));
        for absent in ["x.dist-info/RECORD", "old", "nonsense"] {
            assert_eq!(record.sha256(absent), None);
        }
    }
}

//! What separates the fields of a table: comma or tab by the file's name, else what its first line says.

use super::{Wanted, meant};

/// Separators that are looked for.
const KNOWN: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The separator that a line `sep=;` names, which spreadsheets write and read.
pub(super) fn declared(line: &[u8]) -> Option<u8> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii_end();
    let separator = line.strip_prefix(b"sep=").or_else(|| line.strip_prefix(b"\"sep=")?.strip_suffix(b"\""));
    match separator {
        // The white space after it was trimmed.
        Some([]) => Some(b'\t'),
        Some(&[separator]) if separator.is_ascii_punctuation() => Some(separator),
        _ => None,
    }
}

/// The separator of a header: the `usual` one if its columns are there, else the first by which they are; without any, the
/// one that makes columns at all.
pub(super) fn of_header(header: &str, usual: u8, wanted: &[Wanted]) -> u8 {
    let candidates = || std::iter::once(usual).chain(KNOWN.into_iter().filter(|&other| other != usual));
    let fits = |&separator: &u8| {
        let names = names(header, separator);
        let found = |column: &Wanted| !matches!(meant(&column.name, names.iter().map(String::as_str)), Ok(None));
        let required: Vec<&Wanted> = wanted.iter().filter(|column| column.required).collect();
        let any = names.len() > 1 || !required.is_empty();
        any && required.into_iter().all(found)
    };
    let splits = |&separator: &u8| names(header, separator).len() > 1;
    candidates().find(fits).or_else(|| candidates().find(splits)).unwrap_or(usual)
}

/// The names of a header by a separator, quotes aside.
fn names(header: &str, separator: u8) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut quoted = false;
    for c in header.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c == char::from(separator) && !quoted => names.push(String::new()),
            c => {
                if let Some(name) = names.last_mut() {
                    name.push(c);
                }
            }
        }
    }
    names
}

/// The separator as it is called in messages.
pub(super) fn called(separator: u8) -> &'static str {
    match separator {
        b',' => "commas",
        b';' => "semicolons",
        b'\t' => "tabs",
        b'|' => "vertical bars",
        _ => "separators",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_the_separator() {
        let wanted = |names: &[&str]| -> Vec<Wanted> {
            let wanted = |name: &&str| Wanted { name: (*name).into(), flag: "--x", required: true, bytes: false };
            names.iter().map(wanted).collect()
        };
        let of = |header, usual, names: &[&str]| char::from(of_header(header, usual, &wanted(names)));
        assert_eq!(of("text,label", b',', &["text", "label"]), ',');
        assert_eq!(of("text;label", b',', &["text", "label"]), ';');
        assert_eq!(of("text\tlabel", b',', &["label"]), '\t');
        assert_eq!(of("\"text\"|\"la|bel\"", b',', &["la|bel"]), '|');
        assert_eq!(of("text,label", b'\t', &["text"]), ',');
        // A name may hold another separator.
        assert_eq!(of("text;label, all", b',', &["text", "label, all"]), ';');
        assert_eq!(of("text", b',', &["text"]), ',');
        assert_eq!(of("a;b", b',', &[]), ';');
        assert_eq!(of("a;b,c", b',', &["x"]), ',');
        assert_eq!(of("a;b", b',', &["x"]), ';');
        assert_eq!(
            [declared(b"sep=;\r"), declared(b"\"sep=|\""), declared(b"sep=\t"), declared(b"sepal,x")],
            [Some(b';'), Some(b'|'), Some(b'\t'), None]
        );
    }
}

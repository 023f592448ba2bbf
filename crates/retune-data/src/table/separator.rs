//! What separates the fields of a table: comma or tab by the file's name, else what its first line says.

use std::io::BufRead;

use super::{Wanted, meant, number, read_line};

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
        let found = |column: &Wanted| {
            let named = !matches!(meant(&column.name, names.iter().map(String::as_str)), Ok(None));
            named || number(&column.name).is_some_and(|number| (2..=names.len()).contains(&number.max(2)))
        };
        let required: Vec<&Wanted> = wanted.iter().filter(|column| column.required).collect();
        let any = names.len() > 1 || !required.is_empty();
        any && required.into_iter().all(found)
    };
    let splits = |&separator: &u8| names(header, separator).len() > 1;
    candidates().find(fits).or_else(|| candidates().find(splits)).unwrap_or(usual)
}

/// Whether the first line of a text that is not blank has a tab.
pub(super) fn has_tabs(input: &mut impl BufRead) -> std::io::Result<bool> {
    let mut line = Vec::new();
    while line.trim_ascii().is_empty() {
        line.clear();
        if read_line(input, &mut line, true)?.is_none() {
            break;
        }
    }
    Ok(line.contains(&b'\t'))
}

/// Whether columns are wanted by numbers, which are none of the names in the first line: then that line is a row.
pub(super) fn by_number(wanted: &[Wanted], first: &[Vec<u8>]) -> bool {
    let mut required = wanted.iter().filter(|column| column.required).peekable();
    let names = || first.iter().filter_map(|name| std::str::from_utf8(name).ok());
    let unnamed = wanted.iter().any(|column| column.required && meant(&column.name, names()) == Ok(None));
    required.peek().is_some() && unnamed && required.all(|column| number(&column.name).is_some())
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

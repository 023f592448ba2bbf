//! Whether the double quotes of a TSV file enclose fields or are text.
//!
//! There are two kinds of TSV files. pandas, R and spreadsheets quote a field that holds a quote, tab or line break, and
//! double the quotes inside (R: escape them); in GLUE's and others quotes are text, and stray. The whole file is looked at:
//! a file of the first kind has no unquoted field with a quote in it and no quoted one whose inner quotes stand alone.

use std::io::BufRead;

use super::fields::{Fields, Quoting, Read};
use super::read_line;

/// What the fields of a file show.
#[derive(Default)]
struct Seen {
    /// Fields of the header, and whether all stand in quotes.
    width: usize,
    header: bool,
    /// Lines with another number of fields.
    off: usize,
    /// Fields in quotes without any inside; with doubled ones; with escaped ones.
    plain: usize,
    doubled: usize,
    escaped: usize,
    /// Fields with quotes that no writer of quoted fields leaves so.
    stray: usize,
}

impl Seen {
    fn look(&mut self, field: &[u8]) {
        let Some(inside) = field.strip_prefix(b"\"") else {
            self.stray += usize::from(field.contains(&b'"'));
            return;
        };
        let Some(inside) = inside.strip_suffix(b"\"") else {
            self.stray += 1;
            return;
        };
        let text = String::from_utf8_lossy(inside);
        if !text.contains('"') {
            self.plain += 1;
        } else if !text.replace("\"\"", "").contains('"') {
            self.doubled += 1;
        } else if !text.replace("\\\"", "").contains('"') {
            self.escaped += 1;
        } else {
            self.stray += 1;
        }
    }
}

/// Looks at all lines of a TSV file, and says whether the answer is in doubt. `open` gives the file from its beginning.
///
/// # Errors
/// It cannot be read.
pub(super) fn of_tsv<R: BufRead>(open: &dyn Fn() -> std::io::Result<R>) -> std::io::Result<(Quoting, bool)> {
    let mut input = open()?;
    let mut seen = Seen::default();
    let (mut line, mut first) = (Vec::new(), true);
    loop {
        line.clear();
        if read_line(&mut input, &mut line, first)?.is_none() {
            break;
        }
        first = false;
        if line.is_empty() {
            continue;
        }
        let fields = line.split(|&byte| byte == b'\t');
        if seen.width == 0 {
            let quoted = |field: &[u8]| field.len() > 1 && field.starts_with(b"\"") && field.ends_with(b"\"");
            seen.width = fields.clone().count();
            seen.header = fields.clone().all(quoted);
            continue;
        }
        seen.off += usize::from(fields.clone().count() != seen.width);
        fields.for_each(|field| seen.look(field));
    }
    if !seen.header && seen.plain + seen.doubled + seen.escaped + seen.stray == 0 {
        return Ok((Quoting::None, false));
    }
    if seen.off == 0 {
        return Ok(match seen {
            Seen { stray: 0, escaped: 0, header, doubled, .. } if header || doubled > 0 => (Quoting::Doubled, false),
            Seen { stray: 0, doubled: 0, header: true, .. } => (Quoting::Escaped, false),
            Seen { doubled, .. } => (Quoting::None, doubled > 0),
        });
    }
    // Quoted fields may hold tabs and line breaks: then the records come out right only with them.
    for quoting in [Quoting::Doubled, Quoting::Escaped] {
        if (quoting == Quoting::Doubled || seen.header) && is_clean(open()?, quoting, seen.width)? {
            return Ok((quoting, false));
        }
    }
    Ok((Quoting::None, seen.doubled > 0))
}

/// Whether every record has the header's number of fields, and some field is quoted.
fn is_clean(input: impl BufRead, quoting: Quoting, width: usize) -> std::io::Result<bool> {
    let mut fields = Fields::new(input, b'\t', quoting);
    let mut quoted = false;
    while let Some(read) = fields.read()? {
        match read {
            Read::Record { .. } if fields.fields.len() == width => quoted |= fields.any_quoted,
            _ => return Ok(false),
        }
    }
    Ok(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (Quoting, bool) {
        of_tsv(&|| Ok(text.as_bytes())).unwrap()
    }

    #[test]
    fn quotes_enclose_where_a_writer_of_quoted_fields_was_at_work() {
        let (none, doubled, escaped) = ((Quoting::None, false), (Quoting::Doubled, false), (Quoting::Escaped, false));
        assert_eq!(of("text\tlabel\n\"he said \"\"a\"\"\"\tneg\nplain\tpos\n"), doubled);
        // A tab and a line break inside.
        assert_eq!(of("text\tlabel\n\"a\tb\"\tneg\nplain\tpos\n"), doubled);
        assert_eq!(of("text\tlabel\n\"a\nb\"\tneg\nplain\tpos\n"), doubled);
        // R quotes all texts and the header.
        assert_eq!(of("\"text\"\t\"label\"\n\"a\"\t1\n"), doubled);
        assert_eq!(of("\"text\"\t\"label\"\n\"a \\\"b\\\"\"\t1\n"), escaped);
        // GLUE.
        assert_eq!(of("text\tlabel\n\"stray\t0\nwith \"\"two\t1\n"), none);
        assert_eq!(of("text\tlabel\n\"Yes,\" he said, \"no\"\t0\n"), none);
        assert_eq!(of("text\tlabel\n\"Yes\"\t0\nno\t1\n"), none);
        assert_eq!(of("text\tlabel\nplain\t0\n"), none);
        // Both: nobody knows, and it is said.
        assert_eq!(of("text\tlabel\n\"he said \"\"a\"\"\"\t0\nsay \"b\" now\t1\n"), (Quoting::None, true));
        // A record too short is a mistake of its own.
        assert_eq!(of("text\tlabel\n\"Yes\"\t0\nno\n"), none);
    }
}

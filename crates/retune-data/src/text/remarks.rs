//! What a person should know about how the texts of a file were read.

use std::path::Path;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{TextInput, Texts};

/// What a look at the texts of a row tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Equal for texts that are equal apart from surrounding white space.
    pub(super) hash: u64,
    /// Equal for equal texts.
    pub(super) exact: u64,
    /// Whether one of the texts is empty.
    pub(super) empty: bool,
    /// Whether the first text stands in double quotes.
    pub(super) quoted: bool,
}

impl Look {
    pub(super) fn at(input: &TextInput) -> Self {
        let joined;
        let (text, pair) = match input {
            TextInput::Text(text) => (text.as_str(), None),
            TextInput::Pair(text, pair) => (text.as_str(), Some(pair.as_str())),
            TextInput::Words(words) => {
                // A separator that no word holds by accident.
                joined = words.join("\u{1f}");
                (joined.as_str(), None)
            }
        };
        let hash = |text: &str, pair: Option<&str>| {
            let first = xxh3_64(text.as_bytes());
            pair.map_or(first, |pair| xxh3_64_with_seed(pair.as_bytes(), first))
        };
        Self {
            hash: hash(text.trim(), pair.map(str::trim)),
            exact: hash(text, pair),
            empty: text.trim().is_empty() || pair.is_some_and(|pair| pair.trim().is_empty()),
            quoted: text.strip_prefix('"').is_some_and(|text| text.ends_with('"')),
        }
    }
}

/// Counts what is odd about texts while they are encoded.
#[derive(Debug, Default)]
pub(super) struct Oddities {
    rows: usize,
    /// Rows with an empty text (or second text), and the line of the first.
    empty: usize,
    first_empty: u64,
    /// Rows whose first text stands in double quotes.
    quoted: usize,
}

impl Oddities {
    /// Looks at the texts of the next row.
    pub(super) fn look(&mut self, line: u64, texts: &Look) {
        self.rows += 1;
        if texts.empty {
            self.empty += 1;
            if self.empty == 1 {
                self.first_empty = line;
            }
        }
        self.quoted += usize::from(texts.quoted);
    }
}

/// The remarks about a file, each a sentence that begins with its name.
pub(super) fn remarks(rows: &dyn Texts, odd: &Oddities) -> Vec<String> {
    let file = rows.file();
    let name = file.display();
    let mut remarks = Vec::new();
    // Blank lines of a stream are answered like others, without ado.
    if odd.empty > 0 && !rows.streamed() {
        let texts = if odd.empty == 1 {
            "1 text is empty,".to_owned()
        } else {
            format!("{} texts are empty, first", odd.empty)
        };
        remarks.push(format!("{name}: {texts} at line {}", odd.first_empty));
    }
    if odd.rows > 1 && odd.quoted == odd.rows && is_tsv(file) {
        remarks.push(format!(
            "{name}: all texts stand in double quotes, which are text in a TSV file; if they only enclose the texts, write \
             the file without them or as CSV"
        ));
    }
    remarks
}

fn is_tsv(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"))
}

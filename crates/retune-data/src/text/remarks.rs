//! What a person should know about how the texts of a file were read.

use std::path::Path;

use super::TextRows;

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
    pub(super) fn look(&mut self, line: u64, text: &str, pair: Option<&str>) {
        self.rows += 1;
        if text.trim().is_empty() || pair.is_some_and(|pair| pair.trim().is_empty()) {
            self.empty += 1;
            if self.empty == 1 {
                self.first_empty = line;
            }
        }
        let inside = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        self.quoted += usize::from(inside.is_some());
    }
}

/// The remarks about a file, each a sentence that begins with its name.
pub(super) fn remarks(rows: &TextRows, odd: &Oddities) -> Vec<String> {
    let file = rows.file();
    let name = file.display();
    let mut remarks = Vec::new();
    let left_out = rows.left_out();
    if left_out.count > 0 {
        let first: String = left_out.first.iter().map(|problem| format!("\n  {}", problem.in_file(file))).collect();
        let more = left_out.count - left_out.first.len();
        let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
        let rows = if left_out.count == 1 { "row cannot be used and is" } else { "rows cannot be used and are" };
        remarks.push(format!("{name}: {} {rows} left out:{first}{more}", left_out.count));
    }
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

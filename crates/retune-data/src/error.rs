//! Everything that can be wrong with data, said with file, line, column and remedy.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::BadExample;

/// One unusable row of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowProblem {
    /// Line where the record starts, from 1 (row number for Parquet); 0 where rows are files.
    pub line: u64,
    /// The column by its name in the file, where the problem lies in one.
    pub column: Option<String>,
    /// What is wrong and what to do, lower case, no full stop.
    pub message: String,
}

impl RowProblem {
    /// As it is said to people, with the place first.
    pub(crate) fn in_file(&self, file: &Path) -> String {
        let place = match self.line {
            0 => file.display().to_string(),
            line => format!("{}:{line}", file.display()),
        };
        format!("{place}: {}", self.said())
    }

    /// What is wrong, with the column.
    pub(crate) fn said(&self) -> String {
        let column = self.column.as_ref().map_or_else(String::new, |column| format!("column `{column}`: "));
        format!("{column}{}", self.message)
    }
}

/// Why data cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// No such file.
    #[error("{}: no such file; check the path (it is relative to the current folder)", file.display())]
    NotFound {
        /// The path as given.
        file: PathBuf,
    },
    /// A folder where a file is needed.
    #[error("{}: is a folder; name one .csv, .tsv, .jsonl, .json or .parquet file in it", file.display())]
    IsFolder {
        /// The path as given.
        file: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: cannot be read: {source}", file.display())]
    Read {
        /// The path as given.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The extension says nothing that can be read.
    #[error("{}: unsupported file type; use {known}", file.display())]
    UnsupportedExtension {
        /// The path as given.
        file: PathBuf,
        /// The extensions that can be read, in words.
        known: &'static str,
    },
    /// There is not one row.
    #[error("{}: has no rows{}; check that the file was written completely", file.display(),
        if *.header { " below its header" } else { "" })]
    Empty {
        /// The file.
        file: PathBuf,
        /// True when there was at least a header.
        header: bool,
    },
    /// The file as a whole cannot be understood.
    #[error("{}:{line}: {message}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Line of the problem, from 1.
        line: u64,
        /// What is wrong and what to do.
        message: String,
    },
    /// A column that was asked for is not there.
    #[error("{}:1: {}", file.display(), missing_column(.column, .flag, .present, *.headerless))]
    MissingColumn {
        /// The file.
        file: PathBuf,
        /// The column asked for.
        column: String,
        /// The command-line flag that names another column.
        flag: &'static str,
        /// The columns the file has.
        present: Vec<String>,
        /// True when the first line looks like data, not like names.
        headerless: bool,
    },
    /// The columns asked for contradict each other.
    #[error("{message}")]
    Columns {
        /// What is wrong and what to do.
        message: String,
    },
    /// Rows that cannot be used; at most ten, after which reading stopped.
    #[error("{}", rows_message(.file, .problems, *.stopped))]
    Rows {
        /// The file.
        file: PathBuf,
        /// The problems in the order of the file, at least one.
        problems: Vec<RowProblem>,
        /// True when the rest of the file was not looked at.
        stopped: bool,
    },
    /// The label column does not say what to learn.
    #[error("{}: {message}", file.display())]
    Schema {
        /// The file.
        file: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// The tokenizer cannot be used.
    #[error("{}: {message}", path.display())]
    Tokenizer {
        /// The tokenizer's file or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// The image processor's configuration cannot be used.
    #[error("{}: {message}", path.display())]
    Processor {
        /// Its file.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// Examples that cannot be used.
    #[error("{}", bad_message(.bad, *.count, *.of))]
    BadExamples {
        /// The first of them, at most 300, in the order of the rows.
        bad: Vec<BadExample>,
        /// How many there are.
        count: usize,
        /// Of how many examples.
        of: usize,
    },
    /// An augmentation that does not fit the data.
    #[error("{message}")]
    Augmentation {
        /// What is wrong and what to do.
        message: String,
    },
    /// A file cannot be written.
    #[error("{}: cannot be written: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A training set cannot be split as asked.
    #[error("{message}")]
    Split {
        /// What is wrong and what to do.
        message: String,
    },
    /// Rows that a dataset does not have.
    #[error("row {row} of a dataset of {rows} rows was asked for")]
    NoSuchRow {
        /// The row asked for.
        row: usize,
        /// Rows there are.
        rows: usize,
    },
    /// The temporary store of encoded rows failed.
    #[error("temporary store in {}: {source}; free some space there or point TMPDIR elsewhere", folder.display())]
    Store {
        /// Folder of the temporary file.
        folder: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A loader thread panicked.
    #[error("a loader thread panicked: {message}")]
    Worker {
        /// The panic's message.
        message: String,
    },
}

fn missing_column(column: &str, flag: &str, present: &[String], headerless: bool) -> String {
    let mut text = format!("there is no column `{column}`; the columns are {}", quoted(present, 20));
    if headerless {
        let _ = write!(
            text,
            "; this looks like data: the first line must name the columns, add one (such as `text,label`) \
             and use {flag} if the name is another, or give all of them by number, from 1"
        );
    } else if let Some(nearest) = nearest(column, present) {
        let _ = write!(text, "; did you mean {flag} {nearest}?");
    } else {
        let _ = write!(text, "; name one of them with {flag}");
    }
    text
}

fn rows_message(file: &Path, problems: &[RowProblem], stopped: bool) -> String {
    let mut text = String::new();
    for (index, problem) in problems.iter().enumerate() {
        let separator = if index == 0 { "" } else { "\n" };
        let _ = write!(text, "{separator}{}", problem.in_file(file));
    }
    if stopped {
        let _ = write!(text, "\n{} problems so far, the rest of the file was not checked", problems.len());
    } else if problems.len() > 1 {
        let _ = write!(text, "\n{} problems in all", problems.len());
    }
    text
}

/// Bad examples, those of one reason together after the first few: 300 equal lines help nobody.
fn bad_message(bad: &[BadExample], count: usize, of: usize) -> String {
    const MOST_EQUAL: usize = 20;
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut text = String::new();
    for bad in bad {
        let same = reasons.entry(&bad.reason).or_default();
        *same += 1;
        if *same <= MOST_EQUAL {
            let _ = writeln!(text, "{bad}");
        }
    }
    for (reason, same) in reasons.into_iter().filter(|(_, same)| *same > MOST_EQUAL) {
        let _ = writeln!(text, "… and {} more of which the same is said: {reason}", same - MOST_EQUAL);
    }
    if count > bad.len() {
        let _ = writeln!(text, "… and {} more", count - bad.len());
    }
    let _ = write!(
        text,
        "{count} of {of} cannot be used; repair or remove them, or leave them out with --on-bad-example skip"
    );
    text
}

/// Names in backticks, at most `most` of them, long ones shortened.
pub(crate) fn quoted(names: &[String], most: usize) -> String {
    let mut shown: Vec<String> = names.iter().take(most).map(|name| format!("`{}`", shortened(name))).collect();
    if names.len() > most {
        shown.push(format!("… ({} in all)", names.len()));
    }
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

/// At most 60 characters of a text, for messages; control characters escaped.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    let mut short: String = text
        .chars()
        .take(MOST)
        .flat_map(|c| {
            let escaped: Vec<char> = if c.is_control() { c.escape_default().collect() } else { vec![c] };
            escaped
        })
        .collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}

/// The candidate nearest to `wanted` by edit distance ignoring case, if it is near at all.
pub(crate) fn nearest<'a>(wanted: &str, candidates: &'a [String]) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let close = |candidate: &str| {
        let candidate = candidate.trim().to_lowercase();
        let distance = edit_distance(&wanted, &candidate);
        let related = candidate.contains(&wanted) || wanted.contains(&candidate);
        let longest = wanted.chars().count().max(candidate.chars().count());
        (!candidate.is_empty() && (related || distance * 5 <= longest * 2)).then_some(distance)
    };
    candidates
        .iter()
        .filter(|candidate| candidate.chars().count() <= 100)
        .filter_map(|candidate| close(candidate).map(|distance| (distance, candidate.as_str())))
        .min()
        .map(|(_, candidate)| candidate)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[&str]) -> Vec<String> {
        of.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn nearest_names() {
        assert_eq!(nearest("label", &names(&["text", "labels", "lable"])), Some("labels"));
        assert_eq!(nearest("text", &names(&["sentence", "Text "])), Some("Text "));
        assert_eq!(nearest("text", &names(&["idx", "y", ""])), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }

    #[test]
    fn equal_reasons_are_said_twenty_times() {
        let bad = |number: usize| BadExample {
            place: format!("{number}.png"),
            reason: if number == 3 { "is damaged" } else { "there is no such file" }.to_owned(),
            row: number,
            line: 0,
            fields: serde_json::Map::new(),
        };
        let text = bad_message(&(0..40).map(bad).collect::<Vec<_>>(), 41, 50);
        assert_eq!(text.lines().count(), 24, "{text}");
        assert!(
            text.contains("3.png: is damaged") && text.contains("… and 19 more of which the same is said: there is no")
        );
        assert!(text.contains("… and 1 more\n41 of 50 cannot be used"), "{text}");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(shortened("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
    }
}

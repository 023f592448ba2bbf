//! Plain text that is to be tagged: a line a text, as wherever texts are predicted, unless the file holds words in columns.

use std::path::Path;

use super::parts::{RawGold, RawTagged, TagOptions, TagParts};
use super::{Mark, Tag, TagScheme, Tagged};
use crate::DataError;
use crate::annotations::lines::TextLines;

/// What the lines of a file look like.
#[derive(Default)]
struct Lines {
    all: usize,
    /// Those whose last column is a tag, and those of which none else could be meant: `I` is a word, too.
    tagged: usize,
    certain: usize,
    /// Columns of the first line, and whether all others have as many.
    width: usize,
    even: bool,
    /// Those with tabs.
    tabbed: usize,
    /// Those of one word, the longest run of them, and whether a blank line stands between two of them.
    single: usize,
    run: usize,
    longest: usize,
    parted: bool,
}

impl Lines {
    fn look(&mut self, text: &str) {
        if text.trim().is_empty() {
            self.run = 0;
            return;
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        self.all += 1;
        self.tabbed += usize::from(text.contains('\t'));
        let tag = fields.last().filter(|_| fields.len() > 1).and_then(|last| Tag::parse(last));
        self.tagged += usize::from(tag.is_some());
        self.certain += usize::from(tag.is_some_and(|tag| tag.mark == Mark::Outside || !tag.label.is_empty()));
        if self.all == 1 {
            (self.width, self.even) = (fields.len(), true);
        }
        self.even &= fields.len() == self.width;
        self.single += usize::from(fields.len() == 1);
        self.parted |= self.run == 0 && self.all > 1;
        self.run += 1;
        self.longest = self.longest.max(self.run);
    }

    /// Whether words stand in columns: most lines end with a tag, which a text of one line may, too; or all lines are a word, in
    /// sentences that blank lines tell apart.
    fn are_columns(&self) -> bool {
        let most = self.certain > 0 && self.certain * 2 >= self.all;
        let all = self.tagged > 0 && self.tagged == self.all && self.even;
        let tags = (most || all) && (self.all > 1 || self.tabbed > 0);
        tags || (self.single == self.all && self.parted && self.longest > 1)
    }
}

/// Whether a file holds words in columns; who names columns by number, or says what tags look like, says so.
///
/// # Errors
/// The file cannot be read.
pub(super) fn has_columns(file: &Path, options: &TagOptions) -> Result<bool, DataError> {
    let usual = TagOptions::default();
    let named = (&options.tokens, &options.tags) != (&usual.tokens, &usual.tags);
    if named || options.names.is_some() || options.scheme == Some(TagScheme::Io) {
        return Ok(true);
    }
    let (mut lines, mut seen) = (TextLines::open(file)?, Lines::default());
    while let Some((_, text)) = lines.next()? {
        if let Ok(text) = text {
            seen.look(text);
        }
    }
    Ok(seen.are_columns())
}

/// Reads each line that is not blank as a text.
///
/// # Errors
/// The file cannot be read.
pub(super) fn read(file: &Path) -> Result<TagParts, DataError> {
    let (mut lines, mut parts) = (TextLines::open(file)?, TagParts::default());
    while let Some((line, text)) = lines.next()? {
        match text {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => {
                let tagged = Tagged::of_text(line, text.to_owned());
                parts.rows.push(Ok(RawTagged { tagged, gold: RawGold::None, comments: None }));
            }
            Err(problem) => parts.rows.push(Err(vec![problem])),
        }
    }
    Ok(parts)
}

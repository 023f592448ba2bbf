//! Texts whose tokens belong to words: what tags are placed on, and read from.

use std::path::Path;
use std::sync::Arc;

use super::{Place, Reading, TextAs, TextInput, TextSeen, Texts};
use crate::annotations::Span;
use crate::annotations::tags::{TaggedFile, split_words};
use crate::{BadExample, DataError, Records, Seen, Source};

/// Texts as words: those of the file, or, of raw text, those that [`split_words`] finds. Tokens are always those of the text
/// as it was given.
pub struct Words {
    tagged: TaggedFile,
    /// The words of raw texts, in characters of the text; `None` where the file has words.
    split: Vec<Option<Vec<Span>>>,
}

/// Encoded texts whose tokens are of words.
pub type Worded = TextAs<Words>;

/// Where the tokens and words of a row are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WordedSeen {
    /// Place of the first token in the batch's row.
    pub first: usize,
    /// The word that each token is of; `None` for special tokens, and for tokens between words.
    pub words: Vec<Option<u32>>,
    /// The word whose tokens began in the window before.
    pub before: Option<u32>,
}

impl Seen for WordedSeen {}

impl WordedSeen {
    /// The first token of each word that begins in this row, as `(token, word)`.
    pub fn beginnings(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        let mut last = self.before;
        self.words.iter().enumerate().filter_map(move |(token, word)| {
            let word = (*word)?;
            (last.replace(word) != Some(word)).then_some((token, word))
        })
    }
}

impl Words {
    /// Splits the texts of a file that has no words.
    pub fn of(tagged: TaggedFile) -> Arc<Self> {
        let split = tagged.examples.iter().map(|it| it.words.is_none().then(|| split_words(&it.text))).collect();
        Arc::new(Self { tagged, split })
    }

    /// The file.
    pub fn tagged(&self) -> &TaggedFile {
        &self.tagged
    }

    /// The text of an example; words of a list are joined by one space.
    pub fn text(&self, example: usize) -> &str {
        &self.tagged.examples[example].text
    }

    /// The words of an example, in characters of its text.
    pub fn words_of(&self, example: usize) -> &[Span] {
        let own = self.split[example].as_deref();
        own.or(self.tagged.examples[example].words.as_deref()).unwrap_or(&[])
    }

    /// Which words the tokens of an example are of.
    fn worded(&self, example: usize, seen: &TextSeen) -> WordedSeen {
        let raw = self.split[example].as_deref();
        let place = |place: &Place| -> Option<(u32, bool)> {
            let word = match raw {
                None => place.word?,
                Some(words) => {
                    place.sequence?;
                    // Tokens of some tokenizers begin with the space before their word.
                    let at = words.partition_point(|word| word.end <= place.start as usize);
                    words.get(at).filter(|word| word.start < place.end as usize)?;
                    u32::try_from(at).ok()?
                }
            };
            let start = raw.map_or(0, |words| words[word as usize].start);
            Some((word, place.start as usize > start))
        };
        let places: Vec<Option<(u32, bool)>> = seen.places.iter().map(place).collect();
        // What continues a word as the first of its window began in the window before.
        let before = places.iter().flatten().next().and_then(|&(word, goes_on)| goes_on.then_some(word));
        WordedSeen { first: seen.first, words: places.into_iter().map(|it| it.map(|it| it.0)).collect(), before }
    }
}

impl Reading for Words {
    type Seen = WordedSeen;

    fn look(&self, example: usize, seen: TextSeen) -> WordedSeen {
        self.worded(example, &seen)
    }
}

impl Records for Words {
    fn file(&self) -> &Path {
        self.tagged.file()
    }

    fn len(&self) -> usize {
        self.tagged.len()
    }

    fn line(&self, example: usize) -> u64 {
        self.tagged.line(example)
    }

    fn source(&self, example: usize) -> Result<Source, DataError> {
        self.tagged.source(example)
    }

    fn left_out(&self) -> &[BadExample] {
        self.tagged.left_out()
    }

    fn remarks(&self) -> Vec<String> {
        self.tagged.remarks()
    }
}

impl Texts for Words {
    fn input(&self, example: usize) -> Result<TextInput, DataError> {
        self.tagged.input(example)
    }

    fn pairs(&self) -> bool {
        false
    }

    fn words(&self) -> bool {
        self.tagged.words()
    }

    fn column(&self) -> Option<&str> {
        self.tagged.column()
    }

    fn streamed(&self) -> bool {
        self.tagged.streamed()
    }
}

//! The pieces of text that a model which is trained by connectionist temporal classification writes: characters, as
//! transformers' `Wav2Vec2CTCTokenizer` has them.

mod files;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

/// What stands between words.
const DELIMITER: &str = "|";
/// What stands for other characters, and for nothing, in a vocabulary that is made of transcripts.
const UNKNOWN: &str = "[UNK]";
const BLANK: &str = "[PAD]";

/// Pieces by number, and what some of them stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct CtcVocabulary {
    /// By number; numbers that are not used are empty.
    pieces: Vec<String>,
    ids: HashMap<String, u32>,
    /// Pieces of several characters, longest first.
    long: Vec<String>,
    blank: u32,
    unknown: Option<u32>,
    delimiter: Option<u32>,
    /// Pieces that are no text.
    special: BTreeSet<u32>,
    /// `do_lower_case`: pieces are in upper case, and what is written with them is given in lower case.
    lower_case: bool,
    /// The language whose pieces these are, where a file holds those of several.
    language: Option<String>,
    /// Files that it was read from; none of one that was made.
    files: Vec<PathBuf>,
}

/// What becomes of the letters of transcripts so that the vocabulary has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Casing {
    /// Nothing.
    Kept,
    /// Upper case.
    Upper,
    /// Lower case.
    Lower,
}

impl Casing {
    /// A text in it.
    pub fn of(self, text: &str) -> String {
        match self {
            Self::Kept => text.to_owned(),
            Self::Upper => text.to_uppercase(),
            Self::Lower => text.to_lowercase(),
        }
    }

    /// In words, where anything is changed.
    pub fn words(self) -> Option<&'static str> {
        match self {
            Self::Kept => None,
            Self::Upper => Some("upper case"),
            Self::Lower => Some("lower case"),
        }
    }
}

/// A text as pieces.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Spelled {
    /// Numbers of the pieces.
    pub ids: Vec<u32>,
    /// Characters that the vocabulary lacks.
    pub unknown: Vec<char>,
}

/// A text without its line breaks, with one space between its words.
pub fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl CtcVocabulary {
    /// Of all characters of texts, in their order, then what stands for others and for nothing.
    pub fn of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let characters: BTreeSet<char> =
            texts.flat_map(str::chars).map(|it| if it.is_whitespace() { ' ' } else { it }).collect();
        let mut pieces: Vec<String> = characters.into_iter().filter(|&it| it != ' ').map(String::from).collect();
        pieces.retain(|piece| piece != DELIMITER);
        pieces.extend([DELIMITER, UNKNOWN, BLANK].map(str::to_owned));
        let named =
            Named { blank: BLANK.to_owned(), unknown: Some(UNKNOWN.to_owned()), delimiter: Some(DELIMITER.to_owned()) };
        Self::of_pieces(pieces, named, &[], false).expect("the pieces are there")
    }

    fn of_pieces(pieces: Vec<String>, named: Named, special: &[String], lower_case: bool) -> Result<Self, String> {
        let ids: HashMap<String, u32> =
            pieces.iter().cloned().zip(0..).filter(|(piece, _)| !piece.is_empty()).collect();
        let id = |piece: &String| ids.get(piece).copied();
        let blank = id(&named.blank).ok_or_else(|| {
            format!("has no piece `{}`, the pad_token, which stands for nothing between characters", named.blank)
        })?;
        let (unknown, delimiter) = (named.unknown.as_ref().and_then(id), named.delimiter.as_ref().and_then(id));
        let mut long: Vec<String> = pieces.iter().filter(|piece| piece.chars().count() > 1).cloned().collect();
        long.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
        let special = special.iter().filter_map(id).chain([blank]).chain(unknown).collect();
        Ok(Self {
            pieces,
            ids,
            long,
            blank,
            unknown,
            delimiter,
            special,
            lower_case,
            language: None,
            files: Vec::new(),
        })
    }

    /// As the vocabulary of a language among several, under whose name it is saved.
    #[must_use]
    pub fn of_language(self, language: Option<String>) -> Self {
        Self { language, ..self }
    }

    /// The language whose pieces these are, where a file holds those of several.
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// Number of pieces, those that are not used included.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// True when there are no pieces.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The piece that stands for nothing.
    pub fn blank(&self) -> u32 {
        self.blank
    }

    /// Pieces by number; numbers that are not used are empty.
    pub fn pieces(&self) -> &[String] {
        &self.pieces
    }

    /// Pieces of a text; characters that it lacks become the unknown piece, or nothing where there is none.
    pub fn spell(&self, text: &str) -> Spelled {
        let mut text = plain(text);
        if self.lower_case {
            text = text.to_uppercase();
        }
        let mut spelled = Spelled::default();
        let mut rest = text.as_str();
        while let Some(first) = rest.chars().next() {
            if let Some(long) = self.long.iter().find(|long| rest.starts_with(long.as_str())) {
                spelled.ids.push(self.ids[long]);
                rest = &rest[long.len()..];
                continue;
            }
            rest = &rest[first.len_utf8()..];
            let piece =
                if first == ' ' { self.delimiter } else { self.ids.get(&*first.encode_utf8(&mut [0; 4])).copied() };
            if piece.is_none() && first != ' ' {
                spelled.unknown.push(first);
            }
            spelled.ids.extend(piece.or(self.unknown.filter(|_| first != ' ')));
        }
        spelled
    }

    /// The casing in which texts have the fewest characters that are unknown.
    pub fn casing<'a>(&self, texts: impl Iterator<Item = &'a str> + Clone) -> Casing {
        let unknown =
            |casing: Casing| texts.clone().map(|text| self.spell(&casing.of(text)).unknown.len()).sum::<usize>();
        [Casing::Kept, Casing::Upper, Casing::Lower]
            .into_iter()
            .min_by_key(|&casing| unknown(casing))
            .unwrap_or(Casing::Kept)
    }

    /// What a piece is in a text: `None` for those that are no text.
    pub fn text(&self, id: u32) -> Option<&str> {
        if Some(id) == self.delimiter {
            return Some(" ");
        }
        self.pieces.get(id as usize).map(String::as_str).filter(|_| !self.special.contains(&id))
    }

    /// A text of pieces as it is given: in lower case, where the vocabulary says so.
    pub fn given(&self, text: &str) -> String {
        if self.lower_case { text.to_lowercase() } else { text.to_owned() }
    }

    /// Unknown characters with how often they occur, most first, for people.
    pub fn shown(unknown: &BTreeMap<char, usize>) -> String {
        const MOST: usize = 12;
        let mut counts: Vec<(usize, char)> = unknown.iter().map(|(&character, &count)| (count, character)).collect();
        counts.sort_by_key(|&(count, character)| (std::cmp::Reverse(count), character));
        let shown: Vec<String> = counts.iter().take(MOST).map(|(count, it)| format!("`{it}` ({count})")).collect();
        shown.join(", ") + if counts.len() > MOST { ", …" } else { "" }
    }
}

/// Pieces by what they stand for.
struct Named {
    blank: String,
    unknown: Option<String>,
    delimiter: Option<String>,
}

#[cfg(test)]
mod tests;

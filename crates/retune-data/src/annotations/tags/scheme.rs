//! Tagging schemes: which one a file has, and how its tags become IOB2.
//!
//! IOB1 (Ramshaw and Marcus 1995) writes `B-` only between two adjacent entities of one label, IOB2 at each beginning; IOBES
//! and BILOU also mark the last word and entities of one word; IO has no marks at all.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{Mark, Tag};
use crate::DataError;

/// How tags spell entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagScheme {
    /// `B-` only where an entity follows another of the same label at once.
    Iob1,
    /// `B-` at each beginning.
    Iob2,
    /// `E-` at the end of several words, `S-` for one.
    Iobes,
    /// `L-` at the end of several words, `U-` for one.
    Bilou,
    /// The label alone; equal neighbours are one entity.
    Io,
}

impl FromStr for TagScheme {
    type Err = DataError;

    /// `iob1`, `iob2` (`bio`), `iobes`, `bilou` or `io`.
    fn from_str(text: &str) -> Result<Self, DataError> {
        match text.to_ascii_lowercase().as_str() {
            "iob1" => Ok(Self::Iob1),
            "iob2" | "bio" => Ok(Self::Iob2),
            "iobes" => Ok(Self::Iobes),
            "bilou" => Ok(Self::Bilou),
            "io" => Ok(Self::Io),
            _ => Err(DataError::Columns {
                message: format!("unknown tag scheme `{text}`; use iob1, iob2, iobes, bilou or io"),
            }),
        }
    }
}

impl fmt::Display for TagScheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Iob1 => "IOB1",
            Self::Iob2 => "IOB2",
            Self::Iobes => "IOBES",
            Self::Bilou => "BILOU",
            Self::Io => "IO",
        })
    }
}

/// What a file's tags show of its scheme.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Entities that begin with `B-` though IOB1 needs none there.
    begins: usize,
    /// Entities that begin with `I-`, which IOB2 forbids.
    insides: usize,
    /// `E-`, `L-`, `S-` or `U-`.
    ends: bool,
}

impl Evidence {
    /// Looks at one sequence.
    pub(super) fn look(&mut self, tags: &[Tag]) {
        let outside = Tag::outside();
        let before = std::iter::once(&outside).chain(tags);
        for (before, tag) in before.zip(tags) {
            let follows = before.mark != Mark::Outside && before.label == tag.label;
            match tag.mark {
                Mark::Begin => self.begins += usize::from(!follows),
                Mark::Inside => self.insides += usize::from(!follows),
                Mark::End | Mark::Single => self.ends = true,
                Mark::Outside => {}
            }
        }
    }

    /// The scheme; `bilou` says whether the letters L and U occur.
    pub(super) fn scheme(&self, bilou: bool) -> TagScheme {
        match self {
            Self { ends: true, .. } if bilou => TagScheme::Bilou,
            Self { ends: true, .. } => TagScheme::Iobes,
            // IOB1 may write B- where it need not, and reads any sequence; a few I- among many B- are mistakes.
            Self { begins, insides, .. } if insides > begins => TagScheme::Iob1,
            _ => TagScheme::Iob2,
        }
    }
}

/// A tag that its scheme does not allow where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The word, from 0.
    pub word: usize,
    /// What is wrong, lower case, no full stop.
    pub message: String,
}

/// Turns tags of a scheme into IOB2. What the scheme does not allow is read as conlleval reads it, and listed.
pub fn to_iob2(tags: &[Tag], scheme: TagScheme) -> (Vec<Tag>, Vec<Broken>) {
    let mut broken = Vec::new();
    let mut converted: Vec<Tag> = Vec::with_capacity(tags.len());
    // The label of the entity that the word before leaves open.
    let mut open: Option<Arc<str>> = None;
    let ended = matches!(scheme, TagScheme::Iobes | TagScheme::Bilou);
    for (word, tag) in tags.iter().enumerate() {
        let before = word.checked_sub(1).map(|before| &tags[before]);
        let goes_on = open.as_ref().is_some_and(|label| *label == tag.label);
        let mut say = |message: String| broken.push(Broken { word, message });
        let continues = matches!(tag.mark, Mark::Inside | Mark::End);
        if ended && open.is_some() && !(continues && goes_on) {
            // The word before should have been the last one.
            let message = format!("`{tag}` follows `{}`, which is never ended", before.unwrap_or(tag));
            say(format!(
                "{message}; an entity's last word has {}",
                if scheme == TagScheme::Bilou { "L-" } else { "E-" }
            ));
        } else if continues && !goes_on && (ended || scheme == TagScheme::Iob2) {
            let place = before.map_or("begins the sentence".to_owned(), |before| format!("follows `{before}`"));
            say(format!("`{tag}` {place}; in {scheme} an entity begins with B-"));
        } else if !ended && matches!(tag.mark, Mark::End | Mark::Single) {
            say(format!("`{tag}` is no tag of {scheme}; name the scheme with --tag-scheme"));
        }
        let mark = match tag.mark {
            Mark::Outside => Mark::Outside,
            Mark::Begin | Mark::Single => Mark::Begin,
            Mark::Inside | Mark::End if goes_on => Mark::Inside,
            Mark::Inside | Mark::End => Mark::Begin,
        };
        open = matches!(tag.mark, Mark::Begin | Mark::Inside).then(|| tag.label.clone());
        converted.push(Tag { mark, label: tag.label.clone() });
    }
    if let (true, Some(_), Some(last)) = (ended, &open, tags.last()) {
        let message = format!("`{last}` ends the sentence, but its entity is never ended");
        broken.push(Broken { word: tags.len() - 1, message });
    }
    (converted, broken)
}

#[cfg(test)]
mod tests {
    use super::super::tag::tags;
    use super::super::{entities_lenient, entities_strict};
    use super::*;
    use proptest::prelude::*;

    fn converted(text: &str, scheme: TagScheme) -> (String, Vec<usize>) {
        let (tags, broken) = to_iob2(&tags(text), scheme);
        let all: Vec<String> = tags.iter().map(Tag::to_string).collect();
        (all.join(" "), broken.iter().map(|it| it.word).collect())
    }

    fn detected(sequences: &[&str], bilou: bool) -> TagScheme {
        let mut evidence = Evidence::default();
        sequences.iter().for_each(|text| evidence.look(&tags(text)));
        evidence.scheme(bilou)
    }

    #[test]
    fn each_scheme_is_recognised() {
        assert_eq!(detected(&["I-A I-A O", "I-A B-A O"], false), TagScheme::Iob1);
        assert_eq!(detected(&["B-A I-A O", "B-A B-A I-B"], false), TagScheme::Iob2);
        assert_eq!(detected(&["O O", ""], false), TagScheme::Iob2);
        assert_eq!(detected(&["B-A E-A S-B"], false), TagScheme::Iobes);
        assert_eq!(detected(&["B-A L-A U-B"], true), TagScheme::Bilou);
    }

    #[test]
    fn each_scheme_becomes_iob2() {
        let clean = |text: &str, scheme| {
            let (tags, broken) = converted(text, scheme);
            assert_eq!(broken, [0usize; 0], "{text}");
            tags
        };
        assert_eq!(clean("I-A I-A B-A I-B O I-B", TagScheme::Iob1), "B-A I-A B-A B-B O B-B");
        assert_eq!(clean("B-A I-A E-A S-A B-B E-B O", TagScheme::Iobes), "B-A I-A I-A B-A B-B I-B O");
        assert_eq!(clean("B-A L-A U-B O", TagScheme::Bilou), "B-A I-A B-B O");
        assert_eq!(clean("B-A I-A B-B O", TagScheme::Iob2), "B-A I-A B-B O");
    }

    #[test]
    fn what_a_scheme_forbids_is_listed_and_read_leniently() {
        assert_eq!(converted("O I-A I-A B-A I-B", TagScheme::Iob2), ("O B-A I-A B-A B-B".into(), vec![1, 4]));
        assert_eq!(converted("I-A", TagScheme::Iob2), ("B-A".into(), vec![0]));
        assert_eq!(converted("E-A O B-A O", TagScheme::Iobes), ("B-A O B-A O".into(), vec![0, 3]));
        assert_eq!(converted("B-A E-B B-A", TagScheme::Iobes), ("B-A B-B B-A".into(), vec![1, 2]));
        assert_eq!(converted("B-A S-A", TagScheme::Iob2), ("B-A B-A".into(), vec![1]));
        let (_, broken) = to_iob2(&tags("O I-A"), TagScheme::Iob2);
        assert_eq!(broken[0].message, "`I-A` follows `O`; in IOB2 an entity begins with B-");
    }

    fn sequence() -> impl Strategy<Value = String> {
        let tag = prop::sample::select(vec!["O", "B-A", "I-A", "E-A", "S-A", "B-B", "I-B", "E-B", "S-B"]);
        prop::collection::vec(tag, 0..8).prop_map(|tags| tags.join(" "))
    }

    proptest! {
        #[test]
        fn the_result_is_iob2_with_the_entities_that_seqeval_reads(text in sequence()) {
            let before = tags(&text);
            for scheme in [TagScheme::Iob1, TagScheme::Iob2, TagScheme::Iobes, TagScheme::Bilou] {
                let (after, _) = to_iob2(&before, scheme);
                prop_assert_eq!(entities_strict(&after), entities_lenient(&before));
                prop_assert_eq!(to_iob2(&after, TagScheme::Iob2), (after.clone(), vec![]));
            }
        }
    }
}

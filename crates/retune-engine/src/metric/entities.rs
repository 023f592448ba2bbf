//! Entities in a sequence of words: read from tags as seqeval reads them, and compared with gold ones.
//!
//! A tag is a prefix and a type, `B-PER`; `O` stands outside of all entities.

use std::cmp::Ordering;

use super::detail::Mark;

/// A named run of words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity {
    /// First word, from 0.
    pub start: usize,
    /// Behind the last word.
    pub end: usize,
    /// Its type, such as `PER`.
    pub label: String,
}

impl Entity {
    fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// How tags that do not follow the scheme are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// IOB2 to the letter, seqeval's `mode="strict", scheme=IOB2`: an entity begins with `B`, and an `I` that continues
    /// nothing is outside.
    Strict,
    /// As the CoNLL shared tasks' script reads them, seqeval's default: an `I` that continues nothing begins an entity.
    /// `E` and `S` of other schemes are known too.
    Lenient,
}

/// The entities that tags name, in the order of their words.
pub fn entities<S: AsRef<str>>(tags: &[S], reading: Reading) -> Vec<Entity> {
    let mut found: Vec<Entity> = Vec::new();
    // First word and type of the entity that is being read.
    let mut open: Option<(usize, &str)> = None;
    let mut before = Tag::OUTSIDE;
    for (place, tag) in tags.iter().map(|tag| Tag::parse(tag.as_ref())).chain([Tag::OUTSIDE]).enumerate() {
        let (ends, begins) = match reading {
            Reading::Strict => (open.is_some_and(|(_, kind)| tag.prefix != 'I' || tag.kind != kind), tag.prefix == 'B'),
            Reading::Lenient => (before.is_left_by(&tag), before.is_followed_by_a_start(&tag)),
        };
        if ends && let Some((start, kind)) = open.take() {
            found.push(Entity { start, end: place, label: kind.to_owned() });
        }
        if begins {
            open = Some((place, tag.kind));
        }
        before = tag;
    }
    found
}

#[derive(Clone, Copy)]
struct Tag<'a> {
    prefix: char,
    kind: &'a str,
}

impl<'a> Tag<'a> {
    const OUTSIDE: Self = Self { prefix: 'O', kind: "_" };

    fn parse(tag: &'a str) -> Self {
        let mut letters = tag.chars();
        let prefix = letters.next().unwrap_or('O');
        let rest = letters.as_str();
        let kind = rest.strip_prefix('-').unwrap_or(rest);
        Self { prefix, kind: if kind.is_empty() { "_" } else { kind } }
    }

    fn is_outside(&self) -> bool {
        matches!(self.prefix, 'O' | '.')
    }

    /// Whether an entity ends between this tag and the next one.
    fn is_left_by(&self, next: &Self) -> bool {
        match self.prefix {
            'E' | 'S' => true,
            'B' | 'I' if matches!(next.prefix, 'B' | 'S' | 'O') => true,
            _ => !self.is_outside() && self.kind != next.kind,
        }
    }

    /// Whether an entity begins with the next tag.
    fn is_followed_by_a_start(&self, next: &Self) -> bool {
        match next.prefix {
            'B' | 'S' => true,
            'E' | 'I' if matches!(self.prefix, 'E' | 'S' | 'O') => true,
            _ => !next.is_outside() && self.kind != next.kind,
        }
    }
}

/// One entity of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Where it is, and its gold type, or the predicted one where nothing is gold.
    pub entity: Entity,
    /// Whether it was found.
    pub mark: Mark,
    /// The predicted type where another one was gold in the same place.
    pub said: Option<String>,
}

/// Gold and predicted entities of one sequence side by side, in the order of their words.
pub fn compare(gold: &[Entity], predicted: &[Entity]) -> Vec<Compared> {
    let same_place = |a: &&Entity, b: &Entity| a.start == b.start && a.end == b.end;
    let mut all: Vec<Compared> = Vec::new();
    for entity in gold {
        let here: Vec<&Entity> = predicted.iter().filter(|it| same_place(it, entity)).collect();
        let other = here.iter().find(|it| !gold.contains(it)).map(|it| it.label.clone());
        let (mark, said) = match (here.contains(&entity), other) {
            (true, _) => (Mark::Right, None),
            (false, Some(other)) => (Mark::Mistaken, Some(other)),
            (false, None) => (Mark::Missed, None),
        };
        all.push(Compared { entity: entity.clone(), mark, said });
    }
    let told = |entity: &Entity| {
        gold.contains(entity)
            || all.iter().any(|it| same_place(&&it.entity, entity) && it.said.as_deref() == Some(&entity.label))
    };
    let invented: Vec<Compared> = predicted
        .iter()
        .filter(|entity| !told(entity))
        .map(|entity| Compared { entity: entity.clone(), mark: Mark::Invented, said: None })
        .collect();
    all.extend(invented);
    all.sort_by(|a, b| a.entity.cmp(&b.entity).then(Ordering::Equal));
    all
}

/// What kind of mistake a gold or an invented entity is, or none for one that was found.
pub(super) fn mistake(judged: &Compared, gold: &[Entity], predicted: &[Entity]) -> Option<Mistake> {
    let entity = &judged.entity;
    let touches = |others: &[Entity], label: bool| {
        others.iter().any(|it| it.overlaps(entity) && (!label || it.label == entity.label))
    };
    match judged.mark {
        // The last marks no entity.
        Mark::Right | Mark::Rests(_) => None,
        Mark::Mistaken => Some(Mistake::Type),
        Mark::Missed if touches(predicted, true) => Some(Mistake::Boundary),
        Mark::Missed if touches(predicted, false) => Some(Mistake::Both),
        Mark::Missed => Some(Mistake::Missed),
        // The gold entity that it touches has been counted.
        Mark::Invented if touches(gold, false) => None,
        Mark::Invented => Some(Mistake::Invented),
    }
}

/// Kinds of mistakes, by what would have to be mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// Right words, wrong type.
    Type,
    /// Some of the words, right type.
    Boundary,
    /// Some of the words, wrong type.
    Both,
    /// Nothing predicted there.
    Missed,
    /// Nothing gold there.
    Invented,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(start: usize, end: usize, label: &str) -> Entity {
        Entity { start, end, label: label.into() }
    }

    fn read(tags: &str, reading: Reading) -> Vec<Entity> {
        entities(&tags.split_whitespace().collect::<Vec<_>>(), reading)
    }

    #[test]
    fn strict_and_lenient_readings_differ_where_tags_are_malformed() {
        let well = "B-PER I-PER O B-LOC B-LOC I-LOC";
        for reading in [Reading::Strict, Reading::Lenient] {
            assert_eq!(read(well, reading), [entity(0, 2, "PER"), entity(3, 4, "LOC"), entity(4, 6, "LOC")]);
            assert!(read("O O", reading).is_empty() && read("", reading).is_empty());
        }
        let broken = "I-PER I-PER B-LOC I-ORG I-ORG";
        assert_eq!(read(broken, Reading::Strict), [entity(2, 3, "LOC")]);
        assert_eq!(read(broken, Reading::Lenient), [entity(0, 2, "PER"), entity(2, 3, "LOC"), entity(3, 5, "ORG")]);
        // Types may hold dashes themselves.
        assert_eq!(read("B-geo-city I-geo-city", Reading::Strict), [entity(0, 2, "geo-city")]);
    }

    #[test]
    fn a_comparison_tells_found_missed_invented_and_mistaken() {
        let gold = [entity(0, 2, "PER"), entity(3, 4, "LOC"), entity(5, 7, "ORG"), entity(8, 9, "LOC")];
        let predicted = [entity(0, 2, "PER"), entity(3, 4, "ORG"), entity(5, 6, "ORG"), entity(10, 11, "LOC")];
        let judged = compare(&gold, &predicted);
        let marks: Vec<(usize, Mark)> = judged.iter().map(|it| (it.entity.start, it.mark)).collect();
        assert_eq!(
            marks,
            [
                (0, Mark::Right),
                (3, Mark::Mistaken),
                (5, Mark::Invented),
                (5, Mark::Missed),
                (8, Mark::Missed),
                (10, Mark::Invented)
            ]
        );
        assert_eq!(judged[1].said.as_deref(), Some("ORG"));
        let mistakes: Vec<_> = judged.iter().map(|it| mistake(it, &gold, &predicted)).collect();
        assert_eq!(
            mistakes,
            [None, Some(Mistake::Type), None, Some(Mistake::Boundary), Some(Mistake::Missed), Some(Mistake::Invented)]
        );
    }
}

//! Reading entities out of tags, the two ways that seqeval reads them.

use super::{Entity, Mark, Tag};
use crate::annotations::Span;

/// The entities of IOB2 tags, in words, read strictly (seqeval's `mode="strict", scheme=IOB2`): one begins with `B-` and goes on
/// with `I-` of the same label; other `I-` are of no entity.
pub fn entities_strict(tags: &[Tag]) -> Vec<Entity> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tags.len() {
        if tags[at].mark != Mark::Begin {
            at += 1;
            continue;
        }
        let label = &tags[at].label;
        let goes_on = |tag: &&Tag| tag.mark == Mark::Inside && tag.label == *label;
        let end = at + 1 + tags[at + 1..].iter().take_while(goes_on).count();
        found.push(Entity::new(at, end, label.clone()));
        at = end;
    }
    found
}

/// The entities of tags, in words, read as conlleval does (seqeval's default): `I-` after another label or none begins one
/// too. Marks of IOBES are understood.
pub fn entities_lenient(tags: &[Tag]) -> Vec<Entity> {
    let mut found: Vec<Entity> = Vec::new();
    let mut open: Option<usize> = None;
    let outside = Tag::outside();
    let mut before = &outside;
    for (at, tag) in tags.iter().chain([&outside]).enumerate() {
        if let Some(start) = open
            && ends(before, tag)
        {
            found.push(Entity::new(start, at, before.label.clone()));
            open = None;
        }
        if begins(before, tag) {
            open = Some(at);
        }
        before = tag;
    }
    found
}

/// Whether an entity ends between two words.
fn ends(before: &Tag, tag: &Tag) -> bool {
    let marks = match before.mark {
        Mark::Outside => return false,
        Mark::End | Mark::Single => true,
        Mark::Begin | Mark::Inside => matches!(tag.mark, Mark::Begin | Mark::Single | Mark::Outside),
    };
    marks || before.label != tag.label
}

/// Whether an entity begins with the second of two words.
fn begins(before: &Tag, tag: &Tag) -> bool {
    match tag.mark {
        Mark::Outside => false,
        Mark::Begin | Mark::Single => true,
        Mark::End | Mark::Inside => {
            matches!(before.mark, Mark::Outside | Mark::End | Mark::Single) || before.label != tag.label
        }
    }
}

/// Entities of words as entities of the text in which the words stand; those that name no words are left out.
pub fn in_characters(entities: &[Entity], words: &[Span]) -> Vec<Entity> {
    let place = |entity: &Entity| {
        let last = entity.span.end.checked_sub(1).filter(|last| *last >= entity.span.start)?;
        let (first, last) = (words.get(entity.span.start)?, words.get(last)?);
        Some(Entity { span: Span::new(first.start, last.end), label: entity.label.clone() })
    };
    entities.iter().filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tag::tags;
    use super::*;
    use proptest::prelude::*;

    fn said(entities: &[Entity]) -> String {
        let all: Vec<String> =
            entities.iter().map(|it| format!("{}:{}-{}", it.label, it.span.start, it.span.end)).collect();
        all.join(" ")
    }

    /// Tags, the strict reading, the lenient one.
    const BY_SEQEVAL: &[(&str, &str, &str)] = &[
        ("B-A I-A O B-B", "A:0-2 B:3-4", "A:0-2 B:3-4"),
        ("I-A I-A O", "", "A:0-2"),
        ("B-A I-B", "A:0-1", "A:0-1 B:1-2"),
        ("B-A I-A I-B O", "A:0-2", "A:0-2 B:2-3"),
        ("B-A I-B I-A", "A:0-1", "A:0-1 B:1-2 A:2-3"),
        ("O I-A B-A I-A I-B I-B", "A:2-4", "A:1-2 A:2-4 B:4-6"),
        ("B-A B-A I-A", "A:0-1 A:1-3", "A:0-1 A:1-3"),
        ("O O", "", ""),
        ("B-A B-B O O I-B", "A:0-1 B:1-2", "A:0-1 B:1-2 B:4-5"),
        ("I-A I-B O", "", "A:0-1 B:1-2"),
        ("B-A O O B-B B-B O B-A", "A:0-1 B:3-4 B:4-5 A:6-7", "A:0-1 B:3-4 B:4-5 A:6-7"),
        ("I-B B-B O", "B:1-2", "B:0-1 B:1-2"),
        ("I-B O B-A I-B O I-B I-B B-B O", "A:2-3 B:7-8", "B:0-1 A:2-3 B:3-4 B:5-7 B:7-8"),
        ("O I-B B-A I-A", "A:2-4", "B:1-2 A:2-4"),
        ("B-A I-B O I-B I-A I-B", "A:0-1", "A:0-1 B:1-2 B:3-4 A:4-5 B:5-6"),
        ("B-A O I-B I-B B-A I-A O I-B O", "A:0-1 A:4-6", "A:0-1 B:2-4 A:4-6 B:7-8"),
        ("O I-B B-A B-B I-B B-B I-A", "A:2-3 B:3-5 B:5-6", "B:1-2 A:2-3 B:3-5 B:5-6 A:6-7"),
        ("I-B B-B I-A I-A B-A B-A", "B:1-2 A:4-5 A:5-6", "B:0-1 B:1-2 A:2-4 A:4-5 A:5-6"),
        ("B-A O I-B I-A I-B B-B I-A B-B", "A:0-1 B:5-6 B:7-8", "A:0-1 B:2-3 A:3-4 B:4-5 B:5-6 A:6-7 B:7-8"),
        ("I-B O O I-B B-B", "B:4-5", "B:0-1 B:3-4 B:4-5"),
        ("I-A B-A B-B B-B", "A:1-2 B:2-3 B:3-4", "A:0-1 A:1-2 B:2-3 B:3-4"),
        ("O I-B I-B", "", "B:1-3"),
        ("I-A I-A I-A I-B B-B I-B B-B O O", "B:4-6 B:6-7", "A:0-3 B:3-4 B:4-6 B:6-7"),
        ("B-B O O I-A I-B", "B:0-1", "B:0-1 A:3-4 B:4-5"),
    ];

    #[test]
    fn both_readings_equal_seqeval() {
        for (text, strict, lenient) in BY_SEQEVAL {
            assert_eq!(said(&entities_strict(&tags(text))), *strict, "{text}");
            assert_eq!(said(&entities_lenient(&tags(text))), *lenient, "{text}");
        }
    }

    proptest! {
        #[test]
        fn valid_sequences_read_the_same_both_ways(parts in prop::collection::vec((0usize..3, 1usize..4), 0..6)) {
            let text: Vec<String> = parts.iter().flat_map(|&(label, length)| match label {
                0 => vec!["O".to_owned(); length],
                _ => (0..length).map(|at| format!("{}-{label}", if at == 0 { "B" } else { "I" })).collect(),
            }).collect();
            let tags = tags(&text.join(" "));
            let strict = entities_strict(&tags);
            prop_assert_eq!(&strict, &entities_lenient(&tags));
            prop_assert_eq!(strict.len(), parts.iter().filter(|it| it.0 > 0).count());
        }
    }

    #[test]
    fn entities_of_words_become_parts_of_the_text() {
        let words = [Span::new(0, 3), Span::new(4, 6), Span::new(6, 7)];
        let entities = [Entity::new(0, 2, "a"), Entity::new(2, 3, "b"), Entity::new(2, 4, "c"), Entity::new(1, 1, "d")];
        assert_eq!(in_characters(&entities, &words), [Entity::new(0, 6, "a"), Entity::new(6, 7, "b")]);
    }
}

//! Between words and the tokens a model reads: which token carries a word's tag, and which words an entity covers.

use super::{Entity, Mark, Tag};
use crate::RowProblem;
use crate::annotations::{Characters, Span};
use crate::error::shortened;

/// The target of a token that nothing is learnt from.
pub const IGNORED: i64 = -100;

/// The class of each token of one window, as `run_ner.py` of transformers has it: of each word's first token the word's class,
/// of the others [`IGNORED`], or with `inside` (see [`inside_classes`]) the class `I-` of the same label.
///
/// `words` says which word each token is of (`None` for special tokens and padding), `before` of which word the token before
/// the window is: a window may begin inside a word, and then its first token is not the word's first.
///
/// # Panics
/// A word beyond `classes`, or a class beyond `inside`.
pub fn align(words: &[Option<u32>], before: Option<u32>, classes: &[u32], inside: Option<&[u32]>) -> Vec<i64> {
    let mut last = before;
    let class = |word: &Option<u32>| {
        let Some(word) = *word else {
            // Special tokens stand between texts, not inside words; what continues the window's first word comes after them.
            return IGNORED;
        };
        let class = classes[word as usize];
        let first = last.replace(word) != Some(word);
        match inside {
            _ if first => i64::from(class),
            Some(inside) => i64::from(inside[class as usize]),
            None => IGNORED,
        }
    };
    words.iter().map(class).collect()
}

/// For each class the one that later tokens of the same word have: of `B-X` that is `I-X` where there is one, else itself.
pub fn inside_classes(names: &[String]) -> Vec<u32> {
    let inside = |name: &String| match Tag::parse(name) {
        Some(tag) if tag.mark == Mark::Begin => {
            let wanted = Tag { mark: Mark::Inside, ..tag }.to_string();
            names.iter().position(|name| *name == wanted)
        }
        _ => None,
    };
    (0..).zip(names).map(|(class, name)| inside(name).map_or(class, |inside| inside as u32)).collect()
}

/// The words that no token is of, over all windows of an example: a tokenizer drops some characters, and with them a tag
/// that still counts as gold.
pub fn words_without_tokens<'a>(windows: impl IntoIterator<Item = &'a [Option<u32>]>, words: usize) -> Vec<usize> {
    let mut seen = vec![false; words];
    for word in windows.into_iter().flatten().flatten() {
        if let Some(seen) = seen.get_mut(*word as usize) {
            *seen = true;
        }
    }
    (0..words).filter(|&word| !seen[word]).collect()
}

/// An entity that does not begin and end with words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Which of the entities, from 0.
    pub entity: usize,
    /// The characters of the words that it touches; `None` if it touches none, or only words of another entity.
    pub words: Option<Span>,
}

impl Misfit {
    /// The problem in the line where the example starts.
    pub fn problem(&self, line: u64, text: &str, entities: &[Entity]) -> RowProblem {
        RowProblem::new(line, None, self.said(text, entities))
    }

    fn said(&self, text: &str, entities: &[Entity]) -> String {
        let characters = Characters::of(text);
        let shown = |span: Span| shortened(characters.part(span).unwrap_or(""));
        let Some(entity) = entities.get(self.entity) else {
            return format!("entity {} does not exist", self.entity);
        };
        let place =
            format!("entity {}..{} (`{}`, {})", entity.span.start, entity.span.end, shown(entity.span), entity.label);
        match self.words {
            Some(words) => format!(
                "{place} does not fall on words; the words there are `{}`: mark them whole, or let them be with --on-bad-annotation mend",
                shown(words)
            ),
            None => format!(
                "{place} has no word of its own; remove it, or let it be left out with --on-bad-annotation mend"
            ),
        }
    }
}

/// What becomes of entities that do not fall on words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMisfit {
    /// The words they touch are tagged whole.
    #[default]
    Widen,
    /// They are not tagged.
    Drop,
}

/// Tags in IOB2 for words that stand in a text, and the entities that do not begin and end with words. Both are in the order
/// of the text; the entities do not overlap. A word that two entities share gets the tag of the first.
pub fn tag_words(words: &[Span], entities: &[Entity], on_misfit: OnMisfit) -> (Vec<Tag>, Vec<Misfit>) {
    let mut tags = vec![Tag::outside(); words.len()];
    let mut misfits = Vec::new();
    for (index, entity) in entities.iter().enumerate() {
        let from = words.partition_point(|word| word.end <= entity.span.start);
        let touched = words[from..].iter().take_while(|word| word.start < entity.span.end).count();
        let taken = tags[from..from + touched].iter().take_while(|tag| tag.mark != Mark::Outside).count();
        let own = from + taken..from + touched;
        let (Some(first), Some(last)) = (words.get(own.start).filter(|_| !own.is_empty()), words[..own.end].last())
        else {
            misfits.push(Misfit { entity: index, words: None });
            continue;
        };
        let covered = Span::new(first.start, last.end);
        if covered != entity.span {
            misfits.push(Misfit { entity: index, words: Some(covered) });
            if on_misfit == OnMisfit::Drop {
                continue;
            }
        }
        for (place, tag) in tags[own].iter_mut().enumerate() {
            *tag = Tag::new(if place == 0 { Mark::Begin } else { Mark::Inside }, &entity.label);
        }
    }
    (tags, misfits)
}

#[cfg(test)]
mod tests {
    use super::super::{entities_strict, in_characters, split_words, tag_names};
    use super::*;
    use proptest::prelude::*;

    fn said(tags: &[Tag]) -> String {
        tags.iter().map(Tag::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tags_stand_on_first_tokens_or_on_all() {
        let names = tag_names(&["PER", "LOC"]);
        let inside = inside_classes(&names);
        assert_eq!(inside, [0, 2, 2, 4, 4]);
        let words = [None, Some(0), Some(0), Some(1), Some(2), Some(2), None, None];
        assert_eq!(align(&words, None, &[1, 0, 4], None), [-100, 1, -100, 0, 4, -100, -100, -100]);
        assert_eq!(align(&words, None, &[1, 0, 4], Some(&inside)), [-100, 1, 2, 0, 4, 4, -100, -100]);
        // A window that begins inside word 0.
        assert_eq!(align(&words, Some(0), &[1, 0, 4], None), [-100, -100, -100, 0, 4, -100, -100, -100]);
        assert_eq!(inside_classes(&["B-A".to_owned(), "NN".to_owned()]), [0, 1]);
    }

    #[test]
    fn words_that_a_tokenizer_drops_are_found() {
        let windows = [vec![None, Some(0), Some(0)], vec![Some(2), None]];
        assert_eq!(words_without_tokens(windows.iter().map(Vec::as_slice), 4), [1, 3]);
    }

    #[test]
    fn entities_tag_the_words_they_cover() {
        let text = "Zoë O'Neil lives in Newtown";
        let words = split_words(text);
        let entities = [Entity::new(0, 10, "PER"), Entity::new(20, 27, "LOC")];
        let (tags, misfits) = tag_words(&words, &entities, OnMisfit::Widen);
        assert_eq!((said(&tags), misfits.len()), ("B-PER I-PER I-PER I-PER O O B-LOC".into(), 0));
        let part = [Entity::new(20, 23, "ADJ"), Entity::new(23, 27, "LOC")];
        let (tags, misfits) = tag_words(&words, &part, OnMisfit::Widen);
        assert_eq!(said(&tags), "O O O O O O B-ADJ");
        assert_eq!(misfits.iter().map(|it| it.words).collect::<Vec<_>>(), [Some(Span::new(20, 27)), None]);
        assert_eq!(said(&tag_words(&words, &part, OnMisfit::Drop).0), "O O O O O O O");
        let problems: Vec<RowProblem> = misfits.iter().map(|it| it.problem(7, text, &part)).collect();
        let (one, other) = (&problems[0], &problems[1]);
        assert_eq!(one.line, 7);
        assert!(one.message.contains("`New`, ADJ) does not fall on words; the words there are `Newtown`"), "{one:?}");
        assert!(other.message.contains("`town`, LOC) has no word of its own"), "{other:?}");
    }

    proptest! {
        #[test]
        fn entities_of_whole_words_come_back(lengths in prop::collection::vec((1usize..4, 0usize..3, 1usize..3), 1..8)) {
            // Words of some length, and entities that cover one or two of them.
            let (mut words, mut at) = (Vec::new(), 0);
            for &(length, gap, _) in &lengths {
                words.push(Span::new(at, at + length));
                at += length + gap;
            }
            let mut entities = Vec::new();
            let mut word = 0;
            while word < words.len() {
                let covers = lengths[word].2;
                if covers == 2 && word + 1 < words.len() {
                    entities.push(Entity { span: Span::new(words[word].start, words[word + 1].end), label: "A".into() });
                }
                word += covers;
            }
            let (tags, misfits) = tag_words(&words, &entities, OnMisfit::Drop);
            prop_assert!(misfits.is_empty());
            prop_assert_eq!(in_characters(&entities_strict(&tags), &words), entities);
        }
    }
}

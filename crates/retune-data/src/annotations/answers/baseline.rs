//! An answer that needs no model: the sentence of the context that shares most words with the question.

use std::collections::HashSet;

use crate::annotations::{Characters, Span};

/// Abbreviations whose point ends no sentence, in lower case.
const ABBREVIATIONS: [&str; 24] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "vs", "etc", "e.g", "i.e", "cf", "fig", "no", "vol", "inc",
    "ltd", "co", "approx", "gen", "col", "u.s", "al",
];

/// The sentences of a text, in characters, without space at their ends. A line end ends a sentence.
pub fn sentences(text: &str) -> Vec<Span> {
    let all: Vec<char> = text.chars().collect();
    let characters = Characters::of(text);
    let mut found = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < all.len() {
        let end = match all[at] {
            '\n' | '\r' => Some(at + 1),
            '。' | '！' | '？' => Some(closed(&all, at + 1)),
            '.' | '!' | '?' | '…' => {
                let end = closed(&all, at + 1);
                (all.get(end).is_none_or(|c| c.is_whitespace()) && ends(&all, start, at, end)).then_some(end)
            }
            _ => None,
        };
        at = end.unwrap_or(at + 1);
        if end.is_some() || at == all.len() {
            let span = characters.trimmed(Span::new(start, at));
            found.extend(Some(span).filter(|span| !span.is_empty()));
            start = at;
        }
    }
    found
}

/// Behind further marks and closing quotes.
fn closed(all: &[char], from: usize) -> usize {
    let closing = |c: &&char| {
        matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？' | '"' | '\'' | '”' | '’' | ')' | ']' | '»' | '」')
    };
    from + all[from..].iter().take_while(closing).count()
}

/// Whether a mark that stands before space ends a sentence.
fn ends(all: &[char], start: usize, mark: usize, end: usize) -> bool {
    let next = all[end..].iter().find(|c| !c.is_whitespace());
    if next.is_some_and(|c| c.is_lowercase()) {
        return false;
    }
    if all[mark] != '.' {
        return true;
    }
    let from =
        all[start..mark].iter().rposition(|c| c.is_whitespace() || *c == '(').map_or(start, |space| start + space + 1);
    let word: String = all[from..mark].iter().collect();
    let initial = from + 1 == mark && all[from].is_uppercase();
    !initial && !ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

/// The sentence of the context that shares most different words with the question; of equal ones the one with fewer words,
/// then the first. `None` if the context has no sentence.
pub fn best_sentence(question: &str, context: &str) -> Option<Span> {
    let wanted: HashSet<String> = words(question).collect();
    let characters = Characters::of(context);
    let scored = sentences(context).into_iter().map(|span| {
        let all: Vec<String> = words(characters.part(span).unwrap_or("")).collect();
        let different: HashSet<&String> = all.iter().collect();
        let shared = different.into_iter().filter(|word| wanted.contains(*word)).count();
        (shared, all.len(), span)
    });
    scored.min_by_key(|&(shared, length, span)| (usize::MAX - shared, length, span.start)).map(|it| it.2)
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str) -> Vec<&str> {
        let characters = Characters::of(text);
        sentences(text).into_iter().map(|span| characters.part(span).unwrap()).collect()
    }

    #[test]
    fn sentences_end_where_people_end_them() {
        assert_eq!(
            cut("Dr. J. Smith paid $3.50. He left! \"Why?\" she asked."),
            ["Dr. J. Smith paid $3.50.", "He left!", "\"Why?\" she asked."]
        );
        assert_eq!(cut("One (see e.g. Two). Three... four\nFive"), ["One (see e.g. Two).", "Three... four", "Five"]);
        assert_eq!(cut("一。二！三"), ["一。", "二！", "三"]);
        assert_eq!(cut(" \n "), [""; 0]);
    }

    #[test]
    fn the_sentence_with_most_shared_words_answers() {
        let context = "Zoë was born in Rome. She lives in Paris today. Paris is big.";
        let answer = |question| Characters::of(context).part(best_sentence(question, context).unwrap());
        assert_eq!(answer("Where was Zoë born?"), Some("Zoë was born in Rome."));
        assert_eq!(answer("Is PARIS big, very big?"), Some("Paris is big."));
        assert_eq!(answer("Nothing?"), Some("Paris is big."));
        assert_eq!(best_sentence("a", " "), None);
    }

    proptest! {
        #[test]
        fn sentences_hold_every_character_that_is_no_space(text in "[aB. !?\\n\"é。]{0,40}") {
            let all: Vec<char> = text.chars().collect();
            let mut covered = vec![false; all.len()];
            let mut end = 0;
            for span in sentences(&text) {
                prop_assert!(span.start >= end && !span.is_empty());
                end = span.end;
                covered[span.start..span.end].fill(true);
            }
            prop_assert!(all.iter().zip(covered).all(|(c, covered)| covered || c.is_whitespace()));
        }
    }
}

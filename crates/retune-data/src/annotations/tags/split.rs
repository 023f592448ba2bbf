//! Cuts raw text into the words that tags are given to.

use crate::annotations::Span;

/// The words of a text, in characters: runs of letters and digits; every other character that is no space is a word of its
/// own, and so is each Chinese or Japanese character, as in BERT's first step.
pub fn split_words(text: &str) -> Vec<Span> {
    let mut words: Vec<Span> = Vec::new();
    let mut open = false;
    for (at, c) in text.chars().enumerate() {
        let joins = open && is_joining(c);
        if c.is_whitespace() || is_control(c) {
            open = false;
        } else if joins || (open && c.is_alphanumeric() && !stands_alone(c)) {
            if let Some(word) = words.last_mut() {
                word.end = at + 1;
            }
        } else {
            words.push(Span::new(at, at + 1));
            open = c.is_alphanumeric() && !stands_alone(c);
        }
    }
    words
}

/// What tokenizers drop.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{feff}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}' | '\u{fffd}')
}

/// Marks above, below or between letters of one word that do not count as letters.
fn is_joining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}'
        | '\u{900}'..='\u{963}' | '\u{966}'..='\u{e4e}' | '\u{eb1}'..='\u{ecd}' | '\u{f18}'..='\u{103f}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{200c}' | '\u{200d}' | '\u{20d0}'..='\u{20f0}' | '\u{fe00}'..='\u{fe0f}')
}

/// Ideographs and kana.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotations::Characters;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<&str> {
        let characters = Characters::of(text);
        split_words(text).into_iter().map(|span| characters.part(span).unwrap()).collect()
    }

    #[test]
    fn words_and_signs_are_apart() {
        assert_eq!(words("Dr. O'Neil paid $3.50!"), ["Dr", ".", "O", "'", "Neil", "paid", "$", "3", ".", "50", "!"]);
        assert_eq!(words("  Zoë\u{301}s  cafe\u{301}\n"), ["Zoë\u{301}s", "cafe\u{301}"]);
        assert_eq!(words("東京タ 5歳"), ["東", "京", "タ", "5", "歳"]);
        assert_eq!(words("हिन्दी में"), ["हिन्दी", "में"]);
        assert_eq!(words("\u{feff}a\u{200b}b 😀"), ["a", "b", "😀"]);
        assert!(words(" \t").is_empty());
    }

    proptest! {
        #[test]
        fn words_stand_in_order_and_leave_nothing_but_space(text in "\\PC{0,30}") {
            let spans = split_words(&text);
            let mut end = 0;
            let all: Vec<char> = text.chars().collect();
            for span in &spans {
                prop_assert!(span.start >= end && span.end > span.start);
                prop_assert!(all[end..span.start].iter().all(|c| c.is_whitespace() || is_control(*c)));
                end = span.end;
            }
            prop_assert!(all[end..].iter().all(|c| c.is_whitespace() || is_control(*c)));
        }
    }
}

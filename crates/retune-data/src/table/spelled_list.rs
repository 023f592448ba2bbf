//! Lists inside a text cell, as pandas writes those of Python and NumPy: `['red', 'blue']`, `[0, 1, 0]`, `[0. 1. 0.]`,
//! `('red',)`, `{'red'}`, `set()`, `[]`; and as JSON writes them: `["red"]`.

use std::iter::Peekable;
use std::str::Chars;

use super::Cell;

impl Cell {
    /// The cell, as a list where it is a text that spells one.
    pub(crate) fn with_list(self) -> Self {
        match &self {
            Self::Text(text) => spelled(text).map_or(self, Self::List),
            _ => self,
        }
    }

    /// Whether the cell is a text in brackets that is meant as a list but spells none, such as `[red, blue]`.
    pub(crate) fn is_unread_list(&self) -> bool {
        let Self::Text(text) = self else { return false };
        let inside = text.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        inside.is_some_and(|inside| inside.contains([',', '\'', '"']) || inside.contains("..."))
            && spelled(text).is_none()
    }
}

/// The entries of a list that `text` spells; `None` if it spells none.
fn spelled(text: &str) -> Option<Vec<Cell>> {
    let text = text.trim();
    if text == "set()" {
        return Some(Vec::new());
    }
    let inside = |open: char, close: char| text.strip_prefix(open).and_then(|text: &str| text.strip_suffix(close));
    if let Some(inside) = inside('[', ']') {
        return entries(inside);
    }
    if let Some(inside) = inside('(', ')') {
        // `(1)` is no tuple.
        return entries(inside).filter(|_| inside.contains(',') || inside.trim().is_empty());
    }
    // `{}` is no set.
    inside('{', '}').and_then(entries).filter(|entries| !entries.is_empty())
}

/// What stands between brackets: quoted texts, numbers and flags, with commas or (NumPy) only space between them.
fn entries(inside: &str) -> Option<Vec<Cell>> {
    let mut rest = inside.chars().peekable();
    let mut cells = Vec::new();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let Some(&first) = rest.peek() else { return Some(cells) };
        cells.push(if first == '\'' || first == '"' { Cell::Text(quoted(&mut rest)?) } else { bare(&mut rest)? });
        let spaced = rest.peek().is_none_or(|c| c.is_whitespace());
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let comma = rest.next_if_eq(&',').is_some();
        if !comma && !spaced {
            return None;
        }
    }
}

/// A text in quotes of either kind, with Python's and JSON's escapes.
fn quoted(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let quote = rest.next()?;
    let mut text = String::new();
    loop {
        match rest.next()? {
            c if c == quote => return Some(text),
            '\\' => match rest.next()? {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                'x' => text.push(code(rest, 2)?),
                'u' => text.push(code(rest, 4)?),
                'U' => text.push(code(rest, 8)?),
                c @ ('\\' | '\'' | '"' | '/') => text.push(c),
                // Python leaves others as they are.
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
}

/// A character by its number; halves of a pair (JSON) are put together.
fn code(rest: &mut Peekable<Chars<'_>>, digits: usize) -> Option<char> {
    let mut number = || -> Option<u32> {
        let text: String = rest.by_ref().take(digits).collect();
        (text.len() == digits).then(|| u32::from_str_radix(&text, 16).ok()).flatten()
    };
    let first = number()?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    if (rest.next()?, rest.next()?) != ('\\', 'u') {
        return None;
    }
    let text: String = rest.by_ref().take(4).collect();
    let second = u32::from_str_radix(&text, 16).ok()?.checked_sub(0xdc00)?;
    char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + second)
}

/// A number, a flag or nothing, up to a comma or space.
fn bare(rest: &mut Peekable<Chars<'_>>) -> Option<Cell> {
    let mut word = String::new();
    while let Some(c) = rest.next_if(|&c| !c.is_whitespace() && c != ',') {
        word.push(c);
    }
    Some(match word.as_str() {
        "True" | "true" => Cell::Bool(true),
        "False" | "false" => Cell::Bool(false),
        "None" | "null" => Cell::Null,
        "nan" | "NaN" => Cell::Number(f64::NAN),
        // Rust also reads `inf` and `infinity`, which may be words.
        word if word.contains(|c: char| c.is_ascii_digit()) => {
            word.parse().map(Cell::Integer).or_else(|_| word.parse().map(Cell::Number)).ok()?
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Option<Vec<Cell>> {
        match Cell::Text(text.into()).with_list() {
            Cell::List(cells) => Some(cells),
            _ => None,
        }
    }

    #[test]
    fn lists_as_pandas_and_json_write_them() {
        let text = |text: &str| Cell::Text(text.into());
        for spelling in [
            "['red', 'blue']",
            " [\"red\", \"blue\"] ",
            "['red' 'blue']",
            "['red'\n 'blue']",
            "('red', 'blue')",
            "{'red', 'blue'}",
            "['red','blue',]",
        ] {
            assert_eq!(list(spelling), Some(vec![text("red"), text("blue")]), "{spelling}");
        }
        assert_eq!(list("[0, 1,0]"), Some(vec![Cell::Integer(0), Cell::Integer(1), Cell::Integer(0)]));
        assert_eq!(list("[0. 1.5]"), Some(vec![Cell::Number(0.0), Cell::Number(1.5)]));
        assert_eq!(list("[True, false, None]"), Some(vec![Cell::Bool(true), Cell::Bool(false), Cell::Null]));
        for empty in ["[]", "[ ]", "()", "set()"] {
            assert_eq!(list(empty), Some(Vec::new()), "{empty}");
        }
        let escaped = r#"["it's", 'a \'b\' \u00e9', "\ud83d\ude00"]"#;
        assert_eq!(list(escaped), Some(vec![text("it's"), text("a 'b' é"), text("😀")]));
        assert_eq!(list("('red',)"), Some(vec![text("red")]));
    }

    #[test]
    fn other_texts_stay_texts() {
        for text in [
            "red",
            "[neutral]",
            "(none)",
            "(1)",
            "{}",
            "{'a': 1}",
            "[red, blue]",
            "['red'",
            "['a'b]",
            "[[0], [1]]",
            "[0 1 ... 0]",
            "[inf, 1]",
            "",
            "[",
            "[\"a\\u12\"]",
        ] {
            assert_eq!(list(text), None, "{text}");
        }
        for (text, unread) in [("[red, blue]", true), ("[0 1 ... 0]", true), ("[neutral]", false), ("['a']", false)] {
            assert_eq!(Cell::Text(text.into()).is_unread_list(), unread, "{text}");
        }
    }
}

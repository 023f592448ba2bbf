//! Tells Rust code from comments and literals, so that a rule about code is not fooled by text.

/// `source` with every comment, string and character blanked out; lines stay where they are.
pub(super) fn code_only(source: &str) -> String {
    scan(source).out
}

/// Every string literal of `source` as it stands between its quotes, with the line, from 1, on which it begins.
pub(super) fn strings(source: &str) -> Vec<(usize, &str)> {
    scan(source).strings
}

fn scan(source: &str) -> Scanner<'_> {
    let out = String::with_capacity(source.len());
    let mut scanner = Scanner { rest: source, out, strings: Vec::new(), line: 1, in_word: false };
    while scanner.step() {}
    scanner
}

struct Scanner<'a> {
    rest: &'a str,
    out: String,
    strings: Vec<(usize, &'a str)>,
    line: usize,
    /// Whether the last thing taken was part of a word, so that `r` cannot begin a raw string.
    in_word: bool,
}

impl Scanner<'_> {
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else {
            return false;
        };
        let length = if self.rest.starts_with("//") {
            self.rest.find('\n').unwrap_or(self.rest.len())
        } else if self.rest.starts_with("/*") {
            block_comment(self.rest)
        } else if first == '"' {
            string(self.rest)
        } else if let Some(length) = raw_string(self.rest).filter(|_| !self.in_word) {
            length
        } else if let Some(length) = character(self.rest) {
            length
        } else {
            self.out.push(first);
            self.line += usize::from(first == '\n');
            self.rest = &self.rest[first.len_utf8()..];
            self.in_word = first.is_alphanumeric() || first == '_';
            return true;
        };
        let (literal, rest) = self.rest.split_at(length);
        if !literal.starts_with(['/', '\''])
            && let (Some(open), Some(close)) = (literal.find('"'), literal.rfind('"'))
            && open < close
        {
            self.strings.push((self.line, &literal[open + 1..close]));
        }
        self.line += literal.matches('\n').count();
        let blank = literal.chars().map(|c| if c == '\n' { '\n' } else { ' ' });
        self.out.extend(blank);
        self.rest = rest;
        self.in_word = false;
        true
    }
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `r"…"`, `r#"…"#`, `br"…"`, `cr"…"`.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|p| text.starts_with(p))?;
    let hashes = text[prefix.len()..].bytes().take_while(|b| *b == b'#').count();
    let start = prefix.len() + hashes;
    if !text[start..].starts_with('"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = &text[start + 1..];
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(start + 1 + length)
}

/// `'x'` and `'\n'`, and not the lifetime `'a`.
fn character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    if let Some(escape) = inside.strip_prefix('\\') {
        // The escaped character may itself be a quote.
        let first = escape.chars().next()?.len_utf8();
        let end = escape[first..].find('\'')?;
        return Some(2 + first + end + 1);
    }
    let first = inside.chars().next()?.len_utf8();
    inside[first..].starts_with('\'').then_some(first + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_with_their_lines() {
        let source = "f(\"a\"); // \"b\"\n/* \"c\"\n*/ r#\"d \"e\" \"# '\"' \"two\nlines\" b\"x\" \"\"\n\"last\"";
        let expected = [(1, "a"), (3, "d \"e\" "), (3, "two\nlines"), (4, "x"), (4, ""), (5, "last")];
        assert_eq!(strings(source), expected);
    }

    #[test]
    fn only_code_is_left() {
        for (source, left) in [
            ("a // b\nc", "a c"),
            ("a /* b /* c */ d */ e", "a e"),
            (r#"f("x \" // y") + 1"#, "f( ) + 1"),
            ("r#\"a \" b\"# + r", "+ r"),
            ("let c = '\"'; let d = '\\''; &'a str", "let c = ; let d = ; &'a str"),
            ("for\"x\"", "for"),
            ("\"two\nlines\" x", "x"),
            ("b'x' b\"y\" '\\u{1F600}' z", "b b z"),
            ("br##\"x\"# y\"## z", "z"),
            ("x \"never ends", "x"),
        ] {
            let code = code_only(source);
            let words: Vec<_> = code.split_whitespace().collect();
            assert_eq!(words.join(" "), left, "{source}");
            assert_eq!(code.chars().count(), source.chars().count());
            assert_eq!(code.lines().count(), source.lines().count());
        }
    }
}

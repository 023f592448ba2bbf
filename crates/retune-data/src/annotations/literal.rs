//! Lists and objects written into a table's cell: as JSON, as Python's `repr`, or as NumPy prints arrays (`['a' 'b']`).

use serde_json::{Map, Number, Value};

/// The value of a cell that begins like a list or an object; `None` if it does not.
///
/// # Errors
/// What is wrong with it, lower case, with the column in the cell.
pub(crate) fn parse(text: &str) -> Option<Result<Value, String>> {
    let text = text.trim();
    if !text.starts_with(['[', '{']) {
        return None;
    }
    if let Ok(value) = serde_json::from_str(text) {
        return Some(Ok(value));
    }
    let mut parser = Parser { text: text.chars().collect(), at: 0, depth: 0 };
    Some(parser.whole().map_err(|reason| format!("{reason} at character {} of the cell", parser.at + 1)))
}

struct Parser {
    text: Vec<char>,
    at: usize,
    depth: usize,
}

const UNCLOSED: &str = "a list that is never closed";

impl Parser {
    fn whole(&mut self) -> Result<Value, &'static str> {
        let value = self.value()?;
        self.space();
        if self.at < self.text.len() { Err("text behind the list") } else { Ok(value) }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Value, &'static str> {
        self.space();
        match self.peek().ok_or(UNCLOSED)? {
            '[' => self.list(']'),
            '(' => self.list(')'),
            '{' => self.object(),
            quote @ ('\'' | '"') => self.string(quote).map(Value::String),
            _ => self.word(),
        }
    }

    fn list(&mut self, close: char) -> Result<Value, &'static str> {
        self.enter()?;
        let mut values = Vec::new();
        loop {
            self.space();
            match self.peek().ok_or(UNCLOSED)? {
                c if c == close => break,
                // NumPy separates by space alone.
                ',' if !values.is_empty() => {
                    self.at += 1;
                    self.space();
                    if self.peek() == Some(close) {
                        break;
                    }
                }
                _ => {}
            }
            values.push(self.value()?);
        }
        self.leave();
        Ok(Value::Array(values))
    }

    fn object(&mut self) -> Result<Value, &'static str> {
        self.enter()?;
        let mut object = Map::new();
        loop {
            self.space();
            match self.peek().ok_or(UNCLOSED)? {
                '}' => break,
                ',' if !object.is_empty() => {
                    self.at += 1;
                    continue;
                }
                quote @ ('\'' | '"') => {
                    let key = self.string(quote)?;
                    self.space();
                    if self.peek() != Some(':') {
                        return Err("a key without `:`");
                    }
                    self.at += 1;
                    let value = self.value()?;
                    object.insert(key, value);
                }
                _ => return Err("a key without quotes"),
            }
        }
        self.leave();
        Ok(Value::Object(object))
    }

    fn enter(&mut self) -> Result<(), &'static str> {
        self.at += 1;
        self.depth += 1;
        if self.depth > 32 { Err("lists in lists without end") } else { Ok(()) }
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    fn string(&mut self, quote: char) -> Result<String, &'static str> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let c = self.peek().ok_or("a quote that is never closed")?;
            self.at += 1;
            match c {
                c if c == quote => return Ok(string),
                '\\' => {
                    let escape = self.peek().ok_or("a quote that is never closed")?;
                    self.at += 1;
                    let digits = match escape {
                        'x' => 2,
                        'u' => 4,
                        'U' => 8,
                        'n' => string.push_one('\n'),
                        't' => string.push_one('\t'),
                        'r' => string.push_one('\r'),
                        '\\' | '\'' | '"' => string.push_one(escape),
                        _ => return Err("an escape that is not known"),
                    };
                    if digits > 0 {
                        let hexadecimal: String = self.text.iter().skip(self.at).take(digits).collect();
                        let code = u32::from_str_radix(&hexadecimal, 16).ok().and_then(char::from_u32);
                        string.push(code.filter(|_| hexadecimal.len() == digits).ok_or("a broken escape")?);
                        self.at += digits;
                    }
                }
                c => string.push(c),
            }
        }
    }

    fn word(&mut self) -> Result<Value, &'static str> {
        let part = |c: char| c.is_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
        let word: String = self.text[self.at..].iter().take_while(|c| part(**c)).collect();
        let length = word.chars().count();
        self.at += length;
        match word.as_str() {
            "True" | "true" => Ok(Value::Bool(true)),
            "False" | "false" => Ok(Value::Bool(false)),
            "None" | "null" | "nan" => Ok(Value::Null),
            "array" if self.peek() == Some('(') => self.array(),
            "..." => Err("a list that was shortened when it was printed (`...`)"),
            word => {
                // NumPy ends whole floats with a point.
                let number = word.strip_suffix('.').unwrap_or(word);
                let whole = number.parse::<i64>().ok().map(Number::from);
                let number = whole.or_else(|| number.parse().ok().and_then(Number::from_f64)).map(Value::Number);
                number.ok_or("a word without quotes").inspect_err(|_| self.at -= length)
            }
        }
    }

    /// `array([…], dtype=object)`.
    fn array(&mut self) -> Result<Value, &'static str> {
        self.at += 1;
        let value = self.value()?;
        while self.peek().is_some_and(|c| c != ')') {
            self.at += 1;
        }
        self.peek().ok_or(UNCLOSED)?;
        self.at += 1;
        Ok(value)
    }
}

trait PushOne {
    /// Pushes a character and returns that no digits follow.
    fn push_one(&mut self, c: char) -> usize;
}

impl PushOne for String {
    fn push_one(&mut self, c: char) -> usize {
        self.push(c);
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn value(text: &str) -> Value {
        parse(text).unwrap().unwrap()
    }

    #[test]
    fn what_pandas_writes_is_read() {
        assert_eq!(value("['EU', \"it's\", 'a\\'b']"), json!(["EU", "it's", "a'b"]));
        assert_eq!(value(" [\"a\", 1] "), json!(["a", 1]));
        assert_eq!(value("['EU' 'rejects'\n 'German']"), json!(["EU", "rejects", "German"]));
        assert_eq!(value("[3 0 7]"), json!([3, 0, 7]));
        assert_eq!(value("[0. 1.5]"), json!([0, 1.5]));
        assert_eq!(value("[]"), json!([]));
        assert_eq!(value("{'text': ['a'], 'answer_start': [5]}"), json!({"text": ["a"], "answer_start": [5]}));
        let arrays = "{'text': array(['a b'], dtype=object), 'answer_start': array([5], dtype=int32)}";
        assert_eq!(value(arrays), json!({"text": ["a b"], "answer_start": [5]}));
        assert_eq!(value("[(0, 5, 'PER'), None, True]"), json!([[0, 5, "PER"], null, true]));
    }

    #[test]
    fn what_is_no_list_is_none_and_what_is_broken_says_where() {
        assert!(parse("EU rejects").is_none());
        let said = |text: &str| parse(text).unwrap().unwrap_err();
        assert!(said("['a', b]").contains("without quotes at character 7"), "{}", said("['a', b]"));
        assert!(said("['a'").contains("never closed"));
        assert!(said("['a' ... 'b']").contains("shortened"));
        assert!(said("['a'] x").contains("behind the list"));
        assert!(said(&"[".repeat(100)).contains("without end"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}()'\", \\\\xu0-9a.:-]{0,30}") {
            let _ = parse(&format!("[{text}"));
        }
    }
}

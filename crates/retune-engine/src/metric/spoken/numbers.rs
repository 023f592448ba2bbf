//! Numbers that are spelled out become figures: the rules of transformers' `EnglishNumberNormalizer`.
//!
//! `twenty five` is 25, `one oh one` is 101, `two hundred and first` is 201st, `twenty million dollars` is $20000000.

use std::sync::LazyLock;

use regex::{Captures, NoExpand, Regex};

use super::number_words::{WORDS, Word};

fn expression(pattern: &str) -> Regex {
    Regex::new(pattern).expect("an expression")
}

static HALF: LazyLock<Regex> = LazyLock::new(|| expression(r"\band\s+a\s+half\b"));
/// Where letters and figures meet, and what belongs together all the same.
static BOUNDARIES: LazyLock<[(Regex, &str); 3]> = LazyLock::new(|| {
    [
        (expression("([a-z])([0-9])"), "$1 $2"),
        (expression("([0-9])([a-z])"), "$1 $2"),
        (expression(r"([0-9])\s+(st|nd|rd|th|s)\b"), "$1$2"),
    ]
});
static CENTS: LazyLock<Regex> = LazyLock::new(|| expression(r"([€£$])([0-9]+) (?:and )?¢([0-9]{1,2})\b"));
static CENTS_ALONE: LazyLock<Regex> = LazyLock::new(|| expression(r"[€£$]0.([0-9]{1,2})\b"));
static ONE: LazyLock<Regex> = LazyLock::new(|| expression(r"\b1(s?)\b"));

/// A number as far as it has been said.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Whole(i128),
    /// Figures that are put together as they come.
    Figures(String),
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::Figures(figures) => figures.clone(),
        }
    }

    /// One to nineteen behind it; `before` is the word before.
    fn and_one(&self, ones: i128, before: Option<Word>) -> Self {
        match self {
            Self::Whole(number) if !matches!(before, Some(Word::One(_))) => {
                let room = if ones < 10 { 10 } else { 100 };
                if number % room == 0 { Self::Whole(number + ones) } else { Self::Figures(format!("{number}{ones}")) }
            }
            _ => {
                let mut figures = self.text();
                if matches!(before, Some(Word::Ten(_))) && ones < 10 {
                    figures.pop();
                }
                Self::Figures(format!("{figures}{ones}"))
            }
        }
    }

    fn and_ten(&self, tens: i128) -> Self {
        match self {
            Self::Whole(number) if number % 100 == 0 => Self::Whole(number + tens),
            _ => Self::Figures(format!("{}{tens}", self.text())),
        }
    }

    /// What is said of the last three figures.
    fn multiplied(number: i128, multiplier: i128) -> i128 {
        (number / 1000 * 1000).saturating_add((number % 1000).saturating_mul(multiplier))
    }

    /// Figures, perhaps with a decimal point, times so much, where that is a whole number.
    fn product(&self, multiplier: i128) -> Option<i128> {
        let figures = self.text();
        let (whole, part) = figures.split_once('.').unwrap_or((&figures, ""));
        let all = format!("{whole}{part}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let product = all.parse::<i128>().ok()?.checked_mul(multiplier)?;
        let divisor = 10i128.checked_pow(part.len() as u32)?;
        (product % divisor == 0).then(|| product / divisor)
    }
}

/// What is written, and the number that is being said.
#[derive(Default)]
struct Writer {
    written: Vec<String>,
    prefix: Option<String>,
    value: Option<Value>,
}

impl Writer {
    fn write(&mut self, text: &str) {
        self.value = None;
        self.written.push(self.prefix.take().unwrap_or_default() + text);
    }

    /// Writes the number that was being said, if there is one.
    fn flush(&mut self) -> bool {
        let value = self.value.take();
        if let Some(value) = &value {
            self.write(&value.text());
        }
        value.is_some()
    }

    /// What has been said, to put figures behind; zero alone counts for nothing.
    fn figures(&self) -> String {
        self.value.as_ref().filter(|value| **value != Value::Whole(0)).map(Value::text).unwrap_or_default()
    }
}

/// Figures, perhaps with a decimal part.
fn is_numeric(word: &str) -> bool {
    let figures = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    word.split_once('.').map_or_else(|| figures(word), |(whole, part)| figures(whole) && figures(part))
}

/// A text in lower case whose numbers are figures.
pub(super) fn with_figures(text: &str) -> String {
    let text = prepared(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut writer = Writer::default();
    let mut skip = false;
    for (i, &word) in words.iter().enumerate() {
        if std::mem::take(&mut skip) {
            continue;
        }
        let before = i.checked_sub(1).and_then(|i| WORDS.get(words[i]).copied());
        let next = words.get(i + 1).copied();
        skip = writer.take(word, before, next);
    }
    writer.flush();
    finished(&writer.written.join(" "))
}

impl Writer {
    /// Takes a word; says whether the next one is done with, too.
    fn take(&mut self, word: &str, before: Option<Word>, next: Option<&str>) -> bool {
        let next_word = next.and_then(|next| WORDS.get(next).copied());
        let next_counts = next_word.is_some() || next.is_some_and(is_numeric);
        let prefix = word.chars().next().filter(|first| "-+£€$¢".contains(*first));
        let figures = &word[prefix.map_or(0, char::len_utf8)..];
        if is_numeric(figures) {
            self.figure(word, prefix, figures);
            return false;
        }
        let Some(kind) = WORDS.get(word).copied() else {
            self.flush();
            self.write(word);
            return false;
        };
        match kind {
            Word::Zero => self.value = Some(Value::Figures(self.figures() + "0")),
            Word::One(ones) => {
                let one = self.value.as_ref().map_or(Value::Whole(ones), |value| value.and_one(ones, before));
                self.value = Some(one);
            }
            Word::OneWith(ones, ending) => {
                let one = self.value.as_ref().map_or(Value::Whole(ones), |value| value.and_one(ones, before));
                self.write(&(one.text() + ending));
            }
            Word::Ten(tens) => {
                self.value = Some(self.value.as_ref().map_or(Value::Whole(tens), |value| value.and_ten(tens)));
            }
            Word::TenWith(tens, ending) => {
                let ten = self.value.as_ref().map_or(Value::Whole(tens), |value| value.and_ten(tens));
                self.write(&(ten.text() + ending));
            }
            Word::Multiplier(multiplier) => self.multiply(multiplier),
            Word::MultiplierWith(multiplier, ending) => {
                let all = match self.value.clone() {
                    Some(Value::Whole(number)) => Value::multiplied(number, multiplier),
                    Some(value) => value.product(multiplier).unwrap_or_else(|| {
                        self.flush();
                        multiplier
                    }),
                    None => multiplier,
                };
                self.write(&format!("{all}{ending}"));
            }
            Word::Sign(sign) => {
                self.flush();
                if next_counts { self.prefix = Some(sign.to_owned()) } else { self.write(word) }
            }
            Word::Currency(currency) => match self.value.take() {
                Some(value) => {
                    self.prefix = Some(currency.to_owned());
                    self.write(&value.text());
                }
                None => self.write(word),
            },
            Word::Percent => match self.value.take() {
                Some(value) => self.write(&(value.text() + "%")),
                None => self.write(word),
            },
            Word::Per => match self.value.take() {
                Some(value) if next == Some("cent") => {
                    self.write(&(value.text() + "%"));
                    return true;
                }
                value => {
                    self.value = value;
                    self.flush();
                    self.write(word);
                }
            },
            Word::And | Word::Times(_) | Word::Point if !next_counts => {
                self.flush();
                self.write(word);
            }
            // Behind hundred, thousand and so on it says nothing.
            Word::And if matches!(before, Some(Word::Multiplier(_))) => {}
            Word::Times(times) if matches!(next_word, Some(Word::One(_) | Word::Zero)) => {
                let figure = if let Some(Word::One(ones)) = next_word { ones } else { 0 };
                self.value = Some(Value::Figures(self.figures() + &figure.to_string().repeat(times)));
                return true;
            }
            Word::And | Word::Times(_) => {
                self.flush();
                self.write(word);
            }
            Word::Point => {
                let decimal = matches!(next_word, Some(Word::One(_) | Word::Ten(_) | Word::Zero));
                if decimal || next.is_some_and(is_numeric) {
                    self.value = Some(Value::Figures(self.figures() + "."));
                }
            }
        }
        false
    }

    /// A number in figures, `word` with its prefix.
    fn figure(&mut self, word: &str, prefix: Option<char>, figures: &str) {
        if let Some(Value::Figures(value)) = &mut self.value
            && value.ends_with('.')
        {
            value.push_str(word);
            return;
        }
        self.flush();
        if let Some(prefix) = prefix {
            self.prefix = Some(prefix.to_string());
        }
        let whole = figures.split_once('.').is_none_or(|(_, part)| part.bytes().all(|byte| byte == b'0'));
        let digits = figures.split('.').next().unwrap_or_default().trim_start_matches('0');
        self.value = Some(match digits.parse::<i128>() {
            Ok(number) if whole => Value::Whole(number),
            Err(_) if whole && digits.is_empty() => Value::Whole(0),
            Err(_) if whole => Value::Figures(digits.to_owned()),
            _ => Value::Figures(figures.to_owned()),
        });
    }

    fn multiply(&mut self, multiplier: i128) {
        self.value = Some(Value::Whole(match self.value.clone() {
            None => multiplier,
            Some(Value::Whole(number)) if number != 0 => Value::multiplied(number, multiplier),
            Some(value) => value.product(multiplier).unwrap_or_else(|| {
                self.flush();
                multiplier
            }),
        }));
    }
}

/// Halves are decimals, and words and figures stand apart.
fn prepared(text: &str) -> String {
    let segments: Vec<&str> = HALF.split(text).collect();
    let mut results = Vec::new();
    for (i, segment) in segments.iter().enumerate() {
        let Some(last) = segment.split_whitespace().next_back() else { continue };
        results.push(*segment);
        if i + 1 < segments.len() {
            let number =
                matches!(WORDS.get(last), Some(Word::One(_) | Word::Ten(_) | Word::Zero | Word::Multiplier(_)));
            results.push(if number { "point five" } else { "and a half" });
        }
    }
    let joined = results.join(" ");
    BOUNDARIES.iter().fold(joined, |text, (pattern, with)| pattern.replace_all(&text, *with).into_owned())
}

/// Cents are decimals of a currency, and `one` alone stays a word.
fn finished(text: &str) -> String {
    let cents = |found: &Captures<'_>| format!("{}{}.{:0>2}", &found[1], &found[2], &found[3]);
    let text = CENTS.replace_all(text, cents).into_owned();
    let alone = |found: &Captures<'_>| format!("¢{}", found[1].parse::<u32>().unwrap_or_default());
    let text = CENTS_ALONE.replace_all(&text, alone).into_owned();
    ONE.replace_all(&text, "one$1").into_owned()
}

/// Replaces all that a pattern finds by a plain text.
pub(super) fn replaced(pattern: &Regex, text: &str, with: &str) -> String {
    pattern.replace_all(text, NoExpand(with)).into_owned()
}

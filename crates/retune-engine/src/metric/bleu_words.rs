//! How texts become words before BLEU compares them: sacreBLEU's tokenizers (Post 2018), by their names in its signature.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// One of sacreBLEU's tokenizers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BleuWords {
    /// mteval-v13a, the usual one: punctuation of Western languages stands alone.
    #[default]
    V13a,
    /// mteval-v14: punctuation and symbols of every language.
    International,
    /// Chinese characters stand alone, the rest is cut as in 13a.
    Chinese,
    /// Every character.
    Characters,
    /// Nothing but white space cuts.
    Spaces,
}

type Rule = (Regex, &'static str);

/// Rules of regular expressions, one after another.
fn rules(rules: &[(&str, &'static str)]) -> Vec<Rule> {
    let compiled = |&(pattern, to): &(&str, &'static str)| (Regex::new(pattern).expect("a regular expression"), to);
    rules.iter().map(compiled).collect()
}

static WESTERN: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    rules(&[
        (r"([\{-~\[-` -\&\(-\+:-@/])", " ${1} "),
        (r"([^0-9])([\.,])", "${1} ${2} "),
        (r"([\.,])([^0-9])", " ${1} ${2}"),
        (r"([0-9])(-)", "${1} ${2} "),
    ])
});

static INTERNATIONAL: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    rules(&[(r"(\P{N})(\p{P})", "${1} ${2} "), (r"(\p{P})(\P{N})", " ${1} ${2}"), (r"(\p{S})", " ${1} ")])
});

/// What sacreBLEU takes for Chinese. The third and fourth range are what comparing strings makes of two escapes there that
/// are longer than Python's `\u` reads.
const CHINESE: [(u32, u32); 20] = [
    (0x3400, 0x4db5),
    (0x4e00, 0x9fbb),
    (0x2001, 0x2a6d),
    (0x2f81, 0x2fa1),
    (0xf900, 0xfa2d),
    (0xfa30, 0xfa6a),
    (0xfa70, 0xfad9),
    (0xff00, 0xffef),
    (0x2e80, 0x2eff),
    (0x3000, 0x303f),
    (0x31c0, 0x31ef),
    (0x2f00, 0x2fdf),
    (0x2ff0, 0x2fff),
    (0x3100, 0x312f),
    (0x31a0, 0x31bf),
    (0xfe10, 0xfe1f),
    (0xfe30, 0xfe4f),
    (0x2600, 0x27bf),
    (0x3200, 0x32ff),
    (0x3300, 0x33ff),
];

impl BleuWords {
    /// All of them, by name.
    pub const NAMES: [&'static str; 5] = ["13a", "intl", "zh", "char", "none"];

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "13a" => Self::V13a,
            "intl" => Self::International,
            "zh" => Self::Chinese,
            "char" => Self::Characters,
            "none" => Self::Spaces,
            _ => return None,
        })
    }

    /// Its name in a signature.
    pub fn name(self) -> &'static str {
        match self {
            Self::V13a => "13a",
            Self::International => "intl",
            Self::Chinese => "zh",
            Self::Characters => "char",
            Self::Spaces => "none",
        }
    }

    /// The words of a text.
    pub fn words(self, text: &str) -> Vec<String> {
        let text = text.trim_end_matches(is_space);
        let cut = match self {
            Self::V13a => {
                let plain = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
                let entities = [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")];
                let plain = entities.iter().fold(plain, |text, (from, to)| text.replace(from, to));
                replaced(&format!(" {plain} "), &WESTERN)
            }
            Self::International => replaced(text, &INTERNATIONAL),
            Self::Chinese => {
                let mut apart = String::with_capacity(text.len());
                for letter in text.trim_matches(is_space).chars() {
                    let code = u32::from(letter);
                    if CHINESE.iter().any(|&(from, to)| (from..=to).contains(&code)) {
                        apart.extend([' ', letter, ' ']);
                    } else {
                        apart.push(letter);
                    }
                }
                replaced(&apart, &WESTERN)
            }
            Self::Characters => {
                return text.chars().filter(|letter| !is_space(*letter)).map(String::from).collect();
            }
            Self::Spaces => text.to_owned(),
        };
        split(&cut).map(str::to_owned).collect()
    }
}

fn replaced(text: &str, rules: &[Rule]) -> String {
    let apply = |text: String, (from, to): &Rule| match from.replace_all(&text, *to) {
        Cow::Borrowed(_) => text,
        Cow::Owned(new) => new,
    };
    rules.iter().fold(text.to_owned(), apply)
}

/// Python's white space, which has four control characters that Unicode's has not.
pub(super) fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

/// What stands between white space, as Python's `split` finds it.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_tokenizer() {
        for name in BleuWords::NAMES {
            assert_eq!(BleuWords::named(name).map(BleuWords::name), Some(name));
        }
        assert_eq!(BleuWords::named("ja-mecab"), None);
    }

    #[test]
    fn numbers_keep_their_points() {
        assert_eq!(BleuWords::V13a.words("It cost $3,000.50, -5."), ["It", "cost", "$", "3,000.50", ",", "-5", "."]);
    }
}

//! How texts that were said are made comparable, as Whisper's authors do (Radford et al. 2022, appendix C).

use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

/// What is done to both texts before they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalisation {
    /// Nothing but white space.
    None,
    /// Case, punctuation and symbols are taken away, and what stands in brackets: transformers' `BasicTextNormalizer`.
    Basic,
}

static BRACKETS: LazyLock<[Regex; 2]> =
    LazyLock::new(|| [r"[<\[][^>\]]*[>\]]", r"\(([^)]+?)\)"].map(|it| Regex::new(it).expect("an expression")));
/// Marks, symbols and punctuation.
static SYMBOLS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[\p{M}\p{S}\p{P}]").expect("an expression"));

impl Normalisation {
    /// Names, as settings have them.
    pub const NAMES: [&'static str; 2] = ["none", "basic"];

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "basic" => Some(Self::Basic),
            _ => None,
        }
    }

    /// In words, behind `texts are compared`.
    pub fn words(self) -> &'static str {
        match self {
            Self::None => "as they are written",
            Self::Basic => "without case and punctuation (basic normalisation)",
        }
    }

    /// A text, with one space between its words.
    pub fn of(self, text: &str) -> String {
        let one_space = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        if self == Self::None {
            return one_space(text);
        }
        let mut text = text.to_lowercase();
        for brackets in BRACKETS.iter() {
            text = brackets.replace_all(&text, "").into_owned();
        }
        let composed: String = text.nfkc().collect();
        one_space(&SYMBOLS.replace_all(&composed, " ").to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `fixtures/metrics/spoken.json` is what transformers' `BasicTextNormalizer` makes of texts.
    #[test]
    fn texts_are_normalised_as_transformers_does() {
        let text = include_str!("../../../../fixtures/metrics/spoken.json");
        let cases: serde_json::Value = serde_json::from_str(text).unwrap();
        for case in cases["basic"].as_array().unwrap() {
            let [text, expected] = [0, 1].map(|i| case[i].as_str().unwrap());
            assert_eq!(Normalisation::Basic.of(text), expected, "{text}");
        }
        assert_eq!(Normalisation::None.of("  A \n b. "), "A b.");
        assert!(Normalisation::NAMES.iter().all(|name| Normalisation::named(name).is_some()));
    }
}

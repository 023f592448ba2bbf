//! How texts that were said are made comparable, as Whisper's authors do (Radford et al. 2022, appendix C).

mod english;
mod number_words;
mod numbers;

use std::sync::{Arc, LazyLock};

use english::english;
use regex::Regex;
use unicode_normalization::UnicodeNormalization;

pub use english::Spellings;

/// What is done to both texts before they are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Normalisation {
    /// Nothing but white space.
    None,
    /// Case, punctuation and symbols are taken away, and what stands in brackets: transformers' `BasicTextNormalizer`.
    Basic,
    /// Contractions, titles and numbers of English are written alike too, and British spellings where a table of them is given:
    /// transformers' `EnglishTextNormalizer`.
    English(Option<Arc<Spellings>>),
}

static BRACKETS: LazyLock<[Regex; 2]> =
    LazyLock::new(|| [r"[<\[][^>\]]*[>\]]", r"\(([^)]+?)\)"].map(|it| Regex::new(it).expect("an expression")));
/// Marks, symbols and punctuation.
static SYMBOLS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[\p{M}\p{S}\p{P}]").expect("an expression"));

impl Normalisation {
    /// Names, as settings have them.
    pub const NAMES: [&'static str; 3] = ["none", "basic", "english"];

    /// By its name; English with this table of spellings, where there is one.
    pub fn named(name: &str, spellings: Option<Spellings>) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "basic" => Some(Self::Basic),
            "english" => Some(Self::English(spellings.map(Arc::new))),
            _ => None,
        }
    }

    /// In words, behind `texts are compared`.
    pub fn words(&self) -> &'static str {
        match self {
            Self::None => "as they are written",
            Self::Basic => "without case and punctuation (basic normalisation)",
            Self::English(Some(_)) => "with contractions, numbers and spellings written alike (English normalisation)",
            Self::English(None) => {
                "with contractions and numbers written alike (English normalisation, but British spellings stay: the model's \
                 folder has no normalizer.json)"
            }
        }
    }

    /// A text, with one space between its words.
    pub fn of(&self, text: &str) -> String {
        let one_space = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        if *self == Self::None {
            return one_space(text);
        }
        let mut text = text.to_lowercase();
        for brackets in BRACKETS.iter() {
            text = brackets.replace_all(&text, "").into_owned();
        }
        if let Self::English(spellings) = self {
            return one_space(&english(&text, spellings.as_deref()));
        }
        let composed: String = text.nfkc().collect();
        one_space(&SYMBOLS.replace_all(&composed, " ").to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `fixtures/metrics/spoken.json` is what transformers' normalizers make of texts.
    #[test]
    fn texts_are_normalised_as_transformers_does() {
        let text = include_str!("../../../../fixtures/metrics/spoken.json");
        let all: serde_json::Value = serde_json::from_str(text).unwrap();
        let spellings: Spellings = serde_json::from_value(all["spellings"].clone()).unwrap();
        for (name, key, spellings) in [
            ("basic", "basic", None),
            ("english", "english", Some(spellings)),
            ("english", "english_without_spellings", None),
        ] {
            let normalisation = Normalisation::named(name, spellings).unwrap();
            let cases = all[key].as_array().unwrap();
            assert!(cases.len() >= 10, "{key}");
            for case in cases {
                let [text, expected] = [0, 1].map(|i| case[i].as_str().unwrap());
                assert_eq!(normalisation.of(text), expected, "{key}: {text}");
            }
        }
        assert_eq!(Normalisation::None.of("  A \n b. "), "A b.");
        assert!(Normalisation::NAMES.iter().all(|name| Normalisation::named(name, None).is_some()));
    }
}

//! English texts in one spelling: transformers' `EnglishTextNormalizer` (Radford et al. 2022, appendix C).
//!
//! Contractions are written out, titles are spelled, numbers are figures, British spellings are American where a table of them is
//! given.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use unicode_normalization::UnicodeNormalization;

use super::numbers::{replaced, with_figures};

/// American spellings by British ones.
pub type Spellings = HashMap<String, String>;

/// Patterns with what stands in their place, in this order.
const REPLACED: [(&str, &str); 51] = [
    (r"\b(hmm|mm|mhm|mmm|uh|um)\b", ""),
    (r"\s+'", "'"),
    (r"\bwon't\b", "will not"),
    (r"\bcan't\b", "can not"),
    (r"\blet's\b", "let us"),
    (r"\bain't\b", "aint"),
    (r"\by'all\b", "you all"),
    (r"\bwanna\b", "want to"),
    (r"\bgotta\b", "got to"),
    (r"\bgonna\b", "going to"),
    (r"\bi'ma\b", "i am going to"),
    (r"\bimma\b", "i am going to"),
    (r"\bwoulda\b", "would have"),
    (r"\bcoulda\b", "could have"),
    (r"\bshoulda\b", "should have"),
    (r"\bma'am\b", "madam"),
    (r"\bmr\b", "mister "),
    (r"\bmrs\b", "missus "),
    (r"\bst\b", "saint "),
    (r"\bdr\b", "doctor "),
    (r"\bprof\b", "professor "),
    (r"\bcapt\b", "captain "),
    (r"\bgov\b", "governor "),
    (r"\bald\b", "alderman "),
    (r"\bgen\b", "general "),
    (r"\bsen\b", "senator "),
    (r"\brep\b", "representative "),
    (r"\bpres\b", "president "),
    (r"\brev\b", "reverend "),
    (r"\bhon\b", "honorable "),
    (r"\basst\b", "assistant "),
    (r"\bassoc\b", "associate "),
    (r"\blt\b", "lieutenant "),
    (r"\bcol\b", "colonel "),
    (r"\bjr\b", "junior "),
    (r"\bsr\b", "senior "),
    (r"\besq\b", "esquire "),
    (r"'d been\b", " had been"),
    (r"'s been\b", " has been"),
    (r"'d gone\b", " had gone"),
    (r"'s gone\b", " has gone"),
    (r"'d done\b", " had done"),
    (r"'s got\b", " has got"),
    (r"n't\b", " not"),
    (r"'re\b", " are"),
    (r"'s\b", " is"),
    (r"'d\b", " would"),
    (r"'ll\b", " will"),
    (r"'t\b", " not"),
    (r"'ve\b", " have"),
    (r"'m\b", " am"),
];

fn expression(pattern: &str) -> Regex {
    Regex::new(pattern).expect("an expression")
}

static PATTERNS: LazyLock<Vec<(Regex, &str)>> =
    LazyLock::new(|| REPLACED.iter().map(|(pattern, with)| (expression(pattern), *with)).collect());
/// Commas between figures, and points that no figure follows.
static MARKS: LazyLock<[(Regex, &str); 2]> =
    LazyLock::new(|| [(expression(r"(\d),(\d)"), "$1$2"), (expression(r"\.([^0-9]|$)"), " $1")]);
static SYMBOLS: LazyLock<Regex> = LazyLock::new(|| expression(r"[\p{M}\p{S}\p{P}œŒøØæÆßẞđĐðÐþÞłŁ]"));
static MARK: LazyLock<Regex> = LazyLock::new(|| expression(r"\p{Mn}"));
/// Symbols of numbers that no number has.
static LONELY: LazyLock<[(Regex, &str); 2]> =
    LazyLock::new(|| [(expression(r"[.$¢€£]([^0-9])"), " $1"), (expression(r"([^0-9])%"), "$1 ")]);

/// A text whose brackets are gone already, in lower case.
pub(super) fn english(text: &str, spellings: Option<&Spellings>) -> String {
    let text = PATTERNS.iter().fold(text.to_owned(), |text, (pattern, with)| replaced(pattern, &text, with));
    let text = expanded(&*MARKS, text);
    let decomposed: String = text.nfkd().collect();
    let text = with_figures(&SYMBOLS.replace_all(&decomposed, |found: &Captures<'_>| plain(&found[0])));
    let spelled = text.split_whitespace().map(|word| spellings.and_then(|all| all.get(word)).map_or(word, |it| it));
    expanded(&*LONELY, spelled.collect::<Vec<_>>().join(" "))
}

fn expanded(patterns: &[(Regex, &str)], text: String) -> String {
    patterns.iter().fold(text, |text, (pattern, with)| pattern.replace_all(&text, *with).into_owned())
}

/// What stands for a letter that decomposition leaves, a mark or a symbol.
fn plain(found: &str) -> String {
    match found {
        "." | "%" | "$" | "¢" | "€" | "£" => found,
        "œ" => "oe",
        "Œ" => "OE",
        "ø" => "o",
        "Ø" => "O",
        "æ" => "ae",
        "Æ" => "AE",
        "ß" => "ss",
        "ẞ" => "SS",
        "đ" | "ð" => "d",
        "Đ" | "Ð" => "D",
        "þ" | "Þ" => "th",
        "ł" => "l",
        "Ł" => "L",
        mark if MARK.is_match(mark) => "",
        _ => " ",
    }
    .to_owned()
}

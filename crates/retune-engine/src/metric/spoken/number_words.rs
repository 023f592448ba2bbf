//! English words that numbers are said with, as transformers' `EnglishNumberNormalizer` knows them.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What a word is among numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Zero,
    /// One to nineteen.
    One(i128),
    /// The same as an ordinal or plural, with its ending.
    OneWith(i128, &'static str),
    Ten(i128),
    TenWith(i128, &'static str),
    Multiplier(i128),
    MultiplierWith(i128, &'static str),
    /// A sign, which stands before its number.
    Sign(&'static str),
    /// A currency, which is said behind its number and written before it.
    Currency(&'static str),
    Per,
    Percent,
    And,
    /// Says how often the next figure comes.
    Times(usize),
    Point,
}

const ONES: [&str; 19] = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const POWERS: [&str; 11] = [
    "thousand",
    "million",
    "billion",
    "trillion",
    "quadrillion",
    "quintillion",
    "sextillion",
    "septillion",
    "octillion",
    "nonillion",
    "decillion",
];
/// Ordinals that do not end in `th` behind their number.
const ORDINALS: [(&str, i128, &str); 6] = [
    ("zeroth", 0, "th"),
    ("first", 1, "st"),
    ("second", 2, "nd"),
    ("third", 3, "rd"),
    ("fifth", 5, "th"),
    ("twelfth", 12, "th"),
];
const OTHERS: [(&str, Word); 23] = [
    ("o", Word::Zero),
    ("oh", Word::Zero),
    ("zero", Word::Zero),
    ("minus", Word::Sign("-")),
    ("negative", Word::Sign("-")),
    ("plus", Word::Sign("+")),
    ("positive", Word::Sign("+")),
    ("pound", Word::Currency("£")),
    ("pounds", Word::Currency("£")),
    ("euro", Word::Currency("€")),
    ("euros", Word::Currency("€")),
    ("dollar", Word::Currency("$")),
    ("dollars", Word::Currency("$")),
    ("cent", Word::Currency("¢")),
    ("cents", Word::Currency("¢")),
    ("per", Word::Per),
    ("percent", Word::Percent),
    ("and", Word::And),
    ("double", Word::Times(2)),
    ("triple", Word::Times(3)),
    ("point", Word::Point),
    ("hundred", Word::Multiplier(100)),
    ("hundreds", Word::MultiplierWith(100, "s")),
];

/// All words that numbers are said with.
pub(super) static WORDS: LazyLock<HashMap<String, Word>> = LazyLock::new(|| {
    let mut words: HashMap<String, Word> = OTHERS.iter().map(|(name, word)| ((*name).to_owned(), *word)).collect();
    words.insert("hundredth".to_owned(), Word::MultiplierWith(100, "th"));
    for (name, value) in ONES.iter().zip(1i128..) {
        words.insert((*name).to_owned(), Word::One(value));
        let plural = if *name == "six" { "sixes".to_owned() } else { format!("{name}s") };
        words.insert(plural, Word::OneWith(value, "s"));
        if value > 3 && value != 5 && value != 12 {
            let ending = if name.ends_with('t') { "h" } else { "th" };
            words.insert(format!("{name}{ending}"), Word::OneWith(value, "th"));
        }
    }
    words.extend(ORDINALS.iter().map(|&(name, value, ending)| (name.to_owned(), Word::OneWith(value, ending))));
    for (name, value) in TENS.iter().zip((20i128..).step_by(10)) {
        words.insert((*name).to_owned(), Word::Ten(value));
        words.insert(name.replace('y', "ies"), Word::TenWith(value, "s"));
        words.insert(name.replace('y', "ieth"), Word::TenWith(value, "th"));
    }
    for (name, power) in POWERS.iter().zip(1u32..) {
        let value = 1000i128.pow(power);
        words.insert((*name).to_owned(), Word::Multiplier(value));
        words.insert(format!("{name}s"), Word::MultiplierWith(value, "s"));
        words.insert(format!("{name}th"), Word::MultiplierWith(value, "th"));
    }
    words
});

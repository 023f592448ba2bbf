//! Settings, declared once beside what they set: a key of a recipe, its flag, type, default, range and help text.
//!
//! `settings!` makes a struct and its [`Section`] of one declaration. Keys are flat for the user: which section one
//! belongs to only decides who reads it, and whether a task or a method has it.

pub use super::kind::{Held, Kind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::str::FromStr;
use toml::{Table, Value};

/// The help heading of what is learnt from what.
pub const DATA: &str = "Data and model";
/// The help heading of how a run goes, and what it leaves behind.
pub const RUN: &str = "The run";
/// The help heading of the method and its settings.
pub const METHOD: &str = "Method";
/// The help heading of optimization.
pub const TRAINING: &str = "Training";
/// The help heading of where things are computed.
pub const HARDWARE: &str = "Hardware";

/// The settings of one owner: of every run, of a task or what it reads, or of a method.
#[derive(Debug)]
pub struct Section {
    /// The name of its struct, by which sections are told apart.
    pub name: &'static str,
    /// Why a key of it is refused where nothing would read it; `{task}` and `{method}` stand for those of the recipe.
    pub absent: &'static str,
    /// Its settings, in the order in which they are shown.
    pub settings: &'static [Setting],
    /// Makes the values that hold where nothing else is said; a setting that may be absent is.
    pub defaults: fn() -> Table,
}

/// A struct that `settings!` declares.
pub trait Settings: Default + Serialize + DeserializeOwned {
    /// What is known of its fields.
    const SECTION: &'static Section;
}

/// One key of a recipe, and the flag of the same name.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The key, as in `batch-size`.
    pub key: &'static str,
    /// What it stands for; it may begin and end with spaces.
    pub help: &'static str,
    /// What the help calls its value.
    pub value_name: &'static str,
    /// The help heading that it stands under.
    pub heading: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Words of the help for what holds when nothing is given, where that is no plain value.
    pub usual: Option<&'static str>,
    /// Whether `predict` and `evaluate` may set it anew.
    pub at_use: bool,
    /// Whether a saved model's own files carry it, so that the recipe beside it says nothing about it.
    pub in_model: bool,
    /// Whether a resumed run may change it: the weights of the run do not depend on it.
    pub neutral: bool,
    /// What it is while a few examples are learnt by heart, where that matters.
    pub overfit: Option<Overfit>,
    check: Check,
}

/// What a setting is under `--overfit`, so that nothing but the examples is learnt.
#[derive(Debug, Clone, Copy)]
pub struct Overfit {
    /// Its value.
    pub value: Plain,
    /// Where it gives way to what was given: of the setting itself, or of one of these keys. `None`: nowhere.
    pub unless: Option<&'static [&'static str]>,
}

/// A value that a declaration can name.
#[derive(Debug, Clone, Copy)]
pub enum Plain {
    /// A text.
    Word(&'static str),
    /// A count.
    Count(i64),
    /// A number of any kind.
    Number(f64),
    /// None.
    Absent,
}

impl Plain {
    /// As TOML has it.
    pub fn value(self) -> Option<Value> {
        match self {
            Self::Word(word) => Some(word.into()),
            Self::Count(count) => Some(count.into()),
            Self::Number(number) => Some(number.into()),
            Self::Absent => None,
        }
    }
}

/// What is demanded of a value beyond its kind.
#[derive(Debug, Clone, Copy)]
enum Check {
    Nothing,
    OneOf(&'static [&'static str]),
    Range(Range),
    Reads(fn(&str) -> Result<(), String>),
}

/// Which numbers are meant, and what is said of others.
#[derive(Debug, Clone, Copy)]
pub struct Range(fn(f64) -> bool, &'static str);

/// Counts of something that there must be.
pub const AT_LEAST_ONE: Range = Range(|x| x >= 1.0, "is not at least 1");
/// Where counting begins.
pub const ZERO_OR_ONE: Range = Range(|x| x == 0.0 || x == 1.0, "is neither 0 nor 1");
/// Sizes of steps.
pub const ABOVE_ZERO: Range = Range(|x| x > 0.0 && x.is_finite(), "is not above 0");
/// Amounts, also none.
pub const NOT_NEGATIVE: Range = Range(|x| x >= 0.0 && x.is_finite(), "is negative or not a number");
/// What a byte holds.
pub const BYTE: Range = Range(|x| (0.0..=255.0).contains(&x), "is not in 0..=255");
/// Shares and probabilities, but not everything.
pub const SHARE: Range = Range(|x| (0.0..1.0).contains(&x), "is not in [0, 1)");
/// Shares from nothing to everything.
pub const PORTION: Range = Range(|x| (0.0..=1.0).contains(&x), "is not in [0, 1]");
/// Shares that leave something on both sides.
pub const PART: Range = Range(|x| x > 0.0 && x < 1.0, "is not between 0 and 1");
/// Factors that do not enlarge.
pub const FACTOR: Range = Range(|x| x > 0.0 && x <= 1.0, "is not in (0, 1]");

/// Whether a text can be read as `T`: for [`Setting::reads`].
pub fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<(), String> {
    text.parse::<T>().map(drop).map_err(|error| error.to_string())
}

impl Setting {
    /// A setting of any value of its kind.
    pub const fn new(key: &'static str, value_name: &'static str, help: &'static str, kind: Kind) -> Self {
        let (usual, check) = (None, Check::Nothing);
        let (at_use, in_model, neutral, overfit) = (false, false, false, None);
        Self { key, help, value_name, heading: "", kind, usual, at_use, in_model, neutral, overfit, check }
    }

    /// With another name of its value than its own, such as `N`.
    pub const fn value(self, value_name: &'static str) -> Self {
        Self { value_name, ..self }
    }

    /// Under a heading of the help.
    pub const fn under(self, heading: &'static str) -> Self {
        Self { heading, ..self }
    }

    /// With words for what holds when nothing is given.
    pub const fn usual(self, words: &'static str) -> Self {
        Self { usual: Some(words), ..self }
    }

    /// A text in whose place a whole number may stand.
    pub const fn word(self) -> Self {
        Self { kind: Kind::Word, ..self }
    }

    /// A text of one or several names, in whose place a list may stand.
    pub const fn names(self) -> Self {
        Self { kind: Kind::Names, ..self }
    }

    /// For `predict` and `evaluate`, too.
    pub const fn at_use(self) -> Self {
        Self { at_use: true, ..self }
    }

    /// Carried by the saved model's own files.
    pub const fn in_model(self) -> Self {
        Self { in_model: true, ..self }
    }

    /// Free to change when a run is resumed.
    pub const fn neutral(self) -> Self {
        Self { neutral: true, ..self }
    }

    /// With this value under `--overfit`, whatever was given.
    pub const fn overfit(self, value: Plain) -> Self {
        Self { overfit: Some(Overfit { value, unless: None }), ..self }
    }

    /// With this value under `--overfit`, unless it was given itself, or one of these keys.
    pub const fn overfit_unless(self, value: Plain, given: &'static [&'static str]) -> Self {
        Self { overfit: Some(Overfit { value, unless: Some(given) }), ..self }
    }

    /// One of these words.
    pub const fn one_of(self, words: &'static [&'static str]) -> Self {
        Self { check: Check::OneOf(words), ..self }
    }

    /// A number within a range.
    pub const fn range(self, range: Range) -> Self {
        Self { check: Check::Range(range), ..self }
    }

    /// A text that a function understands; it says what is wrong with others.
    pub const fn reads(self, read: fn(&str) -> Result<(), String>) -> Self {
        Self { check: Check::Reads(read), ..self }
    }

    /// Whether a value of the right kind is one that can be used.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let number = || value.as_float().or(value.as_integer().map(|whole| whole as f64)).unwrap_or(f64::NAN);
        let word = value.as_str().unwrap_or_default();
        match self.check {
            Check::OneOf(words) if !words.contains(&word) => {
                Err(format!("`{word}` is not one of {}", words.join(", ")))
            }
            Check::Range(Range(holds, otherwise)) if !holds(number()) => Err(format!("{value} {otherwise}")),
            Check::Reads(read) => read(word),
            _ => Ok(()),
        }
    }

    /// Its help, with what holds when nothing is given.
    pub fn described(&self, default: Option<&Value>) -> String {
        let default = self.usual.map(str::to_owned).or_else(|| match default? {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Value::Float(number) => Some(number.to_string()),
            Value::Integer(number) => Some(number.to_string()),
            _ => None,
        });
        let help = self.help.trim();
        default.map_or_else(|| help.to_owned(), |default| format!("{help} [default: {default}]"))
    }
}

impl Section {
    /// All values of it: those given, else the defaults.
    pub fn filled(&self, given: &Table) -> Table {
        let mut all = (self.defaults)();
        for setting in self.settings {
            all.extend(given.get(setting.key).map(|value| (setting.key.to_owned(), value.clone())));
        }
        all
    }

    /// What is wrong with the values given, one line each.
    pub fn problems(&self, given: &Table) -> Vec<String> {
        let values = self.settings.iter().filter_map(|setting| Some((setting, given.get(setting.key)?)));
        values.filter_map(|(it, value)| it.check(value).err().map(|why| format!("{}: {why}", it.key))).collect()
    }
}

/// A field's name as a key or as the name of a value.
pub const fn spelled<const N: usize>(name: &str, gap: u8, upper: bool) -> [u8; N] {
    let (mut all, name) = ([0; N], name.as_bytes());
    let mut place = 0;
    while place < N {
        all[place] = match name[place] {
            b'_' => gap,
            letter if upper => letter.to_ascii_uppercase(),
            letter => letter,
        };
        place += 1;
    }
    all
}

/// The text of [`spelled`].
pub const fn text(letters: &[u8]) -> &str {
    match std::str::from_utf8(letters) {
        Ok(text) => text,
        Err(_) => panic!("names of fields are UTF-8"),
    }
}

/// Declares a struct of settings and its [`Section`]. A field is `/// help`, `name: Type = default, option(…), …;` with the
/// options of [`Setting`]; without a default it is absent, empty or `false`.
macro_rules! settings {
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (
        $(#[doc = $about:literal])+
        $vis:vis struct $name:ident, under $heading:ident $(, else $absent:literal)? {
            $(
                $(#[doc = $help:literal])+
                $field:ident: $type:ty $(= $default:expr)? $(, $option:ident($($argument:expr),*))*;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(rename_all = "kebab-case", default)]
        $vis struct $name { $($(#[doc = $help])+ $vis $field: $type,)+ }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::recipe::settings::settings!(@default $($default)?),)+ }
            }
        }

        impl $crate::recipe::settings::Settings for $name {
            const SECTION: &'static $crate::recipe::settings::Section = &$crate::recipe::settings::Section {
                name: stringify!($name),
                absent: concat!("" $(, $absent)?),
                defaults: || ::toml::Table::try_from($name::default()).expect("defaults are values of TOML"),
                settings: &[$({
                    use $crate::recipe::settings::{self, Held, Setting};
                    const FIELD: &str = stringify!($field);
                    const KEY: [u8; FIELD.len()] = settings::spelled(FIELD, b'-', false);
                    const VALUE: [u8; FIELD.len()] = settings::spelled(FIELD, b'_', true);
                    let help = concat!($($help),+);
                    Setting::new(settings::text(&KEY), settings::text(&VALUE), help, <$type as Held>::KIND)
                        .under($heading)
                        $(.$option($($argument),*))*
                }),+],
            };
        }
    };
}
pub(crate) use settings;

#[cfg(test)]
mod tests {
    use super::*;

    settings! {
        /// Of a test.
        struct Example, under RUN, else "{task} has none" {
            /// How many,
            /// at most
            upper_limit: usize = 3, value("N"), range(AT_LEAST_ONE), neutral();
            /// What for
            purpose: Option<String>, one_of(&["work", "play"]), usual("both"), at_use();
            /// Whether
            quick: bool, under(TRAINING);
            /// When
            when: f64 = 0.5, range(SHARE);
            /// Between
            gap: Option<char>;
        }
    }

    fn setting(key: &str) -> &'static Setting {
        Example::SECTION.settings.iter().find(|it| it.key == key).unwrap()
    }

    #[test]
    fn one_declaration_says_everything() {
        let limit = setting("upper-limit");
        assert_eq!((limit.value_name, limit.heading, limit.kind), ("N", RUN, Kind::Whole));
        assert!(limit.neutral && !limit.at_use);
        let defaults = (Example::SECTION.defaults)();
        assert_eq!(limit.described(defaults.get("upper-limit")), "How many, at most [default: 3]");
        let purpose = setting("purpose");
        assert_eq!((purpose.value_name, purpose.kind, purpose.at_use), ("PURPOSE", Kind::Text, true));
        assert_eq!(purpose.described(defaults.get("purpose")), "What for [default: both]");
        assert_eq!(setting("when").described(defaults.get("when")), "When [default: 0.5]");
        assert_eq!(
            (setting("quick").heading, setting("quick").described(defaults.get("quick"))),
            (TRAINING, "Whether".into())
        );
        let keys: Vec<&str> = defaults.keys().map(String::as_str).collect();
        assert_eq!(keys, ["quick", "upper-limit", "when"], "what is absent is not in a recipe");
    }

    #[test]
    fn values_are_checked_for_kind_and_range() {
        let normal = |key: &str, value: Value| setting(key).kind.normal(value);
        assert_eq!(normal("when", Value::Integer(1)), Ok(Value::Float(1.0)));
        let text = normal("upper-limit", "many".into()).unwrap_err();
        assert_eq!(text, "invalid type: string \"many\", expected a whole number");
        assert!(normal("upper-limit", Value::Integer(-1)).is_err() && normal("gap", "ab".into()).is_err());
        assert!(normal("quick", Value::Integer(1)).is_err() && normal("purpose", Value::Integer(1)).is_err());
        let given = "upper-limit = 0\npurpose = 'war'\nwhen = nan".parse().unwrap();
        let problems = Example::SECTION.problems(&given);
        let expected = [
            "upper-limit: 0 is not at least 1",
            "purpose: `war` is not one of work, play",
            "when: nan is not in [0, 1)",
        ];
        assert_eq!(problems, expected);
        assert!(Example::SECTION.problems(&(Example::SECTION.defaults)()).is_empty());
    }

    #[test]
    fn words_of_the_command_line_become_values() {
        assert_eq!(setting("upper-limit").kind.parse("7"), Ok(Value::Integer(7)));
        assert_eq!(setting("when").kind.parse("-1"), Ok(Value::Float(-1.0)));
        assert_eq!(setting("quick").kind.parse("true"), Ok(Value::Boolean(true)));
        assert_eq!(setting("gap").kind.parse("|"), Ok("|".into()));
        for (key, text) in [("upper-limit", "-1"), ("upper-limit", "1.5"), ("when", "x"), ("quick", "yes"), ("gap", "")]
        {
            assert!(setting(key).kind.parse(text).is_err(), "{key} {text}");
        }
    }
}

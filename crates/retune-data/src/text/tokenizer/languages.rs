//! Languages that a tokenizer has a token for: mBART's, M2M100's, NLLB's, and what a Marian model can be asked for.

use serde_json::{Map, Value, json};
use tokenizers::tokenizer::PostProcessorWrapper;

use super::{Tokenizer, failed};
use crate::DataError;

/// Where a tokenizer puts the token of a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LanguagePlace {
    /// Before a text: mBART-50, M2M100, NLLB. The model is made to begin with the token of the language that it writes.
    Before,
    /// Behind a text and its end: mBART, old NLLB. What the model writes begins with it.
    After,
    /// Before what is read, and it says what is to be written: Marian models with several languages.
    Asked,
}

/// How the tokens of languages are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// `en_XX`.
    Region,
    /// `eng_Latn`.
    Script,
    /// `__en__`.
    Lines,
    /// `>>eng<<`.
    Arrows,
}

/// What a tokenizer does with languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LanguageKind {
    place: LanguagePlace,
    spelling: Spelling,
}

impl LanguageKind {
    /// Of a tokenizer's class and its model's type; nothing where languages have no tokens.
    pub(super) fn of(class: Option<&str>, model: Option<&str>, legacy: bool) -> Vec<Self> {
        let name = class.map(|class| class.strip_suffix("Fast").unwrap_or(class));
        let kind = |place, spelling| Self { place, spelling };
        let nllb = kind(if legacy { LanguagePlace::After } else { LanguagePlace::Before }, Spelling::Script);
        let m2m = kind(LanguagePlace::Before, Spelling::Lines);
        match (name, model) {
            (Some("MBartTokenizer"), _) => vec![kind(LanguagePlace::After, Spelling::Region)],
            (Some("MBart50Tokenizer"), _) => vec![kind(LanguagePlace::Before, Spelling::Region)],
            (Some("M2M100Tokenizer"), _) => vec![m2m],
            (Some("NllbTokenizer"), _) => vec![nllb],
            (_, Some("mbart")) => vec![kind(LanguagePlace::After, Spelling::Region)],
            (_, Some("m2m_100")) => vec![nllb, m2m],
            (Some("MarianTokenizer"), _) | (_, Some("marian")) => vec![kind(LanguagePlace::Asked, Spelling::Arrows)],
            _ => Vec::new(),
        }
    }
}

impl Spelling {
    /// The language that a token stands for.
    fn code(self, token: &str) -> Option<&str> {
        let parts = |text: &str| text.split_once('_').map(|(first, second)| (first.to_owned(), second.to_owned()));
        let lower = |text: &str| text.bytes().all(|it| it.is_ascii_lowercase());
        match self {
            Self::Region => {
                let (first, second) = parts(token)?;
                let upper = second.len() == 2 && second.bytes().all(|it| it.is_ascii_uppercase());
                ((2..=3).contains(&first.len()) && lower(&first) && upper).then_some(token)
            }
            Self::Script => {
                let (first, second) = parts(token)?;
                let script = second.len() == 4 && second.is_ascii() && lower(&second[1..]);
                let upper = second.bytes().next().is_some_and(|it| it.is_ascii_uppercase());
                (first.len() == 3 && lower(&first) && script && upper).then_some(token)
            }
            Self::Lines => {
                let code = token.strip_prefix("__")?.strip_suffix("__")?;
                ((2..=3).contains(&code.len()) && lower(code)).then_some(code)
            }
            Self::Arrows => token.strip_prefix(">>")?.strip_suffix("<<").filter(|code| !code.is_empty()),
        }
    }

    fn token(self, code: &str) -> String {
        match self {
            Self::Region | Self::Script => code.to_owned(),
            Self::Lines => format!("__{code}__"),
            Self::Arrows => format!(">>{code}<<"),
        }
    }
}

/// The languages of a tokenizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Languages {
    /// Where their tokens stand.
    pub place: LanguagePlace,
    /// The codes that it knows, in alphabetic order.
    pub codes: Vec<String>,
    spelling: Spelling,
}

impl Languages {
    /// The token of a language, by its code.
    ///
    /// # Errors
    /// A code that is none of them; they are listed.
    pub fn token(&self, code: &str) -> Result<String, String> {
        if self.codes.iter().any(|known| known == code) {
            return Ok(self.spelling.token(code));
        }
        Err(format!("the tokenizer has no language `{code}`; it knows {}", self.codes.join(", ")))
    }
}

impl Tokenizer {
    /// The languages that it has tokens for; `None` where there are none.
    pub fn languages(&self) -> Option<Languages> {
        let vocabulary = self.backend.get_vocab(true);
        self.language_kinds.iter().find_map(|kind| {
            let mut codes: Vec<String> =
                vocabulary.keys().filter_map(|token| kind.spelling.code(token)).map(str::to_owned).collect();
            codes.sort();
            (!codes.is_empty()).then_some(Languages { place: kind.place, codes, spelling: kind.spelling })
        })
    }

    /// The language of texts that its configuration names: `src_lang`, or for what is written `tgt_lang`.
    pub fn usual_language(&self, written: bool) -> Option<&str> {
        self.usual_languages[usize::from(written)].as_deref()
    }

    /// The same tokenizer for texts of a language.
    ///
    /// # Errors
    /// A language that it does not know.
    pub fn for_language(&self, code: &str) -> Result<Self, DataError> {
        let languages = self.languages().ok_or_else(|| failed(&self.folder, "it has no tokens of languages"))?;
        let token = languages.token(code).map_err(|message| failed(&self.folder, message))?;
        let end = self.end_id.and_then(|id| self.token(id)).unwrap_or_else(|| "</s>".to_owned());
        match languages.place {
            LanguagePlace::Before => self.framed(&[token], &[end]),
            LanguagePlace::After => self.framed(&[], &[end, token]),
            LanguagePlace::Asked => Ok(self.clone()),
        }
    }

    /// The same tokenizer with other special tokens around texts.
    fn framed(&self, before: &[String], after: &[String]) -> Result<Self, DataError> {
        let mut tokens = Map::new();
        for token in before.iter().chain(after) {
            let id = self.token_id(token).ok_or_else(|| failed(&self.folder, format!("it has no token `{token}`")))?;
            tokens.insert(token.clone(), json!({"id": token, "ids": [id], "tokens": [token]}));
        }
        let special = |token: &String| json!({"SpecialToken": {"id": token, "type_id": 0}});
        let around = |texts: &[&str]| -> Vec<Value> {
            let texts = texts.iter().map(|name| json!({"Sequence": {"id": name, "type_id": 0}}));
            before.iter().map(special).chain(texts).chain(after.iter().map(special)).collect()
        };
        let document = json!({
            "type": "TemplateProcessing", "single": around(&["A"]), "pair": around(&["A", "B"]), "special_tokens": tokens,
        });
        let processor = serde_json::from_value::<PostProcessorWrapper>(document);
        let processor = processor.map_err(|error| failed(&self.folder, error.to_string()))?;
        let mut backend = (*self.backend).clone();
        backend.with_post_processor(Some(processor));
        // What is kept of other texts has other tokens around them.
        Ok(Self { backend: backend.into(), cache: None, ..self.clone() })
    }
}

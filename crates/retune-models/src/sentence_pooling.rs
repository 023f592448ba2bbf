//! How the tokens of a text become one vector (Reimers and Gurevych 2019), as sentence-transformers' `Pooling` does it.

use std::str::FromStr;

/// How the tokens of a text become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SentencePooling {
    /// The mean of the tokens that are no padding.
    #[default]
    Mean,
    /// The first token.
    Cls,
    /// The largest value of each dimension over the tokens that are no padding.
    Max,
}

impl SentencePooling {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::Max => "max",
        }
    }
}

impl FromStr for SentencePooling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Mean, Self::Cls, Self::Max];
        all.into_iter().find(|it| it.name() == text).ok_or_else(|| format!("`{text}` is not one of mean, cls, max"))
    }
}

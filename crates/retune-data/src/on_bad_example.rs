//! What to do with examples that cannot be used.

use std::str::FromStr;

use crate::DataError;

/// Whether examples that cannot be used end the run or are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadExample {
    /// All are listed and nothing is computed.
    #[default]
    Fail,
    /// They are left out and reported.
    Skip,
}

impl FromStr for OnBadExample {
    type Err = DataError;

    /// `fail` or `skip`.
    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "fail" => Ok(Self::Fail),
            "skip" => Ok(Self::Skip),
            _ => Err(DataError::Columns { message: format!("unknown --on-bad-example `{text}`; use fail or skip") }),
        }
    }
}

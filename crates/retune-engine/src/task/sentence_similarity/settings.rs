//! What a recipe says of texts that are compared.

use crate::recipe::settings::{DATA, settings};
use anyhow::{Context, Result, ensure};

settings! {
    /// Texts that are compared, and how a text becomes a vector.
    pub(super) struct SimilaritySettings, under DATA, else "{task} compares no texts" {
        /// Column with the first text
        first_column: Option<String>, value("COLUMN"), usual("sentence1, or anchor"), at_use();
        /// Column with the second text
        second_column: Option<String>, value("COLUMN"), usual("sentence2, or positive"), at_use();
        /// Column with a text that does not belong to the first, where neither scores nor labels are given
        negative_column: Option<String>, value("COLUMN"), usual("negative, where there is one"), at_use();
        /// Column with numbers that say how alike the texts are
        score_column: Option<String>, value("COLUMN"), usual("score, where there is one"), at_use();
        /// Scores that mean no and full similarity, such as 0:5
        score_range: Option<String>, value("LOW:HIGH"), usual("by the training scores"), reads(range), at_use();
        /// How the tokens of a text become its vector: mean, cls, max, or auto: as the model says, else mean
        pooling: String = "auto".to_owned(), one_of(&["auto", "mean", "cls", "max"]);
    }
}

fn range(text: &str) -> Result<(), String> {
    score_range(text).map(drop).map_err(|error| format!("{error:#}"))
}

/// Both ends of `LOW:HIGH`.
pub(super) fn score_range(text: &str) -> Result<(f32, f32)> {
    let (low, high) = text.split_once(':').with_context(|| format!("`{text}`: write LOW:HIGH, such as 0:5"))?;
    let number = |part: &str| part.trim().parse::<f32>().with_context(|| format!("`{part}` is no number"));
    let (low, high) = (number(low)?, number(high)?);
    ensure!(low.is_finite() && high.is_finite() && low < high, "`{text}`: the first number must be the lower one");
    Ok((low, high))
}

/// What scores from `least` to `most` are likely to lie between.
///
/// # Errors
/// No usual scale holds them.
pub(super) fn usual_range(least: f32, most: f32) -> Result<(f32, f32)> {
    let scales = [(0.0, 1.0), (-1.0, 1.0), (0.0, 5.0), (0.0, 10.0), (0.0, 100.0)];
    let found = scales.into_iter().find(|(low, high)| least >= *low && most <= *high);
    found.with_context(|| {
        format!("score-range: scores go from {least} to {most}, which is no usual scale; say what they lie between")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_read_and_guessed() {
        assert_eq!(score_range("1:5").unwrap(), (1.0, 5.0));
        assert!(["5", "5:1", "a:b", "0:nan"].iter().all(|text| range(text).is_err()));
        assert_eq!(usual_range(0.2, 4.75).unwrap(), (0.0, 5.0));
        assert_eq!(usual_range(-0.3, 0.9).unwrap(), (-1.0, 1.0));
        assert!(usual_range(-3.0, 4.0).unwrap_err().to_string().contains("from -3 to 4"));
    }
}

//! How translations are judged.

use crate::metric::BleuWords;
use crate::recipe::settings::{DATA, settings};

settings! {
    /// How translations are judged.
    pub(super) struct TranslationSettings, under DATA, else "{task} is not measured by BLEU" {
        /// Words that BLEU counts: sacreBLEU's 13a, intl, zh, char or none
        bleu_words: String = "13a".to_owned(), value("13a|intl|zh|char|none"), one_of(&BleuWords::NAMES), at_use();
    }
}

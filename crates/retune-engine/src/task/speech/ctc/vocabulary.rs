//! Which vocabulary a run has, and how transcripts are spelled in it.

use crate::task::speech::settings::SpeechSettings;
use anyhow::{Context, Result, bail, ensure};
use retune_data::{Casing, CtcVocabulary};
use retune_models::heads::SPEECH_RECOGNITION;
use retune_models::{ModelConfig, NewHead, registry};
use std::path::Path;

/// The vocabulary of a run.
pub(super) struct Chosen {
    pub(super) vocabulary: CtcVocabulary,
    pub(super) casing: Casing,
    /// The head that writes it.
    pub(super) head: NewHead,
    /// What a person should know of it.
    pub(super) notes: Vec<String>,
}

/// The vocabulary for training transcripts.
pub(super) fn choose(
    settings: &SpeechSettings,
    model: &Path,
    config: &ModelConfig,
    transcripts: &[String],
) -> Result<Chosen> {
    let is_recognizer = registry::purposes_of_class(config).contains(&&SPEECH_RECOGNITION);
    let known = CtcVocabulary::load(model)?;
    let texts = || transcripts.iter().map(String::as_str);
    let own = match settings.ctc_vocabulary.as_str() {
        "data" => false,
        "model" => {
            ensure!(known.is_some(), "ctc-vocabulary: {} has no vocab.json; leave it to the data", model.display());
            true
        }
        _ => known.is_some() && is_recognizer,
    };
    let mut notes = Vec::new();
    let (vocabulary, anew) = match known.filter(|_| own) {
        Some(vocabulary) => {
            let reason = (!is_recognizer).then(|| "the model was no recognizer".to_owned());
            (vocabulary, reason)
        }
        None => {
            let made = CtcVocabulary::of_texts(texts());
            notes.push(format!("the vocabulary is made of the transcripts: {} characters", made.len() - 3));
            (made, Some("its vocabulary is made of the transcripts".to_owned()))
        }
    };
    let casing = vocabulary.casing(texts());
    if let Some(words) = casing.words() {
        notes.push(format!("transcripts are learnt in {words}, as the vocabulary has them"));
    }
    let rows = config.size_or("vocab_size", 32)?;
    let head = NewHead::of(&SPEECH_RECOGNITION);
    let head = if anew.is_some() || !is_recognizer {
        head.field("vocab_size", vocabulary.len())
    } else {
        if vocabulary.len() as i64 > rows {
            bail!(
                "{}: the vocabulary has {} pieces, but the model writes {rows}; they do not belong together",
                model.display(),
                vocabulary.len()
            );
        }
        head
    };
    let head = head.field("pad_token_id", vocabulary.blank()).field("ctc_loss_reduction", "mean").anew(anew);
    Ok(Chosen { vocabulary, casing, head, notes })
}

/// The vocabulary of a saved model.
pub(super) fn saved(model: &Path) -> Result<CtcVocabulary> {
    let found = CtcVocabulary::load(model)?;
    found.with_context(|| format!("{}: has no vocab.json, so that nobody knows what the model writes", model.display()))
}

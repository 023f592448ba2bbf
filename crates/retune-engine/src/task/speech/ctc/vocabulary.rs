//! Which vocabulary a run has, and how transcripts are spelled in it.

use crate::task::speech::settings::SpeechSettings;
use anyhow::{Context, Result, bail, ensure};
use retune_data::{Casing, CtcVocabulary};
use retune_models::checkpoint::language_file;
use retune_models::heads::SPEECH_RECOGNITION;
use retune_models::{CheckpointFolder, ModelConfig, NewHead, registry};
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
    let language = settings.language.as_deref();
    let adapters = config.get("adapter_attn_dim").is_some();
    let there = language.is_none_or(|it| CheckpointFolder::languages(model).iter().any(|known| known == it));
    // Of a language that the checkpoint does not know nothing but the transcripts says how it is written.
    let known = if there || settings.ctc_vocabulary == "model" { CtcVocabulary::load(model, language)? } else { None };
    let language = language.or(known.as_ref().and_then(CtcVocabulary::language)).map(str::to_owned);
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
    if let Some(language) = language.as_ref().filter(|_| !there) {
        notes.push(format!(
            "{}: has no {}; its adapters begin as those of the language that the checkpoint holds",
            model.display(),
            language_file(language)
        ));
    }
    let (vocabulary, anew) = match known.filter(|_| own) {
        Some(vocabulary) => {
            let reason = (!is_recognizer).then(|| "the model was no recognizer".to_owned());
            (vocabulary, reason)
        }
        None => {
            let made = CtcVocabulary::of_texts(texts()).of_language(language.clone());
            notes.push(format!("the vocabulary is made of the transcripts: {} characters", made.len() - 3));
            (made, Some("its vocabulary is made of the transcripts".to_owned()))
        }
    };
    let casing = vocabulary.casing(texts());
    if let Some(words) = casing.words() {
        notes.push(format!("transcripts are learnt in {words}, as the vocabulary has them"));
    }
    let rows = config.size_or("vocab_size", 32)?;
    let head = NewHead::of(&SPEECH_RECOGNITION).language(language.filter(|_| adapters));
    // A file of a language brings as many outputs as its vocabulary has pieces.
    let brings = head.language.is_some() && settings.language.is_some();
    let head = if anew.is_some() || !is_recognizer || brings {
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

/// The vocabulary of a saved model, and the head that writes it.
pub(super) fn saved(model: &Path, language: Option<&str>) -> Result<(CtcVocabulary, NewHead)> {
    let found = CtcVocabulary::load(model, language)?;
    let vocabulary = found.with_context(|| {
        format!("{}: has no vocab.json, so that nobody knows what the model writes", model.display())
    })?;
    let head = NewHead::of(&SPEECH_RECOGNITION);
    let Some(language) = language else { return Ok((vocabulary, head)) };
    let known = CheckpointFolder::languages(model);
    ensure!(
        known.iter().any(|it| it == language),
        "language: {} has no {}; there are {}",
        model.display(),
        language_file(language),
        if known.is_empty() { "none".to_owned() } else { known.join(", ") }
    );
    let head = head.field("vocab_size", vocabulary.len()).language(Some(language.to_owned()));
    Ok((vocabulary, head))
}

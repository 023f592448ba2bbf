//! A tokenizer learnt from texts, written as transformers writes one.
//!
//! WordPiece (Schuster and Nakajima 2012), byte-level BPE (Sennrich et al. 2016; Radford et al. 2019), unigram (Kudo 2018)
//! by the trainers of the `tokenizers` crate; atoms and bonds of SMILES (Schwaller et al. 2019) as words.

mod pipeline;
mod special;

use std::path::Path;
use std::str::FromStr;
use std::sync::Mutex;

use serde_json::{Map, Value, json};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::BpeTrainerBuilder;
use tokenizers::models::unigram::UnigramTrainerBuilder;
use tokenizers::models::wordlevel::WordLevelTrainerBuilder;
use tokenizers::models::wordpiece::WordPieceTrainerBuilder;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer as Backend};

use super::tokenizer_files::failed;
use super::{TextInput, Texts};
use crate::DataError;

pub use special::SpecialTokens;

/// How a tokenizer cuts texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenizerKind {
    /// Lower-case words, cut into pieces where they are rare.
    WordPiece,
    /// Pieces of bytes.
    Bpe,
    /// Pieces by their probability.
    Unigram,
    /// Atoms and bonds of molecules.
    Smiles,
}

impl FromStr for TokenizerKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "wordpiece" => Ok(Self::WordPiece),
            "bpe" => Ok(Self::Bpe),
            "unigram" => Ok(Self::Unigram),
            "smiles" => Ok(Self::Smiles),
            _ => Err(format!("`{name}` is not one of wordpiece, bpe, unigram, smiles")),
        }
    }
}

/// A tokenizer to be learnt.
#[derive(Debug, Clone, Copy)]
pub struct TokenizerPlan {
    /// How it cuts texts.
    pub kind: TokenizerKind,
    /// Its special tokens, which have the first numbers.
    pub special: SpecialTokens,
    /// Pieces at most, special ones included.
    pub vocabulary: usize,
    /// Longest input of its model.
    pub max_length: usize,
}

impl TokenizerPlan {
    /// Learns it from texts, and writes `tokenizer.json` and `tokenizer_config.json` into a folder. Returns the number of
    /// pieces.
    ///
    /// # Errors
    /// Texts that cannot be read or of which nothing is learnt; files that cannot be written.
    pub fn train(&self, texts: &dyn Texts, folder: &Path) -> Result<usize, DataError> {
        let wrong = |message: String| failed(folder, message);
        let mut backend = Backend::from_bytes(pipeline::document(self.kind, self.special).to_string())
            .map_err(|error| wrong(error.to_string()))?;
        // The trainer takes texts alone; what cannot be read ends them and is told afterwards.
        let broken: Mutex<Option<DataError>> = Mutex::new(None);
        let all = (0..texts.len()).map_while(|example| match texts.input(example) {
            Ok(TextInput::Text(text)) => Some(vec![text]),
            Ok(TextInput::Pair(text, pair)) => Some(vec![text, pair]),
            Ok(TextInput::Words(words)) => Some(vec![words.join(" ")]),
            Err(error) => {
                *broken.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                None
            }
        });
        let all = all.flatten();
        backend
            .train(&mut self.trainer()?, all)
            .map_err(|error| wrong(format!("no tokenizer can be learnt from {}: {error}", texts.file().display())))?;
        if let Some(error) = broken.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            return Err(error);
        }
        let pieces = backend.get_vocab_size(true);
        if pieces <= self.special.all().len() {
            return Err(wrong(format!("{} holds no text that a tokenizer can be learnt from", texts.file().display())));
        }
        for (id, token) in (0..).zip(self.special.all()) {
            if backend.token_to_id(token) != Some(id) {
                return Err(wrong(format!("the special token `{token}` has not the number {id} after training")));
            }
        }
        let document = backend.to_string(true).map_err(|error| wrong(error.to_string()))?;
        write(&folder.join("tokenizer.json"), &document)?;
        let config = Value::Object(self.config());
        write(&folder.join("tokenizer_config.json"), &format!("{config:#}\n"))?;
        Ok(pieces)
    }

    fn trainer(&self) -> Result<TrainerWrapper, DataError> {
        let special: Vec<AddedToken> = self.special.all().into_iter().map(|it| self.special.added(it)).collect();
        let size = self.vocabulary;
        Ok(match self.kind {
            TokenizerKind::WordPiece => {
                let builder = WordPieceTrainerBuilder::new().vocab_size(size).special_tokens(special);
                builder.show_progress(false).build().into()
            }
            TokenizerKind::Bpe => {
                let alphabet = ByteLevel::alphabet().into_iter().collect();
                let builder = BpeTrainerBuilder::new().vocab_size(size).special_tokens(special);
                builder.initial_alphabet(alphabet).min_frequency(2).show_progress(false).build().into()
            }
            TokenizerKind::Unigram => {
                let mut builder = UnigramTrainerBuilder::default();
                builder.vocab_size(size as u32).special_tokens(special).show_progress(false);
                builder.unk_token(Some(self.special.unknown().to_owned()));
                let trainer = builder.build().map_err(|error| failed(Path::new("tokenizer"), error.to_string()))?;
                trainer.into()
            }
            TokenizerKind::Smiles => {
                let mut builder = WordLevelTrainerBuilder::default();
                builder.vocab_size(size).special_tokens(special).show_progress(false);
                let trainer = builder.build().map_err(|error| failed(Path::new("tokenizer"), error.to_string()))?;
                trainer.into()
            }
        })
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = Map::new();
        config.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
        config.insert("model_max_length".to_owned(), json!(self.max_length));
        config.insert("clean_up_tokenization_spaces".to_owned(), json!(false));
        config.insert("model_input_names".to_owned(), json!(self.special.inputs()));
        let roles = self.special.roles();
        config.extend(roles.into_iter().map(|(role, token)| (role.to_owned(), json!(token))));
        config
    }
}

fn write(path: &Path, text: &str) -> Result<(), DataError> {
    std::fs::write(path, text).map_err(|source| DataError::Write { file: path.to_owned(), source })
}

#[cfg(test)]
mod tests;

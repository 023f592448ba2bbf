//! What cuts the pieces of a tokenizer: one of the models of `tokenizers`, or a SentencePiece model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::unigram::UnigramTrainer;
use tokenizers::tokenizer::{
    AddedToken, DecoderWrapper, Model, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    Token, TokenizerImpl,
};

use crate::text::sentencepiece::SentencePiece;
use crate::text::tokenizer_files::PieceFile;

/// The pipeline of a tokenizer.
pub(super) type Backend =
    TokenizerImpl<Pieces, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// What cuts pieces.
#[derive(Clone)]
pub(in super::super) enum Pieces {
    /// A model of `tokenizers`.
    Known(Box<ModelWrapper>),
    /// A SentencePiece model, with numbers of its own for the pieces.
    SentencePiece(Arc<Numbered>),
}

/// A SentencePiece model whose pieces have other numbers.
pub(in super::super) struct Numbered {
    model: SentencePiece,
    ids: HashMap<String, u32>,
    spellings: HashMap<u32, String>,
    unknown: Option<u32>,
}

impl<'de> Deserialize<'de> for Pieces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ModelWrapper::deserialize(deserializer).map(|model| Self::Known(Box::new(model)))
    }
}

impl Model for Pieces {
    type Trainer = TrainerWrapper;

    fn tokenize(&self, sequence: &str) -> tokenizers::Result<Vec<Token>> {
        let Self::SentencePiece(numbered) = self else { return self.known()?.tokenize(sequence) };
        let unknown = numbered.unknown.ok_or("no token stands for unknown pieces")?;
        let token = |cut: crate::text::sentencepiece::Cut| {
            let id = numbered.ids.get(&cut.spelling).copied().unwrap_or(unknown);
            Token::new(id, cut.spelling, (cut.range.start, cut.range.end))
        };
        Ok(numbered.model.cut(sequence).into_iter().map(token).collect())
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        match self {
            Self::Known(model) => model.token_to_id(token),
            Self::SentencePiece(numbered) => numbered.ids.get(token).copied(),
        }
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        match self {
            Self::Known(model) => model.id_to_token(id),
            Self::SentencePiece(numbered) => numbered.spellings.get(&id).cloned(),
        }
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        match self {
            Self::Known(model) => model.get_vocab(),
            Self::SentencePiece(numbered) => numbered.ids.clone(),
        }
    }

    fn get_vocab_size(&self) -> usize {
        match self {
            Self::Known(model) => model.get_vocab_size(),
            // New tokens get the numbers that follow the largest.
            Self::SentencePiece(numbered) => numbered.spellings.keys().max().map_or(0, |&id| id as usize + 1),
        }
    }

    fn save(&self, folder: &Path, prefix: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        self.known()?.save(folder, prefix)
    }

    fn get_trainer(&self) -> TrainerWrapper {
        self.known().map_or_else(|_| UnigramTrainer::default().into(), ModelWrapper::get_trainer)
    }
}

impl Pieces {
    fn known(&self) -> tokenizers::Result<&ModelWrapper> {
        match self {
            Self::Known(model) => Ok(model),
            Self::SentencePiece(_) => Err("a SentencePiece model is kept as the file that it was read from".into()),
        }
    }
}

/// The pipeline around a SentencePiece model, as the rest of the document says it.
pub(super) fn around(file: PieceFile, document: &Value) -> tokenizers::Result<Backend> {
    let number = |(spelling, id): (&String, &Value)| Some((spelling.clone(), u32::try_from(id.as_u64()?).ok()?));
    let ids: HashMap<String, u32> = file.vocabulary.iter().filter_map(number).collect();
    let spellings = ids.iter().map(|(spelling, id)| (*id, spelling.clone())).collect();
    let own = file.model.proto();
    let unknown = own.pieces.get(own.unknown as usize).map_or("<unk>", |piece| piece.spelling.as_str());
    let unknown = ids.get(unknown).or_else(|| ids.get("<unk>")).copied();
    let numbered = Numbered { model: file.model, ids, spellings, unknown };
    let mut backend = Backend::new(Pieces::SentencePiece(Arc::new(numbered)));
    backend.with_post_processor(serde_json::from_value::<Option<PostProcessorWrapper>>(
        document["post_processor"].clone(),
    )?);
    backend.with_decoder(serde_json::from_value::<Option<DecoderWrapper>>(document["decoder"].clone())?);
    for token in document["added_tokens"].as_array().into_iter().flatten() {
        backend.add_tokens(&[serde_json::from_value::<AddedToken>(token.clone())?]);
    }
    Ok(backend)
}

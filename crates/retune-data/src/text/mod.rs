//! Text: rows of a table, their tokens, and the media made of them: texts one by one, and blocks cut from documents.

mod chat;
mod documents;
mod encoded;
mod input;
mod medium;
mod molecules;
mod options;
mod place;
mod prefixed;
mod remarks;
mod row_facts;
mod sentencepiece;
mod several;
mod text_as;
mod token_cache;
mod tokenizer;
mod tokenizer_files;
mod train;
mod words;

pub use chat::{
    ChatColumns, ChatTemplate, ChatTokens, ChatWriter, Conversation, ConversationLines, Conversations, Rendered,
};
pub use documents::{
    BlockOptions, BlockSeen, Blocks, Cut, DOCUMENTS, Documents, MaskOptions, Masked, MaskedWords, Masking, NextWords,
    NoiseOptions, NoiseTokens, NoisedBlocks, NoisedSeen, Restored, SeenPiece, SentenceOrder, read_documents,
};
pub use input::{TextInput, Texts};
pub use medium::{TRUNCATED, Text, UNKNOWN_TOKENS, WINDOWS};
pub use molecules::{MoleculeForm, MoleculeRows, Molecules};
pub use options::TextOptions;
pub use place::{Place, TextSeen};
pub use prefixed::Prefixed;
pub use several::{SeveralSeen, SeveralTexts};
pub use text_as::{Reading, TextAs};
pub use tokenizer::{Bare, Frame, LanguagePlace, Languages, Side, Tokenizer, Tokens, Window, Windows};
pub use train::{SpecialTokens, TokenizerKind, TokenizerPlan};
pub use words::{Worded, WordedSeen, Words};

//! The special tokens of models of a kind, with the numbers that they have and what stands around a text.

use tokenizers::AddedToken;

/// Which special tokens a model has; they have the numbers from 0 in the order of [`SpecialTokens::all`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialTokens {
    /// `[CLS] text [SEP]`, as BERT's.
    Bert,
    /// `<s> text </s>`, as RoBERTa's.
    Roberta,
    /// Nothing around a text, and an end of text, as GPT-2's.
    Decoder,
}

impl SpecialTokens {
    /// All of them, in the order of their numbers.
    pub fn all(self) -> Vec<&'static str> {
        match self {
            Self::Bert => vec!["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
            Self::Roberta => vec!["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
            Self::Decoder => vec!["<|endoftext|>", "<|pad|>", "<|unk|>"],
        }
    }

    /// Their roles by transformers' names.
    pub fn roles(self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Bert => vec![
                ("pad_token", "[PAD]"),
                ("unk_token", "[UNK]"),
                ("cls_token", "[CLS]"),
                ("sep_token", "[SEP]"),
                ("mask_token", "[MASK]"),
            ],
            Self::Roberta => vec![
                ("bos_token", "<s>"),
                ("cls_token", "<s>"),
                ("pad_token", "<pad>"),
                ("eos_token", "</s>"),
                ("sep_token", "</s>"),
                ("unk_token", "<unk>"),
                ("mask_token", "<mask>"),
            ],
            Self::Decoder => vec![
                ("bos_token", "<|endoftext|>"),
                ("eos_token", "<|endoftext|>"),
                ("pad_token", "<|pad|>"),
                ("unk_token", "<|unk|>"),
            ],
        }
    }

    /// The number of the token that has a role, such as `pad_token`.
    pub fn id(self, role: &str) -> Option<u32> {
        let token = self.roles().into_iter().find(|(name, _)| *name == role)?.1;
        self.all().iter().position(|it| *it == token).map(|id| id as u32)
    }

    /// What stands for unknown pieces.
    pub(super) fn unknown(self) -> &'static str {
        self.roles().into_iter().find(|(role, _)| *role == "unk_token").map_or("", |(_, token)| token)
    }

    /// What stands before and after a text.
    pub(super) fn around(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Bert => Some(("[CLS]", "[SEP]")),
            Self::Roberta => Some(("<s>", "</s>")),
            Self::Decoder => None,
        }
    }

    /// Names of the inputs that the model takes of a text.
    pub(super) fn inputs(self) -> Vec<&'static str> {
        match self {
            Self::Bert => vec!["input_ids", "token_type_ids", "attention_mask"],
            Self::Roberta | Self::Decoder => vec!["input_ids", "attention_mask"],
        }
    }

    /// One of them as the tokenizer holds it: RoBERTa's mask takes the space before it.
    pub(super) fn added(self, token: &str) -> AddedToken {
        AddedToken::from(token, true).lstrip(token == "<mask>")
    }
}

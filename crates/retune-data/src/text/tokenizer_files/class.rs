//! transformers' classes of tokenizers that are a SentencePiece model and little else: their files, special tokens and languages.

/// A class of tokenizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    T5,
    MBart,
    MBart50,
    Nllb,
    XlmRoberta,
    Albert,
    DebertaV2,
    Llama,
    Marian,
    M2m100,
    /// No class of its own: the library.
    Plain,
}

/// Which texts a tokenizer is for: some have a model for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Part {
    /// What a model reads.
    Source,
    /// What it writes.
    Target,
}

/// Languages of mBART, in the order of their numbers.
pub(super) const MBART: [&str; 25] = [
    "ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN", "it_IT", "ja_XX",
    "kk_KZ", "ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU", "si_LK", "tr_TR", "vi_VN",
    "zh_CN",
];
/// Those that mBART-50 has too.
pub(super) const MBART_50: [&str; 27] = [
    "af_ZA", "az_AZ", "bn_IN", "fa_IR", "he_IL", "hr_HR", "id_ID", "ka_GE", "km_KH", "mk_MK", "ml_IN", "mn_MN",
    "mr_IN", "pl_PL", "ps_AF", "pt_XX", "sv_SE", "sw_KE", "ta_IN", "te_IN", "th_TH", "tl_XX", "uk_UA", "ur_PK",
    "xh_ZA", "gl_ES", "sl_SI",
];
/// Languages of M2M100.
pub(super) const M2M100: &str = "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht \
                      hu hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl \
                      ps pt ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu";
/// Languages of its variant for WMT 2021.
pub(super) const WMT21: &str = "en ha is ja cs ru zh de";

/// A special token: its role, how the class spells it, whether white space before it belongs to it.
pub(super) type Role = (&'static str, &'static str, bool);

const FAIRSEQ: [Role; 6] = [
    ("bos_token", "<s>", false),
    ("pad_token", "<pad>", false),
    ("eos_token", "</s>", false),
    ("unk_token", "<unk>", false),
    ("cls_token", "<s>", false),
    ("sep_token", "</s>", false),
];

impl Class {
    /// Of a class's name without `Tokenizer` and `Fast`.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "T5" | "MT5" => Self::T5,
            "MBart" => Self::MBart,
            "MBart50" => Self::MBart50,
            "Nllb" => Self::Nllb,
            "XLMRoberta" => Self::XlmRoberta,
            "Albert" => Self::Albert,
            "DebertaV2" => Self::DebertaV2,
            "Llama" | "CodeLlama" => Self::Llama,
            "Marian" => Self::Marian,
            "M2M100" => Self::M2m100,
            "PreTrained" | "TokenizersBackend" => Self::Plain,
            _ => return None,
        })
    }

    /// Of a model's type, where no class is named.
    pub(super) fn of_model(kind: &str) -> Option<Self> {
        Some(match kind {
            "t5" | "mt5" | "umt5" | "longt5" => Self::T5,
            "mbart" => Self::MBart,
            "xlm-roberta" => Self::XlmRoberta,
            "albert" => Self::Albert,
            "deberta-v2" => Self::DebertaV2,
            "llama" | "mistral" => Self::Llama,
            "marian" => Self::Marian,
            "m2m_100" => Self::M2m100,
            _ => return None,
        })
    }

    /// The file of its model.
    pub(super) fn file(self, part: Part) -> &'static str {
        match (self, part) {
            (Self::T5 | Self::Albert, _) => "spiece.model",
            (Self::MBart | Self::MBart50 | Self::Nllb | Self::XlmRoberta | Self::M2m100, _) => {
                "sentencepiece.bpe.model"
            }
            (Self::DebertaV2, _) => "spm.model",
            (Self::Llama | Self::Plain, _) => "tokenizer.model",
            (Self::Marian, Part::Source) => "source.spm",
            (Self::Marian, Part::Target) => "target.spm",
        }
    }

    /// Its special tokens by role, where no file names others.
    pub(super) fn usual_tokens(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.roles().into_iter().map(|(role, usual, _)| (role, usual))
    }

    /// Its special tokens.
    pub(super) fn roles(self) -> Vec<Role> {
        let mut roles = match self {
            Self::T5 | Self::Marian => FAIRSEQ[1..4].to_vec(),
            Self::Llama | Self::Plain => vec![FAIRSEQ[3], FAIRSEQ[0], FAIRSEQ[2]],
            Self::M2m100 => FAIRSEQ[..4].to_vec(),
            Self::MBart | Self::MBart50 | Self::Nllb | Self::XlmRoberta => FAIRSEQ.to_vec(),
            Self::Albert => vec![
                ("bos_token", "[CLS]", false),
                ("eos_token", "[SEP]", false),
                FAIRSEQ[3],
                ("sep_token", "[SEP]", false),
                FAIRSEQ[1],
                ("cls_token", "[CLS]", false),
                ("mask_token", "[MASK]", false),
            ],
            Self::DebertaV2 => vec![
                ("bos_token", "[CLS]", false),
                ("eos_token", "[SEP]", false),
                ("unk_token", "[UNK]", false),
                ("sep_token", "[SEP]", false),
                ("pad_token", "[PAD]", false),
                ("cls_token", "[CLS]", false),
                ("mask_token", "[MASK]", false),
            ],
        };
        if matches!(self, Self::MBart | Self::MBart50 | Self::Nllb | Self::XlmRoberta) {
            roles.push(("mask_token", "<mask>", self != Self::XlmRoberta));
        }
        roles
    }
}

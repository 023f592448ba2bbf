//! What a tokenizer's class makes of its vocabulary files.
//!
//! Hugging Face's `AutoTokenizer` takes the class from `tokenizer_config.json`, else from `config.json`, else from the
//! model's type; `auto_map` names a class that comes with the checkpoint as Python code.

use serde_json::{Map, Value};

use super::class::Class;

/// Whose byte-level BPE it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteLevel {
    /// RoBERTa's, with special tokens around texts.
    Roberta,
    /// GPT-2's, with nothing around texts.
    Gpt2,
    /// Qwen2's, which normalises texts and cuts numbers into digits.
    Qwen2,
}

/// How a tokenizer cuts texts by its vocabulary files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// BERT's: `vocab.txt`.
    WordPiece,
    /// `vocab.json` and `merges.txt`.
    ByteLevel(ByteLevel),
    /// A SentencePiece model.
    SentencePiece(Class),
    /// `tokenizer.json` holds all of it, or nothing says what the files mean.
    Unsaid,
}

/// Classes that cut texts exactly as `BertTokenizer` does, without `Tokenizer` and `Fast`.
const WORD_PIECE: [&str; 12] = [
    "Bert",
    "DistilBert",
    "Electra",
    "MobileBert",
    "ConvBert",
    "LayoutLM",
    "Lxmert",
    "SqueezeBert",
    "RetriBert",
    "Realm",
    "DPRContextEncoder",
    "DPRQuestionEncoder",
];
/// Classes of byte-level BPE, by how they cut texts.
const BYTE_LEVEL: [(&str, ByteLevel); 6] = [
    ("Roberta", ByteLevel::Roberta),
    ("Longformer", ByteLevel::Roberta),
    ("Bart", ByteLevel::Roberta),
    ("LED", ByteLevel::Roberta),
    ("GPT2", ByteLevel::Gpt2),
    ("Qwen2", ByteLevel::Qwen2),
];
/// Classes that exist in Python only: transformers does not look at a `tokenizer.json` beside them.
const PYTHON_ONLY: [&str; 12] = [
    "BertJapanese",
    "Bertweet",
    "Phobert",
    "Esm",
    "Canine",
    "Flaubert",
    "XLM",
    "ProphetNet",
    "XLMProphetNet",
    "Tapas",
    "BioGpt",
    "ErnieM",
];
/// Types of models whose tokenizers are BERT's where no class is named.
const WORD_PIECE_MODELS: [&str; 10] =
    ["bert", "distilbert", "electra", "mobilebert", "convbert", "layoutlm", "lxmert", "squeezebert", "nezha", "ernie"];
/// Types of models whose tokenizers are of byte-level BPE where no class is named.
const BYTE_LEVEL_MODELS: [(&str, ByteLevel); 8] = [
    ("roberta", ByteLevel::Roberta),
    ("roberta-prelayernorm", ByteLevel::Roberta),
    ("longformer", ByteLevel::Roberta),
    ("bart", ByteLevel::Roberta),
    ("led", ByteLevel::Roberta),
    ("gpt2", ByteLevel::Gpt2),
    ("qwen2", ByteLevel::Qwen2),
    ("qwen3", ByteLevel::Qwen2),
];

const SAVE: &str = "open it in transformers with AutoTokenizer and save_pretrained it into this folder; if that writes no \
                    tokenizer.json, this tokenizer cannot be used here: choose a model with another";

/// Whether the class has no behaviour beyond its `tokenizer.json`.
pub(super) fn takes_document_alone(config: &Map<String, Value>) -> bool {
    let class = config.get("tokenizer_class").and_then(Value::as_str);
    matches!(class, Some("PreTrainedTokenizerFast" | "PreTrainedTokenizer" | "TokenizersBackend"))
}

/// What the files of a tokenizer mean. `config` is tokenizer_config.json, `model` config.json; `document` says that there
/// is a tokenizer.json.
///
/// # Errors
/// They mean something that is not known here.
pub(super) fn kind(config: &Map<String, Value>, model: &Map<String, Value>, document: bool) -> Result<Kind, String> {
    custom(config, document)?;
    words(config)?;
    let said = |map: &Map<String, Value>| map.get("tokenizer_class").and_then(Value::as_str).map(str::to_owned);
    let class = said(config).or_else(|| said(model));
    if let Some(class) = class {
        let name = class.strip_suffix("Fast").unwrap_or(&class);
        let name = name.strip_suffix("Tokenizer").unwrap_or(name);
        return match (WORD_PIECE.contains(&name), of(&BYTE_LEVEL, name)) {
            (_, _) if document && PYTHON_ONLY.contains(&name) => Err(format!(
                "transformers reads no tokenizer.json for a {class}, which cuts texts in Python; if the file is meant all \
                 the same, write \"tokenizer_class\": \"PreTrainedTokenizerFast\" into tokenizer_config.json"
            )),
            (_, _) if document => Ok(Kind::Unsaid),
            (true, _) => Ok(Kind::WordPiece),
            (_, Some(style)) => Ok(Kind::ByteLevel(style)),
            _ => Class::named(name).map(Kind::SentencePiece).ok_or_else(|| format!(
                "there is no tokenizer.json, and what the vocabulary files mean to a {class} is not known here; {SAVE}"
            )),
        };
    }
    match model.get("model_type").and_then(Value::as_str) {
        _ if document => Ok(Kind::Unsaid),
        None => Ok(Kind::Unsaid),
        Some(kind) if WORD_PIECE_MODELS.contains(&kind) => Ok(Kind::WordPiece),
        Some(kind) => of(&BYTE_LEVEL_MODELS, kind)
            .map(Kind::ByteLevel)
            .or_else(|| Class::of_model(kind).map(Kind::SentencePiece))
            .ok_or_else(|| format!(
            "there is no tokenizer.json, no file names the tokenizer's class, and what the vocabulary files mean to a model \
             of type {kind} is not known here; {SAVE}"
        )),
    }
}

fn of(all: &[(&str, ByteLevel)], name: &str) -> Option<ByteLevel> {
    all.iter().find(|(known, _)| *known == name).map(|(_, style)| *style)
}

/// Refuses classes that come as code: `auto_map` is a pair of a Python class and one that reads tokenizer.json.
fn custom(config: &Map<String, Value>, document: bool) -> Result<(), String> {
    let Some(map) = config.get("auto_map") else { return Ok(()) };
    // Old files have the pair itself instead of an object.
    let class = if map.is_object() { &map["AutoTokenizer"] } else { map };
    let (slow, fast) = match class {
        Value::Null => return Ok(()),
        Value::Array(pair) => (pair.first().and_then(Value::as_str), pair.get(1).and_then(Value::as_str)),
        class => (class.as_str(), None),
    };
    if document && fast.is_some() {
        return Ok(());
    }
    let name = slow.or(fast).unwrap_or("a class of its own");
    Err(format!(
        "the tokenizer is code that comes with the model (`{name}` in auto_map), which is not run here; {SAVE}"
    ))
}

/// Refuses a word segmenter or character pieces, whatever the class is called.
fn words(config: &Map<String, Value>) -> Result<(), String> {
    for (field, usual) in [("word_tokenizer_type", "basic"), ("subword_tokenizer_type", "wordpiece")] {
        if let Some(other) = config.get(field).and_then(Value::as_str).filter(|&kind| kind != usual) {
            return Err(format!("tokenizer_config.json has {field} `{other}`, which is not known here; {SAVE}"));
        }
    }
    Ok(())
}

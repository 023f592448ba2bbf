//! Training from nothing: configuration and tokenizer are made, the one from a size, the other from the training text.

use super::documents::training_texts;
use super::pairs::{PairedTextSettings, training_pairs};
use crate::Recipe;
use crate::directory::Start;
use crate::files::copy_folder;
use crate::recipe::settings::{AT_LEAST_ONE, DATA, settings};
use anyhow::{Context, Result, bail, ensure};
use retune_data::{Records, SpecialTokens, TokenizerKind, TokenizerPlan};
use retune_models::checkpoint::write_json;
use retune_models::registry::{self, FRESH_SIZES, Fresh, FreshIds, FreshPieces, FreshSize, FreshTokens};
use retune_models::{ModelConfig, Purpose};
use serde_json::json;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

settings! {
    /// A model made from nothing.
    pub struct FromScratchSettings, under DATA, else "{task} starts from a model; give --model" {
        /// With --from-scratch in place of --model: a family and its size, FAMILY:tiny, mini, small or base; the tokenizer is
        /// learnt from the training text
        config: Option<String>, value("FAMILY:SIZE"), reads(size_of_family);
        /// Tokenizer to learn: wordpiece, bpe, unigram, smiles (atoms and bonds of molecules), or auto, the family's usual one
        tokenizer: String = "auto".to_owned(), one_of(&["auto", "wordpiece", "bpe", "unigram", "smiles"]);
        /// Pieces of that tokenizer at most
        vocabulary: Option<usize>, value("PIECES"), usual("by size: 4096, 8192, 16384, 30522"), range(AT_LEAST_ONE);
    }
}

/// The folder below a run's that keeps what it was started from.
const KEPT: &str = "from_scratch";

/// What a run from nothing starts from: a folder with config.json and a tokenizer.
pub(crate) struct FromScratch {
    folder: TempDir,
    /// In words.
    pub(crate) note: String,
}

impl FromScratch {
    /// Makes it where the recipe asks for it; a resumed run takes up what it was started from.
    ///
    /// # Errors
    /// A family or size that is not known or has no such head; training text that cannot be read.
    pub(crate) fn of(recipe: &Recipe, purpose: &Purpose, start: Start) -> Result<Option<Self>> {
        let settings = recipe.read::<FromScratchSettings>()?;
        let Some(config) = &settings.config else {
            ensure!(settings.tokenizer == "auto", "tokenizer: only a model from nothing learns one; give --config too");
            ensure!(
                settings.vocabulary.is_none(),
                "vocabulary: only a model from nothing learns one; give --config too"
            );
            return Ok(None);
        };
        ensure!(recipe.data.from_scratch, "config: a model of this size has random weights; give --from-scratch too");
        ensure!(recipe.data.model.is_empty(), "config: contradicts model; leave one of them out");
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let kept = recipe.run.output.join(KEPT);
        if start == Start::Resume && kept.is_dir() {
            copy_folder(&kept, folder.path())?;
            return Ok(Some(Self { folder, note: format!("{config}, as the run was started") }));
        }
        let (family, size) = parse(config)?;
        let kind_only = ModelConfig::new(json!({"model_type": family.name}))?;
        registry::family_for(&kind_only, Some(purpose))?;
        let Some(special) = special_tokens(family) else {
            ensure!(settings.tokenizer == "auto", "tokenizer: {} reads no texts", family.name);
            ensure!(settings.vocabulary.is_none(), "vocabulary: {} reads no texts", family.name);
            let ids = FreshIds { vocabulary: 0, pad: 0, bos: None, eos: None, cls: None, sep: None };
            write_json(&folder.path().join("config.json"), family.config(size, &ids)?.as_map())?;
            return Ok(Some(Self { folder, note: format!("{config} from nothing") }));
        };
        let kind = kind(&settings.tokenizer, family)?;
        let texts = if recipe.has::<PairedTextSettings>() { training_pairs(recipe)? } else { training_texts(recipe)? };
        let vocabulary = settings.vocabulary.unwrap_or(size.vocabulary);
        let least = special.all().len() + 1;
        ensure!(vocabulary >= least, "vocabulary: {vocabulary} leaves no room for pieces; give at least {least}");
        let plan = TokenizerPlan { kind, special, vocabulary, max_length: family.longest };
        let pieces = plan.train(texts.as_ref(), folder.path())?;
        let config_of_model = configuration(family, size, special, pieces)?;
        registry::family_for(&config_of_model, Some(purpose))?;
        write_json(&folder.path().join("config.json"), config_of_model.as_map())?;
        let note =
            format!("{config} from nothing: a tokenizer of {pieces} pieces was learnt from {} texts", texts.len());
        Ok(Some(Self { folder, note }))
    }

    /// Where config.json and tokenizer lie.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves it in the run's folder, for resuming.
    pub(crate) fn keep(&self, output: &Path) -> Result<()> {
        let kept = output.join(KEPT);
        if kept.is_dir() {
            return Ok(());
        }
        let writing = output.join(format!(".{KEPT}.writing"));
        if writing.exists() {
            fs::remove_dir_all(&writing).with_context(|| format!("cannot remove {}", writing.display()))?;
        }
        fs::create_dir(&writing).with_context(|| format!("cannot create {}", writing.display()))?;
        copy_folder(self.folder(), &writing)?;
        fs::rename(&writing, &kept).with_context(|| format!("cannot create {}", kept.display()))
    }
}

fn configuration(family: &Fresh, size: &FreshSize, special: SpecialTokens, pieces: usize) -> Result<ModelConfig> {
    let id = |role: &str| special.id(role);
    let ids = FreshIds {
        vocabulary: pieces,
        pad: id("pad_token").unwrap_or(0),
        bos: id("bos_token"),
        eos: id("eos_token"),
        cls: id("cls_token"),
        sep: id("sep_token"),
    };
    Ok(family.config(size, &ids)?)
}

/// `None` where no tokenizer is needed.
fn special_tokens(family: &Fresh) -> Option<SpecialTokens> {
    Some(match family.tokens {
        FreshTokens::Bert => SpecialTokens::Bert,
        FreshTokens::Roberta => SpecialTokens::Roberta,
        FreshTokens::Decoder => SpecialTokens::Decoder,
        FreshTokens::Items => return None,
    })
}

fn kind(named: &str, family: &Fresh) -> Result<TokenizerKind> {
    Ok(match (named, family.pieces) {
        ("auto", FreshPieces::WordPiece) => TokenizerKind::WordPiece,
        ("auto", FreshPieces::Bpe) => TokenizerKind::Bpe,
        ("auto", FreshPieces::Unigram) => TokenizerKind::Unigram,
        (named, _) => match named.parse() {
            Ok(kind) => kind,
            Err(problem) => bail!("tokenizer: {problem}"),
        },
    })
}

/// Family and size of `FAMILY:SIZE`.
fn parse(text: &str) -> Result<(&'static Fresh, &'static FreshSize)> {
    let names = || FRESH_SIZES.iter().map(|size| size.name).collect::<Vec<_>>().join(", ");
    let Some((family, size)) = text.split_once(':') else {
        bail!("config: `{text}` names no size; write FAMILY:SIZE with one of {}", names())
    };
    let found = FRESH_SIZES.iter().find(|it| it.name == size);
    let size = found.with_context(|| format!("config: `{size}` is not one of {}", names()))?;
    Ok((registry::fresh(family)?, size))
}

fn size_of_family(text: &str) -> Result<(), String> {
    parse(text).map(drop).map_err(|error| format!("{error:#}").replace("config: ", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_sizes_are_named_together() {
        let (family, size) = parse("roberta:mini").unwrap();
        assert_eq!((family.name, size.hidden), ("roberta", 256));
        for (text, part) in
            [("bert", "names no size"), ("bert:huge", "`huge` is not one of tiny"), ("swan:tiny", "`swan`")]
        {
            let said = size_of_family(text).unwrap_err();
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let refused = |text: &str| {
            let recipe: Recipe = text.parse().unwrap();
            let purpose = &retune_models::heads::MASKED_WORDS;
            format!("{:#}", FromScratch::of(&recipe, purpose, Start::New).err().expect("refused"))
        };
        assert!(refused("config = 'bert:tiny'").contains("--from-scratch too"));
        assert!(refused("config = 'bert:tiny'\nfrom-scratch = true\nmodel = 'm'").contains("contradicts model"));
        assert!(refused("tokenizer = 'bpe'").contains("--config too"));
        assert!(refused("vocabulary = 9").contains("--config too"));
        assert!(
            refused("config = 'bert:tiny'\nfrom-scratch = true\ntrain = 'no.txt'\nvocabulary = 2").contains("no.txt")
        );
    }
}

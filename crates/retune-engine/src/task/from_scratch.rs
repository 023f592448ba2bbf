//! Training from nothing: the configuration is made from a size, a processor with it where images are read, and for texts a tokenizer
//! from the training text.

use super::audio::AudioSettings;
use super::backbone::Backbone;
use super::documents::training_texts;
use super::images::ImageSettings;
use super::pairs::{PairedTextSettings, training_pairs};
use crate::Recipe;
use crate::directory::Start;
use crate::files::copy_folder;
use crate::recipe::settings::{AT_LEAST_ONE, DATA, settings};
use anyhow::{Context, Result, anyhow, bail, ensure};
use retune_data::{Records, SpecialTokens, TokenizerKind, TokenizerPlan};
use retune_models::checkpoint::write_json;
use retune_models::family::{FRESH_SIZES, Fresh, FreshIds, FreshPieces, FreshSize, FreshTexts, FreshTokens};
use retune_models::takes::AudioInput;
use retune_models::{Purpose, Takes, registry};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

settings! {
    /// A model made from nothing.
    pub struct FromScratchSettings, under DATA, else "{task} starts from a model; give --model" {
        /// With --from-scratch in place of --model: a family and its size, FAMILY:tiny, mini, small or base; a family that reads
        /// texts gets a tokenizer that is learnt from the training text
        config: Option<String>, value("FAMILY:SIZE"), reads(size_of_family);
        /// Tokenizer to learn: wordpiece, bpe, unigram, smiles (atoms and bonds of molecules), or auto, the family's usual one
        tokenizer: String = "auto".to_owned(), one_of(&["auto", "wordpiece", "bpe", "unigram", "smiles"]);
        /// Pieces of that tokenizer at most
        vocabulary: Option<usize>, value("PIECES"), usual("by size: 4096, 8192, 16384, 30522"), range(AT_LEAST_ONE);
    }
}

/// The folder below a run's that keeps what it was started from.
const KEPT: &str = "from_scratch";

/// Field with the side of images.
const IMAGE_SIZE: &str = "image_size";
/// Field with the length of spectrograms.
const FRAMES: &str = "max_length";
/// How many there are of it in a second.
const FRAMES_A_SECOND: f64 = 100.0;
/// Field by which the norms of a detector's convolutions stay as they are.
const LEARNT_NORMS: &str = "freeze_backbone_batch_norms";

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
        let (name, fresh, size) = parse(config, Some(purpose))?;
        let Some(made) = fresh.texts else {
            ensure!(settings.tokenizer == "auto", "tokenizer: {name} reads no texts");
            ensure!(settings.vocabulary.is_none(), "vocabulary: {name} reads no texts");
            let what = without_texts(recipe, (name, &fresh), size, folder.path())?;
            return Ok(Some(Self { folder, note: format!("{config} from nothing{what}") }));
        };
        let (special, kind) = (special_tokens(&made), kind(&settings.tokenizer, &made)?);
        let texts = if recipe.has::<PairedTextSettings>() { training_pairs(recipe)? } else { training_texts(recipe)? };
        let vocabulary = settings.vocabulary.unwrap_or(size.vocabulary);
        let least = special.all().len() + 1;
        ensure!(vocabulary >= least, "vocabulary: {vocabulary} leaves no room for pieces; give at least {least}");
        let plan = TokenizerPlan { kind, special, vocabulary, max_length: made.longest };
        let pieces = plan.train(texts.as_ref(), folder.path())?;
        let config_of_model = fresh.config(name, size, Some(&ids(special, pieces)))?;
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

/// Writes what a family that reads no texts is made of, at the size of images or the length of sounds that the recipe asks for,
/// and says what they are.
fn without_texts(recipe: &Recipe, (name, fresh): (&str, &Fresh), size: &FreshSize, folder: &Path) -> Result<String> {
    let mut config = fresh.config(name, size, None)?;
    let side = recipe.read::<ImageSettings>()?.image_size;
    if let Some(side) = side {
        match config.get(IMAGE_SIZE) {
            Some(Value::Array(_)) => config.set(IMAGE_SIZE, json!([side, side])),
            Some(_) => config.set(IMAGE_SIZE, json!(side)),
            // Its processor says it alone.
            None => {}
        }
    }
    if let Takes::Audio(AudioInput::Spectrogram { .. }) = registry::takes(&config)?
        && let Some(seconds) = recipe.read::<AudioSettings>()?.max_seconds
    {
        config.set(FRAMES, json!((seconds * FRAMES_A_SECOND).ceil() as i64));
    }
    if Backbone::named(recipe)?.is_some() && config.get(LEARNT_NORMS).is_some() {
        // What has learnt knows its statistics better than the few images of a batch.
        config.set(LEARNT_NORMS, json!(true));
    }
    let processor = fresh.processor.map(|processor| processor(size));
    let said = match registry::takes(&config)? {
        Takes::Audio(AudioInput::Spectrogram { frames, .. }) => {
            format!(", for sounds of {:.2} seconds (--max-seconds)", frames as f64 / FRAMES_A_SECOND)
        }
        Takes::Images(input) => {
            let shorter = processor.as_ref().and_then(|it| it["size"]["shortest_edge"].as_i64());
            let tall = processor.as_ref().and_then(|it| it["size"]["height"].as_i64());
            match (side, shorter) {
                (Some(_), _) => String::new(),
                (None, Some(side)) => format!(", for images whose shorter side has {side} pixels (--image-size)"),
                (None, None) => format!(", for images of {0}×{0} pixels (--image-size)", tall.unwrap_or(input.size.0)),
            }
        }
        Takes::Tokens { .. } | Takes::Audio(_) => String::new(),
    };
    write_json(&folder.join("config.json"), config.as_map())?;
    if let Some(Value::Object(processor)) = processor {
        write_json(&folder.join("preprocessor_config.json"), &processor)?;
    }
    Ok(said)
}

fn ids(special: SpecialTokens, pieces: usize) -> FreshIds {
    let id = |role: &str| special.id(role);
    FreshIds {
        vocabulary: pieces,
        pad: id("pad_token").unwrap_or(0),
        bos: id("bos_token"),
        eos: id("eos_token"),
        cls: id("cls_token"),
        sep: id("sep_token"),
    }
}

fn special_tokens(texts: &FreshTexts) -> SpecialTokens {
    match texts.tokens {
        FreshTokens::Bert => SpecialTokens::Bert,
        FreshTokens::Roberta => SpecialTokens::Roberta,
        FreshTokens::Decoder => SpecialTokens::Decoder,
    }
}

fn kind(named: &str, texts: &FreshTexts) -> Result<TokenizerKind> {
    Ok(match (named, texts.pieces) {
        ("auto", FreshPieces::WordPiece) => TokenizerKind::WordPiece,
        ("auto", FreshPieces::Bpe) => TokenizerKind::Bpe,
        ("auto", FreshPieces::Unigram) => TokenizerKind::Unigram,
        (named, _) => match named.parse() {
            Ok(kind) => kind,
            Err(problem) => bail!("tokenizer: {problem}"),
        },
    })
}

/// Family and size of `FAMILY:SIZE`, which a purpose has to be served by.
fn parse(text: &str, purpose: Option<&Purpose>) -> Result<(&'static str, Fresh, &'static FreshSize)> {
    let names = || FRESH_SIZES.iter().map(|size| size.name).collect::<Vec<_>>().join(", ");
    let Some((family, size)) = text.split_once(':') else {
        bail!("config: `{text}` names no size; write FAMILY:SIZE with one of {}", names())
    };
    let found = FRESH_SIZES.iter().find(|it| it.name == size);
    let size = found.with_context(|| format!("config: `{size}` is not one of {}", names()))?;
    let (name, fresh) = registry::fresh(family, purpose).map_err(|error| anyhow!("config: {error}"))?;
    Ok((name, fresh, size))
}

fn size_of_family(text: &str) -> Result<(), String> {
    parse(text, None).map(drop).map_err(|error| format!("{error:#}").replace("config: ", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_sizes_are_named_together() {
        let (name, _, size) = parse("roberta:mini", None).unwrap();
        assert_eq!((name, size.hidden), ("roberta", 256));
        for (text, part) in
            [("bert", "names no size"), ("bert:huge", "`huge` is not one of tiny"), ("swan:tiny", "`swan`")]
        {
            let said = size_of_family(text).unwrap_err();
            assert!(said.contains(part), "{said}");
        }
    }

    /// The configuration, the processor and the note of what is made.
    fn made(recipe: &str, purpose: &Purpose) -> (Value, Option<Value>, String) {
        let recipe: Recipe = format!("from-scratch = true\n{recipe}").parse().unwrap();
        let made = FromScratch::of(&recipe, purpose, Start::New).unwrap().unwrap();
        let read = |name: &str| fs::read(made.folder().join(name)).ok().map(|it| serde_json::from_slice(&it).unwrap());
        (read("config.json").unwrap(), read("preprocessor_config.json"), made.note.clone())
    }

    #[test]
    fn images_and_sounds_need_no_tokenizer() {
        use retune_models::heads::{AUDIO_CLASSIFICATION, IMAGE_CLASSIFICATION, OBJECT_DETECTION};
        let (config, processor, note) = made("config = 'vit:tiny'", &IMAGE_CLASSIFICATION);
        assert_eq!((&config["image_size"], config.get("pad_token_id"), processor), (&json!(64), None, None));
        assert!(note.contains("64×64 pixels (--image-size)"), "{note}");
        let task = "task = 'object-detection'";
        let (config, processor, _) =
            made(&format!("{task}\nconfig = 'yolos:tiny'\nimage-size = 128"), &OBJECT_DETECTION);
        assert_eq!(config["image_size"], json!([128, 128]));
        assert_eq!(processor.unwrap()["image_processor_type"], "YolosImageProcessor");
        let (config, _, note) = made(&format!("{task}\nconfig = 'detr:base'"), &OBJECT_DETECTION);
        assert!(note.contains("shorter side has 800") && config["model_type"] == "detr", "{note}");
        // Norms of convolutions that have learnt stay as they are.
        let detector = format!("{task}\nconfig = 'rt_detr_v2:tiny'");
        assert_eq!(made(&detector, &OBJECT_DETECTION).0["freeze_backbone_batch_norms"], false);
        let over = made(&format!("{detector}\nbackbone = 'a'"), &OBJECT_DETECTION);
        assert_eq!(over.0["freeze_backbone_batch_norms"], true);
        let sounds = "task = 'audio-classification'\nconfig = 'audio-spectrogram-transformer:tiny'\nmax-seconds = 1.5";
        let (config, _, note) = made(sounds, &AUDIO_CLASSIFICATION);
        assert!(config["max_length"] == 150 && note.contains("1.50 seconds"), "{note}");
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
        let said = refused("config = 'vit:tiny'\nfrom-scratch = true");
        assert!(said.contains("`vit`") && said.contains("for masked lm; choose one of bert, "), "{said}");
        assert!(
            refused("config = 'bert:tiny'\nfrom-scratch = true\ntrain = 'no.txt'\nvocabulary = 2").contains("no.txt")
        );
    }
}

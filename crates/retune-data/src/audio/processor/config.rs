//! Reading the configuration: what Hugging Face's class assumes first, then what the file says.

use serde_json::{Map, Value, json};

use super::cepstra::CepstraSizes;
use super::filter_bank::RATE;
use super::{AudioProcessor, Cepstra, Extractor, FeatureKind, FilterBank, LogMel, SampleOptions, StackedFilterBank};
use crate::error::shortened;

const AST: &str = "ASTFeatureExtractor";
const KWT: &str = "KwtFeatureExtractor";
const SEAMLESS: &str = "SeamlessM4TFeatureExtractor";
const WHISPER: &str = "WhisperFeatureExtractor";
/// Extractors that give samples alike.
const OF_SAMPLES: [&str; 1] = ["Wav2Vec2FeatureExtractor"];

impl AudioProcessor {
    pub(super) fn from_config(mut raw: Map<String, Value>, kind: FeatureKind) -> Result<Self, String> {
        let assumed = match kind {
            FeatureKind::Samples { .. } => "Wav2Vec2FeatureExtractor",
            FeatureKind::Spectrogram { .. } => AST,
            FeatureKind::LogMel { .. } => WHISPER,
            FeatureKind::Frames { .. } => SEAMLESS,
            FeatureKind::Cepstra { .. } => KWT,
        };
        let named = match raw.get("feature_extractor_type") {
            None | Some(Value::Null) => assumed.to_owned(),
            Some(Value::String(name)) => name.clone(),
            Some(other) => return Err(format!("feature_extractor_type is {}, not a name", brief(other))),
        };
        let is_new = raw.is_empty();
        raw.insert("feature_extractor_type".to_owned(), json!(named));
        let rate = whole(&raw, "sampling_rate", 16_000)?;
        let rate = u32::try_from(rate).map_err(|_| format!("sampling_rate is {rate}, which cannot be"))?;
        let extractor = match kind {
            FeatureKind::Samples { masked, counted } if OF_SAMPLES.contains(&named.as_str()) => {
                samples(&mut raw, masked && is_new, counted)?
            }
            FeatureKind::Spectrogram { frames, bins } if named == AST => {
                filter_bank(&mut raw, rate, (frames, bins), is_new)?
            }
            FeatureKind::LogMel { frames, bins } if named == WHISPER => {
                log_mel(&mut raw, rate, (frames, bins), is_new)?
            }
            FeatureKind::Frames { size } if named == SEAMLESS => stacked(&mut raw, rate, size, is_new)?,
            FeatureKind::Cepstra { frames, coefficients } if named == KWT => {
                cepstra(&raw, rate, (frames, coefficients))?
            }
            FeatureKind::Samples { .. } => {
                return Err(format!("feature_extractor_type is `{named}`, but the model reads samples"));
            }
            FeatureKind::Spectrogram { .. }
            | FeatureKind::LogMel { .. }
            | FeatureKind::Frames { .. }
            | FeatureKind::Cepstra { .. } => {
                return Err(format!("feature_extractor_type is `{named}`, but the model reads features of {assumed}"));
            }
        };
        raw.insert("sampling_rate".to_owned(), json!(rate));
        Ok(Self { raw, rate, extractor })
    }
}

/// Defaults that are not those of the class are written down, so that transformers reads the same.
fn samples(raw: &mut Map<String, Value>, masked: bool, counted: bool) -> Result<Extractor, String> {
    if whole(raw, "feature_size", 1)? != 1 {
        return Err("feature_size is not 1, but samples of one channel are read".to_owned());
    }
    let options = SampleOptions {
        normalise: flag(raw, "do_normalize", true)?,
        masked: flag(raw, "return_attention_mask", masked)?,
        counted,
        padding: number(raw, "padding_value", 0.0)? as f32,
    };
    right_padded(raw)?;
    raw.insert("do_normalize".to_owned(), json!(options.normalise));
    raw.insert("return_attention_mask".to_owned(), json!(options.masked));
    raw.insert("feature_size".to_owned(), json!(1));
    raw.insert("padding_value".to_owned(), json!(options.padding));
    Ok(Extractor::Samples(options))
}

fn filter_bank(
    raw: &mut Map<String, Value>,
    rate: u32,
    (frames, bins): (usize, usize),
    is_new: bool,
) -> Result<Extractor, String> {
    if is_new {
        raw.insert("max_length".to_owned(), json!(frames));
        raw.insert("num_mel_bins".to_owned(), json!(bins));
    }
    if rate != RATE {
        return Err(format!("sampling_rate is {rate}; filter banks are made at {RATE} Hz"));
    }
    for (key, class, model) in [("max_length", 1024, frames), ("num_mel_bins", 128, bins)] {
        let found = whole(raw, key, class)?;
        if found != model as u64 {
            return Err(format!("{key} is {found}, but the model's config.json says {model}"));
        }
    }
    let (mean, deviation) = (number(raw, "mean", -4.267_739_3)?, number(raw, "std", 4.568_997_4)?);
    if deviation == 0.0 {
        return Err("std is 0, by which nothing can be divided".to_owned());
    }
    let normalise = flag(raw, "do_normalize", true)?.then_some((mean, deviation));
    Ok(Extractor::FilterBank(FilterBank::new(bins, frames, normalise)))
}

fn stacked(raw: &mut Map<String, Value>, rate: u32, size: usize, is_new: bool) -> Result<Extractor, String> {
    let stride = whole(raw, "stride", 2)? as usize;
    if is_new {
        if !size.is_multiple_of(stride) {
            return Err(format!("is not there, and frames of {size} features are not of {stride} equal pieces"));
        }
        raw.insert("num_mel_bins".to_owned(), json!(size / stride));
        raw.insert("feature_size".to_owned(), json!(size / stride));
    }
    if rate != RATE {
        return Err(format!("sampling_rate is {rate}; filter banks are made at {RATE} Hz"));
    }
    let bins = whole(raw, "num_mel_bins", 80)? as usize;
    if stride < 2 {
        return Err("stride is 1, for which the class masks every frame".to_owned());
    }
    if bins * stride != size {
        return Err(format!(
            "{bins} bins of {stride} pieces make {}, but the model's config.json says {size}",
            bins * stride
        ));
    }
    right_padded(raw)?;
    let masked = flag(raw, "return_attention_mask", true)?;
    let padding = number(raw, "padding_value", 0.0)? as f32;
    Ok(Extractor::Stacked(StackedFilterBank::new(bins, stride, padding, masked)))
}

/// What a file leaves out is as the published weights have it.
fn cepstra(raw: &Map<String, Value>, rate: u32, (frames, coefficients): (usize, usize)) -> Result<Extractor, String> {
    let size = |key: &str, usual: u64| whole(raw, key, usual).map(|size| size as usize);
    let sizes = CepstraSizes {
        rate,
        samples: size("n_samples", 16_000)?,
        piece: (size("win_length", 480)?, size("hop_length", 160)?, size("n_fft", 512)?),
        bins: (size("num_mel_bins", 80)?, size("feature_size", coefficients as u64)?),
        hertz: (number(raw, "min_frequency", 20.0)?, number(raw, "max_frequency", 7600.0)?),
        floor: number(raw, "mel_floor", 1e-12)?,
    };
    let ((length, _, transform), (low, high)) = (sizes.piece, sizes.hertz);
    if length < 2 || transform < length {
        return Err(format!("win_length is {length}, which is no piece of the {transform} samples of n_fft"));
    }
    if low < 0.0 || high <= low || high > f64::from(rate) / 2.0 {
        return Err(format!("min_frequency and max_frequency are {low} and {high}, of {rate} samples a second"));
    }
    if sizes.floor <= 0.0 {
        return Err(format!("mel_floor is {}, of which there is no logarithm", sizes.floor));
    }
    if sizes.bins.1 > sizes.bins.0 {
        return Err(format!("feature_size is {}, more than the {} of num_mel_bins", sizes.bins.1, sizes.bins.0));
    }
    let found = (sizes.frames(), sizes.bins.1);
    if found != (frames, coefficients) {
        let (found_frames, found) = found;
        return Err(format!(
            "makes {found_frames} frames of {found} coefficients, but the model takes {frames} of {coefficients}"
        ));
    }
    if number(raw, "padding_value", 0.0)? != 0.0 {
        return Err("padding_value is not 0; sounds are padded with silence".to_owned());
    }
    right_padded(raw)?;
    Ok(Extractor::Cepstra(Cepstra::new(sizes)))
}

/// Padding stands behind sounds.
fn right_padded(raw: &Map<String, Value>) -> Result<(), String> {
    if raw.get("padding_side").is_some_and(|side| side != "right") {
        return Err("padding_side is not `right`; padding before a sound is not supported".to_owned());
    }
    Ok(())
}

fn log_mel(
    raw: &mut Map<String, Value>,
    rate: u32,
    (frames, bins): (usize, usize),
    is_new: bool,
) -> Result<Extractor, String> {
    if is_new {
        raw.insert("feature_size".to_owned(), json!(bins));
    }
    let raw = &*raw;
    let size = whole(raw, "n_fft", 400)? as usize;
    let hop = whole(raw, "hop_length", 160)? as usize;
    let found = whole(raw, "feature_size", 80)?;
    if found != bins as u64 {
        return Err(format!("feature_size is {found}, but the model's config.json says {bins} bins"));
    }
    if number(raw, "padding_value", 0.0)? != 0.0 {
        return Err("padding_value is not 0; sounds are padded with silence".to_owned());
    }
    if number(raw, "dither", 0.0)? != 0.0 {
        return Err("dither is not 0; noise in features is not supported".to_owned());
    }
    let samples = whole(raw, "chunk_length", 30)? as usize * rate as usize;
    if size < 2 || hop == 0 || samples <= size || samples / hop != frames {
        return Err(format!(
            "chunk_length and hop_length make {} frames, but the model takes {frames}",
            samples.checked_div(hop).unwrap_or(0)
        ));
    }
    Ok(Extractor::LogMel(LogMel::new(bins, (size, hop), samples, rate)))
}

fn brief(value: &Value) -> String {
    format!("`{}`", shortened(&value.to_string()))
}

fn flag(raw: &Map<String, Value>, key: &str, default: bool) -> Result<bool, String> {
    match raw.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(value)) => Ok(*value),
        Some(other) => Err(format!("{key} is {}, not true or false", brief(other))),
    }
}

fn number(raw: &Map<String, Value>, key: &str, default: f64) -> Result<f64, String> {
    match raw.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => {
            let number = value.as_f64().filter(|number| number.is_finite());
            number.ok_or_else(|| format!("{key} is {}, not a number", brief(value)))
        }
    }
}

fn whole(raw: &Map<String, Value>, key: &str, default: u64) -> Result<u64, String> {
    match raw.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => {
            let number = value.as_u64().filter(|number| (1..1 << 31).contains(number));
            number.ok_or_else(|| format!("{key} is {}, not a whole number above 0", brief(value)))
        }
    }
}

//! Reads, decodes and resamples all sounds of a data set once, in parallel.

use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::AudioProcessor;
use super::cache::{SampleCache, SampleCacheBuilder};
use super::decode::{Decoded, decode};
use super::pieces::pieces;
use super::resample::resample;
use super::rows::bytes;
use crate::arena::ArenaBuilder;
use crate::{BadExample, DataError, Part, Records, TableRows};

/// Sounds decoded in parallel before they are stored.
const CHUNK: usize = 16;
/// A share of clipped samples from which a sound counts as clipped.
const CLIPPED: f64 = 0.001;

/// What becomes of sounds that are longer than a model reads at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongSounds {
    /// What is behind that counts for nothing.
    Cut,
    /// They cannot be used.
    Refuse,
    /// They become pieces.
    Pieces,
    /// They stay whole for who goes through them; a batch holds what is read first.
    Whole,
}

/// Samples a second that a file must have at least: a rate holds tones up to half of it. Others are errors in headers, or no sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeastRate {
    /// 4,000: vowels are told apart by tones up to about 2,000 Hz (the first two formants, Peterson and Barney 1952); telephones have
    /// 8,000.
    OfSpeech,
    /// 1,000: sounds of hearts are published at 2,000 (PhysioNet 2016), and hardly any sound at less.
    OfAny,
}

impl LeastRate {
    /// Why a file of this rate cannot be used, if so.
    fn refuses(self, rate: u32) -> Option<String> {
        let (least, why) = match self {
            Self::OfSpeech => (4000, "nobody understands speech in it"),
            Self::OfAny => (1000, "hardly any sound is left in it"),
        };
        (rate < least).then(|| {
            let half = f64::from(rate) / 2.0;
            format!(
                "has a rate of {rate} Hz, of which {least} are needed: it holds tones up to {half} Hz only, and {why}; correct the \
                 header if it is wrong, or record it again"
            )
        })
    }
}

/// How sounds are read.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioOptions {
    /// Fewest samples that the model makes something of.
    pub least_samples: usize,
    /// The lowest rate of a file that can be used, in samples a second.
    pub least_rate: LeastRate,
    /// Longest sound that may be used, in seconds.
    pub most_seconds: Option<f64>,
    /// Whether a sound may be silent.
    pub silence: bool,
    /// What becomes of sounds that are longer than a model reads at once.
    pub long: LongSounds,
    /// Bytes of samples to keep, in memory up to 64 MiB and then on disk; the rest is decoded again at each use.
    pub cache_bytes: u64,
}

impl Default for AudioOptions {
    /// Any that are not silent, 8 GiB.
    fn default() -> Self {
        Self {
            least_samples: 1,
            least_rate: LeastRate::OfAny,
            most_seconds: None,
            silence: false,
            long: LongSounds::Cut,
            cache_bytes: 8 << 30,
        }
    }
}

/// What is known of a sound that can be used.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sound {
    pub(super) hash: u64,
    /// At the model's rate.
    pub(super) samples: usize,
    /// Of the file.
    pub(super) rate: u32,
    pub(super) channels: usize,
    pub(super) clipped: bool,
}

/// What reading gave, by row; rows that were left out have empty places.
pub(super) struct Encoded {
    pub(super) cache: SampleCache,
    pub(super) sounds: Vec<Sound>,
    /// The pieces of each sound that is longer than a model reads at once, by its row.
    pub(super) pieces: HashMap<usize, Vec<Range<usize>>>,
    /// Whether each row can be used.
    pub(super) usable: Vec<bool>,
    pub(super) bad: Vec<BadExample>,
}

/// A sound with its samples and pieces, or why it cannot be used.
type Prepared = Result<Result<(Sound, Vec<f32>, Vec<Range<usize>>), String>, DataError>;

pub(super) fn encode(
    rows: &TableRows,
    processor: &AudioProcessor,
    options: &AudioOptions,
    progress: &dyn Fn(usize, usize),
) -> Result<Encoded, DataError> {
    let total = rows.len();
    let mut cache = SampleCacheBuilder::new(options.cache_bytes, ArenaBuilder::new());
    let (mut sounds, mut usable, mut bad) = (Vec::with_capacity(total), Vec::with_capacity(total), Vec::new());
    let mut pieces = HashMap::new();
    progress(0, total);
    for start in (0..total).step_by(CHUNK) {
        let end = total.min(start + CHUNK);
        // `collect` keeps the order, so the result does not depend on the threads.
        let prepared: Vec<Prepared> =
            (start..end).into_par_iter().map(|row| prepare(rows, row, processor, options)).collect();
        for (row, prepared) in (start..).zip(prepared) {
            let prepared = prepared?;
            usable.push(prepared.is_ok());
            match prepared {
                Ok((sound, samples, parts)) => {
                    cache.push(Some(&samples));
                    sounds.push(sound);
                    if !parts.is_empty() {
                        pieces.insert(row, parts);
                    }
                }
                Err(reason) => {
                    cache.push(None);
                    sounds.push(Sound::default());
                    bad.push(rows.bad(row, reason)?);
                }
            }
        }
        progress(end, total);
    }
    Ok(Encoded { cache: cache.finish(), sounds, pieces, usable, bad })
}

fn prepare(rows: &TableRows, row: usize, processor: &AudioProcessor, options: &AudioOptions) -> Prepared {
    Ok(decoded(rows, row)?.and_then(|decoded| {
        if let Some(reason) = options.least_rate.refuses(decoded.rate) {
            return Err(reason);
        }
        let seconds = decoded.samples.len() as f64 / f64::from(decoded.rate);
        if let Some(most) = options.most_seconds.filter(|&most| seconds > most) {
            return Err(format!("is {seconds:.1} seconds long, more than the {most} allowed; cut it into pieces"));
        }
        let first = decoded.samples[0];
        if !options.silence && decoded.samples.iter().all(|&sample| sample == first) {
            return Err("is silent: all samples are equal; record it again, or remove the row".to_owned());
        }
        let samples = resample(&decoded.samples, decoded.rate, processor.rate());
        if samples.len() < options.least_samples {
            return Err(format!(
                "is {seconds:.3} seconds long, too short for this model, which needs {:.3}",
                options.least_samples as f64 / f64::from(processor.rate())
            ));
        }
        let longest = processor.piece_samples().filter(|&longest| samples.len() > longest);
        let parts = match (longest, options.long) {
            (Some(longest), LongSounds::Refuse) => {
                let most = longest as f64 / f64::from(processor.rate());
                return Err(format!(
                    "is {seconds:.1} seconds long, more than the {most} that this model reads at once; cut it, and what is \
                     said, into pieces"
                ));
            }
            (Some(longest), LongSounds::Pieces) => pieces(&samples, longest, processor.rate()),
            (Some(_), LongSounds::Whole) => std::iter::once(0..samples.len()).collect(),
            _ => Vec::new(),
        };
        let sound = Sound {
            hash: hash(&samples),
            samples: samples.len(),
            rate: decoded.rate,
            channels: decoded.channels,
            clipped: decoded.clipped as f64 > CLIPPED * (decoded.samples.len() * decoded.channels) as f64,
        };
        Ok((sound, samples, parts))
    }))
}

/// What a row names of its file.
fn decoded(rows: &TableRows, row: usize) -> Result<Result<Decoded, String>, DataError> {
    let part = rows.part(row)?;
    Ok(bytes(rows, row)?.and_then(decode).and_then(|decoded| cut(decoded, part)))
}

/// Seconds that the end of a part may lie behind that of its sound: times are rounded.
const ROUNDED: f64 = 0.1;

fn cut(mut decoded: Decoded, Part { start, end }: Part) -> Result<Decoded, String> {
    let rate = f64::from(decoded.rate);
    let seconds = decoded.samples.len() as f64 / rate;
    if let Some(late) = end.into_iter().chain([start]).find(|&time| time > seconds + ROUNDED) {
        return Err(format!("is {seconds:.1} seconds long, but its row names the time {late}"));
    }
    let place = |time: f64| ((time * rate).round() as usize).min(decoded.samples.len());
    let range = place(start)..end.map_or(decoded.samples.len(), place);
    if range.is_empty() {
        return Err(format!("is {seconds:.1} seconds long, and nothing of it is left from {start} on"));
    }
    if range.len() < decoded.samples.len() {
        decoded.samples = decoded.samples[range].to_vec();
    }
    Ok(decoded)
}

/// The samples of a row, read and resampled again.
pub(super) fn again(
    rows: &TableRows,
    row: usize,
    processor: &AudioProcessor,
) -> Result<Result<Vec<f32>, String>, DataError> {
    Ok(decoded(rows, row)?.map(|decoded| resample(&decoded.samples, decoded.rate, processor.rate())))
}

fn hash(samples: &[f32]) -> u64 {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    xxh3_64_with_seed(&bytes, samples.len() as u64)
}

//! Sounds as a medium: decoded once, then samples or spectrograms in batches.
//!
//! B rows, N samples of the longest, F frames, M bins.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::encode::{Encoded, again, encode};
use super::player::small_wav;
use super::processor::{Extractor, normalised};
use super::rows::SOUNDS;
use super::{AudioAugmentation, AudioOptions, AudioProcessor};
use crate::examples::merged;
use crate::{
    Array, BadExample, Batch, DataError, Fact, FactValue, Medium, OnBadExample, Pass, Records, Seen, TableRows, Units,
};

/// Bad sounds that an error lists; beyond it a list in a terminal helps nobody.
const MOST_BAD: usize = 300;
/// Threads that prepare batches, at most; each holds one.
const MOST_LOADERS: usize = 8;

/// Units of work that a model makes of so many samples: frames, or patches of a spectrogram.
pub type AudioLength = Arc<dyn Fn(usize) -> usize + Send + Sync>;

/// Decoded sounds; rows are those of the table or folder.
pub struct Sounds {
    rows: Arc<TableRows>,
    processor: AudioProcessor,
    encoded: Encoded,
    /// The first row of each sound, and the number of rows behind them: as many as there are sounds, but for those in pieces.
    first_rows: Vec<usize>,
    augmentation: AudioAugmentation,
    /// Samples that a model needs.
    least_samples: usize,
    length: AudioLength,
}

/// A sound in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioSeen {
    /// Samples, without padding.
    pub samples: usize,
    /// Whether it is a whole sound, and not a piece of one.
    pub whole: bool,
}

impl Seen for AudioSeen {}

impl Sounds {
    /// Decodes and resamples all sounds, in parallel; `length` says how much work a model has with so many samples. `progress`
    /// is called with rows done and rows in all. Sounds that cannot be used are left out; [`Sounds::check`] refuses them.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn encode(
        rows: &Arc<TableRows>,
        processor: &AudioProcessor,
        options: &AudioOptions,
        length: AudioLength,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, DataError> {
        let encoded = encode(rows, processor, options, progress)?;
        let mut first_rows = vec![0];
        for example in 0..encoded.usable.len() {
            first_rows.push(first_rows[example] + encoded.pieces.get(&example).map_or(1, Vec::len));
        }
        let (rows, processor) = (Arc::clone(rows), processor.clone());
        let (augmentation, least_samples) = (AudioAugmentation::default(), options.least_samples);
        Ok(Self { rows, processor, encoded, first_rows, augmentation, least_samples, length })
    }

    /// The same, with random changes in each pass.
    pub fn augmented(self, augmentation: AudioAugmentation) -> Self {
        Self { augmentation, ..self }
    }

    /// Leaves these rows out too, each for a reason.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn without(mut self, rows: Vec<(usize, String)>) -> Result<Self, DataError> {
        for (row, reason) in rows {
            self.encoded.usable[row] = false;
            self.encoded.bad.push(self.rows.bad(row, reason)?);
        }
        self.encoded.bad.sort_by_key(|bad| bad.row);
        Ok(self)
    }

    /// Refuses rows and sounds of some splits that cannot be used, whatever the reason, all of them together, unless they are to be left
    /// out; one reason must not hide another.
    ///
    /// # Errors
    /// There are some: all of them are counted, 300 are listed. Class folders of which nothing is left.
    pub fn check<'a>(
        splits: impl IntoIterator<Item = &'a Self>,
        on_bad_example: OnBadExample,
    ) -> Result<(), DataError> {
        let splits: Vec<&Self> = splits.into_iter().collect();
        if on_bad_example == OnBadExample::Fail {
            let mut bad: Vec<BadExample> = Vec::new();
            let mut told = HashSet::new();
            for it in &splits {
                // A row that belongs to no split is read with each.
                let all = merged(it.rows.left_out(), &it.encoded.bad).into_iter();
                bad.extend(all.filter(|one| told.insert((one.place.clone(), one.line, one.reason.clone()))));
            }
            if !bad.is_empty() {
                let of = splits.iter().map(|it| it.rows.len() + it.rows.left_out().len()).sum();
                let count = bad.len();
                bad.truncate(MOST_BAD);
                return Err(DataError::BadExamples { bad, count, of });
            }
        }
        splits.iter().try_for_each(|it| SOUNDS.check_classes(&it.rows, &it.encoded.usable))
    }

    /// How sounds are prepared.
    pub fn processor(&self) -> &AudioProcessor {
        &self.processor
    }

    /// Whether a sound can be used. Panics beyond the end.
    pub fn is_usable(&self, example: usize) -> bool {
        self.encoded.usable[example]
    }

    /// Samples of a sound at the model's rate. Panics beyond the end.
    pub fn sample_count(&self, example: usize) -> usize {
        self.encoded.sounds[example].samples
    }

    /// The samples of a sound at the model's rate.
    ///
    /// # Errors
    /// Its file has changed since it was first read.
    pub fn samples(&self, example: usize) -> Result<Vec<f32>, DataError> {
        self.part(example, 0..self.sample_count(example))
    }

    /// The log-mel spectrogram of all of a sound, [bins, frames], of a piece at least, and its bins; `None` where a model reads
    /// something else.
    ///
    /// # Errors
    /// Its file has changed since it was first read.
    pub fn log_mel(&self, example: usize) -> Result<Option<(Vec<f32>, usize)>, DataError> {
        let Extractor::LogMel(features) = &self.processor.extractor else { return Ok(None) };
        Ok(Some((features.of_whole(&self.samples(example)?), features.shape().1)))
    }

    /// Some of the samples of a sound.
    fn part(&self, example: usize, part: Range<usize>) -> Result<Vec<f32>, DataError> {
        if let Some(samples) = self.encoded.cache.get(example, part.clone())? {
            return Ok(samples);
        }
        match again(&self.rows, example, &self.processor)? {
            Ok(samples) => Ok(samples[part.start.min(samples.len())..part.end.min(samples.len())].to_vec()),
            Err(reason) => Err(DataError::BadExamples { bad: vec![self.rows.bad(example, reason)?], count: 1, of: 1 }),
        }
    }

    /// The sound of a row, and where the row is in it.
    fn place(&self, row: usize) -> (usize, Range<usize>) {
        let example = self.first_rows.partition_point(|&first| first <= row) - 1;
        let part = self.encoded.pieces.get(&example).map(|pieces| pieces[row - self.first_rows[example]].clone());
        (example, part.unwrap_or(0..self.sample_count(example)))
    }

    /// The samples of a row: a sound, or a piece of it.
    fn row_samples(&self, row: usize) -> Result<Vec<f32>, DataError> {
        let (example, part) = self.place(row);
        self.part(example, part)
    }

    /// Sounds that did not fit the cache and are decoded at each use.
    pub fn uncached(&self) -> usize {
        let kept = (0..self.encoded.usable.len()).filter(|&row| self.encoded.cache.holds(row));
        let usable = self.encoded.usable.iter().filter(|&&usable| usable).count();
        usable - kept.filter(|&row| self.encoded.usable[row]).count()
    }

    fn seconds(&self, row: usize) -> f64 {
        self.sample_count(row) as f64 / f64::from(self.processor.rate())
    }
}

impl Medium for Sounds {
    type Seen = AudioSeen;

    fn examples(&self) -> usize {
        self.encoded.usable.len()
    }

    fn rows(&self, example: usize) -> Range<usize> {
        let first = self.first_rows[example];
        if self.encoded.usable[example] { first..self.first_rows[example + 1] } else { first..first }
    }

    fn bad_examples(&self) -> &[BadExample] {
        &self.encoded.bad
    }

    fn length(&self, row: usize) -> usize {
        (self.length)(self.place(row).1.len()).max(1)
    }

    /// `input_values` `[B, N]` f32, and `attention_mask` `[B, N]` i64 where the model has one (`sample_counts` `[B]` in its place where it wants those); or `input_values` `[B, F, M]` f32 of
    /// spectrograms (`input_features` `[B, M, F]` of log-mel ones, `[B, F, M]` and a mask where there are any number of frames).
    fn fill(&self, rows: &[usize], pass: Option<Pass>, into: &mut Batch) -> Result<Vec<AudioSeen>, DataError> {
        let pass = pass.filter(|_| self.varies());
        let sound = |&row: &usize| {
            let samples = self.row_samples(row)?;
            let least = self.least_samples;
            let changed =
                pass.map(|pass| self.augmentation.apply(samples.clone(), [pass.seed, pass.epoch, row as u64]));
            // What became too short for the model stays as it was.
            Ok::<_, DataError>(changed.filter(|changed| changed.len() >= least).unwrap_or(samples))
        };
        let sounds = rows.iter().map(sound).collect::<Result<Vec<_>, _>>()?;
        let count = rows.len();
        match &self.processor.extractor {
            Extractor::Samples(options) => {
                let longest = sounds.iter().map(Vec::len).max().unwrap_or(0);
                let mut values = Vec::with_capacity(count * longest);
                let mut mask = Vec::with_capacity(if options.masked { count * longest } else { 0 });
                for (place, sound) in sounds.iter().enumerate() {
                    if options.normalise {
                        values.extend(normalised(sound));
                    } else {
                        values.extend(sound);
                    }
                    values.resize((place + 1) * longest, options.padding);
                    if options.masked {
                        mask.resize(mask.len() + sound.len(), 1);
                        mask.resize((place + 1) * longest, 0);
                    }
                }
                into.inputs.insert("input_values".to_owned(), Array::floats(&[count, longest], values));
                if options.counted {
                    let counts = sounds.iter().map(|sound| sound.len() as i64).collect();
                    into.inputs.insert("sample_counts".to_owned(), Array::integers(&[count], counts));
                } else if options.masked {
                    into.inputs.insert("attention_mask".to_owned(), Array::integers(&[count, longest], mask));
                }
            }
            Extractor::FilterBank(features) => {
                let (frames, bins) = features.shape();
                let values = sounds.iter().flat_map(|sound| features.of(sound)).collect();
                into.inputs.insert("input_values".to_owned(), Array::floats(&[count, frames, bins], values));
            }
            Extractor::Cepstra(features) => {
                let (frames, coefficients) = features.shape();
                let values = sounds.iter().flat_map(|sound| features.of(sound)).collect();
                into.inputs.insert("input_values".to_owned(), Array::floats(&[count, frames, coefficients], values));
            }
            Extractor::Stacked(features) => {
                let made = features.of(&sounds);
                let (frames, size) = made.shape;
                into.inputs.insert("input_features".to_owned(), Array::floats(&[count, frames, size], made.values));
                if let Some(mask) = made.mask {
                    into.inputs.insert("attention_mask".to_owned(), Array::integers(&[count, frames], mask));
                }
            }
            Extractor::LogMel(features) => {
                let (frames, bins) = features.shape();
                let values = sounds.iter().flat_map(|sound| features.of(sound)).collect();
                into.inputs.insert("input_features".to_owned(), Array::floats(&[count, bins, frames], values));
            }
        }
        let lengths = rows.iter().map(|&row| self.length(row));
        let (real, longest) = lengths.fold((0, 0), |(sum, most), length| (sum + length, length.max(most)));
        into.extent.input = Units { real, padded: longest * count };
        rows.iter().map(|&row| self.seen(row)).collect()
    }

    fn seen(&self, row: usize) -> Result<AudioSeen, DataError> {
        let (example, part) = self.place(row);
        Ok(AudioSeen { samples: part.len(), whole: !self.encoded.pieces.contains_key(&example) })
    }

    /// Of samples at the model's rate: equal for equal sounds, whatever their file format.
    fn hash(&self, example: usize) -> u64 {
        self.encoded.sounds[example].hash
    }

    fn size(&self, example: usize) -> usize {
        (self.seconds(example) * 1000.0).round() as usize
    }

    fn unit(&self) -> &'static str {
        "milliseconds"
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let all = examples.len();
        let part = |name: &str, is: &dyn Fn(usize) -> bool| {
            Fact::part(name, examples.iter().filter(|&&example| is(example)).count(), all)
        };
        let sound = |example: usize| self.encoded.sounds[example];
        let minutes = examples.iter().map(|&example| self.seconds(example)).sum::<f64>() / 60.0;
        let clipped = part("clipped", &|example| sound(example).clipped);
        let is_flagged = examples.iter().any(|&example| sound(example).clipped);
        vec![
            Fact::new("minutes", FactValue::Number((minutes * 100.0).round() / 100.0)),
            part("resampled", &|example| sound(example).rate != self.processor.rate()),
            part("several channels", &|example| sound(example).channels > 1),
            clipped.flagged(is_flagged),
        ]
    }

    fn varies(&self) -> bool {
        !self.augmentation.is_off()
    }

    fn sound(&self, example: usize) -> Result<Option<Vec<u8>>, DataError> {
        Ok(Some(small_wav(&self.samples(example)?, self.processor.rate())))
    }

    /// Decoding what is not cached and making features is work worth sharing.
    fn loader_threads(&self, free: usize) -> usize {
        free.clamp(1, MOST_LOADERS)
    }

    fn remarks(&self, file: &Path) -> Vec<String> {
        let (file, rate) = (file.display(), self.processor.rate());
        let mut remarks = Vec::new();
        let why = self.encoded.cache.failed().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let count = self.uncached();
        if count > 0 {
            remarks.push(format!("{file}: {count} sounds do not fit the cache and are decoded at each use{why}"));
        }
        let pieces =
            self.encoded.pieces.iter().filter(|(example, pieces)| pieces.len() > 1 && self.encoded.usable[**example]);
        let pieces = pieces.count();
        if pieces > 0 {
            remarks.push(format!(
                "{file}: {pieces} sounds are longer than the model reads at once and are read in pieces, cut where they are \
                 quietest"
            ));
        }
        // Where a sound is read whole or in pieces, it has an entry of them.
        let is_cut = |most: usize| {
            let rows = self.encoded.sounds.iter().zip(&self.encoded.usable).enumerate();
            rows.filter(|(row, (sound, usable))| {
                **usable && sound.samples > most && !self.encoded.pieces.contains_key(row)
            })
            .count()
        };
        if let Some((most, cut)) = self.processor.piece_samples().map(|most| (most, is_cut(most))).filter(|it| it.1 > 0)
        {
            let seconds = most as f64 / f64::from(rate);
            remarks.push(format!(
                "{file}: {cut} sounds are longer than the {seconds} seconds that the model reads and are cut"
            ));
        }
        let usable = || self.encoded.sounds.iter().zip(&self.encoded.usable).filter(|(_, usable)| **usable);
        let resampled = usable().filter(|(sound, _)| sound.rate != rate).count();
        if resampled > 0 {
            let mut rates: Vec<u32> = usable().map(|(sound, _)| sound.rate).filter(|&other| other != rate).collect();
            rates.sort_unstable();
            rates.dedup();
            let rates: Vec<String> = rates.iter().take(4).map(u32::to_string).collect();
            remarks.push(format!("{file}: {resampled} sounds are resampled from {} to {rate} Hz", rates.join(", ")));
        }
        remarks
    }
}

#[cfg(test)]
mod tests;

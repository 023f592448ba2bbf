//! Augmentation: random changes of training sounds, each a pure function of `(seed, epoch, row)` and of its own name, so that
//! switching one on changes no other.
//!
//! Speed first (Ko et al. 2015; the pitch goes along, as with a tape), then the pitch alone, then noise at a ratio to the sound.

use std::f64::consts::TAU;
use std::path::Path;
use std::sync::Arc;

use super::decode::decode;
use super::pitch::pitched;
use super::resample::resample;
use super::rows::SOUNDS;
use crate::{DataError, Random};

/// Speeds are hundredths, so that resampling has few phases.
const STEPS: f64 = 100.0;
/// Decibels between the loudest and the softest noise.
const RANGE: f64 = 20.0;
/// Semitones up or down, at most: beyond them no voice sounds like one.
const MOST_PITCH: f64 = 12.0;
/// Samples of all noise that is kept.
const MOST_NOISE: usize = 10 * 60 * 16_000;

/// Names of the random streams.
mod stream {
    pub(super) const SPEED: u64 = 1;
    pub(super) const NOISE: u64 = 2;
    pub(super) const PITCH: u64 = 3;
}

/// What training does to sounds; the default does nothing.
#[derive(Debug, Clone, Default)]
pub struct AudioAugmentation {
    /// Played up to this share slower or faster.
    speed: f64,
    /// Up to so many semitones higher or lower, at the same speed.
    pitch: f64,
    /// Samples a second.
    rate: u32,
    /// Noise so many decibels below the sound, at the loudest.
    noise: Option<f64>,
    /// What the noise is; nothing for white noise.
    noises: Arc<Vec<Vec<f32>>>,
}

/// Seed, epoch and row of a sound.
type Key = [u64; 3];

fn random([seed, epoch, row]: Key, stream: u64) -> Random {
    Random::at(&[seed, epoch, row, 0x736f_756e, stream])
}

fn power(samples: &[f32]) -> f64 {
    samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}

impl AudioAugmentation {
    /// Speeds up to this share slower or faster, pitches up to so many semitones lower or higher, and noise at the loudest so many
    /// decibels below the sound: white, or from the sounds of a folder. `rate` are samples a second.
    ///
    /// # Errors
    /// A folder that cannot be read, or holds no sound that can be used; numbers out of range.
    pub fn new(
        (speed, pitch): (f64, f64),
        noise: Option<f64>,
        folder: Option<&Path>,
        rate: u32,
    ) -> Result<Self, DataError> {
        let fail = |message: String| Err(DataError::Augmentation { message });
        if !(0.0..=0.5).contains(&speed) {
            return fail(format!("speed-change is {speed}; give a share from 0 to 0.5"));
        }
        if !(0.0..=MOST_PITCH).contains(&pitch) {
            return fail(format!("pitch-change is {pitch}; give semitones from 0 to {MOST_PITCH}"));
        }
        let noises = match (folder, noise) {
            (Some(folder), Some(_)) => read(folder, rate)?,
            (Some(_), None) => return fail("noise-folder needs noise-snr, which says how loud it is".to_owned()),
            (None, _) => Vec::new(),
        };
        Ok(Self { speed, pitch, rate, noise, noises: Arc::new(noises) })
    }

    /// Whether it does nothing.
    pub fn is_off(&self) -> bool {
        self.speed == 0.0 && self.pitch == 0.0 && self.noise.is_none()
    }

    /// A sound as one pass hears it.
    pub(super) fn apply(&self, samples: Vec<f32>, key: Key) -> Vec<f32> {
        let mut samples = samples;
        if self.speed > 0.0 {
            let share = (2.0 * random(key, stream::SPEED).unit() - 1.0) * self.speed;
            let speed = ((1.0 + share) * STEPS).round() as u32;
            let changed = resample(&samples, speed, STEPS as u32);
            samples = if changed.is_empty() { samples } else { changed };
        }
        if self.pitch > 0.0 {
            let semitones = (2.0 * random(key, stream::PITCH).unit() - 1.0) * self.pitch;
            samples = pitched(&samples, semitones, self.rate);
        }
        if let Some(least) = self.noise {
            let mut random = random(key, stream::NOISE);
            let below = least + RANGE * random.unit();
            let noise = self.draw(samples.len(), &mut random);
            let (loud, soft) = (power(&samples), power(&noise));
            if loud > 0.0 && soft > 0.0 {
                let scale = (loud / soft / 10f64.powf(below / 10.0)).sqrt();
                samples.iter_mut().zip(noise).for_each(|(sample, noise)| *sample += (f64::from(noise) * scale) as f32);
            }
        }
        samples
    }

    /// So many samples of noise.
    fn draw(&self, count: usize, random: &mut Random) -> Vec<f32> {
        if self.noises.is_empty() {
            // Box and Muller 1958.
            let normal = |random: &mut Random| {
                let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
                (radius * (TAU * random.unit()).cos()) as f32
            };
            return (0..count).map(|_| normal(random)).collect();
        }
        let noise = &self.noises[random.below(self.noises.len())];
        let begin = random.below(noise.len());
        noise.iter().cycle().skip(begin).take(count).copied().collect()
    }
}

/// The sounds of a folder, in the order of their names.
fn read(folder: &Path, rate: u32) -> Result<Vec<Vec<f32>>, DataError> {
    let failed = |source| DataError::Read { file: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() && SOUNDS.has_ending(&path) {
            files.push(path);
        }
    }
    files.sort();
    let (mut noises, mut kept, mut problems) = (Vec::new(), 0, Vec::new());
    for file in files {
        let bytes = std::fs::read(&file).map_err(|source| DataError::Read { file: file.clone(), source })?;
        match decode(bytes).map(|decoded| resample(&decoded.samples, decoded.rate, rate)) {
            Ok(samples) if power(&samples) > 0.0 => {
                kept += samples.len();
                noises.push(samples);
            }
            Ok(_) => problems.push(format!("{}: is silent", file.display())),
            Err(reason) => problems.push(format!("{}: {reason}", file.display())),
        }
        if kept > MOST_NOISE {
            break;
        }
    }
    if noises.is_empty() || !problems.is_empty() {
        let why = if problems.is_empty() { "holds no sounds".to_owned() } else { problems.join("; ") };
        return Err(DataError::Augmentation { message: format!("noise-folder {}: {why}", folder.display()) });
    }
    Ok(noises)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(count: usize) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.1).sin() * 0.3).collect()
    }

    #[test]
    fn speeds_change_lengths_and_passes_repeat() {
        let augmentation = AudioAugmentation::new((0.1, 0.0), None, None, 16_000).unwrap();
        let lengths: Vec<usize> = (0..40).map(|epoch| augmentation.apply(tone(2000), [1, epoch, 5]).len()).collect();
        assert!(lengths.iter().all(|length| (1810..=2230).contains(length)), "{lengths:?}");
        assert!(lengths.iter().any(|&length| length < 1950) && lengths.iter().any(|&length| length > 2050));
        assert_eq!(augmentation.apply(tone(2000), [1, 3, 5]), augmentation.apply(tone(2000), [1, 3, 5]));
        assert!(AudioAugmentation::default().is_off() && !augmentation.is_off());
        assert_eq!(AudioAugmentation::default().apply(tone(9), [1, 2, 3]), tone(9));
    }

    #[test]
    fn pitches_keep_lengths_and_passes_repeat() {
        let augmentation = AudioAugmentation::new((0.0, 4.0), None, None, 16_000).unwrap();
        let passes: Vec<Vec<f32>> = (0..8).map(|epoch| augmentation.apply(tone(2000), [1, epoch, 5])).collect();
        assert!(passes.iter().all(|changed| changed.len() == 2000) && passes[0] != passes[1]);
        assert_eq!(augmentation.apply(tone(2000), [1, 3, 5]), passes[3]);
        // Switching one on changes no other.
        let both = AudioAugmentation::new((0.1, 4.0), None, None, 16_000).unwrap();
        let speed = AudioAugmentation::new((0.1, 0.0), None, None, 16_000).unwrap();
        assert_eq!(both.apply(tone(2000), [1, 3, 5]).len(), speed.apply(tone(2000), [1, 3, 5]).len());
        assert!(AudioAugmentation::new((0.0, 13.0), None, None, 16_000).is_err() && !augmentation.is_off());
    }

    #[test]
    fn noise_has_its_ratio_to_the_sound() {
        let folder = tempfile::tempdir().unwrap();
        let white = AudioAugmentation::new((0.0, 0.0), Some(10.0), None, 16_000).unwrap();
        for epoch in 0..20 {
            let noisy = white.apply(tone(8000), [1, epoch, 5]);
            let noise: Vec<f32> = noisy.iter().zip(tone(8000)).map(|(a, b)| a - b).collect();
            let ratio = 10.0 * (power(&tone(8000)) / power(&noise)).log10();
            assert!((9.9..30.1).contains(&ratio), "{ratio}");
        }
        assert!(
            AudioAugmentation::new((0.0, 0.0), Some(10.0), Some(folder.path()), 16_000)
                .unwrap_err()
                .to_string()
                .contains("holds no sounds")
        );
        assert!(AudioAugmentation::new((0.0, 0.0), None, Some(folder.path()), 16_000).is_err());
        assert!(AudioAugmentation::new((0.6, 0.0), None, None, 16_000).is_err());
        std::fs::write(folder.path().join("a.wav"), super::super::player::small_wav(&tone(800), 8000)).unwrap();
        let recorded = AudioAugmentation::new((0.0, 0.0), Some(10.0), Some(folder.path()), 8000).unwrap();
        let noisy = recorded.apply(vec![0.5; 2000], [1, 2, 5]);
        assert!(noisy.iter().any(|&sample| sample != 0.5));
        // A silent sound stays silent.
        assert_eq!(recorded.apply(vec![0.0; 9], [1, 2, 5]), vec![0.0; 9]);
    }
}

//! Sounds as small WAV files, for people to listen to in a page.

use super::resample::resample;

/// Samples a second of a small file: speech is understood.
const RATE: u32 = 8000;
/// Seconds of a small file, at most.
const MOST_SECONDS: usize = 15;
/// Bytes before the samples.
const HEADER: u32 = 44;

/// A WAV file of 16 bits and one channel: the beginning of a sound, at 8 kHz.
pub(super) fn small_wav(samples: &[f32], rate: u32) -> Vec<u8> {
    let begin = &samples[..samples.len().min(MOST_SECONDS * rate as usize)];
    let samples = resample(begin, rate, RATE);
    let size = 2 * samples.len() as u32;
    let mut file = Vec::with_capacity((HEADER + size) as usize);
    file.extend(b"RIFF");
    file.extend((HEADER - 8 + size).to_le_bytes());
    file.extend(b"WAVEfmt ");
    // PCM, one channel.
    file.extend(
        [16u32.to_le_bytes(), [1, 0, 1, 0], RATE.to_le_bytes(), (2 * RATE).to_le_bytes(), [2, 0, 16, 0]].concat(),
    );
    file.extend(b"data");
    file.extend(size.to_le_bytes());
    let number = |sample: f32| (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16;
    file.extend(samples.into_iter().flat_map(|sample| number(sample).to_le_bytes()));
    file
}

#[cfg(test)]
mod tests {
    use super::super::decode::decode;
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let samples: Vec<f32> = (0..16_000).map(|i| (i as f32 * 0.05).sin() * 0.5).collect();
        let file = small_wav(&samples, 16_000);
        let decoded = decode(file).unwrap();
        assert_eq!((decoded.rate, decoded.channels, decoded.samples.len()), (RATE, 1, 8000));
        let expected = resample(&samples, 16_000, RATE);
        assert!(decoded.samples.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4));
        assert_eq!(small_wav(&vec![0.1; 20 * 8000], RATE).len(), 44 + 2 * 15 * 8000);
    }
}

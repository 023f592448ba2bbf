//! Tiny WAV files for tests.

use std::path::Path;

/// How samples are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Store {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
}

/// A WAV file of frames of interleaved `samples` from -1 to 1.
pub(super) fn wav(samples: &[f32], channels: u16, rate: u32, store: Store) -> Vec<u8> {
    let (format, bits): (u16, u16) = match store {
        Store::Unsigned8 => (1, 8),
        Store::Signed16 => (1, 16),
        Store::Signed24 => (1, 24),
        Store::Signed32 => (1, 32),
        Store::Float32 => (3, 32),
        Store::Float64 => (3, 64),
    };
    let mut data = Vec::new();
    for &sample in samples {
        let scaled = |range: f64| (f64::from(sample) * range).round().clamp(-range, range - 1.0);
        match store {
            Store::Unsigned8 => data.push((scaled(128.0) + 128.0) as u8),
            Store::Signed16 => data.extend((scaled(32768.0) as i16).to_le_bytes()),
            Store::Signed24 => data.extend(&(scaled(8_388_608.0) as i32).to_le_bytes()[..3]),
            Store::Signed32 => data.extend((scaled(2_147_483_648.0) as i32).to_le_bytes()),
            Store::Float32 => data.extend(sample.to_le_bytes()),
            Store::Float64 => data.extend(f64::from(sample).to_le_bytes()),
        }
    }
    let frame = channels * bits / 8;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend(format.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(frame)).to_le_bytes());
    file.extend(frame.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

/// A sine of one channel.
pub(super) fn sine(hertz: f64, rate: u32, count: usize) -> Vec<f32> {
    let at = |i: usize| (std::f64::consts::TAU * hertz * i as f64 / f64::from(rate)).sin() * 0.5;
    (0..count).map(|i| at(i) as f32).collect()
}

/// A file in the crate's fixtures.
pub(super) fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/audio").join(name)
}

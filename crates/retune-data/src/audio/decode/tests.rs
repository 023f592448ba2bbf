//! Tests of decoding: every way to store samples, and files that are broken.

use super::super::wav::{Store, fixture, sine, wav};
use super::*;

#[test]
fn every_width_of_samples_is_read() {
    let samples = sine(440.0, 8000, 400);
    for (store, error) in [
        (Store::Unsigned8, 1.0 / 256.0),
        (Store::Signed16, 1.0 / 65536.0),
        (Store::Signed24, 1e-7),
        (Store::Signed32, 1e-7),
        (Store::Float32, 0.0),
        (Store::Float64, 0.0),
    ] {
        let sound = decode(wav(&samples, 1, 8000, store)).unwrap();
        assert_eq!((sound.rate, sound.channels, sound.clipped, sound.samples.len()), (8000, 1, 0, 400));
        let worst = sound.samples.iter().zip(&samples).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= error + 1e-9, "{store:?}: {worst}");
    }
    // As libsndfile scales them.
    assert_eq!(decode(wav(&[0.5, -1.0], 1, 8000, Store::Signed16)).unwrap().samples, [0.5, -1.0]);
}

#[test]
fn channels_become_their_mean_and_clipping_is_counted() {
    let sound = decode(wav(&[0.5, 0.25, 1.0, -1.0, 0.0, 0.5], 2, 16_000, Store::Signed16)).unwrap();
    assert_eq!(sound.channels, 2);
    let expected = [0.375, 0.0, 0.25];
    assert!(sound.samples.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4), "{:?}", sound.samples);
    assert_eq!(sound.clipped, 2);
}

/// `fixtures/audio` holds the same second in each format, with the samples that libsndfile reads of it.
#[test]
fn packed_formats_equal_libsndfile() {
    for (name, error) in [("tone.flac", 1e-6), ("tone.ogg", 2e-4), ("tone.mp3", 2e-3)] {
        let sound = decode(std::fs::read(fixture(name)).unwrap()).unwrap();
        let expected = std::fs::read(fixture(&format!("{name}.f32"))).unwrap();
        let expected: Vec<f32> = expected.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        assert_eq!(sound.rate, 16_000, "{name}");
        // MP3 has no exact length; what both have is compared.
        let apart = sound.samples.len().abs_diff(expected.len());
        assert!(if name.ends_with("mp3") { apart < 3000 } else { apart == 0 }, "{name}: {apart}");
        let worst = sound.samples.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < error, "{name}: {worst}");
    }
}

#[test]
fn broken_files_are_explained() {
    let good = wav(&sine(440.0, 8000, 400), 1, 8000, Store::Signed16);
    let said = |bytes: &[u8]| decode(bytes.to_vec()).unwrap_err();
    assert!(said(b"").contains("is empty"));
    assert!(said(b"not a sound at all").contains("is not a WAV"));
    assert!(said(&good[..good.len() - 200]).contains("is cut off: it holds 300 of 400 samples"));
    assert!(said(&good[..30]).contains("is damaged"), "{}", said(&good[..30]));
    assert!(said(&wav(&[], 1, 8000, Store::Signed16)).contains("holds no samples"));
    assert!(said(&wav(&[f32::NAN, 0.0], 1, 8000, Store::Float32)).contains("no numbers"));
    assert!(said(&wav(&[1e30, 0.0], 1, 8000, Store::Float32)).contains("a sample of 1e30"));
    // The first frame counts 90 frames and 9 follow.
    let mut mp3 = std::fs::read(fixture("tone.mp3")).unwrap();
    let count = mp3.windows(4).position(|word| word == b"Xing").unwrap() + 8;
    mp3[count + 3] = 90;
    assert!(said(&mp3).contains("is cut off"), "{}", said(&mp3));
    assert!(said(b"\0\0\0\x20ftypM4A ....").contains("is MPEG-4"));
    let flac = std::fs::read(fixture("tone.flac")).unwrap();
    assert!(decode(flac[..flac.len() / 2].to_vec()).is_err());
    // Any bytes behind a right beginning give an answer, not a panic.
    for seed in 0..200u8 {
        let noise: Vec<u8> = (0..400u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 ^ seed).collect();
        for begin in [&good[..44], b"fLaC\0\0\0\x22", b"OggS\0\x02", b"\xff\xfb\x90\x64", b"ID3\x04\0\0"] {
            let _ = decode([begin, &noise].concat());
        }
    }
}

//! Features equal those of transformers' extractors (`fixtures/audio`), and settings that mean something else are refused.

use super::super::wav::fixture;
use super::*;

fn floats(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(fixture(name)).unwrap();
    bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

fn of(config: &str, kind: FeatureKind) -> Result<AudioProcessor, String> {
    AudioProcessor::from_config(serde_json::from_str(config).unwrap(), kind)
}

fn near(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4, "{what}: {worst}");
}

const SAMPLES: FeatureKind = FeatureKind::Samples { masked: false, counted: false };

#[test]
fn samples_are_normalised_as_transformers_does() {
    near(&normalised(&floats("noise.f32")), &floats("noise_normalised.f32"), "samples");
    assert!(normalised(&[0.25; 9]).iter().all(|&sample| sample == 0.0));
}

#[test]
fn log_mel_spectrograms_equal_whispers() {
    let config = std::fs::read_to_string(fixture("whisper_preprocessor_config.json")).unwrap();
    let Extractor::LogMel(features) = of(&config, FeatureKind::LogMel { frames: 100, bins: 80 }).unwrap().extractor
    else {
        panic!("log-mel")
    };
    near(&features.of(&floats("noise.f32")), &floats("noise_log_mel.f32"), "short");
    let long: Vec<f32> = floats("noise.f32").repeat(20);
    near(&features.of(&long), &floats("noise_log_mel_long.f32"), "long");
}

#[test]
fn filter_banks_equal_asts() {
    let config = std::fs::read_to_string(fixture("ast_preprocessor_config.json")).unwrap();
    let kind = FeatureKind::Spectrogram { frames: 40, bins: 16 };
    let Extractor::FilterBank(features) = of(&config, kind).unwrap().extractor else { panic!("filter banks") };
    near(&features.of(&floats("noise.f32")), &floats("noise_filter_bank.f32"), "short");
    let long: Vec<f32> = floats("noise.f32").repeat(20);
    near(&features.of(&long), &floats("noise_filter_bank_long.f32"), "long");
    assert_eq!(features.shape(), (40, 16));
}

#[test]
fn cepstral_coefficients_equal_kwts() {
    let config = std::fs::read_to_string(fixture("kwt_preprocessor_config.json")).unwrap();
    let kind = FeatureKind::Cepstra { frames: 38, coefficients: 40 };
    let Extractor::Cepstra(features) = of(&config, kind).unwrap().extractor else { panic!("cepstra") };
    near(&features.of(&floats("noise.f32")), &floats("noise_cepstra.f32"), "short");
    near(&features.of(&floats("noise.f32").repeat(20)), &floats("noise_cepstra_long.f32"), "long");
    let published = of("{}", FeatureKind::Cepstra { frames: 98, coefficients: 40 }).unwrap();
    assert_eq!(published.piece_samples(), Some(16_000));
    for (config, expected) in [
        ("{}", "makes 98 frames of 40 coefficients, but the model takes 38 of 40"),
        (r#"{"n_fft": 400}"#, "win_length is 480, which is no piece of the 400 samples of n_fft"),
        (r#"{"max_frequency": 9000}"#, "max_frequency are 20 and 9000, of 16000 samples a second"),
        (r#"{"num_mel_bins": 30}"#, "feature_size is 40, more than the 30 of num_mel_bins"),
        (r#"{"mel_floor": 0}"#, "mel_floor is 0, of which there is no logarithm"),
    ] {
        let error = of(config, kind).err().unwrap();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn stacked_filter_banks_equal_seamless_m4ts() {
    let config = std::fs::read_to_string(fixture("seamless_preprocessor_config.json")).unwrap();
    let processor = of(&config, FeatureKind::Frames { size: 32 }).unwrap();
    assert_eq!(processor.frame_steps(), [(400, 160), (2, 2)]);
    let Extractor::Stacked(features) = processor.extractor else { panic!("stacked filter banks") };
    let (noise, long) = (floats("noise.f32"), floats("noise.f32").repeat(20));
    near(&features.of(std::slice::from_ref(&noise)).values, &floats("noise_stacked.f32"), "short");
    near(&features.of(std::slice::from_ref(&long)).values, &floats("noise_stacked_long.f32"), "long");
    // 23 and 39 pieces: each has half of a frame too much.
    let both = features.of(&[noise, long[..6500].to_vec()]);
    near(&both.values, &floats("noise_stacked_both.f32"), "both");
    let text = std::fs::read_to_string(fixture("noise_stacked_mask.json")).unwrap();
    let mask: Vec<Vec<i64>> = serde_json::from_str(&text).unwrap();
    assert_eq!((both.mask.unwrap(), both.shape), (mask.concat(), (20, 32)));
    assert_eq!(mask.iter().map(|row| row.iter().sum::<i64>()).collect::<Vec<_>>(), [11, 19]);
}

#[test]
fn what_a_file_says_is_kept_and_what_it_leaves_out_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = AudioProcessor::load(folder.path(), FeatureKind::Samples { masked: true, counted: false }).unwrap();
    let Extractor::Samples(options) = &fresh.extractor else { panic!("samples") };
    assert_eq!(*options, SampleOptions { normalise: true, masked: true, counted: false, padding: 0.0 });
    fresh.save(folder.path()).unwrap();
    let again = AudioProcessor::load(folder.path(), SAMPLES).unwrap();
    assert_eq!((again.config(), again.rate()), (fresh.config(), 16_000));
    assert_eq!(again.config()["feature_extractor_type"], "Wav2Vec2FeatureExtractor");

    // As transformers 5 writes a processor of several parts.
    let folder = tempfile::tempdir().unwrap();
    let outer = r#"{"processor_class": "Wav2Vec2Processor", "feature_extractor": {"do_normalize": false, "sampling_rate": 8000}}"#;
    std::fs::write(folder.path().join("processor_config.json"), outer).unwrap();
    let inner = AudioProcessor::load(folder.path(), SAMPLES).unwrap();
    let Extractor::Samples(options) = &inner.extractor else { panic!("samples") };
    assert!(!options.normalise && inner.rate() == 8000);
}

#[test]
fn settings_that_are_not_understood_are_refused() {
    let image = FeatureKind::Spectrogram { frames: 40, bins: 16 };
    let mel = FeatureKind::LogMel { frames: 40, bins: 16 };
    let frames = FeatureKind::Frames { size: 32 };
    for (config, kind, expected) in [
        (r#"{"feature_extractor_type": "ASTFeatureExtractor"}"#, SAMPLES, "but the model reads samples"),
        (r#"{"feature_extractor_type": "ClapFeatureExtractor"}"#, image, "reads features of AST"),
        (r#"{"feature_extractor_type": "ASTFeatureExtractor"}"#, mel, "reads features of Whisper"),
        (r#"{"feature_extractor_type": "ASTFeatureExtractor"}"#, frames, "reads features of SeamlessM4T"),
        (r#"{"num_mel_bins": 16, "stride": 3}"#, frames, "16 bins of 3 pieces make 48"),
        (r#"{"num_mel_bins": 32, "stride": 1}"#, frames, "stride is 1"),
        (r#"{"num_mel_bins": 16, "padding_side": "left"}"#, frames, "padding before a sound"),
        (r#"{"do_normalize": 1}"#, SAMPLES, "do_normalize is `1`, not true or false"),
        (r#"{"sampling_rate": 0}"#, SAMPLES, "sampling_rate is `0`"),
        (r#"{"padding_side": "left"}"#, SAMPLES, "padding before a sound"),
        (
            r#"{"feature_extractor_type": "ASTFeatureExtractor", "max_length": 41, "num_mel_bins": 16}"#,
            image,
            "config.json says 40",
        ),
        (r#"{"max_length": 40, "num_mel_bins": 16, "sampling_rate": 8000}"#, image, "made at 16000 Hz"),
        (r#"{"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 16}"#, mel, "but the model takes 40"),
        (r#"{"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 16, "dither": 0.1}"#, mel, "dither"),
    ] {
        let said = of(config, kind).err().unwrap();
        assert!(said.contains(expected), "{config}: {said}");
    }
}

//! Tests of sounds in batches, and of those that cannot be used.

use std::path::PathBuf;

use super::super::processor::FeatureKind;
use super::super::wav::{Store, sine, wav};
use super::*;
use crate::{ArrayData, Classes, Dataset, Examples, Layout, LeastRate, LongSounds, read_audio};

struct Data {
    folder: tempfile::TempDir,
    table: PathBuf,
}

/// A table of these files, each of class x.
fn data(files: &[(&str, Vec<u8>)]) -> Data {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("train.csv");
    let mut text = "audio,label\n".to_owned();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        text += &format!("{name},x\n");
    }
    std::fs::write(&table, text).unwrap();
    Data { folder, table }
}

impl Data {
    fn rows(&self) -> Arc<TableRows> {
        let layout = Layout::audio("audio").labels(["label"]);
        Arc::new(read_audio(&self.table, &layout, true, OnBadExample::Fail).unwrap())
    }

    fn sounds(&self, processor: &AudioProcessor, options: &AudioOptions) -> Result<Sounds, DataError> {
        let length: AudioLength = Arc::new(|samples| samples / 100);
        Sounds::encode(&self.rows(), processor, options, length, &|_, _| {})
    }

    fn processor(&self, masked: bool) -> AudioProcessor {
        AudioProcessor::load(self.folder.path(), FeatureKind::Samples { masked, counted: false }).unwrap()
    }
}

fn floats(array: &Array) -> &[f32] {
    let ArrayData::F32(values) = &array.data else { panic!("floats") };
    values
}

fn tone(rate: u32, count: usize) -> Vec<u8> {
    wav(&sine(440.0, rate, count), 1, rate, Store::Signed16)
}

#[test]
fn batches_are_padded_and_masked() {
    let data = data(&[("a.wav", tone(16_000, 800)), ("b.wav", tone(8000, 250)), ("c.wav", tone(16_000, 1000))]);
    let sounds = data.sounds(&data.processor(true), &AudioOptions::default()).unwrap();
    let mut batch = Batch::default();
    let seen = sounds.fill(&[1, 0], None, &mut batch).unwrap();
    assert_eq!(seen, [500, 800].map(|samples| AudioSeen { samples, whole: true }));
    let values = &batch.inputs["input_values"];
    assert_eq!(values.shape, [2, 800]);
    let (first, second) = floats(values).split_at(800);
    assert!(first[500..].iter().all(|&sample| sample == 0.0));
    for row in [&first[..500], second] {
        let mean = row.iter().sum::<f32>() / row.len() as f32;
        let variance = row.iter().map(|sample| sample * sample).sum::<f32>() / row.len() as f32;
        assert!(mean.abs() < 1e-3 && (variance - 1.0).abs() < 1e-3, "{mean} {variance}");
    }
    let ArrayData::I64(mask) = &batch.inputs["attention_mask"].data else { panic!("integers") };
    assert_eq!((mask[..800].iter().sum::<i64>(), mask[800..].iter().sum::<i64>()), (500, 800));
    assert_eq!(batch.extent.input, Units { real: 13, padded: 16 });
    let facts = sounds.facts(&[0, 1, 2]);
    assert_eq!(facts[1], Fact::part("resampled", 1, 3));
    assert_eq!((sounds.size(1), sounds.unit()), (31, "milliseconds"));
    let remarks = sounds.remarks(&data.table);
    assert!(remarks[0].contains("1 sounds are resampled from 8000 to 16000 Hz"), "{remarks:?}");
    let mut alone = Batch::default();
    data.sounds(&data.processor(false), &AudioOptions::default()).unwrap().fill(&[0], None, &mut alone).unwrap();
    assert!(!alone.inputs.contains_key("attention_mask"));
}

#[test]
fn spectrograms_are_of_one_size() {
    let data = data(&[("a.wav", tone(16_000, 800)), ("b.wav", tone(16_000, 9000))]);
    let kind = FeatureKind::Spectrogram { frames: 20, bins: 12 };
    let processor = AudioProcessor::load(data.folder.path(), kind).unwrap();
    let sounds = data.sounds(&processor, &AudioOptions::default()).unwrap();
    let mut batch = Batch::default();
    sounds.fill(&[0, 1], None, &mut batch).unwrap();
    assert_eq!(batch.inputs["input_values"].shape, [2, 20, 12]);
    assert!(floats(&batch.inputs["input_values"]).iter().all(|value| value.is_finite()));
}

#[test]
fn sounds_that_are_cut_are_counted() {
    let data = data(&[("a.wav", tone(16_000, 800)), ("b.wav", tone(16_000, 16_001)), ("c.wav", tone(16_000, 16_000))]);
    let kind = FeatureKind::Cepstra { frames: 98, coefficients: 40 };
    let processor = AudioProcessor::load(data.folder.path(), kind).unwrap();
    let sounds = data.sounds(&processor, &AudioOptions::default()).unwrap();
    let mut batch = Batch::default();
    sounds.fill(&[0, 1], None, &mut batch).unwrap();
    assert_eq!(batch.inputs["input_values"].shape, [2, 98, 40]);
    let said = sounds.remarks(&data.table).join(" ");
    assert!(said.contains("1 sounds are longer than the 1 seconds that the model reads and are cut"), "{said}");
    let options = AudioOptions { long: LongSounds::Pieces, ..AudioOptions::default() };
    let said = data.sounds(&processor, &options).unwrap().remarks(&data.table).join(" ");
    assert!(said.contains("are read in pieces") && !said.contains("are cut"), "{said}");
}

#[test]
fn sounds_that_cannot_be_used_are_listed_with_their_reasons() {
    let broken = tone(16_000, 800);
    let files = [
        ("good.wav", tone(16_000, 900)),
        ("cut.wav", broken[..broken.len() - 100].to_vec()),
        ("empty.wav", Vec::new()),
        ("silent.wav", wav(&[0.0; 900], 1, 16_000, Store::Signed16)),
        ("short.wav", tone(16_000, 300)),
        ("long.wav", tone(16_000, 40_000)),
        ("text.wav", b"this is a text".to_vec()),
        ("also.wav", tone(16_000, 900)),
        ("slow.wav", tone(999, 900)),
    ];
    let data = data(&files);
    let options = AudioOptions { least_samples: 400, most_seconds: Some(2.0), ..AudioOptions::default() };
    let sounds = || data.sounds(&data.processor(false), &options).unwrap();
    // What a task finds is told with what decoding found, and with that of other splits.
    let more = vec![(7, "its transcript is too long".to_owned())];
    let split = sounds().without(more.clone()).unwrap();
    let said = Sounds::check([&sounds(), &split], OnBadExample::Fail).unwrap_err().to_string();
    for part in [
        "also.wav: its transcript is too long",
        "slow.wav: has a rate of 999 Hz, of which 1000 are needed: it holds tones up to 499.5 Hz only",
        "8 of 18 cannot be used",
        "cut.wav: is cut off: it holds 750 of 800 samples",
        "empty.wav: is empty; write the file again",
        "silent.wav: is silent",
        "short.wav: is 0.019 seconds long, too short for this model, which needs 0.025",
        "long.wav: is 2.5 seconds long, more than the 2 allowed",
        "text.wav: is not a WAV",
    ] {
        assert_eq!(said.matches(part).count(), 1, "{part} in {said}");
    }
    Sounds::check([&split], OnBadExample::Skip).unwrap();
    let classes = Classes::new(vec!["x".into()], vec![0; 9]);
    let examples = Examples::new(data.rows(), sounds(), Some(classes)).unwrap();
    assert_eq!((examples.len(), examples.examples(), examples.bad_examples().len()), (2, 2, 7));
    assert_eq!(examples.content_hash(0), examples.content_hash(1));
    assert_eq!(examples.bad_examples()[0].line, 3);
    assert!(split.is_usable(0) && !split.is_usable(7) && split.bad_examples()[6].reason.contains("transcript"));
    let speech = AudioOptions { least_rate: LeastRate::OfSpeech, ..options };
    let sounds = data.sounds(&data.processor(false), &speech).unwrap();
    assert!(!sounds.is_usable(8) && sounds.bad_examples()[6].reason.contains("999 Hz, of which 4000 are needed"));
}

#[test]
fn what_is_not_cached_is_decoded_again() {
    let data = data(&[("a.wav", tone(8000, 800)), ("b.wav", tone(8000, 700))]);
    let cached = data.sounds(&data.processor(false), &AudioOptions::default()).unwrap();
    let options = AudioOptions { cache_bytes: 1600 * 4, ..AudioOptions::default() };
    let partly = data.sounds(&data.processor(false), &options).unwrap();
    assert_eq!((cached.uncached(), partly.uncached()), (0, 1));
    assert_eq!(cached.samples(1).unwrap(), partly.samples(1).unwrap());
    assert!(partly.remarks(&data.table)[0].contains("1 sounds do not fit the cache"));
    std::fs::remove_file(data.folder.path().join("b.wav")).unwrap();
    assert!(partly.samples(1).unwrap_err().to_string().contains("there is no such file"));
}

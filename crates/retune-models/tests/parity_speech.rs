//! Families of speech and sound equal Hugging Face on tiny random models: outputs, losses and gradients (`fixtures/parity`).

mod common;

use common::{case, check, difference, fixture, inputs, load_options, logits, test_device};
use retune_kernels::tch::{Kind, Tensor};
use retune_models::checkpoint::{read_tensors, write_tensors};
use retune_models::generate::{DecoderSteps, GenerationSettings, Prompts, Times, generate};
use retune_models::heads::{AUDIO_CLASSIFICATION, LOGIT_LENGTHS, SPEECH_RECOGNITION};
use retune_models::registry::purposes_of_class;
use retune_models::{CheckpointFolder, LoadOptions, LoadedModel, Mode, NewHead, Purpose, Tensors};
use serde_json::{Map, Value};
use std::path::Path;

fn load(name: &str, purpose: &'static Purpose) -> LoadedModel {
    LoadedModel::load(&fixture(&format!("parity/{name}")), &load_options(purpose)).unwrap()
}

#[test]
fn every_family_equals_hugging_face() {
    for (name, purpose, cases) in [
        ("wav2vec2-speech-recognition", &SPEECH_RECOGNITION, &["case", "case_without_mask"][..]),
        ("wav2vec2-stable-layer-norm", &SPEECH_RECOGNITION, &["case"]),
        ("wav2vec2-audio-classification", &AUDIO_CLASSIFICATION, &["case", "case_without_mask"]),
        ("wav2vec2-weighted-layers", &AUDIO_CLASSIFICATION, &["case", "case_without_mask"]),
        ("wav2vec2-language-adapters", &SPEECH_RECOGNITION, &["case"]),
        ("hubert-speech-recognition", &SPEECH_RECOGNITION, &["case", "case_infeasible"]),
        ("hubert-audio-classification", &AUDIO_CLASSIFICATION, &["case"]),
        ("wavlm-speech-recognition", &SPEECH_RECOGNITION, &["case"]),
        ("wav2vec2-shortened", &SPEECH_RECOGNITION, &["case", "case_without_mask"]),
        ("wavlm-shortened", &SPEECH_RECOGNITION, &["case"]),
        ("wavlm-audio-classification", &AUDIO_CLASSIFICATION, &["case"]),
        ("wav2vec2-bert-speech-recognition", &SPEECH_RECOGNITION, &["case"]),
        ("wav2vec2-bert-shortened", &SPEECH_RECOGNITION, &["case", "case_without_mask"]),
        ("wav2vec2-bert-audio-classification", &AUDIO_CLASSIFICATION, &["case", "case_without_mask"]),
        ("ast-audio-classification", &AUDIO_CLASSIFICATION, &["case"]),
        ("kwt-audio-classification", &AUDIO_CLASSIFICATION, &["case"]),
        ("whisper-speech-recognition", &SPEECH_RECOGNITION, &["case"]),
        ("whisper-untied", &SPEECH_RECOGNITION, &["case"]),
        ("whisper-audio-classification", &AUDIO_CLASSIFICATION, &["case"]),
        ("moonshine-speech-recognition", &SPEECH_RECOGNITION, &["case", "case_without_mask"]),
        ("moonshine-untied", &SPEECH_RECOGNITION, &["case", "case_without_mask"]),
    ] {
        for file in cases {
            println!("{name}/{file}");
            let loaded = load(name, purpose);
            assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
            assert_eq!(purposes_of_class(&loaded.config), [purpose]);
            check(&loaded, &case(&format!("parity/{name}/{file}.safetensors")), |name| format!("grad.{name}"));
        }
    }
}

/// A file beside the checkpoint stands in the place of its own adapters and head, and is written again.
#[test]
fn another_language_is_read_and_written_as_transformers_does() {
    let folder = fixture("parity/wav2vec2-language-adapters");
    assert_eq!(CheckpointFolder::languages(&folder), ["deu"]);
    let head = |language: &str| NewHead::of(&SPEECH_RECOGNITION).field("vocab_size", 7).language(Some(language.into()));
    let load = |folder: &Path, head: NewHead| {
        LoadedModel::load(folder, &LoadOptions { head: Some(head), ..load_options(&SPEECH_RECOGNITION) })
    };
    let german = load(&folder, head("deu")).unwrap();
    let expected = case("parity/wav2vec2-language-adapters/case_deu.safetensors");
    assert!(german.report.new.is_empty() && german.report.unexpected.is_empty(), "{:?}", german.report);
    check(&german, &expected, |name| format!("grad.{name}"));
    let saved = tempfile::tempdir().unwrap();
    german.save(saved.path(), "").unwrap();
    let tensors = |folder: &Path| read_tensors(&folder.join("adapter.deu.safetensors")).unwrap();
    let (own, again) = (tensors(&folder), tensors(saved.path()));
    assert!(own.len() == again.len() && own.iter().all(|(name, tensor)| again[name] == *tensor));
    let whole = load(saved.path(), NewHead::of(&SPEECH_RECOGNITION)).unwrap();
    let worst = difference(&logits(&whole, &inputs(&expected), &Mode::evaluation()), &expected["output.logits"]);
    assert!(worst < 1e-5, "{worst}");
    let part: Vec<_> = own.iter().filter(|(name, _)| !name.starts_with("lm_head")).collect();
    let part: Vec<_> = part.into_iter().map(|(name, it)| (name.clone(), it.shallow_clone())).collect();
    write_tensors(&saved.path().join("adapter.xyz.safetensors"), &part).unwrap();
    let refused = load(saved.path(), head("xyz")).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("lacks `lm_head.bias`"), "{refused}");
}

/// Samples behind the ends of rows, and how long the rows are, change nothing of what lies before.
#[test]
fn padding_is_not_heard() {
    let loaded = load("wav2vec2-stable-layer-norm", &SPEECH_RECOGNITION);
    let case = case("parity/wav2vec2-stable-layer-norm/case.safetensors");
    let whole = inputs(&case);
    let row =
        |inputs: &Tensors, name: &str, width: i64| inputs.get(name).unwrap().narrow(0, 1, 1).narrow(1, 0, width).copy();
    let alone = Tensors::from([
        ("input_values", row(&whole, "input_values", 114)),
        ("mask_time_indices", row(&whole, "mask_time_indices", 7)),
    ]);
    let outputs = loaded.network.forward(&whole, &Mode::evaluation()).unwrap();
    let lengths = Vec::<i64>::try_from(outputs.get(LOGIT_LENGTHS).unwrap()).unwrap();
    assert_eq!(lengths, [12, 7, 14]);
    let batched = outputs.get("logits").unwrap().narrow(0, 1, 1).narrow(1, 0, 7);
    assert!(difference(&logits(&loaded, &alone, &Mode::evaluation()), &batched) < 1e-6);
}

fn copy_with(name: &str, folder: &Path, rename: impl Fn(&str) -> Option<String>) {
    let from = fixture(&format!("parity/{name}"));
    std::fs::copy(from.join("config.json"), folder.join("config.json")).unwrap();
    let tensors = read_tensors(&from.join("model.safetensors")).unwrap();
    let renamed: Vec<_> = tensors.into_iter().filter_map(|(name, it)| Some((rename(&name)?, it))).collect();
    write_tensors(&folder.join("model.safetensors"), &renamed).unwrap();
}

/// As PyTorch before 2.0 called the two parts of a normalised weight, and without a base's prefix.
#[test]
fn older_names_are_read_and_newer_ones_written() {
    let folder = tempfile::tempdir().unwrap();
    copy_with("wav2vec2-speech-recognition", folder.path(), |name| {
        let (length, direction) = ("parametrizations.weight.original0", "parametrizations.weight.original1");
        let name = name.replace(length, "weight_g").replace(direction, "weight_v");
        Some(name.strip_prefix("wav2vec2.").map_or(name.clone(), str::to_owned))
    });
    let old = LoadedModel::load(folder.path(), &load_options(&SPEECH_RECOGNITION)).unwrap();
    assert!(old.report.unexpected.is_empty());
    let case = case("parity/wav2vec2-speech-recognition/case.safetensors");
    let same = |loaded: &LoadedModel| {
        let worst = difference(&logits(loaded, &inputs(&case), &Mode::evaluation()), &case["output.logits"]);
        assert!(worst < 1e-5, "{worst}");
    };
    same(&old);
    let saved = tempfile::tempdir().unwrap();
    old.save(saved.path(), "").unwrap();
    let names = read_tensors(&saved.path().join("model.safetensors")).unwrap();
    assert!(names.contains_key("wav2vec2.encoder.pos_conv_embed.conv.parametrizations.weight.original0"));
    same(&LoadedModel::load(saved.path(), &load_options(&SPEECH_RECOGNITION)).unwrap());
}

/// Published recognizers lack what stands for masked frames; only training needs it.
#[test]
fn what_stands_for_masked_frames_may_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    copy_with("wav2vec2-stable-layer-norm", folder.path(), |name| {
        (!name.ends_with("masked_spec_embed")).then(|| name.to_owned())
    });
    let used = LoadedModel::load(folder.path(), &load_options(&SPEECH_RECOGNITION)).unwrap();
    assert!(used.params.iter().all(|param| !param.name.ends_with("masked_spec_embed")));
    let options = LoadOptions { new_head: true, ..load_options(&SPEECH_RECOGNITION) };
    let trained = LoadedModel::load(folder.path(), &options).unwrap();
    let new: Vec<&str> = trained.report.new.iter().map(|new| new.name.as_str()).collect();
    assert_eq!(new, ["wav2vec2.masked_spec_embed"]);
}

#[test]
fn training_masks_spans_and_leaves_layers_out_as_the_stream_says() {
    let folder = tempfile::tempdir().unwrap();
    copy_with("wav2vec2-stable-layer-norm", folder.path(), |name| Some(name.to_owned()));
    let path = folder.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for (field, from, to) in [("mask_time_length", "10", "3"), ("layerdrop", "0.0", "0.5")] {
        let replaced = std::fs::read_to_string(&path).unwrap();
        let replaced = replaced.replace(&format!("\"{field}\": {from}"), &format!("\"{field}\": {to}"));
        std::fs::write(&path, replaced).unwrap();
    }
    assert_ne!(std::fs::read_to_string(&path).unwrap(), text);
    let loaded = LoadedModel::load(folder.path(), &load_options(&SPEECH_RECOGNITION)).unwrap();
    let all = inputs(&case("parity/wav2vec2-stable-layer-norm/case.safetensors"));
    let inputs: Tensors =
        ["input_values", "attention_mask"].map(|name| (name, all.get(name).unwrap().shallow_clone())).into();
    let train = |stream: u64| {
        retune_kernels::dropout::set_stream(stream);
        logits(&loaded, &inputs, &Mode::training(0)).detach()
    };
    let evaluated = logits(&loaded, &inputs, &Mode::evaluation()).detach();
    let passes: Vec<Tensor> = (0..8).map(train).collect();
    assert!(passes.iter().all(|pass| difference(pass, &evaluated) > 1e-3));
    assert_eq!(train(3), passes[3]);
    assert!(passes.windows(2).all(|pair| difference(&pair[0], &pair[1]) > 1e-4));
    // What is below the first trained block is as in evaluation.
    assert!(difference(&logits(&loaded, &inputs, &Mode::training(4)), &evaluated) < 1e-6);
}

#[test]
fn sounds_that_are_too_short_and_settings_that_mean_something_else_are_refused() {
    let loaded = load("wav2vec2-speech-recognition", &SPEECH_RECOGNITION);
    let zeros = |shape: &[i64], kind| Tensor::zeros(shape, (kind, test_device()));
    let refused = |inputs: Tensors| loaded.network.forward(&inputs, &Mode::evaluation()).unwrap_err().to_string();
    let samples = |count: i64| zeros(&[2, count], Kind::Float);
    let said = refused(Tensors::from([("input_values", samples(30))]));
    assert!(said.contains("give at least 31 samples"), "{said}");
    let mask = zeros(&[2, 60], Kind::Int64);
    let said = refused(Tensors::from([("input_values", samples(60)), ("attention_mask", mask)]));
    assert!(said.contains("row 0 has 0 samples"), "{said}");
    let mask = zeros(&[2, 7], Kind::Int64);
    let said = refused(Tensors::from([("input_values", samples(60)), ("attention_mask", mask)]));
    assert!(said.contains("the input_values have [2, 60]"), "{said}");

    let ast = load("ast-audio-classification", &AUDIO_CLASSIFICATION);
    let wrong = Tensors::from([("input_values", zeros(&[1, 17, 10], Kind::Float))]);
    let said = ast.network.forward(&wrong, &Mode::evaluation()).unwrap_err().to_string();
    assert!(said.contains("give [batch, 18, 10]"), "{said}");

    for (field, value, expected) in [
        ("feat_extract_norm", "\"batch\"", "only `group` and `layer` are known"),
        ("num_conv_pos_embedding_groups", "7", "does not divide the hidden size 24"),
        ("conv_kernel", "[3]", "has 1 numbers, but conv_dim has 3"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        copy_with("wav2vec2-speech-recognition", folder.path(), |name| Some(name.to_owned()));
        let path = folder.path().join("config.json");
        let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config[field] = serde_json::from_str(value).unwrap();
        std::fs::write(&path, config.to_string()).unwrap();
        let said = LoadedModel::load(folder.path(), &load_options(&SPEECH_RECOGNITION)).err().unwrap().to_string();
        assert!(said.contains(field) && said.contains(expected), "{said}");
    }
}

/// Another vocabulary of the same size means other outputs.
#[test]
fn a_head_for_other_outputs_starts_anew() {
    let head = NewHead::of(&SPEECH_RECOGNITION).field("vocab_size", 9).anew(Some("another vocabulary".to_owned()));
    let options = LoadOptions { head: Some(head), new_head: true, ..load_options(&SPEECH_RECOGNITION) };
    let loaded = LoadedModel::load(&fixture("parity/wav2vec2-speech-recognition"), &options).unwrap();
    let new: Vec<&str> = loaded.report.new.iter().map(|new| new.name.as_str()).collect();
    assert_eq!(new, ["lm_head.weight", "lm_head.bias"]);
    assert_eq!(loaded.report.new[0].reason, "another vocabulary");
}

/// Texts about sounds are written token for token as transformers does it, behind prompts of several tokens.
#[test]
fn searches_over_sounds_equal_hugging_face_s() {
    ["whisper-untied", "moonshine-untied"].iter().for_each(|name| searches_equal(name));
}

fn searches_equal(name: &str) {
    let loaded = load(name, &SPEECH_RECOGNITION);
    let sounds = inputs(&case(&format!("parity/{name}/case.safetensors")));
    let text = std::fs::read(fixture(&format!("parity/{name}/searches.json"))).unwrap();
    let file: Value = serde_json::from_slice(&text).unwrap();
    let rows = |value: &Value| -> Vec<Vec<i64>> { serde_json::from_value(value.clone()).unwrap() };
    let prompts = rows(&file["prompts"]);
    let ids = Tensor::from_slice(&prompts.concat()).view([prompts.len() as i64, -1]).to_device(test_device());
    for search in file["searches"].as_array().unwrap() {
        let said = search["settings"].as_object().unwrap();
        let mut settings = GenerationSettings::read(said, &Map::new()).unwrap();
        let token = |field: &str| said.get(field).and_then(Value::as_i64);
        let times = |none: i64| Times { first: none + 1, none, most_initial: token("max_initial_timestamp_index") };
        settings.times = token("no_timestamps_token_id").map(times);
        let heard = ["input_features", "input_values", "attention_mask"];
        let heard = heard.iter().filter_map(|&name| Some((name.to_owned(), sounds.optional(name)?.shallow_clone())));
        let read: Tensors = heard.collect();
        let mut steps = DecoderSteps::over(&loaded.network, &read).unwrap();
        let begin = Prompts::new(&ids, &ids.ones_like(), vec![0, 1, 2]).unwrap();
        let found = generate(&mut steps, &begin, &settings, &mut |_, _| ()).unwrap();
        let tokens: Vec<Vec<i64>> = found.into_iter().map(|one| one.tokens).collect();
        assert_eq!(tokens, rows(&search["written"]), "{}", search["settings"]);
    }
}

/// Where the number of samples is known, a sound in a batch is written as if it were alone, though its front end hears all of a row.
#[test]
fn counted_samples_are_heard_as_if_alone() {
    let loaded = load("moonshine-speech-recognition", &SPEECH_RECOGNITION);
    let all = inputs(&case("parity/moonshine-speech-recognition/case.safetensors"));
    let counts = Tensor::from_slice(&[2000i64, 900, 2400]);
    let [samples, ids] = ["input_values", "decoder_input_ids"].map(|name| all.get(name).unwrap());
    let named = |samples: Tensor, ids: Tensor| [("input_values", samples), ("decoder_input_ids", ids)];
    let mut batch = Tensors::from(named(samples.shallow_clone(), ids.shallow_clone()));
    batch.insert("sample_counts", counts.shallow_clone());
    let together = logits(&loaded, &batch, &Mode::evaluation());
    for (row, count) in [2000i64, 900, 2400].into_iter().enumerate() {
        let row = row as i64;
        let one = named(samples.narrow(0, row, 1).narrow(1, 0, count), ids.narrow(0, row, 1));
        let alone = logits(&loaded, &Tensors::from(one), &Mode::evaluation());
        assert!(difference(&together.narrow(0, row, 1), &alone) < 1e-5, "{row}");
    }
    let masked = logits(&loaded, &all, &Mode::evaluation());
    assert!(difference(&masked.narrow(0, 1, 1), &together.narrow(0, 1, 1)) > 1e-3);
    batch.insert("sample_counts", Tensor::from_slice(&[2000i64, 100, 2400]));
    let said = loaded.network.forward(&batch, &Mode::evaluation()).unwrap_err().to_string();
    assert!(said.contains("from 895 to 2400"), "{said}");
}

/// A checkpoint with a decoder becomes a classifier of sounds, whose file is the encoder's alone.
#[test]
fn a_recognizer_becomes_a_classifier_of_sounds() {
    let labels = ["no", "yes", "maybe"].map(str::to_owned).to_vec();
    let head = NewHead::of(&AUDIO_CLASSIFICATION).labels(labels);
    let options = LoadOptions { head: Some(head), new_head: true, ..load_options(&AUDIO_CLASSIFICATION) };
    let loaded = LoadedModel::load(&fixture("parity/whisper-speech-recognition"), &options).unwrap();
    let new: Vec<&str> = loaded.report.new.iter().map(|new| new.name.as_str()).collect();
    assert_eq!(new, ["projector.weight", "projector.bias", "classifier.weight", "classifier.bias"]);
    let saved = tempfile::tempdir().unwrap();
    loaded.save(saved.path(), "").unwrap();
    let tensors = read_tensors(&saved.path().join("model.safetensors")).unwrap();
    assert!(tensors.contains_key("encoder.conv1.weight") && !tensors.keys().any(|name| name.starts_with("model.")));
    let again = LoadedModel::load(saved.path(), &load_options(&AUDIO_CLASSIFICATION)).unwrap();
    assert_eq!(again.config.architecture(), Some("WhisperForAudioClassification"));
    assert_eq!(purposes_of_class(&again.config), [&AUDIO_CLASSIFICATION]);
    let features = Tensor::ones([1, 5, 18], (Kind::Float, test_device()));
    let inputs = Tensors::from([("input_features", features)]);
    assert_eq!(logits(&again, &inputs, &Mode::evaluation()), logits(&loaded, &inputs, &Mode::evaluation()));
}

/// SpecAugment of Whisper zeroes spans of the spectrogram: once all of it is masked, what stands there is not heard.
#[test]
fn spectrograms_are_masked_in_training_alone() {
    let folder = tempfile::tempdir().unwrap();
    copy_with("whisper-speech-recognition", folder.path(), |name| Some(name.to_owned()));
    let path = folder.path().join("config.json");
    let set = |fields: &[(&str, Value)]| {
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        fields.iter().for_each(|(field, value)| config[*field] = value.clone());
        std::fs::write(&path, config.to_string()).unwrap();
        LoadedModel::load(folder.path(), &load_options(&SPEECH_RECOGNITION)).unwrap()
    };
    let all = inputs(&case("parity/whisper-speech-recognition/case.safetensors"));
    let named = |features: Tensor| {
        let ids = all.get("decoder_input_ids").unwrap().shallow_clone();
        Tensors::from([("input_features", features), ("decoder_input_ids", ids)])
    };
    let heard = named(all.get("input_features").unwrap().shallow_clone());
    let silent = named(all.get("input_features").unwrap().zeros_like());
    let train = |loaded: &LoadedModel, inputs: &Tensors, stream: u64| {
        retune_kernels::dropout::set_stream(stream);
        logits(loaded, inputs, &Mode::training(0)).detach()
    };
    let off = set(&[("mask_time_prob", Value::from(0.9))]);
    let plain = logits(&off, &heard, &Mode::evaluation()).detach();
    assert!(difference(&train(&off, &heard, 1), &plain) < 1e-6);
    let some = set(&[
        ("apply_spec_augment", Value::from(true)),
        ("mask_time_prob", Value::from(0.3)),
        ("mask_time_length", Value::from(3)),
    ]);
    assert!(difference(&logits(&some, &heard, &Mode::evaluation()), &plain) < 1e-6);
    assert_eq!(train(&some, &heard, 4), train(&some, &heard, 4));
    assert!(difference(&train(&some, &heard, 4), &train(&some, &heard, 5)) > 1e-4);
    let every = set(&[
        ("mask_feature_prob", Value::from(0.999)),
        ("mask_feature_length", Value::from(5)),
        ("mask_feature_min_masks", Value::from(1)),
    ]);
    assert!(difference(&train(&every, &heard, 4), &train(&every, &silent, 4)) < 1e-6);
}

/// Positions of an encoder are what they are: no gradient, no place among what learns, but in the file.
#[test]
fn fixed_positions_are_kept_and_spectrograms_have_one_size() {
    let loaded = load("whisper-speech-recognition", &SPEECH_RECOGNITION);
    let name = "model.encoder.embed_positions.weight";
    assert!(loaded.params.trainable().all(|param| param.name != name));
    let folder = tempfile::tempdir().unwrap();
    loaded.save(folder.path(), "").unwrap();
    let saved = read_tensors(&folder.path().join("model.safetensors")).unwrap();
    let before = read_tensors(&fixture("parity/whisper-speech-recognition/model.safetensors")).unwrap();
    assert_eq!(saved[name], before[name]);
    assert_eq!(saved.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    let short = Tensors::from([("input_features", Tensor::zeros([1, 5, 16], (Kind::Float, test_device())))]);
    let said = loaded.network.forward(&short, &Mode::evaluation()).unwrap_err().to_string();
    assert!(said.contains("give [batch, 5, 18]"), "{said}");
}

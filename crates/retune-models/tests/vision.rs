//! Vision models beyond parity: loading, freezing, precision, random weights, adapters, and inputs they refuse.

mod common;

use common::{case, difference, fixture, hidden_states, inputs, load_options, test_device, with_labels};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Precision, dropout, loss};
use retune_models::checkpoint::{read_tensors, write_tensors};
use retune_models::heads::{IMAGE_CLASSIFICATION, MASKED_IMAGE_MODELING, SEQUENCE_CLASSIFICATION};
use retune_models::takes::{ImageInput, Positions};
use retune_models::{
    Explanation, LoadOptions, LoadedModel, LoraPlan, Mode, ModelConfig, ModelError, Takes, Tensors, registry,
};
use serde_json::{Value, json};
use std::path::Path;

const FAMILIES: [&str; 8] = [
    "vit-image-classification",
    "deit-with-teacher",
    "beit-relative-position",
    "beit-shared-relative-position",
    "dinov2-image-classification",
    "dinov2-swiglu",
    "swin-image-classification",
    "convnext-image-classification",
];

fn classifier() -> LoadOptions {
    load_options(&IMAGE_CLASSIFICATION)
}

fn load(name: &str, options: &LoadOptions) -> Result<LoadedModel, ModelError> {
    LoadedModel::load(&fixture(&format!("parity/{name}")), options)
}

/// A copy of a fixture with another configuration and other tensors.
fn changed(name: &str, config: Value, rename: impl Fn(&str) -> Option<String>) -> tempfile::TempDir {
    let (folder, source) = (tempfile::tempdir().unwrap(), fixture(&format!("parity/{name}")));
    let mut fields: Value = serde_json::from_slice(&std::fs::read(source.join("config.json")).unwrap()).unwrap();
    for (field, value) in config.as_object().unwrap() {
        fields[field] = value.clone();
    }
    std::fs::write(folder.path().join("config.json"), fields.to_string()).unwrap();
    let tensors = read_tensors(&source.join("model.safetensors")).unwrap();
    let renamed: Vec<_> = tensors.into_iter().filter_map(|(name, tensor)| Some((rename(&name)?, tensor))).collect();
    write_tensors(&folder.path().join("model.safetensors"), &renamed).unwrap();
    folder
}

fn images(shape: &[i64]) -> Tensors {
    let mut inputs = Tensors::default();
    let values = retune_kernels::random::normal(3, shape.iter().product::<i64>() as usize);
    inputs.insert("pixel_values", Tensor::from_slice(&values).reshape(shape).to_device(test_device()));
    inputs
}

fn images_of(config: &ModelConfig) -> ImageInput {
    registry::takes(config).unwrap().images().unwrap()
}

fn logits(loaded: &LoadedModel, inputs: &Tensors) -> Tensor {
    common::logits(loaded, inputs, &Mode::evaluation())
}

fn train(loaded: &LoadedModel, name: &str, mode: &Mode) -> Tensor {
    let case = inputs(&case(&format!("parity/{name}/case.safetensors")));
    let logits = common::logits(loaded, &case, mode);
    let summed = loss::cross_entropy(&logits, case.get("labels").unwrap(), None, 0.0);
    summed.sum.backward();
    logits
}

#[test]
fn images_that_a_model_cannot_take_are_refused_with_a_reason() {
    let refuse = |name: &str, shape: &[i64], expected: &str| {
        let loaded = load(name, &classifier()).unwrap();
        let error = loaded.network.forward(&images(shape), &Mode::evaluation()).unwrap_err().to_string();
        assert!(error.contains("pixel_values") && error.contains(expected), "{name} {shape:?}: {error}");
    };
    for name in FAMILIES {
        refuse(name, &[1, 1, 64, 64], "takes 3 channels, not 1");
        refuse(name, &[1, 3, 64, 3], "at least");
        refuse(name, &[3, 64, 64], "[batch, channels, height, width]");
    }
    for name in ["vit-image-classification", "beit-relative-position", "dinov2-image-classification"] {
        refuse(name, &[1, 3, 32, 33], "multiples of the patch size 8×8");
    }
    refuse("convnext-image-classification", &[1, 3, 31, 64], "at least 32×32");
    let error = load(FAMILIES[0], &classifier()).unwrap().network.forward(&Tensors::default(), &Mode::evaluation());
    assert!(error.unwrap_err().to_string().contains("pixel_values"));
}

#[test]
fn a_masked_autoencoder_needs_its_image_size_and_a_number_for_each_patch() {
    let loaded = load("vit-mae", &load_options(&MASKED_IMAGE_MODELING)).unwrap();
    let refuse = |inputs: &Tensors, expected: &str| {
        let error = loaded.network.forward(inputs, &Mode::evaluation()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let mut inputs = images(&[2, 3, 32, 32]);
    refuse(&inputs, "`noise`");
    inputs.insert("noise", Tensor::zeros([2, 15], (Kind::Float, test_device())));
    refuse(&inputs, "[2, 16]");
    refuse(&images(&[2, 3, 40, 32]), "32×32 pixels");
    let folder = changed("vit-mae", json!({"mask_ratio": 0.95}), |name| Some(name.to_owned()));
    let error = LoadedModel::load(folder.path(), &load_options(&MASKED_IMAGE_MODELING)).err().unwrap();
    assert!(error.to_string().contains("mask_ratio"), "{error}");
}

#[test]
fn the_sizes_a_model_takes_are_known_before_it_is_loaded() {
    for (name, sizes) in [
        ("vit-image-classification", [(40, 48), (33, 32), (4, 8)]),
        ("beit-relative-position", [(8, 8), (32, 36), (8, 7)]),
        ("swin-image-classification", [(38, 42), (3, 4), (64, 2)]),
        ("convnext-image-classification", [(33, 71), (31, 64), (64, 31)]),
    ] {
        let config = ModelConfig::new(read_config(name)).unwrap();
        let rule = images_of(&config).sizes;
        let loaded = load(name, &classifier()).unwrap();
        for (index, (height, width)) in sizes.into_iter().enumerate() {
            let forward = loaded.network.forward(&images(&[1, 3, height, width]), &Mode::evaluation());
            assert_eq!(forward.is_ok(), index == 0, "{name} {height}×{width}");
            assert_eq!(rule.check((height, width)).is_ok(), index == 0, "{name} {height}×{width}");
        }
    }
    let vit = ModelConfig::new(read_config("vit-image-classification")).unwrap();
    let problem = images_of(&vit).sizes.check((20, 32)).unwrap_err();
    assert!(problem.ends_with("use 16×32 or 24×32"), "{problem}");
}

#[test]
fn what_is_remembered_of_one_size_does_not_reach_another() {
    for name in ["swin-image-classification", "beit-relative-position", "beit-shared-relative-position"] {
        let used = load(name, &classifier()).unwrap();
        for side in [32, 48, 32, 40, 48] {
            let inputs = images(&[2, 3, side, side]);
            assert_eq!(logits(&used, &inputs), logits(&load(name, &classifier()).unwrap(), &inputs), "{name} {side}");
        }
    }
}

#[test]
fn positions_are_interpolated_only_where_there_are_any() {
    for (name, positions) in [
        ("vit-image-classification", Positions::InterpolatedOnRequest),
        ("deit-with-teacher", Positions::InterpolatedOnRequest),
        ("swin-absolute-positions", Positions::InterpolatedOnRequest),
        ("beit-relative-position", Positions::Interpolated),
        ("dinov2-swiglu", Positions::Interpolated),
        ("swin-image-classification", Positions::Free),
        ("convnext-image-classification", Positions::Free),
    ] {
        let config = ModelConfig::new(read_config(name)).unwrap();
        assert_eq!(images_of(&config).positions, positions, "{name}");
    }
}

/// Which parameters become 0.
fn zeroed(loaded: &mut LoadedModel, which: impl Fn(&str, usize) -> bool) {
    for param in loaded.params.iter_mut().filter(|param| which(&param.name, param.depth)) {
        param.set(&param.value().unwrap().zeros_like()).unwrap();
    }
}

#[test]
fn dropout_is_where_hugging_face_has_it() {
    // Hugging Face's layers, transformers 5.24: attention rate on the probabilities alone; hidden rate on embeddings and,
    // but for DINOv2, after attention and feed-forward.
    for name in FAMILIES.into_iter().filter(|name| !name.starts_with("convnext")) {
        let same = |field: &str, zero: &dyn Fn(&str, usize) -> bool| {
            let mut config = json!({"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0});
            config[field] = json!(0.5);
            let folder = changed(name, config, |name| Some(name.to_owned()));
            let mut loaded = LoadedModel::load(folder.path(), &classifier()).unwrap();
            zeroed(&mut loaded, zero);
            dropout::set_stream(1);
            let inputs = images(&[2, 3, 32, 32]);
            let trained = common::logits(&loaded, &inputs, &Mode::training(0));
            difference(&trained, &logits(&loaded, &inputs)) < 1e-6
        };
        let (attention, hidden) = ("attention_probs_dropout_prob", "hidden_dropout_prob");
        let output = |param: &str, _: usize| param.contains("attention.output.dense.weight");
        assert!(!same(attention, &|_, _| false), "{name}: no dropout on attention");
        assert!(same(attention, &output), "{name}: the rate of attention works after its projection");
        // Without embeddings only the biases of the layers are left.
        let embeddings = |_: &str, depth: usize| depth == 0;
        assert!(!same(hidden, &|_, _| false), "{name}: no dropout on embeddings");
        assert_eq!(same(hidden, &embeddings), name.starts_with("dinov2"), "{name}: dropout inside the layers");
    }
}

#[test]
fn a_dropout_that_nothing_has_is_refused() {
    let error = |name| load(name, &LoadOptions { dropout: Some(0.1), ..classifier() }).err().map(|it| it.to_string());
    let message = error("convnext-image-classification").unwrap();
    assert!(message.contains("dropout") && message.contains("`drop_path_rate` is 0"), "{message}");
    assert_eq!(error("swin-image-classification"), None);
}

fn first_choice(outputs: &Tensors) -> Result<Tensor, ModelError> {
    Ok(outputs.get("logits")?.amax([-1i64], false))
}

#[test]
fn every_family_draws_heat_maps_and_frozen_ones_the_same() {
    for name in FAMILIES {
        let mut loaded = load(name, &classifier()).unwrap();
        let (side, grid) = match name {
            "convnext-image-classification" => (96, (3, 3)),
            // Patches of 4, and a stage that halves the map.
            "swin-image-classification" => (40, (5, 5)),
            _ => (40, (5, 5)),
        };
        let inputs = images(&[2, 3, side, side]);
        let known = loaded.network.explanations();
        let rolled = !name.starts_with("swin") && !name.starts_with("convnext");
        assert_eq!(known.contains(&Explanation::Rollout), rolled, "{name}");
        for how in [Explanation::Gradient, Explanation::Rollout] {
            let drawn = loaded.network.explain(&inputs, how, &first_choice);
            if !known.contains(&how) {
                let message = drawn.unwrap_err().to_string();
                assert!(message.contains("no rollout heat maps; use gradient"), "{message}");
                continue;
            }
            let map = drawn.unwrap();
            assert_eq!(map.size(), [2, grid.0, grid.1], "{name}");
            assert!(map.isfinite().all().int64_value(&[]) == 1 && map.min().double_value(&[]) >= 0.0, "{name}");
            assert!(map.max().double_value(&[]) > 0.0, "{name}: nothing speaks for the first choice");
            let whole = map.sum_dim_intlist([1i64, 2].as_slice(), false, Kind::Float).max().double_value(&[]);
            assert!(how == Explanation::Gradient || whole < 1.0 + 1e-5, "{name}: {whole}");
            assert!(loaded.params.iter().all(|param| param.gradient().is_none()), "{name}: a map left gradients");
            loaded.params.iter_mut().for_each(|param| param.set_trainable(param.head));
            let frozen = loaded.network.explain(&inputs, how, &first_choice).unwrap();
            assert!(difference(&frozen, &map) < 1e-5, "{name}: frozen");
            loaded.params.iter_mut().for_each(|param| param.set_trainable(true));
        }
    }
    let text =
        LoadedModel::load(&fixture("parity/bert-sequence-classification"), &load_options(&SEQUENCE_CLASSIFICATION));
    let message = text.unwrap().network.explain(&Tensors::default(), Explanation::Gradient, &first_choice).unwrap_err();
    assert_eq!(message.to_string(), "this model has no gradient heat maps");
}

/// A ViT whose class token takes from the only bright patch of an image all that the classifier looks at.
#[test]
fn heat_maps_peak_at_the_patch_that_decides() {
    let mut loaded = load("vit-image-classification", &classifier()).unwrap();
    let wide = loaded.params.get_mut("vit.layernorm.weight").unwrap().value().unwrap().size()[0];
    for param in loaded.params.iter_mut() {
        let mut value = param.value().unwrap().zeros_like();
        let name = param.name.as_str();
        let last = name.contains("layer.1.");
        if name.contains("layernorm") && name.ends_with("weight") || name.ends_with("query.bias") {
            value = value.ones_like();
        } else if name.ends_with("value.weight") || last && name.ends_with("attention.output.dense.weight") {
            value = Tensor::eye(wide, (Kind::Float, test_device()));
        } else if name.ends_with("projection.weight") {
            // Brightness is channel 0 of a patch.
            let _ = value.get(0).fill_(1.0 / 192.0);
        } else if name.ends_with("key.weight") {
            // All heads look for it.
            let _ = value.select(1, 0).fill_(1.0);
        } else if name.ends_with("cls_token") {
            let _ = value.select(2, 1).fill_(1.0);
        } else if name == "classifier.weight" {
            let _ = value.get(0).get(0).fill_(1.0);
        }
        param.set(&value).unwrap();
    }
    let mut inputs = Tensors::default();
    let pixels = Tensor::zeros([1, 3, 32, 32], (Kind::Float, test_device()));
    let _ = pixels.narrow(2, 16, 8).narrow(3, 8, 8).fill_(1.0);
    inputs.insert("pixel_values", pixels);
    assert!(logits(&loaded, &inputs).double_value(&[0, 0]) > 1.0);
    for how in [Explanation::Gradient, Explanation::Rollout] {
        let map = loaded.network.explain(&inputs, how, &first_choice).unwrap();
        assert_eq!(map.argmax(None, false).int64_value(&[]), 2 * 4 + 1, "{how:?}: {map}");
        let share = (map.max() / map.sum(Kind::Float)).double_value(&[]);
        assert!(share > 0.9, "{how:?}: {share}");
    }
}

#[test]
fn configurations_that_cannot_work_name_the_field() {
    for (name, config, field) in [
        ("vit-image-classification", json!({"num_attention_heads": 5}), "num_attention_heads"),
        ("vit-image-classification", json!({"image_size": [32, 32, 32]}), "image_size"),
        ("vit-image-classification", json!({"patch_size": "8"}), "patch_size"),
        ("dinov2-image-classification", json!({"use_swiglu_ffn": 1}), "use_swiglu_ffn"),
        ("swin-image-classification", json!({"num_heads": [2]}), "num_heads"),
        ("convnext-image-classification", json!({"hidden_sizes": []}), "hidden_sizes"),
    ] {
        let folder = changed(name, config, |name| Some(name.to_owned()));
        let error = LoadedModel::load(folder.path(), &classifier()).err().unwrap().to_string();
        assert!(error.contains(&format!("`{field}`")), "{error}");
    }
}

#[test]
fn base_checkpoints_get_a_new_head_and_buffers_are_known() {
    for name in FAMILIES {
        // As the base class saves it: no prefix, no head, the pooler of ViT, the buffers of older versions.
        let base = name.split('-').next().unwrap();
        let folder = changed(name, json!({}), |full| match full.strip_prefix(&format!("{base}.")) {
            Some(rest) => Some(rest.to_owned()),
            // Only families with relative positions have it.
            None if full == "classifier.bias" && (base == "beit" || base == "swin") => {
                Some("x.attention.relative_position_index".to_owned())
            }
            None => None,
        });
        assert!(LoadedModel::load(folder.path(), &classifier()).is_err(), "{name}");
        let options = LoadOptions { new_head: true, ..classifier() };
        let loaded = LoadedModel::load(folder.path(), &options).unwrap();
        assert!(loaded.report.new.iter().all(|new| new.name.contains("classifier.")), "{:?}", loaded.report);
        assert_eq!(loaded.report.unexpected, [""; 0], "{name}");
        let case = case(&format!("parity/{name}/case.safetensors"));
        let hidden = hidden_states(&loaded, &case);
        assert!(difference(&hidden, &case["output.last_hidden_state"]) < 1e-5, "{name}");
    }
}

#[test]
fn a_head_of_another_size_is_made_anew_and_saving_loses_nothing() {
    for name in FAMILIES {
        let names = ["a", "b", "c", "d", "e"];
        let loaded = load(name, &with_labels(&IMAGE_CLASSIFICATION, &names)).unwrap();
        let expected = if name == "deit-with-teacher" { 4 } else { 2 };
        assert_eq!(loaded.report.new.len(), expected, "{name}");
        let saved = tempfile::tempdir().unwrap();
        loaded.save(saved.path(), "").unwrap();
        let file = |folder: &Path| read_tensors(&folder.join("model.safetensors")).unwrap();
        let original = fixture(&format!("parity/{name}"));
        assert!(file(saved.path()).keys().eq(file(&original).keys()), "{name}");
        let again = LoadedModel::load(saved.path(), &classifier()).unwrap();
        assert_eq!(again.labels(), names);
        assert_eq!(registry::purposes_of_class(&again.config), [&IMAGE_CLASSIFICATION]);
        assert_eq!(logits(&again, &images(&[1, 3, 64, 64])), logits(&loaded, &images(&[1, 3, 64, 64])), "{name}");
    }
}

#[test]
fn weights_restored_from_a_saved_folder_are_those_that_were_saved() {
    for (name, purpose) in [("dinov2-image-classification", &IMAGE_CLASSIFICATION), ("vit-mae", &MASKED_IMAGE_MODELING)]
    {
        let original = load(name, &load_options(purpose)).unwrap();
        let saved = tempfile::tempdir().unwrap();
        original.save(saved.path(), "").unwrap();
        let mut other = load(name, &load_options(purpose)).unwrap();
        for param in other.params.iter_mut() {
            param.set(&param.value().unwrap().zeros_like()).unwrap();
        }
        other.restore(saved.path()).unwrap();
        assert!(original.params.iter().zip(other.params.iter()).all(|(a, b)| a.value().unwrap() == b.value().unwrap()));
        let classes = load("swin-image-classification", &classifier()).unwrap();
        classes.save(saved.path(), "").unwrap();
        let error = other.restore(saved.path()).unwrap_err().to_string();
        assert!(error.contains("swin") || error.contains("classifier"), "{error}");
    }
}

#[test]
fn nothing_below_the_first_trained_block_gets_a_gradient() {
    for name in FAMILIES {
        let mut loaded = load(name, &classifier()).unwrap();
        let (blocks, outside) = (loaded.network.blocks(), loaded.params.iter().map(|p| p.depth).max().unwrap());
        assert_eq!(outside, blocks + 1, "{name}");
        assert!((0..=blocks + 1).all(|depth| loaded.params.iter().any(|p| p.depth == depth)), "{name}");
        for param in loaded.params.iter_mut() {
            param.set_trainable(param.depth >= blocks);
        }
        let logits = train(&loaded, name, &Mode::training(blocks));
        assert!(difference(&logits, &case(&format!("parity/{name}/case.safetensors"))["output.logits"]) < 1e-5);
        for param in loaded.params.iter() {
            assert_eq!(param.gradient().is_some(), param.depth >= blocks, "{name}: {}", param.name);
        }
    }
}

#[test]
fn bf16_computes_the_same_to_its_precision() {
    for name in FAMILIES {
        let exact = load(name, &classifier()).unwrap();
        let rounded = load(name, &LoadOptions { precision: Precision::Bf16, ..classifier() }).unwrap();
        let expected = train(&exact, name, &Mode::training(0));
        let worst = difference(&train(&rounded, name, &Mode::training(0)), &expected);
        assert!(worst < 0.05, "{name}: {worst}");
        for (param, reference) in rounded.params.iter().zip(exact.params.iter()) {
            let (a, b) = (param.gradient().unwrap().to_kind(Kind::Float), reference.gradient().unwrap());
            let norm = |t: &Tensor| t.square().sum(Kind::Double).sqrt().double_value(&[]);
            // The gradient of a key's bias is zero but for rounding.
            if !param.name.ends_with("key.bias") {
                assert!(norm(&(&a - &b)) < 0.15 * norm(&b) + 1e-3, "{name}: {}", param.name);
            }
            assert_eq!(param.value().unwrap().kind(), Kind::Float);
        }
    }
}

/// Norms of batches of a few values make gradients of a fixture that small mostly rounding.
#[test]
fn maps_in_bf16_say_the_same_to_its_precision() {
    for name in ["resnet-image-classification", "resnet-basic"] {
        let exact = load(name, &classifier()).unwrap();
        let rounded = load(name, &LoadOptions { precision: Precision::Bf16, ..classifier() }).unwrap();
        for mode in [Mode::evaluation(), Mode::training(0)] {
            let worst = difference(&train(&rounded, name, &mode), &train(&exact, name, &mode));
            assert!(worst < 0.05, "{name}: {worst}");
        }
        let finite = rounded.params.iter().map(|param| param.gradient().unwrap().isfinite().all().int64_value(&[]));
        assert!(finite.min() == Some(1), "{name}: a gradient is not finite");
    }
}

#[test]
fn random_weights_start_near_an_even_guess() {
    for name in FAMILIES {
        let options = LoadOptions { from_scratch: true, seed: 1, ..classifier() };
        let loaded = load(name, &options).unwrap();
        let logits = logits(&loaded, &images(&[4, 3, 64, 64]));
        assert!(logits.abs().max().double_value(&[]) < 1.0, "{name}: {logits}");
        let again = load(name, &LoadOptions { from_scratch: true, seed: 1, ..classifier() }).unwrap();
        assert!(
            loaded.params.iter().zip(again.params.iter()).all(|(a, b)| a.value().unwrap() == b.value().unwrap()),
            "{name}"
        );
    }
    let value = |name: &str, param: &str| {
        let mut loaded = load(name, &LoadOptions { from_scratch: true, ..classifier() }).unwrap();
        loaded.params.get_mut(param).unwrap().value().unwrap().max().double_value(&[])
    };
    assert!((value("beit-relative-position", "beit.encoder.layer.1.lambda_1") - 0.1).abs() < 1e-6);
    assert_eq!(value("dinov2-image-classification", "dinov2.encoder.layer.0.layer_scale2.lambda1"), 1.0);
    assert!(
        (value("convnext-image-classification", "convnext.encoder.stages.0.layers.0.layer_scale_parameter") - 1e-6)
            .abs()
            < 1e-9
    );
    assert_eq!(value("deit-with-teacher", "deit.embeddings.position_embeddings"), 0.0);
    assert!(value("vit-image-classification", "vit.embeddings.cls_token") > 0.0);
}

#[test]
fn masked_autoencoders_start_with_the_fixed_positions_of_hugging_face() {
    let purpose = &MASKED_IMAGE_MODELING;
    let options = LoadOptions { from_scratch: true, ..load_options(purpose) };
    let loaded = load("vit-mae", &options).unwrap();
    assert!(loaded.params.iter().all(|p| !p.name.contains("position_embeddings") && !p.name.contains("pos_embed")));
    let saved = tempfile::tempdir().unwrap();
    loaded.save(saved.path(), "").unwrap();
    let saved = read_tensors(&saved.path().join("model.safetensors")).unwrap();
    let expected = &case("parity/vit-mae/positions.safetensors")["position_embeddings"];
    assert!(difference(&saved["vit.embeddings.position_embeddings"], expected) < 1e-6);
    assert_eq!(saved["decoder.decoder_pos_embed"].size(), [1, 17, 24]);
}

#[test]
fn stochastic_depth_is_replayable_and_off_in_evaluation() {
    for name in
        ["beit-relative-position", "dinov2-swiglu", "swin-image-classification", "convnext-image-classification"]
    {
        let folder = changed(name, json!({"drop_path_rate": 0.5}), |name| Some(name.to_owned()));
        let loaded = LoadedModel::load(folder.path(), &classifier()).unwrap();
        let (plain, inputs) = (load(name, &classifier()).unwrap(), images(&[8, 3, 64, 64]));
        let trained = |seed| {
            dropout::set_stream(seed);
            common::logits(&loaded, &inputs, &Mode::training(0))
        };
        assert_eq!(trained(1), trained(1), "{name}");
        assert_ne!(trained(1), trained(2), "{name}");
        assert_eq!(logits(&loaded, &inputs), logits(&plain, &inputs), "{name}");
    }
}

#[test]
fn adapters_of_images_have_no_task_type_and_load_again() {
    for name in ["vit-image-classification", "swin-image-classification", "convnext-image-classification"] {
        let config = ModelConfig::new(read_config(name)).unwrap();
        let targets = registry::default_lora_targets(&config).unwrap_or_else(|error| {
            assert!(name.starts_with("convnext") && error.to_string().contains("pwconv1, pwconv2"), "{error}");
            vec!["pwconv1".to_owned(), "pwconv2".to_owned()]
        });
        let plan = LoraPlan::new(4, 8.0, 0.0, targets).unwrap();
        let mut loaded = load(name, &LoadOptions { adapter: Some(plan), ..classifier() }).unwrap();
        for param in loaded.params.iter_mut().filter(|p| p.name.contains("lora_B") || p.head) {
            param.set(&(param.value().unwrap() + 0.1)).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        loaded.save(folder.path(), "base").unwrap();
        let saved: Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("adapter_config.json")).unwrap()).unwrap();
        assert_eq!(saved["task_type"], Value::Null);
        assert_eq!(saved["modules_to_save"], json!(["classifier"]));
        let base = fixture(&format!("parity/{name}"));
        let again = LoadedModel::load_adapter(folder.path(), &base, &classifier()).unwrap();
        let inputs = images(&[2, 3, 64, 64]);
        assert_eq!(logits(&again, &inputs), logits(&loaded, &inputs), "{name}");
        assert_ne!(logits(&again, &inputs), logits(&load(name, &classifier()).unwrap(), &inputs), "{name}");
    }
}

fn read_config(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(&format!("parity/{name}/config.json"))).unwrap()).unwrap()
}

#[test]
fn purposes_are_found_and_unsupported_ones_list_what_works() {
    let error = |name: &str, purpose| {
        let config = ModelConfig::new(read_config(name)).unwrap();
        registry::family_for(&config, Some(purpose)).err().unwrap().to_string()
    };
    let message = error("bert-base-only", &IMAGE_CLASSIFICATION);
    assert!(message.contains("`bert` is not supported for image classification"), "{message}");
    assert!(message.contains("vit, vit_mae, deit, beit, data2vec-vision, dinov2, swin, convnext"), "{message}");
    let message = error("vit-mae", &SEQUENCE_CLASSIFICATION);
    assert!(message.contains("bert, roberta") && !message.contains("swin"), "{message}");
    let message = error("vit-image-classification", &MASKED_IMAGE_MODELING);
    assert!(message.ends_with("supported: vit_mae"), "{message}");

    let purpose = |config: Value| registry::purposes_of_class(&ModelConfig::new(config).unwrap()).first().copied();
    assert_eq!(purpose(read_config("deit-with-teacher")), Some(&IMAGE_CLASSIFICATION));
    assert_eq!(purpose(read_config("roberta-sequence-classification")), Some(&SEQUENCE_CLASSIFICATION));
    assert_eq!(purpose(json!({"model_type": "bert", "architectures": ["BertForPreTraining"]})), None);
    assert_eq!(purpose(json!({"model_type": "vit", "architectures": ["ViTModel"]})), None);
    assert_eq!(purpose(json!({"model_type": "vit"})), None);
}

#[test]
fn the_images_a_model_takes_are_known_from_its_configuration() {
    let input = |config: Value| registry::takes(&ModelConfig::new(config).unwrap()).map(Takes::images);
    let vit = input(read_config("vit-image-classification")).unwrap().unwrap();
    assert_eq!((vit.channels, vit.size, vit.patch, vit.patches()), (3, (32, 32), (8, 8), 16));
    let wide = input(json!({"model_type": "vit", "image_size": [32, 64], "patch_size": 16, "num_channels": 1}))
        .unwrap()
        .unwrap();
    assert_eq!((wide.channels, wide.size, wide.patches()), (1, (32, 64), 8));
    assert!(input(read_config("bert-base-only")).unwrap().is_none());
    assert!(
        input(json!({"model_type": "vit", "image_size": 4, "patch_size": 16}))
            .unwrap_err()
            .to_string()
            .contains("image_size")
    );
}

#[test]
fn weight_decay_spares_norms_whatever_they_are_called() {
    let spared = |name: &str| {
        let loaded = load(name, &classifier()).unwrap();
        let names = loaded.params.iter().filter(|param| !param.decays()).map(|param| param.name.clone());
        names.collect::<Vec<_>>().join(" ")
    };
    assert!(spared("dinov2-image-classification").contains("norm1.weight"));
    assert!(spared("convnext-image-classification").contains("downsampling_layer.0.weight"));
    assert!(spared("swin-image-classification").contains("relative_position_bias_table"));
    assert!(!spared("vit-image-classification").contains("dense.weight"));
}

//! Vision models beyond parity: loading, freezing, precision, random weights, adapters, and inputs they refuse.

mod common;

use common::{case, difference, fixture, inputs};
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{Precision, dropout, loss};
use retune_models::checkpoint::{read_tensors, write_tensors};
use retune_models::registry::{self, Purpose};
use retune_models::{AdapterPlan, Inputs, LoadOptions, LoadedModel, Mode, ModelConfig, ModelError, ProblemType};
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
    LoadOptions::new(Purpose::ImageClassification)
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

fn names(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("class {i}")).collect()
}

fn images(shape: &[i64]) -> Inputs {
    let mut inputs = Inputs::default();
    let values = retune_kernels::random::normal(3, shape.iter().product::<i64>() as usize);
    inputs.insert("pixel_values", Tensor::from_slice(&values).reshape(shape));
    inputs
}

fn logits(loaded: &LoadedModel, inputs: &Inputs) -> Tensor {
    loaded.model.forward(inputs, &Mode::evaluation()).unwrap().logits
}

fn train(loaded: &LoadedModel, name: &str, mode: &Mode) -> Tensor {
    let case = inputs(&case(&format!("parity/{name}/case.safetensors")));
    let outputs = loaded.model.forward(&case, mode).unwrap();
    let summed = loss::cross_entropy(&outputs.logits, case.get("labels").unwrap(), None, 0.0);
    summed.sum.backward();
    outputs.logits
}

#[test]
fn images_that_a_model_cannot_take_are_refused_with_a_reason() {
    let refuse = |name: &str, shape: &[i64], expected: &str| {
        let loaded = load(name, &classifier()).unwrap();
        let error = loaded.model.forward(&images(shape), &Mode::evaluation()).unwrap_err().to_string();
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
    let error = load(FAMILIES[0], &classifier()).unwrap().model.forward(&Inputs::default(), &Mode::evaluation());
    assert!(error.unwrap_err().to_string().contains("pixel_values"));
}

#[test]
fn a_masked_autoencoder_needs_its_image_size_and_a_number_for_each_patch() {
    let loaded = load("vit-mae", &LoadOptions::new(Purpose::MaskedImageModeling)).unwrap();
    let refuse = |inputs: &Inputs, expected: &str| {
        let error = loaded.model.forward(inputs, &Mode::evaluation()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let mut inputs = images(&[2, 3, 32, 32]);
    refuse(&inputs, "`noise`");
    inputs.insert("noise", Tensor::zeros([2, 15], (Kind::Float, Device::Cpu)));
    refuse(&inputs, "[2, 16]");
    refuse(&images(&[2, 3, 40, 32]), "32×32 pixels");
    let folder = changed("vit-mae", json!({"mask_ratio": 0.95}), |name| Some(name.to_owned()));
    let error = LoadedModel::load(folder.path(), &LoadOptions::new(Purpose::MaskedImageModeling)).err().unwrap();
    assert!(error.to_string().contains("mask_ratio"), "{error}");
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
            None if ["classifier.bias", "cls_classifier.bias"].contains(&full) => {
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
        let hidden = loaded.model.forward(&inputs(&case), &Mode::evaluation()).unwrap().last_hidden_state;
        assert!(difference(&hidden, &case["output.last_hidden_state"]) < 1e-5, "{name}");
    }
}

#[test]
fn a_head_of_another_size_is_made_anew_and_saving_loses_nothing() {
    for name in FAMILIES {
        let labels = Some((names(5), ProblemType::SingleLabelClassification));
        let loaded = load(name, &LoadOptions { new_head: true, labels, ..classifier() }).unwrap();
        let expected = if name == "deit-with-teacher" { 4 } else { 2 };
        assert_eq!(loaded.report.new.len(), expected, "{name}");
        let saved = tempfile::tempdir().unwrap();
        loaded.save(saved.path(), "").unwrap();
        let file = |folder: &Path| read_tensors(&folder.join("model.safetensors")).unwrap();
        let original = fixture(&format!("parity/{name}"));
        assert!(file(saved.path()).keys().eq(file(&original).keys()), "{name}");
        let again = LoadedModel::load(saved.path(), &classifier()).unwrap();
        assert_eq!(again.labels(), names(5));
        assert_eq!(registry::purpose_of(&again.config), Some(Purpose::ImageClassification));
        assert_eq!(logits(&again, &images(&[1, 3, 64, 64])), logits(&loaded, &images(&[1, 3, 64, 64])), "{name}");
    }
}

#[test]
fn weights_restored_from_a_saved_folder_are_those_that_were_saved() {
    for (name, purpose) in
        [("dinov2-image-classification", Purpose::ImageClassification), ("vit-mae", Purpose::MaskedImageModeling)]
    {
        let original = load(name, &LoadOptions::new(purpose)).unwrap();
        let saved = tempfile::tempdir().unwrap();
        original.save(saved.path(), "").unwrap();
        let mut other = load(name, &LoadOptions::new(purpose)).unwrap();
        for param in other.params.iter_mut() {
            param.set(&param.value().zeros_like()).unwrap();
        }
        other.restore(saved.path()).unwrap();
        assert!(original.params.iter().zip(other.params.iter()).all(|(a, b)| a.value() == b.value()));
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
        let (blocks, outside) = (loaded.model.blocks(), loaded.params.iter().map(|p| p.depth).max().unwrap());
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
            assert_eq!(param.value().kind(), Kind::Float);
        }
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
        assert!(loaded.params.iter().zip(again.params.iter()).all(|(a, b)| a.value() == b.value()), "{name}");
    }
    let value = |name: &str, param: &str| {
        let mut loaded = load(name, &LoadOptions { from_scratch: true, ..classifier() }).unwrap();
        loaded.params.get_mut(param).unwrap().value().max().double_value(&[])
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
    let purpose = Purpose::MaskedImageModeling;
    let options = LoadOptions { from_scratch: true, ..LoadOptions::new(purpose) };
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
            loaded.model.forward(&inputs, &Mode::training(0)).unwrap().logits
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
        let plan = AdapterPlan::new(4, 8.0, 0.0, targets).unwrap();
        let mut loaded = load(name, &LoadOptions { adapter: Some(plan), ..classifier() }).unwrap();
        for param in loaded.params.iter_mut().filter(|p| p.name.contains("lora_B") || p.head) {
            param.set(&(param.value() + 0.1)).unwrap();
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
        registry::family(&config, purpose).err().unwrap().to_string()
    };
    let message = error("bert-base-only", Purpose::ImageClassification);
    assert!(message.contains("`bert` is not supported for image classification"), "{message}");
    assert!(message.contains("vit, vit_mae, deit, beit, dinov2, swin, convnext"), "{message}");
    let message = error("vit-mae", Purpose::SequenceClassification);
    assert!(message.contains("bert, roberta") && !message.contains("swin"), "{message}");
    let message = error("vit-image-classification", Purpose::MaskedImageModeling);
    assert!(message.ends_with("supported: vit_mae"), "{message}");

    let purpose = |config: Value| registry::purpose_of(&ModelConfig::new(config).unwrap());
    assert_eq!(purpose(read_config("deit-with-teacher")), Some(Purpose::ImageClassification));
    assert_eq!(purpose(read_config("roberta-sequence-classification")), Some(Purpose::SequenceClassification));
    assert_eq!(purpose(json!({"model_type": "bert", "architectures": ["BertForPreTraining"]})), None);
    assert_eq!(purpose(json!({"model_type": "vit", "architectures": ["ViTModel"]})), None);
    assert_eq!(purpose(json!({"model_type": "vit"})), None);
}

#[test]
fn the_images_a_model_takes_are_known_from_its_configuration() {
    let input = |config: Value| registry::image_input(&ModelConfig::new(config).unwrap());
    let vit = input(read_config("vit-image-classification")).unwrap().unwrap();
    assert_eq!((vit.channels, vit.size, vit.patch, vit.patches()), (3, (32, 32), (8, 8), 16));
    let wide = input(json!({"image_size": [32, 64], "patch_size": 16, "num_channels": 1})).unwrap().unwrap();
    assert_eq!((wide.channels, wide.size, wide.patches()), (1, (32, 64), 8));
    assert!(input(read_config("bert-base-only")).unwrap().is_none());
    assert!(input(json!({"image_size": 4, "patch_size": 16})).unwrap_err().to_string().contains("image_size"));
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

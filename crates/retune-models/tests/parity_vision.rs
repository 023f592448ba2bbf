//! Vision families equal Hugging Face on tiny random models: outputs, losses and gradients (`fixtures/parity`).

mod common;

use common::{case, check, difference, fixture, hidden_states, inputs, load_options, with_labels};
use retune_kernels::Precision;
use retune_kernels::loss::{Objects, detection_loss, detection_terms};
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_models::checkpoint::{WeightsOptions, WeightsRoot, graft, read_tensors, write_tensors};
use retune_models::heads::{
    IMAGE_CLASSIFICATION, MASKED_IMAGE_MODELING, MaskedPatchLoss, OBJECT_DETECTION, SEMANTIC_SEGMENTATION,
    detection_outputs, detection_weights,
};
use retune_models::layers::{MapLayer, ResNetSizes};
use retune_models::registry::purposes_of_class;
use retune_models::{CheckpointFolder, LoadOptions, LoadedModel, Mode, ModelConfig, Tensors};

#[test]
fn every_vision_family_equals_hugging_face() {
    for (name, cases) in [
        ("vit-image-classification", &["case", "case_interpolated"][..]),
        ("deit-image-classification", &["case", "case_interpolated"]),
        ("deit-with-teacher", &["case", "case_interpolated"]),
        ("beit-relative-position", &["case", "case_interpolated"]),
        ("beit-shared-relative-position", &["case"]),
        ("beit-absolute-position-cls", &["case", "case_interpolated"]),
        ("beit-mask-token-without-layer-scale", &["case"]),
        ("dinov2-image-classification", &["case", "case_interpolated"]),
        ("dinov2-swiglu", &["case"]),
        ("swin-image-classification", &["case", "case_uneven_size"]),
        ("swin-absolute-positions", &["case", "case_interpolated"]),
        ("convnext-image-classification", &["case", "case_other_size"]),
        ("convnextv2-image-classification", &["case", "case_other_size"]),
        ("swinv2-image-classification", &["case", "case_uneven_size"]),
        ("dinov2-with-registers", &["case", "case_interpolated", "case_coarser"]),
        ("data2vec-vision-image-classification", &["case"]),
        ("segformer-image-classification", &["case", "case_other_size"]),
        ("resnet-image-classification", &["case", "case_other_size"]),
        ("resnet-basic", &["case"]),
    ] {
        for file in cases {
            println!("{name}/{file}");
            let folder = fixture(&format!("parity/{name}"));
            let loaded = LoadedModel::load(&folder, &load_options(&IMAGE_CLASSIFICATION)).unwrap();
            assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
            check(&loaded, &case(&format!("parity/{name}/{file}.safetensors")), |name| format!("grad.{name}"));
        }
    }
}

#[test]
fn segmenters_equal_hugging_face_with_their_running_statistics() {
    for (name, file, norms) in [
        ("segformer-semantic-segmentation", "case", 1),
        ("segformer-semantic-segmentation", "case_other_size", 1),
        ("segformer-one-label", "case", 1),
        ("beit-semantic-segmentation", "case", 13),
        ("beit-semantic-segmentation", "case_other_size", 13),
        ("data2vec-vision-semantic-segmentation", "case", 13),
        ("upernet-swin", "case", 9),
        ("upernet-swin", "case_other_size", 9),
        ("upernet-convnext", "case", 5),
        ("upernet-convnextv2", "case", 5),
    ] {
        println!("{name}/{file}");
        let folder = fixture(&format!("parity/{name}"));
        let mut loaded = LoadedModel::load(&folder, &load_options(&SEMANTIC_SEGMENTATION)).unwrap();
        assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
        assert_eq!(purposes_of_class(&loaded.config), [&SEMANTIC_SEGMENTATION]);
        let case = case(&format!("parity/{name}/{file}.safetensors"));
        check(&loaded, &case, |name| format!("grad.{name}"));
        // One pass of training wrote them; they are saved, loaded, and restored into another model.
        let inputs = inputs(&case);
        let saved = tempfile::tempdir().unwrap();
        loaded.save(saved.path(), "").unwrap();
        let again = LoadedModel::load(saved.path(), &load_options(&SEMANTIC_SEGMENTATION)).unwrap();
        let mut other = LoadedModel::load(&folder, &load_options(&SEMANTIC_SEGMENTATION)).unwrap();
        let before = loaded_logits(&other, &inputs);
        other.restore(saved.path()).unwrap();
        for model in [&mut loaded, &mut other] {
            let mut statistics = 0;
            for buffer in model.buffers.iter() {
                let expected = &case[&format!("after.{}", buffer.name)];
                assert!(difference(&buffer.tensor, expected) < 1e-5, "{}", buffer.name);
                assert_eq!(buffer.tensor.kind(), expected.kind());
                statistics += 1;
            }
            assert_eq!(statistics, 3 * norms);
            assert_eq!(loaded_logits(model, &inputs), loaded_logits(&again, &inputs));
        }
        assert_ne!(before, loaded_logits(&again, &inputs));
    }
}

/// One checkpoint with both heads, each of which reads its part.
#[test]
fn mobilevit_equals_hugging_face_with_either_head() {
    let files = [("case", &SEMANTIC_SEGMENTATION), ("case_as_classifier", &IMAGE_CLASSIFICATION)];
    for (name, (file, purpose)) in ["mobilevit", "mobilevitv2"].into_iter().flat_map(|name| files.map(|it| (name, it)))
    {
        println!("{name}/{file}");
        let loaded = LoadedModel::load(&fixture(&format!("parity/{name}")), &load_options(purpose)).unwrap();
        assert!(loaded.report.new.is_empty(), "{:?}", loaded.report);
        let others = ["classifier.", "mobilevit.conv_1x1_exp.", "segmentation_head."];
        let of_others = |name: &String| others.iter().any(|other| name.starts_with(other));
        assert!(loaded.report.unexpected.iter().all(of_others), "{:?}", loaded.report.unexpected);
        assert_eq!(purposes_of_class(&loaded.config), [purpose]);
        let case = case(&format!("parity/{name}/{file}.safetensors"));
        check(&loaded, &case, |name| format!("grad.{name}"));
        let after = loaded.buffers.iter().filter_map(|it| Some((it, case.get(&format!("after.{}", it.name))?)));
        let differences = after.map(|(buffer, expected)| difference(&buffer.tensor, expected));
        let differences: Vec<f64> = differences.collect();
        assert_eq!(differences.len(), case.keys().filter(|name| name.starts_with("after.")).count());
        assert!(differences.iter().all(|&it| it < 1e-5), "{differences:?}");
    }
}

/// Outputs that are learnt from, and those of noised objects among them.
fn sets(name: &str, train: bool) -> (usize, usize) {
    match name {
        "detr-auxiliary-loss" => (3, 0),
        "conditional-detr" | "deformable-detr" => (2, 0),
        // Two layers and the choice of queries.
        "rt-detr" => (3, if train { 2 } else { 0 }),
        _ => (1, 0),
    }
}

#[test]
fn detectors_equal_hugging_face() {
    for (name, file) in [
        ("yolos-object-detection", "case"),
        ("yolos-object-detection", "case_other_size"),
        ("yolos-without-middle-positions", "case"),
        ("detr-object-detection", "case"),
        ("detr-object-detection", "case_other_size"),
        ("detr-auxiliary-loss", "case"),
        ("conditional-detr", "case"),
        ("deformable-detr", "case"),
        ("deformable-detr-two-stage", "case"),
        ("rt-detr", "case"),
        ("rt-detr-v2-discrete", "case"),
    ] {
        println!("{name}/{file}");
        let folder = fixture(&format!("parity/{name}"));
        let loaded = LoadedModel::load(&folder, &load_options(&OBJECT_DETECTION)).unwrap();
        assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
        let case = case(&format!("parity/{name}/{file}.safetensors"));
        let inputs = inputs(&case);
        let (labels, truth) = (inputs.get("class_labels").unwrap(), inputs.get("boxes").unwrap());
        let objects = Objects { labels, boxes: truth };
        let weights = detection_weights(&loaded.config).unwrap();
        let whole = loaded.network.forward(&inputs, &Mode::evaluation().with_hidden_states()).unwrap();
        for (mode, key) in [(Mode::evaluation(), "loss"), (Mode::training(0), "train.loss")] {
            let outputs = loaded.network.forward(&inputs, &mode).unwrap();
            // Batch norms take the batch's own statistics while training.
            if !mode.train || !name.starts_with("rt-detr") {
                for name in ["logits", "pred_boxes"] {
                    for outputs in [&outputs, &whole] {
                        let worst = difference(outputs.get(name).unwrap(), &case[&format!("output.{name}")]);
                        assert!(worst < 1e-5, "{name}: {worst}");
                    }
                }
                let (logits, boxes) = (outputs.get("logits").unwrap(), outputs.get("pred_boxes").unwrap());
                let terms = detection_terms(logits, boxes, objects, &weights);
                for (name, sum, of) in [
                    ("class", &(&terms.class * weights.class), terms.class_weight),
                    ("distance", &(&terms.distance * weights.distance), terms.objects),
                    ("overlap", &(&terms.overlap * weights.overlap), terms.objects),
                ] {
                    let worst = difference(&(sum / of).view([1]), &case[&format!("term.{name}")].view([1]));
                    assert!(worst < 1e-5, "{name}: {worst}");
                }
            }
            let all = detection_outputs(&outputs).unwrap();
            assert_eq!((all.layers.len(), all.noised.len()), sets(name, mode.train), "{name}");
            let summed = detection_loss(&all, objects, &weights, None);
            let mean = summed.sum / summed.weight;
            assert!(difference(&mean.view([1]), &case[key].view([1])) < 1e-5, "{key}");
            if mode.train {
                mean.backward();
            }
        }
        assert!(difference(whole.get("last_hidden_state").unwrap(), &case["output.last_hidden_state"]) < 1e-5);
        let mut compared = 0;
        for param in loaded.params.iter() {
            let Some(expected) = case.get(&format!("grad.{}", param.name)) else { continue };
            // Autograd there makes zeros of what is stacked and not read.
            let gradient = param.gradient().unwrap_or_else(|| expected.zeros_like());
            // Of large ones the first rows are kept.
            let gradient = if gradient.dim() > 1 { gradient.narrow(0, 0, expected.size()[0]) } else { gradient };
            let worst = difference(&gradient, expected);
            assert!(worst < 1e-5, "{}: {worst}", param.name);
            compared += 1;
        }
        assert_eq!(compared, case.keys().filter(|k| k.starts_with("grad.")).count());
    }
}

#[test]
fn a_segmenter_starts_from_a_classifier() {
    let folder = fixture("parity/segformer-image-classification");
    let loaded = LoadedModel::load(&folder, &with_labels(&SEMANTIC_SEGMENTATION, &["x", "y"])).unwrap();
    assert_eq!(loaded.report.unexpected, ["classifier.bias", "classifier.weight"]);
    assert!(loaded.report.new.iter().all(|new| new.name.starts_with("decode_head.")), "{:?}", loaded.report.new);
    // Backbones of other families are parts of another one then.
    for (name, unread) in [
        (
            "swin-image-classification",
            &["classifier.bias", "classifier.weight", "swin.layernorm.bias", "swin.layernorm.weight"][..],
        ),
        (
            "convnext-image-classification",
            &["classifier.bias", "classifier.weight", "convnext.layernorm.bias", "convnext.layernorm.weight"],
        ),
    ] {
        let folder = fixture(&format!("parity/{name}"));
        let loaded = LoadedModel::load(&folder, &with_labels(&SEMANTIC_SEGMENTATION, &["x", "y"])).unwrap();
        assert_eq!(loaded.report.unexpected, unread);
        let parts = ["decode_head.", "auxiliary_head.", "backbone.hidden_states_norms."];
        for new in &loaded.report.new {
            assert!(parts.iter().any(|part| new.name.starts_with(part)), "{name}: {} is new", new.name);
        }
        assert!(loaded.params.iter().any(|param| param.name.starts_with("backbone.encoder.") && !param.head));
        let saved = tempfile::tempdir().unwrap();
        loaded.save(saved.path(), "").unwrap();
        let again = LoadedModel::load(saved.path(), &load_options(&SEMANTIC_SEGMENTATION)).unwrap();
        assert!(again.report.new.is_empty() && again.report.unexpected.is_empty(), "{:?}", again.report);
        assert_eq!(again.config.architecture(), Some("UperNetForSemanticSegmentation"));
        assert_eq!(again.config.get("loss_ignore_index"), loaded.config.get("loss_ignore_index"));
        let pixels =
            Tensors::from([("pixel_values", Tensor::zeros([1, 3, 70, 66], (Kind::Float, common::test_device())))]);
        assert_eq!(loaded_logits(&loaded, &pixels), loaded_logits(&again, &pixels));
    }
    // Other labels change the last layer and nothing else.
    let folder = fixture("parity/segformer-semantic-segmentation");
    let loaded = LoadedModel::load(&folder, &with_labels(&SEMANTIC_SEGMENTATION, &["x", "y"])).unwrap();
    let new: Vec<&str> = loaded.report.new.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(new, ["decode_head.classifier.weight", "decode_head.classifier.bias"]);
}

#[test]
fn a_detector_starts_from_a_classifier_or_a_masked_autoencoder() {
    for name in ["vit-image-classification", "vit-mae"] {
        let folder = fixture(&format!("parity/{name}"));
        let loaded = LoadedModel::load(&folder, &with_labels(&OBJECT_DETECTION, &["x", "y"])).unwrap();
        let new =
            |name: &str| ["class_labels_classifier.", "bbox_predictor."].iter().any(|head| name.starts_with(head));
        let body: Vec<&str> = loaded.report.new.iter().map(|it| it.name.as_str()).filter(|name| !new(name)).collect();
        assert_eq!(body, ["vit.embeddings.detection_tokens"], "{name}");
        assert!(
            loaded
                .report
                .notes
                .iter()
                .any(|note| note.contains("17 rows are in the checkpoint, the other 100 are new"))
        );
        // What was learnt is there as it was.
        let stored = read_tensors(&folder.join("model.safetensors")).unwrap();
        let mut positions = loaded.params.iter().filter(|param| param.name == "vit.embeddings.position_embeddings");
        let positions = positions.next().unwrap().value().unwrap().narrow(1, 0, 17);
        assert_eq!(difference(&positions, &stored["vit.embeddings.position_embeddings"]), 0.0);
        let saved = tempfile::tempdir().unwrap();
        loaded.save(saved.path(), "").unwrap();
        let again = LoadedModel::load(saved.path(), &load_options(&OBJECT_DETECTION)).unwrap();
        assert!(again.report.new.is_empty() && again.report.unexpected.is_empty(), "{:?}", again.report);
        assert_eq!(again.config.architecture(), Some("YolosForObjectDetection"));
    }
}

#[test]
fn masked_autoencoders_equal_hugging_face() {
    for name in ["vit-mae", "vit-mae-normalised-pixels"] {
        let folder = fixture(&format!("parity/{name}"));
        let loaded = LoadedModel::load(&folder, &load_options(&MASKED_IMAGE_MODELING)).unwrap();
        assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
        let case = case(&format!("parity/{name}/case.safetensors"));
        let inputs = inputs(&case);
        let compute = MaskedPatchLoss::new(&loaded.config).unwrap();
        for (mode, key) in [(Mode::evaluation(), "loss"), (Mode::training(0), "train.loss")] {
            let outputs = loaded.network.forward(&inputs, &mode).unwrap();
            assert!(difference(outputs.get("logits").unwrap(), &case["output.logits"]) < 1e-5);
            assert_eq!(outputs.get("mask").unwrap().to_device(Device::Cpu), case["output.mask"]);
            let summed = compute.summed(&outputs, inputs.get("pixel_values").unwrap()).unwrap();
            let mean = summed.sum / summed.weight;
            assert!(difference(&mean.view([1]), &case[key].view([1])) < 1e-5);
            if mode.train {
                mean.backward();
            }
        }
        for param in loaded.params.iter() {
            let name = param.name.replace("decoder.decoder_layers.", "decoder.decoder_encoder.layer.");
            let gradient = param.gradient().unwrap_or_else(|| panic!("{} received no gradient", param.name));
            let worst = difference(&gradient, &case[&format!("grad.{name}")]);
            assert!(worst < 1e-5, "{}: {worst}", param.name);
        }
        assert_eq!(loaded.params.iter().count(), case.keys().filter(|k| k.starts_with("grad.")).count());
        // Saved under the published names, with the positions that never train, it loads again.
        let saved = tempfile::tempdir().unwrap();
        loaded.save(saved.path(), "").unwrap();
        let again = LoadedModel::load(saved.path(), &load_options(&MASKED_IMAGE_MODELING)).unwrap();
        assert!(again.report.unexpected.is_empty());
        assert_eq!(loaded_logits(&again, &inputs), loaded_logits(&loaded, &inputs));
        assert_eq!(purposes_of_class(&again.config), [&MASKED_IMAGE_MODELING]);
    }
}

fn loaded_logits(loaded: &LoadedModel, inputs: &Tensors) -> Tensor {
    common::logits(loaded, inputs, &Mode::evaluation())
}

#[test]
fn a_classifier_starts_from_a_masked_autoencoder() {
    let folder = fixture("parity/vit-mae");
    let options = with_labels(&IMAGE_CLASSIFICATION, &["x", "y"]);
    let loaded = LoadedModel::load(&folder, &options).unwrap();
    let new: Vec<&str> = loaded.report.new.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(new, ["classifier.weight", "classifier.bias"]);
    assert!(loaded.report.unexpected.iter().all(|name| name.starts_with("decoder.")));
    assert!(loaded.report.unexpected.contains(&"decoder.mask_token".to_owned()));
    let case = case("parity/vit-mae/case_as_classifier.safetensors");
    let hidden = hidden_states(&loaded, &case);
    assert!(difference(&hidden, &case["output.last_hidden_state"]) < 1e-5);

    let saved = tempfile::tempdir().unwrap();
    loaded.save(saved.path(), "").unwrap();
    let again = LoadedModel::load(saved.path(), &load_options(&IMAGE_CLASSIFICATION)).unwrap();
    assert!(again.report.unexpected.is_empty());
    let config = again.config.as_map();
    assert_eq!(config["model_type"], "vit");
    assert_eq!(config["architectures"][0], "ViTForImageClassification");
    assert!(!config.contains_key("mask_ratio") && !config.contains_key("decoder_hidden_size"));
    assert_eq!(purposes_of_class(&again.config), [&IMAGE_CLASSIFICATION]);
    assert_eq!(loaded_logits(&again, &inputs(&case)), loaded_logits(&loaded, &inputs(&case)));
}

/// The published detectors have convolutions by timm's names.
#[test]
fn convolutions_have_the_names_of_either_library() {
    let config = std::fs::read_to_string(fixture("parity/detr-object-detection/config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["backbone_config"] = serde_json::json!({"model_type": "resnet", "layer_type": "basic", "embedding_size": 64,
        "hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2], "out_features": ["stage4"]});
    let folder = tempfile::tempdir().unwrap();
    let write =
        |config: &serde_json::Value| std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    write(&config);
    let options = LoadOptions { from_scratch: true, ..load_options(&OBJECT_DETECTION) };
    let own = LoadedModel::load(folder.path(), &options).unwrap();
    own.save(folder.path(), "").unwrap();
    let pixels = || {
        Tensors::from([("pixel_values", Tensor::arange(2 * 3 * 40 * 33, float_options()).view([2, 3, 40, 33]).sin())])
    };
    let expected = loaded_logits(&own, &pixels());
    // Renamed as timm has them.
    let file = folder.path().join("model.safetensors");
    let renamed = |name: &str| {
        let Some(inside) = name.strip_prefix("model.backbone.conv_encoder.model.") else { return name.to_owned() };
        let mut parts: Vec<String> = inside.split('.').map(str::to_owned).collect();
        let last = parts.pop().unwrap();
        let kind = if parts.pop().unwrap() == "convolution" { "conv" } else { "bn" };
        let inside = match parts[0].as_str() {
            "embedder" => format!("{kind}1"),
            // encoder.stages.I.layers.J and layer.K, or shortcut.
            _ => {
                let layer = format!("layer{}.{}", parts[2].parse::<usize>().unwrap() + 1, parts[4]);
                match parts[5].as_str() {
                    "shortcut" => format!("{layer}.downsample.{}", u8::from(kind == "bn")),
                    _ => format!("{layer}.{kind}{}", parts[6].parse::<usize>().unwrap() + 1),
                }
            }
        };
        format!("model.backbone.conv_encoder.model.{inside}.{last}")
    };
    let tensors = read_tensors(&file).unwrap().into_iter().map(|(name, tensor)| (renamed(&name), tensor));
    let tensors: Vec<(String, Tensor)> = tensors.collect();
    assert!(tensors.iter().any(|(name, _)| name.ends_with("layer2.0.downsample.1.running_var")));
    write_tensors(&file, &tensors).unwrap();
    config.as_object_mut().unwrap().remove("backbone_config");
    config["use_timm_backbone"] = true.into();
    config["backbone"] = "resnet18".into();
    write(&config);
    let theirs = LoadedModel::load(folder.path(), &load_options(&OBJECT_DETECTION)).unwrap();
    assert!(theirs.report.new.is_empty() && theirs.report.unexpected.is_empty(), "{:?}", theirs.report);
    assert_eq!(loaded_logits(&theirs, &pixels()), expected);
    // Others are refused by name.
    config["backbone"] = "efficientnet_b0".into();
    write(&config);
    let error = LoadedModel::load(folder.path(), &load_options(&OBJECT_DETECTION)).err().unwrap().to_string();
    assert!(error.contains("efficientnet_b0") && error.contains("resnet18"), "{error}");
}

/// Convolutions with holes in place of halved maps, timm's `output_stride`.
#[test]
fn convolutions_with_holes_equal_timm() {
    let folder = fixture("parity/timm-resnet");
    let case = case("parity/timm-resnet/case.safetensors");
    let pixels = case["pixels"].to_kind(Kind::Float).to_device(common::test_device()).permute([0, 2, 3, 1]);
    for bottleneck in [true, false] {
        let kind = if bottleneck { "bottleneck" } else { "basic" };
        let widths = if bottleneck { vec![8, 8, 12, 16] } else { vec![2, 2, 3, 4] };
        let plain = ResNetSizes { widths, depths: vec![1, 1, 2, 2], ..ResNetSizes::named("resnet18").unwrap() };
        for stride in [8, 16, 32] {
            let root = WeightsRoot::new(
                Some(CheckpointFolder::open(&folder).unwrap()),
                WeightsOptions {
                    base_prefix: String::new(),
                    stored_prefixes: Vec::new(),
                    new_head: false,
                    headless: true,
                    only: None,
                    from_scratch: false,
                    seed: 0,
                    precision: Precision::Fp32,
                    device: common::test_device(),
                    initializer_range: 0.02,
                    adapter: None,
                },
            );
            let sizes = ResNetSizes { bottleneck, coarsest: Some(stride), ..plain.clone() };
            let weights = root.root().at(kind);
            let mut map = sizes.stem(&weights).unwrap().forward(&pixels, false);
            for (stage, layer) in sizes.layers(&weights, 1).unwrap() {
                map = layer.forward(&map, false);
                let side = |side: i64| (side + sizes.stride_of(stage + 1) - 1) / sizes.stride_of(stage + 1);
                assert_eq!(map.size()[1..3], [side(pixels.size()[1]), side(pixels.size()[2])]);
            }
            let worst = difference(&map.permute([0, 3, 1, 2]), &case[&format!("{kind}.{stride}")]);
            assert!(worst < 1e-5, "{kind} with {stride} pixels for a place: {worst}");
        }
    }
}

/// Files of transformers name the maps of a detector as the library does that its convolutions are of.
#[test]
fn maps_have_the_names_of_either_library() {
    let part = |names: &[&str]| ModelConfig::new(serde_json::json!({"out_features": names})).unwrap();
    let theirs = ResNetSizes::named("resnet18").unwrap();
    assert_eq!(theirs.handed_out(&part(&["act1", "layer2", "layer4"])).unwrap(), [0, 2, 4]);
    assert_eq!(theirs.handed_out(&part(&["stem", "stage3"])).unwrap(), [0, 3]);
    let own = ResNetSizes::of(&part(&[])).unwrap();
    assert!(own.handed_out(&part(&["layer2"])).is_err());
}

/// DETR-DC5 says so by `dilation`, later files by the configuration of the convolutions.
#[test]
fn a_detector_has_finer_maps_where_its_configuration_says_so() {
    let text = std::fs::read_to_string(fixture("parity/detr-object-detection/config.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let load = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        config.as_object_mut().unwrap().remove("backbone_config");
        config["backbone"] = "resnet18".into();
        change(&mut config);
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let options = LoadOptions { from_scratch: true, ..load_options(&OBJECT_DETECTION) };
        LoadedModel::load(folder.path(), &options)
    };
    let pixels =
        || Tensors::from([("pixel_values", Tensor::arange(3 * 70 * 45, float_options()).view([1, 3, 70, 45]).sin())]);
    let part = |stride: serde_json::Value| {
        move |config: &mut serde_json::Value| {
            config["backbone_config"] = serde_json::json!({"model_type": "timm_backbone", "backbone": "resnet18"});
            config["backbone_config"]["output_stride"] = stride.clone();
        }
    };
    let logits = |change: &dyn Fn(&mut serde_json::Value)| loaded_logits(&load(change).unwrap(), &pixels());
    let plain = logits(&|_| ());
    let wide = logits(&|config| config["dilation"] = true.into());
    assert!(difference(&wide, &plain) > 1e-6);
    assert_eq!(logits(&part(16.into())), wide);
    assert_eq!(logits(&part(serde_json::Value::Null)), plain);
    let error = load(&part(12.into())).err().unwrap().to_string();
    assert!(error.contains("output_stride") && error.contains("12"), "{error}");
}

/// transformers' DETR and Deformable DETR have the fields and read none of them, Conditional DETR reads that of the decoder.
#[test]
fn layers_of_a_detector_are_left_out_where_hugging_face_leaves_them_out() {
    for (name, field, drops) in [
        ("detr-auxiliary-loss", "encoder_layerdrop", false),
        ("detr-auxiliary-loss", "decoder_layerdrop", false),
        ("deformable-detr", "encoder_layerdrop", false),
        ("conditional-detr", "encoder_layerdrop", false),
        ("conditional-detr", "decoder_layerdrop", true),
    ] {
        println!("{name}: {field}");
        let from = fixture(&format!("parity/{name}"));
        let folder = tempfile::tempdir().unwrap();
        let mut config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(from.join("config.json")).unwrap()).unwrap();
        config[field] = 0.5.into();
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        std::fs::copy(from.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
        let load = |folder: &std::path::Path| LoadedModel::load(folder, &load_options(&OBJECT_DETECTION)).unwrap();
        let (plain, dropping) = (load(&from), load(folder.path()));
        let inputs = inputs(&case(&format!("parity/{name}/case.safetensors")));
        let run = |loaded: &LoadedModel, mode: &Mode| {
            let outputs = loaded.network.forward(&inputs, mode).unwrap();
            let said = detection_outputs(&outputs).unwrap().layers.len();
            (outputs.get("logits").unwrap().detach(), said)
        };
        let whole = run(&plain, &Mode::evaluation());
        assert_eq!(run(&dropping, &Mode::evaluation()), whole);
        let passes = (0..24).map(|stream| {
            retune_kernels::dropout::set_stream(stream);
            run(&dropping, &Mode::training(0))
        });
        let (changed, said): (Vec<bool>, Vec<usize>) =
            passes.map(|(logits, said)| (difference(&logits, &whole.0) > 1e-5, said)).unzip();
        let count = changed.iter().filter(|changed| **changed).count();
        if drops {
            // Two layers, each left out in half of the passes: what is said is that of those that ran, and of the last place.
            assert!((12..24).contains(&count), "{count}");
            assert!(said.contains(&1) && said.contains(&2), "{said:?}");
        } else {
            assert_eq!((count, said.iter().all(|it| *it == whole.1)), (0, true));
        }
    }
}

/// What a detector has beside them starts anew where it brings no weights, and is kept where it does.
#[test]
fn convolutions_of_a_classifier_become_a_backbone() {
    let classifier = fixture("parity/resnet-image-classification");
    let stored = read_tensors(&classifier.join("model.safetensors")).unwrap();
    let inside = "encoder.stages.1.layers.1.layer.0.convolution.weight";
    for (name, processor) in [
        ("detr-object-detection", "Detr"),
        ("conditional-detr", "ConditionalDetr"),
        ("deformable-detr", "DeformableDetr"),
        ("rt-detr-v2-discrete", "RTDetr"),
    ] {
        println!("{name}");
        let [detector, into, saved] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let source = fixture(&format!("parity/{name}"));
        std::fs::copy(source.join("config.json"), detector.path().join("config.json")).unwrap();
        let grafted = graft(detector.path(), &classifier, into.path()).unwrap();
        assert_eq!(grafted.left, ["classifier.1.bias", "classifier.1.weight"]);
        assert!(!grafted.whole);
        let options =
            LoadOptions { only: Some(grafted.path.to_owned()), ..with_labels(&OBJECT_DETECTION, &["x", "y"]) };
        let loaded = LoadedModel::load(into.path(), &options).unwrap();
        let new = &loaded.report.new;
        assert!(!new.is_empty() && new.iter().all(|new| !new.name.starts_with(grafted.path)), "{new:?}");
        assert!(loaded.report.unexpected.is_empty(), "{:?}", loaded.report.unexpected);
        let full = format!("{}.{inside}", grafted.path);
        let value = loaded.params.iter().find(|param| param.name == full).unwrap().value().unwrap();
        assert_eq!(value.to_device(Device::Cpu), stored[&format!("resnet.{inside}")]);
        let described = std::fs::read_to_string(into.path().join("preprocessor_config.json")).unwrap();
        assert!(described.contains(&format!("\"{processor}ImageProcessor\"")) && described.contains("0.485"));
        // Elsewhere what is missing is an error.
        assert!(LoadedModel::load(into.path(), &LoadOptions { only: None, ..options.clone() }).is_err());
        loaded.save(saved.path(), "").unwrap();
        let again = LoadedModel::load(saved.path(), &load_options(&OBJECT_DETECTION)).unwrap();
        assert!(again.report.new.is_empty() && again.report.unexpected.is_empty(), "{:?}", again.report);
        // With the weights that were saved, only the convolutions are others.
        let whole = graft(saved.path(), &classifier, into.path()).unwrap();
        assert!(whole.whole);
        let whole = LoadedModel::load(into.path(), &load_options(&OBJECT_DETECTION)).unwrap();
        assert!(whole.report.new.is_empty(), "{:?}", whole.report.new);
    }
    let [yolos, into] = [fixture("parity/yolos-object-detection"), tempfile::tempdir().unwrap().keep()];
    let error = graft(&yolos, &classifier, &into).unwrap_err().to_string();
    assert!(error.contains("`yolos`") && error.contains("no ResNet inside"), "{error}");
    let error = graft(&fixture("parity/conditional-detr"), &yolos, &into).unwrap_err().to_string();
    assert!(error.contains("of yolos") && error.contains("resnet18"), "{error}");
    std::fs::remove_dir_all(into).unwrap();
}

fn float_options() -> (Kind, Device) {
    (Kind::Float, common::test_device())
}

//! Processors compared with transformers', and configurations that cannot be honoured.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::image::GreyRange;
use crate::image::fixtures::{decoded as decode, file, floats, folder, images};
use crate::image::resize;

/// The class name of each fixture follows its configuration; only the grey one takes one channel.
fn processors() -> Vec<(String, ImageProcessor)> {
    let entries = std::fs::read_dir(folder().join("processors")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let load = |name: String| {
        let channels = if name == "vit-grey" { 1 } else { 3 };
        let processor = ImageProcessor::load(&folder().join("processors").join(&name), (9, 9), channels).unwrap();
        (name, processor)
    };
    names.into_iter().map(load).collect()
}

#[test]
fn resizing_equals_pillow_bit_for_bit() {
    let source = decode(&file("rgb.png"), 3).unwrap();
    let filters = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"];
    let expected = images("resized.safetensors");
    assert_eq!(expected.len(), 30);
    for (name, expected) in expected {
        let filter = filters.iter().position(|filter| name.starts_with(filter)).unwrap() as u64;
        let filter = Resample::from_number(filter).unwrap();
        assert_eq!(resize(&source, expected.width(), expected.height(), filter), expected, "{name}");
    }
}

/// transformers resizes masks as images, but to the nearest pixel.
#[test]
fn masks_are_scaled_as_transformers_does_it() {
    let masks: std::collections::BTreeMap<String, Pixels> = images("masks.safetensors").into_iter().collect();
    let (mask, labels) = (&masks["mask"], &masks["labels"]);
    let (_, processor) = processors().into_iter().find(|(name, _)| name == "segformer-feature-extractor").unwrap();
    assert!(processor.reduces_labels() && processor.keeps_all());
    let moved = processor.moves(mask.width(), mask.height()).unwrap();
    assert_eq!(moved.size(), (labels.width(), labels.height()));
    let reduced = |value: u8| if matches!(value, 0 | 255) { 255 } else { value - 1 };
    let found: Vec<u8> = moved.pick(mask.data(), 255).into_iter().map(reduced).collect();
    assert_eq!(found, labels.data());
}

#[test]
fn every_processor_equals_transformers() {
    let processors = processors();
    assert_eq!(processors.len(), 24);
    for (name, processor) in processors {
        for (image, shape, expected) in floats(&format!("processors/{name}/expected.safetensors")) {
            let fitted = processor.fit(&decode(&file(&image), processor.channels()).unwrap()).unwrap();
            // Large results are stored thinned out.
            let step = if name == "convnext-384" { 48 } else { 1 };
            assert_eq!([fitted.height().div_ceil(step), fitted.width().div_ceil(step)], shape[1..], "{name} {image}");
            if let Some(size) = processor.output_size() {
                assert_eq!((fitted.height(), fitted.width()), size, "{name}");
            }
            let (values, order) = (processor.values(), processor.order());
            let mut worst = 0f32;
            let mut expected = expected.into_iter();
            for (channel, values) in values.iter().enumerate() {
                for y in (0..fitted.height()).step_by(step) {
                    for x in (0..fitted.width()).step_by(step) {
                        let value = values[usize::from(fitted.pixel(x, y)[order[channel]])];
                        worst = worst.max((value - expected.next().unwrap()).abs());
                    }
                }
            }
            assert_eq!(worst, 0.0, "{name} {image}");
        }
    }
}

#[test]
fn a_saved_processor_remembers_its_grey_range() {
    let folder = tempfile::tempdir().unwrap();
    let plain = ImageProcessor::load(folder.path(), (9, 9), 1).unwrap();
    let medical = plain.clone().with_grey_range(GreyRange::Between(0, 4095));
    medical.save(folder.path()).unwrap();
    let loaded = ImageProcessor::load(folder.path(), (9, 9), 1).unwrap();
    assert_eq!((loaded.grey_range(), &loaded), (GreyRange::Between(0, 4095), &medical));
    assert_ne!(loaded.config(), plain.config());
    assert_eq!(loaded.with_grey_range(GreyRange::default()), plain);
    let wrong = json!({"image_processor_type": "ViTImageProcessor", "grey_range": "loud"});
    assert!(ImageProcessor::parse(wrong.to_string().as_bytes(), 1).unwrap_err().contains("`loud` is not full"));
}

#[test]
fn beit_crops_to_its_own_size_when_told_to() {
    let config = json!({"image_processor_type": "BeitImageProcessor", "do_center_crop": true, "size": 256});
    let processor = ImageProcessor::parse(config.to_string().as_bytes(), 3).unwrap();
    assert_eq!(processor.output_size(), Some((224, 224)));
    let silent = json!({"image_processor_type": "BeitImageProcessor", "size": 256});
    let processor = ImageProcessor::parse(silent.to_string().as_bytes(), 3).unwrap();
    assert_eq!(processor.output_size(), Some((256, 256)));
}

#[test]
fn without_a_configuration_images_are_scaled_to_the_models_size() {
    let folder = tempfile::tempdir().unwrap();
    let processor = ImageProcessor::load(folder.path(), (20, 30), 1).unwrap();
    assert_eq!(
        (processor.output_size(), processor.channels(), processor.resample()),
        (Some((20, 30)), 1, Resample::Bilinear)
    );
    assert_eq!(processor.values()[0][255], 1.0);
    assert_eq!(processor.neutral(), [127]);
    let path = processor.save(folder.path()).unwrap();
    assert_eq!(ImageProcessor::load(folder.path(), (1, 1), 1).unwrap(), processor);
    assert!(std::fs::read_to_string(path).unwrap().contains("\"image_processor_type\": \"ViTImageProcessor\""));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn saving_keeps_unknown_keys_and_names_the_class() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"feature_extractor_type": "ViTFeatureExtractor", "size": 24, "mystery": [1, {"a": null}]});
    std::fs::write(folder.path().join(FILE), config.to_string()).unwrap();
    let processor = ImageProcessor::load(folder.path(), (9, 9), 3).unwrap();
    processor.with_size(48, 32).unwrap().save(folder.path()).unwrap();
    let saved: Value = serde_json::from_slice(&std::fs::read(folder.path().join(FILE)).unwrap()).unwrap();
    let expected = json!({
        "size": {"height": 48, "width": 32}, "mystery": [1, {"a": null}], "image_processor_type": "ViTImageProcessor"
    });
    assert_eq!(saved, expected);
}

#[test]
fn another_size_keeps_the_share_that_is_cropped_away() {
    let of = |config: Value| ImageProcessor::parse(config.to_string().as_bytes(), 3).unwrap();
    let bit = of(json!({"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256}}));
    let larger = bit.with_size(448, 448).unwrap();
    assert_eq!((larger.resize, larger.output_size()), (Some(Size::ShortestEdge(512, None)), Some((448, 448))));
    let deit = of(json!({"image_processor_type": "DeiTImageProcessor"})).with_size(112, 112).unwrap();
    assert_eq!((deit.resize, deit.output_size()), (Some(Size::Exact(128, 128)), Some((112, 112))));
    let convnext = of(json!({"image_processor_type": "ConvNextImageProcessor"})).with_size(64, 64).unwrap();
    assert_eq!(convnext.output_size(), Some((64, 64)));
    assert!(convnext.with_size(64, 32).unwrap_err().to_string().contains("square"));
    let off = of(json!({"do_resize": false})).with_size(10, 10).unwrap();
    assert_eq!(off.output_size(), Some((10, 10)));
}

#[test]
fn where_every_pixel_counts_nothing_is_cut_off() {
    let whole = |config: Value| ImageProcessor::parse(config.to_string().as_bytes(), 3).unwrap().whole().unwrap();
    let mobile = whole(json!({"image_processor_type": "MobileViTImageProcessor", "size": 288, "crop_size": 256}));
    assert_eq!((mobile.resize, mobile.crop, mobile.order()), (Some(Size::Exact(256, 256)), None, vec![2, 1, 0]));
    let convnext = json!({"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 64}});
    let before = ImageProcessor::parse(convnext.to_string().as_bytes(), 3).unwrap();
    let after = whole(convnext);
    assert!(!before.keeps_all() && after.keeps_all());
    assert_eq!((after.resize, after.resample), (Some(Size::Exact(64, 64)), before.resample));
    assert_eq!(after.values(), before.values());
    let plain = json!({"image_processor_type": "ViTImageProcessor", "size": 24});
    assert_eq!(whole(plain.clone()).config(), plain.as_object().unwrap());
}

#[test]
fn configurations_that_cannot_be_honoured_are_refused() {
    let said = |config: &str, channels| ImageProcessor::parse(config.as_bytes(), channels).unwrap_err();
    for (config, part) in [
        ("[1]", "is not a JSON object"),
        (
            "{\"image_processor_type\": \"SamImageProcessor\"}",
            "`SamImageProcessor` is not supported; supported are ViT,",
        ),
        ("{\"image_processor_type\": 3}", "is `3`, not a name"),
        ("{\"size\": 0}", "size is `0`, not a whole number from 1 to 16384"),
        ("{\"size\": {\"width\": 5}}", "it needs height and width, or shortest_edge"),
        ("{\"resample\": 9}", "resample is `9`; use 0 to 5"),
        ("{\"do_resize\": \"yes\"}", "do_resize is `\"yes\"`, not true or false"),
        ("{\"image_std\": [1, 0, 1]}", "image_std has a 0"),
        ("{\"image_mean\": [1, 0]}", "image_mean has 2 entries, but the model takes 3 channels"),
        ("{\"image_mean\": [1e300, 0, 0]}", "not finite"),
        ("{\"do_center_crop\": true}", "do_center_crop needs crop_size"),
        ("{\"do_pad\": true}", "do_pad is not supported"),
        ("{\"image_processor_type\": \"ConvNextImageProcessor\", \"size\": [4, 4]}", "needs size.shortest_edge"),
        ("{\"image_processor_type\": \"ConvNextImageProcessor\", \"crop_pct\": 0}", "crop_pct is 0"),
    ] {
        let message = said(config, 3);
        assert!(message.contains(part), "{message}");
    }
    assert!(said("{}", 4).contains("4 channels"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), "{").unwrap();
    let message = ImageProcessor::load(folder.path(), (9, 9), 3).unwrap_err().to_string();
    assert!(message.contains("preprocessor_config.json: is not a JSON object"), "{message}");
}

#[test]
fn needles_are_refused_rather_than_filling_the_memory() {
    let processor = ImageProcessor::parse(b"{\"image_processor_type\": \"BitImageProcessor\"}", 3).unwrap();
    let reason = processor.fit(&Pixels::filled(1, 400_000, 3, &[1; 3])).unwrap_err();
    assert!(reason.contains("would be scaled to 224 × 89600000"), "{reason}");
}

proptest! {
    #[test]
    fn any_configuration_is_read_or_refused(
        key in prop::sample::select(vec![
            "size", "crop_size", "resample", "do_resize", "do_center_crop", "image_mean", "image_std", "crop_pct",
            "rescale_factor", "image_processor_type", "do_rescale", "do_normalize",
        ]),
        value in prop::sample::select(vec![
            json!(null), json!(0), json!(-1), json!(7), json!(7.5), json!(1e18), json!("a"), json!(true), json!([]), json!([8]),
            json!([8, 9]), json!([0.1, 0.2, 0.3]), json!({}), json!({"height": 8, "width": 9}), json!({"shortest_edge": 8}),
            json!({"shortest_edge": 8, "longest_edge": 5}), json!({"height": {}, "width": []}),
        ]),
        kind in prop::sample::select(vec!["ViT", "DeiT", "Beit", "Bit", "CLIP", "ConvNext"]),
        size in (1usize..40, 1usize..40),
    ) {
        let mut config = json!({"image_processor_type": format!("{kind}ImageProcessor")});
        config[key] = value;
        if let Ok(processor) = ImageProcessor::parse(config.to_string().as_bytes(), 3) {
            let fitted = processor.fit(&Pixels::filled(size.0, size.1, 3, &[9; 3])).unwrap();
            if let Some(output) = processor.output_size() {
                prop_assert_eq!((fitted.height(), fitted.width()), output);
            }
        }
    }
}

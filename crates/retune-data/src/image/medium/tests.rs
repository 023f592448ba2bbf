//! Tests of the data set: batches, caching, augmentation, bad images, facts.

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::image::fixtures::{self, floats};
use crate::image::{
    Boxes, IgnoredClasses, ImageObject, MaskClasses, MaskReading, Masks, RandomResizedCrop, RawMasks, read_images,
};
use crate::{
    ArrayData, CONFLICTING, Classes, DUPLICATES, DataFacts, Dataset, Examples, LabelSchema, Layout, Loader, Numbers,
    OnBadExample, Problem, Targets, stratified_group_split,
};

const PASS: Pass = Pass { seed: 3, epoch: 1 };

/// A folder of two classes: three images, one of them twice.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: &str, to: &str| {
        let path = folder.path().join(to);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, fixtures::file(from)).unwrap();
    };
    copy("rgb.png", "a/1.png");
    copy("tall.png", "a/2.png");
    copy("full.jpg", "b/1.jpg");
    copy("rgb.bmp", "b/2.bmp");
    folder
}

fn processor() -> ImageProcessor {
    ImageProcessor::load(&fixtures::folder().join("processors/vit-bicubic"), (9, 9), 3).unwrap()
}

fn layout() -> Layout {
    Layout::image("image").labels(["label"])
}

fn read(path: impl AsRef<Path>, layout: &Layout, on_bad_example: OnBadExample) -> Result<Arc<TableRows>, DataError> {
    read_images(path, layout, !layout.labels.is_empty(), on_bad_example).map(Arc::new)
}

fn with<T: Targets<Images>>(
    rows: Arc<TableRows>,
    targets: Option<T>,
    options: &ImageOptions,
) -> Result<Examples<Images, T>, DataError> {
    let images = Images::encode(&rows, &processor(), options, &|_, _| ())?;
    Examples::new(rows, images, targets)
}

fn encode(path: &Path, options: &ImageOptions) -> Result<Examples<Images, Classes>, DataError> {
    let rows = read(path, &layout(), options.on_bad_example)?;
    let schema = LabelSchema::infer(&*rows, Some(Problem::SingleLabel))?;
    let classes = Classes::read(&*rows, schema.names())?;
    with(rows, classes, options)
}

fn augmented(preset: &str, cache_bytes: u64) -> Examples<Images, Classes> {
    let augmentation = preset.parse().unwrap();
    encode(folder().path(), &ImageOptions { augmentation, cache_bytes, ..ImageOptions::default() }).unwrap()
}

fn values(batch: &Batch, name: &str) -> Vec<f32> {
    match &batch.inputs.get(name).unwrap_or_else(|| &batch.targets[name]).data {
        ArrayData::F32(values) => values.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn batches_equal_transformers() {
    let data = encode(folder().path(), &ImageOptions::default()).unwrap();
    assert_eq!((data.len(), data.medium().image_size(), data.medium().uncached()), (4, (24, 24), 0));
    let batch = data.batch(&[1, 0], None).unwrap();
    assert_eq!(batch.inputs["pixel_values"].shape, [2, 3, 24, 24]);
    assert_eq!(batch.targets["labels"], Array::integers(&[2], vec![0, 0]));
    assert_eq!((batch.extent.input, data.length(0)), (Units { real: 2, padded: 2 }, 1));
    let expected = floats("processors/vit-bicubic/expected.safetensors");
    let of = |name: &str| expected.iter().find(|(known, ..)| known == name).unwrap().2.clone();
    assert_eq!(values(&batch, "pixel_values"), [of("tall.png"), of("rgb.png")].concat());
    assert!(matches!(data.batch(&[4], None), Err(DataError::NoSuchRow { row: 4, rows: 4 })));
    let (folder, options) = (folder(), ImageOptions::default());
    let rows = read(folder.path(), &layout(), OnBadExample::Fail).unwrap();
    let images = Images::encode(&rows, &processor(), &options, &|_, _| ()).unwrap().with_patches(9);
    let patches = Examples::<_, Classes>::new(rows, images, None).unwrap();
    let batch = patches.batch(&[1, 0], None).unwrap();
    assert_eq!((patches.length(3), batch.extent.input), (9, Units { real: 18, padded: 18 }));
}

#[test]
fn what_is_not_cached_is_the_same() {
    for preset in ["none", "medium", "medical"] {
        let kept = augmented(preset, 1 << 30);
        // Without a cache the files are read again, so they must still be there.
        let folder = folder();
        let options = ImageOptions { augmentation: preset.parse().unwrap(), cache_bytes: 0, ..ImageOptions::default() };
        let decoded = encode(folder.path(), &options).unwrap();
        assert_eq!((kept.medium().uncached(), decoded.medium().uncached()), (0, 4));
        for pass in [None, Some(PASS)] {
            assert_eq!(kept.batch(&[0, 2, 3], pass).unwrap(), decoded.batch(&[0, 2, 3], pass).unwrap(), "{preset}");
        }
    }
}

#[test]
fn files_that_vanish_are_named() {
    let data = augmented("none", 0);
    let message = data.batch(&[0], None).unwrap_err().to_string();
    assert!(message.contains("a/1.png: there is no such file"), "{message}");
}

#[test]
fn augmentation_is_a_function_of_seed_epoch_and_row() {
    for preset in ["light", "medium", "medical-light", "medical", "medical-strong", "strong"] {
        let data = augmented(preset, 1 << 30);
        let batch = |rows: &[usize], epoch| data.batch(rows, Some(Pass { seed: 3, epoch })).unwrap();
        assert_eq!(batch(&[0, 1], 5), batch(&[0, 1], 5), "{preset}");
        assert_ne!(batch(&[0, 1], 5).inputs["pixel_values"], batch(&[0, 1], 6).inputs["pixel_values"], "{preset}");
        let plain = augmented("none", 1 << 30).batch(&[0, 1], None).unwrap();
        assert_eq!(data.batch(&[0, 1], None).unwrap(), plain, "evaluation is not augmented by {preset}");
        if !data.medium().mixes() {
            // The neighbours in a batch and the view on the data do not matter.
            let half = |batch: &Batch| values(batch, "pixel_values")[..3 * 24 * 24].to_vec();
            assert_eq!(
                half(&batch(&[1, 3], 2)),
                half(&data.subset(&[3, 1]).unwrap().batch(&[1], Some(Pass { seed: 3, epoch: 2 })).unwrap())
            );
        }
    }
}

/// Squares drawn on dark pictures: wherever a picture has one, a box says so, and a mask.
#[test]
fn boxes_and_masks_lie_where_a_mosaic_has_their_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let corners = |number: usize| [4 + 7 * number, 5 + 3 * number, 14 + 7 * number, 17 + 3 * number];
    let inside = |number: usize, x: usize, y: usize| {
        let [left, top, right, bottom] = corners(number);
        (left..right).contains(&x) && (top..bottom).contains(&y)
    };
    std::fs::create_dir_all(folder.path().join("images")).unwrap();
    std::fs::create_dir_all(folder.path().join("masks")).unwrap();
    for number in 0..4 {
        let cells: Vec<u8> = (0..40 * 50).map(|at| u8::from(inside(number, at % 50, at / 50))).collect();
        let shades: Vec<u8> = cells.iter().flat_map(|&cell| [if cell == 1 { 255 } else { 10 }; 3]).collect();
        let save = |name: String, data: &[u8], kind| {
            image::save_buffer(folder.path().join(name), data, 50, 40, kind).unwrap();
        };
        save(format!("images/{number}.png"), &shades, image::ColorType::Rgb8);
        save(format!("masks/{number}.png"), &cells, image::ColorType::L8);
    }
    let layout = Layout::image("image").masks("mask");
    let rows = read_images(folder.path(), &layout, true, OnBadExample::Fail).map(Arc::new).unwrap();
    let augmentation = Augmentation {
        mosaic: 0.8,
        crop: Some(RandomResizedCrop { scale: (0.5, 1.0), ratio: (0.8, 1.25) }),
        horizontal_flip: 0.5,
        ..Augmentation::default()
    };
    let options = ImageOptions { augmentation, ..ImageOptions::default() };
    let sizes = TrainingSizes::Sizes(vec![(40, 48), (24, 24), (56, 40)]);
    let images = || Images::encode(&rows, &processor(), &options, &|_, _| ()).unwrap().with_sizes(sizes.clone());
    let object = |number: usize| ImageObject {
        class: number % 2,
        corners: corners(number).map(|side| side as f64),
        crowd: false,
        area: 120.0,
    };
    let names = vec!["a".to_owned(), "b".to_owned()];
    let boxes = Boxes::new(names, (0..4).map(|number| vec![object(number)]).collect());
    let boxes = Examples::new(Arc::clone(&rows) as _, images(), Some(boxes)).unwrap();
    let masked = images();
    let (raw, bad) = RawMasks::read(&rows, &masked, None, &|_, _| ()).unwrap();
    assert!(bad.is_empty());
    let reading = MaskReading { ignored: IgnoredClasses::Named(Vec::new()), ..MaskReading::default() };
    let classes = MaskClasses::choose(&raw.present(), None, &reading).unwrap();
    let masks = Examples::new(Arc::clone(&rows) as _, masked, Some(Masks::new(raw, classes))).unwrap();
    let (mut found, mut shapes, mut most) = (0, std::collections::BTreeSet::new(), 0);
    for epoch in 0..30 {
        let pass = Some(Pass { seed: 5, epoch });
        let batch = boxes.batch(&[0, 1, 2, 3], pass).unwrap();
        assert_eq!(batch.inputs, boxes.batch(&[0, 1, 2, 3], pass).unwrap().inputs);
        let labels = masks.batch(&[0, 1, 2, 3], pass).unwrap();
        assert_eq!(labels.inputs, batch.inputs, "what is learnt of them does not change images");
        let ArrayData::U8(labels) = &labels.targets["labels"].data else { panic!("bytes") };
        let shape = &batch.inputs["pixel_values"].shape;
        let (height, width) = (shape[2], shape[3]);
        shapes.insert((height, width));
        let (values, sides) = (values(&batch, "pixel_values"), values(&batch, "boxes"));
        let ArrayData::I64(kinds) = &batch.targets["class_labels"].data else { panic!("integers") };
        let each = kinds.len() / 4;
        for row in 0..4 {
            let bright = |x: usize, y: usize| values[(row * 3 * height + y) * width + x] > 0.2;
            let mut in_boxes = vec![false; height * width];
            let mut here = 0;
            for at in (row * each..(row + 1) * each).filter(|&at| kinds[at] >= 0) {
                let [x, y, w, h] = [0, 1, 2, 3].map(|side| f64::from(sides[at * 4 + side]));
                let (left, right) = ((x - w / 2.0) * width as f64, (x + w / 2.0) * width as f64);
                let (top, bottom) = ((y - h / 2.0) * height as f64, (y + h / 2.0) * height as f64);
                let (middle_x, middle_y) = (((left + right) / 2.0) as usize, ((top + bottom) / 2.0) as usize);
                assert!(bright(middle_x, middle_y), "epoch {epoch}, image {row}: no square in the middle of a box");
                for y in (top - 1.0).max(0.0) as usize..((bottom + 1.0).ceil() as usize).min(height) {
                    for x in (left - 1.0).max(0.0) as usize..((right + 1.0).ceil() as usize).min(width) {
                        in_boxes[y * width + x] = true;
                    }
                }
                here += 1;
            }
            (found, most) = (found + here, most.max(here));
            let cells = &labels[row * height * width..(row + 1) * height * width];
            let of = |at: usize| bright(at % width, at / width);
            let wrong = (0..height * width).filter(|&at| of(at) != (cells[at] == 1)).count();
            assert!(wrong <= height * width / 12, "{wrong} of {} pixels are of another class", height * width);
            // What is left of a square that was mostly cut off has no box.
            let outside = (0..height * width).filter(|&at| of(at) && !in_boxes[at]).count();
            assert!(outside <= 40, "epoch {epoch}, image {row}: {outside} bright pixels outside of boxes");
        }
    }
    assert!(found > 150 && most > 2 && shapes.len() == 3, "{found} boxes, {most} in one image, {shapes:?}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let data = augmented("strong", 1 << 30);
    let run = |threads| {
        let plan = (0..12u64).map(|epoch| (vec![0, 1, 2, 3], Some(Pass { seed: 1, epoch })));
        let loader = Loader::new(Arc::new(data.clone()), plan, threads, 4);
        loader.map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(3));
    assert_eq!([0, 3, 99].map(|free| data.loader_threads(free)), [1, 3, 8]);
}

#[test]
fn mixed_batches_have_shares_of_classes_in_training_only() {
    let data = augmented("strong", 1 << 30);
    let training = data.batch(&[0, 1, 2], Some(PASS)).unwrap();
    assert_eq!(training.targets["labels"].shape, [3, 2]);
    let shares = values(&training, "labels");
    assert!(shares.chunks(2).all(|row| (row[0] + row[1] - 1.0).abs() < 1e-6), "{shares:?}");
    assert_eq!(shares[..2], [1.0, 0.0], "rows 0 and 1 are of one class");
    assert!(matches!(data.batch(&[0], None).unwrap().targets["labels"].data, ArrayData::I64(_)));
}

#[test]
fn mixing_and_wrong_numbers_are_refused_where_they_make_no_sense() {
    let folder = folder();
    std::fs::write(folder.path().join("t.csv"), "image,label\na/1.png,0.5\na/2.png,1.5\n").unwrap();
    let options = |augmentation: Augmentation| ImageOptions { augmentation, ..ImageOptions::default() };
    let made = |augmentation: Augmentation| {
        let rows = read(folder.path().join("t.csv"), &layout(), OnBadExample::Fail).unwrap();
        let numbers = Numbers::read(&*rows, 1).unwrap();
        with(rows, numbers, &options(augmentation))
    };
    let said = |augmentation: Augmentation| made(augmentation).err().unwrap().to_string();
    let none = Augmentation::default;
    assert!(said("strong".parse().unwrap()).contains("mixup and cutmix need classes"));
    assert!(said(Augmentation { horizontal_flip: 1.5, ..none() }).contains("probability of horizontal flip is 1.5"));
    let crop = Some(RandomResizedCrop { scale: (0.0, 1.0), ratio: (1.0, 1.0) });
    assert!(said(Augmentation { crop, ..none() }).contains("the crop's scale"));
    assert!(said(Augmentation { mixup: f64::NAN, ..none() }).contains("alpha of mixup"));
    assert!("huge".parse::<Augmentation>().unwrap_err().to_string().contains("medical-strong"));
    assert!(made(Augmentation::without_mixing("strong".parse().unwrap())).is_ok());
    let data = made("medium".parse().unwrap()).unwrap();
    assert_eq!(data.batch(&[0, 1], Some(PASS)).unwrap().targets["labels"], Array::floats(&[2], vec![0.5, 1.5]));
}

#[test]
fn bad_images_are_listed_or_left_out() {
    let folder = folder();
    for index in 0..12 {
        std::fs::write(folder.path().join(format!("b/bad{index:02}.png")), &fixtures::file("rgb.png")[..100]).unwrap();
    }
    let message = encode(folder.path(), &ImageOptions::default()).err().unwrap().to_string();
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines.len(), 13, "{message}");
    assert!(lines[0].contains("b/bad00.png: is a truncated or damaged PNG: "), "{message}");
    assert_eq!(
        lines[12],
        "12 of 16 cannot be used; repair or remove them, or leave them out with --on-bad-example skip"
    );

    let options = ImageOptions { on_bad_example: OnBadExample::Skip, ..ImageOptions::default() };
    let data = encode(folder.path(), &options).unwrap();
    assert_eq!((data.len(), data.bad_examples().len()), (4, 12));
    let last = &data.bad_examples()[11];
    assert!(last.place.ends_with("b/bad11.png"));
    assert_eq!((last.row, last.line, &last.fields["image"]), (15, 0, &json!(last.place)));
    assert_eq!(data.batch(&[3, 2], None).unwrap().targets["labels"], Array::integers(&[2], vec![1, 1]));
    for file in ["a/1.png", "a/2.png", "b/1.jpg", "b/2.bmp"] {
        std::fs::remove_file(folder.path().join(file)).unwrap();
    }
    std::fs::write(folder.path().join("a/bad.png"), b"no").unwrap();
    // A part of a stream may hold nothing else; what needs rows says so itself.
    let none = encode(folder.path(), &options).unwrap();
    assert_eq!((none.len(), none.bad_examples().len()), (0, 13));
}

#[test]
fn images_of_several_sizes_after_processing_are_bad() {
    let folder = folder();
    let rows = read(folder.path(), &layout(), OnBadExample::Fail).unwrap();
    let processor = ImageProcessor::load(&fixtures::folder().join("processors/bit-limited"), (9, 9), 3).unwrap();
    let error = Images::encode(&rows, &processor, &ImageOptions::default(), &|_, _| ()).err().unwrap();
    let message = error.to_string();
    assert!(
        message.contains("a/2.png: is 11 × 26 pixels after preprocessing where the first image is 26 × 19"),
        "{message}"
    );
}

#[test]
fn unlabelled_images_have_noise_for_masking() {
    let folder = folder();
    let rows = read(folder.path(), &Layout::image("image"), OnBadExample::Fail).unwrap();
    let images = Images::encode(&rows, &processor(), &ImageOptions::default(), &|_, _| ()).unwrap().with_noise(9);
    let data = Examples::<_, Classes>::new(rows, images, None).unwrap();
    assert!(data.targets().is_none() && data.strata() == [0; 4]);
    let noise = |rows: &[usize], pass| {
        let batch = data.batch(rows, pass).unwrap();
        assert_eq!(batch.inputs["noise"].shape, [rows.len(), 9]);
        assert!(batch.targets.is_empty());
        values(&batch, "noise")
    };
    let all = noise(&[0, 1, 2, 3], Some(PASS));
    assert!(all.iter().all(|value| (0.0..1.0).contains(value)));
    assert_eq!(all[9..18], noise(&[1], Some(PASS)));
    assert_ne!(noise(&[1], Some(PASS)), noise(&[1], Some(Pass { epoch: 2, ..PASS })));
    assert_eq!(noise(&[1], None), noise(&[1], None));
    assert_ne!(noise(&[1], None), noise(&[2], None));
}

#[test]
fn equal_pixels_are_duplicates_whatever_the_format() {
    let data = encode(folder().path(), &ImageOptions::default()).unwrap();
    assert_eq!(data.content_hash(0), data.content_hash(3));
    assert_eq!(data.split_groups(), [0, 1, 2, 0]);
    assert_eq!(
        (data.medium().original_size(1), data.size(1), data.medium().unit()),
        ((17, 40), 17, "pixels of the shorter side")
    );
    let (train, test) = (data.subset(&[0, 1]).unwrap(), data.subset(&[2, 3]).unwrap());
    let parts = vec![("train", &train), ("test", &test)];
    let facts = DataFacts::gather(&parts).unwrap();
    assert_eq!(facts.splits[0].counts, [("a".to_owned(), 2), ("b".to_owned(), 0)]);
    assert_eq!((facts.splits[1].sizes.min, facts.splits[1].sizes.max), (23, 40));
    let leak = &facts.leakage[0];
    assert!(leak.examples == 1 && leak.shown[0].ends_with("b/2.bmp"), "{leak:?}");
    let whole = DataFacts::gather(&[("train", &data)]).unwrap();
    assert_eq!((whole.splits[0].count(DUPLICATES), whole.splits[0].count(CONFLICTING)), (Some(1), Some(2)));
}

#[test]
fn groups_stay_on_one_side_of_a_split() {
    let folder = folder();
    let mut table = "image,label,patient\n".to_owned();
    for row in 0..40 {
        table.push_str(&format!("a/2.png,{},P{}\n", ["x", "y"][row % 2], row / 4));
    }
    std::fs::write(folder.path().join("t.csv"), table).unwrap();
    let layout = layout().group(Some("patient".into()));
    let rows = read(folder.path().join("t.csv"), &layout, OnBadExample::Fail).unwrap();
    let classes = Classes::read(&*rows, &["x".into(), "y".into()]).unwrap();
    let data = with(rows, classes, &ImageOptions::default()).unwrap();
    let groups: Vec<u64> = (0..data.len()).map(|row| data.group(row).unwrap()).collect();
    let (train, validation) = stratified_group_split(&data.strata(), &groups, 0.3, 1).unwrap();
    assert!(train.iter().all(|&a| validation.iter().all(|&b| groups[a] != groups[b])));
    // All rows show one image, so that joined groups are one.
    assert_eq!(data.split_groups(), [0; 40]);
}

#[test]
fn thumbnails_are_small_pngs_of_the_whole_image() {
    let folder = folder();
    let data = encode(folder.path(), &ImageOptions::default()).unwrap();
    assert_eq!((data.medium().pixels(1).unwrap().width(), data.medium().pixels(1).unwrap().height()), (24, 24));
    let small = fixtures::decoded(&data.picture(1, 10, None).unwrap().unwrap(), 3).unwrap();
    assert_eq!((small.width(), small.height()), (4, 10));
    let whole = fixtures::decoded(&data.picture(1, 100, None).unwrap().unwrap(), 3).unwrap();
    assert_eq!((whole.width(), whole.height()), (17, 40));
    // Heat lies over what the model sees.
    let heat = HeatMap::new(1, 2, &[0.0, 1.0]);
    let seen = fixtures::decoded(&data.picture(1, 100, Some(&heat)).unwrap().unwrap(), 3).unwrap();
    let pixels = data.medium().pixels(1).unwrap();
    assert_eq!((seen.width(), seen.height()), (24, 24));
    assert_eq!(seen.pixel(0, 12), pixels.pixel(0, 12));
    assert_ne!(seen.pixel(23, 12), pixels.pixel(23, 12));
    assert_eq!(data.source(1).unwrap().label, Some(json!("a")));
}

#[test]
fn labels_that_a_model_does_not_know_are_one_problem_per_folder() {
    let folder = folder();
    let rows = read(folder.path(), &layout(), OnBadExample::Fail).unwrap();
    let error = Classes::read(&*rows, &["a".into(), "c".into()]).err();
    let message = error.unwrap().to_string();
    assert!(
        message.contains("`b` is not among the known labels `a`, `c`") && message.lines().count() == 1,
        "{message}"
    );
}

proptest! {
    #[test]
    fn every_preset_gives_finite_values_of_the_right_shape(
        preset in prop::sample::select(vec!["light", "medium", "strong", "medical-light", "medical", "medical-strong"]),
        seed: u64, epoch in 0u64..100, rows in prop::collection::vec(0usize..4, 1..4),
    ) {
        let data = augmented(preset, 1 << 30);
        let batch = data.batch(&rows, Some(Pass { seed, epoch })).unwrap();
        prop_assert_eq!(&batch.inputs["pixel_values"].shape, &[rows.len(), 3, 24, 24]);
        prop_assert!(values(&batch, "pixel_values").iter().all(|value| (-1.01..1.01).contains(value)));
    }
}

#[test]
fn rows_without_an_image_are_left_out_together_with_images_that_are_broken() {
    let folder = folder();
    std::fs::write(folder.path().join("bad.png"), b"no").unwrap();
    let table = folder.path().join("t.csv");
    std::fs::write(&table, "image,label\n,x\na/1.png,x\nbad.png,y\n,y\na/2.png,y\nbad.png,x\n").unwrap();
    let options = ImageOptions { on_bad_example: OnBadExample::Skip, ..ImageOptions::default() };
    let data = encode(&table, &options).unwrap();
    assert_eq!((data.len(), data.examples()), (2, 2));
    let bad: Vec<(usize, u64)> = data.bad_examples().iter().map(|bad| (bad.row, bad.line)).collect();
    assert_eq!(bad, [(0, 2), (2, 4), (3, 5), (5, 7)]);
    assert_eq!(data.source(1).unwrap().line, 6);
    assert_eq!(data.batch(&[0, 1], None).unwrap().targets["labels"], Array::integers(&[2], vec![0, 1]));
    assert!(encode(&table, &ImageOptions::default()).is_err());
}

//! Tests of mixup of scenes, by drawing: what lies where, whatever else is done.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::image::augment::{Augmentation, RandomResizedCrop};
use crate::image::{Boxes, ImageObject, ImageOptions, ImageProcessor, MaskClasses, MaskReading, Masks, RawMasks};
use crate::image::{fixtures, read_images};
use crate::{ArrayData, Batch, DataError, Dataset, Examples, Layout, Loader, OnBadExample, TableRows};

/// What empty places take, too.
const GREY: u8 = 128;
/// Width and height of each picture.
const SIZES: [(u32, u32); 4] = [(50, 40), (36, 54), (60, 30), (44, 44)];
/// The picture of nothing but a crowd, of which nothing is seen.
const CROWD: usize = 3;

fn corners(number: usize) -> [u32; 4] {
    let (left, top) = (3 + 4 * number as u32, 5 + 3 * number as u32);
    [left, top, left + 12, top + 14]
}

/// Pictures with a white square each, and masks of them.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["images", "masks"] {
        std::fs::create_dir(folder.path().join(kind)).unwrap();
    }
    for (number, (width, height)) in SIZES.into_iter().enumerate() {
        let [left, top, right, bottom] = corners(number);
        let is_inside = |x, y| number != CROWD && (left..right).contains(&x) && (top..bottom).contains(&y);
        let pick = |inside: u8, outside: u8| move |x, y| if is_inside(x, y) { inside } else { outside };
        for (kind, of) in [("images", pick(255, GREY)), ("masks", pick(1, 0))] {
            let image = image::GrayImage::from_fn(width, height, |x, y| image::Luma([of(x, y)]));
            image.save(folder.path().join(format!("{kind}/{number}.png"))).unwrap();
        }
    }
    folder
}

fn rows(folder: &Path) -> Arc<TableRows> {
    read_images(folder, &Layout::image("image").masks("mask"), true, OnBadExample::Fail).map(Arc::new).unwrap()
}

/// As detectors have it: each image keeps its shape.
fn keeps_shapes() -> ImageProcessor {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"image_processor_type": "DetrImageProcessor", "size": {"shortest_edge": 30, "longest_edge": 60},
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]});
    std::fs::write(folder.path().join("preprocessor_config.json"), config.to_string()).unwrap();
    ImageProcessor::load(folder.path(), (30, 30), 3).unwrap()
}

fn one_size() -> ImageProcessor {
    ImageProcessor::load(&fixtures::folder().join("processors/vit-bicubic"), (9, 9), 3).unwrap()
}

fn images(
    rows: &Arc<TableRows>,
    processor: &ImageProcessor,
    augmentation: Augmentation,
    sizes: TrainingSizes,
) -> Images {
    let options = ImageOptions { augmentation, ..ImageOptions::default() };
    Images::encode(rows, processor, &options, &|_, _| ()).unwrap().with_sizes(sizes)
}

fn boxes() -> Boxes {
    let object = |number: usize| ImageObject {
        class: number % 2,
        corners: corners(number).map(f64::from),
        area: 168.0,
        crowd: number == CROWD,
    };
    Boxes::new(vec!["a".to_owned(), "b".to_owned()], (0..SIZES.len()).map(|number| vec![object(number)]).collect())
}

fn all_changes() -> Augmentation {
    Augmentation {
        scene_mixup: 0.7,
        mosaic: 0.4,
        crop: Some(RandomResizedCrop { scale: (0.5, 1.0), ratio: (0.8, 1.25) }),
        horizontal_flip: 0.5,
        vertical_flip: 0.5,
        rotation: 8.0,
        ..Augmentation::default()
    }
}

fn values(batch: &Batch, name: &str) -> Vec<f32> {
    match &batch.inputs.get(name).unwrap_or_else(|| &batch.targets[name]).data {
        ArrayData::F32(values) => values.clone(),
        other => panic!("{other:?}"),
    }
}

/// Marks the cells of a box, and those next to it, which scaling blurs it over.
fn mark(cells: &mut [bool], width: usize, [left, top, right, bottom]: [f64; 4]) {
    let height = cells.len() / width;
    let range = |from: f64, to: f64, most| (from - 3.0).max(0.0) as usize..((to + 3.0).ceil() as usize).min(most);
    for y in range(top, bottom, height) {
        range(left, right, width).for_each(|x| cells[y * width + x] = true);
    }
}

/// Whatever is done, there is a square in the middle of each box and none where no box is.
#[test]
fn boxes_lie_where_squares_shine_through() {
    let folder = folder();
    let rows = rows(folder.path());
    let squares = TrainingSizes::Sizes(vec![(40, 48), (32, 32), (56, 40)]);
    let shapes = TrainingSizes::Factors(vec![0.8, 1.0, 1.25]);
    for (processor, sizes, most_expected) in [(one_size(), squares, 3), (keeps_shapes(), shapes, 3)] {
        let medium = images(&rows, &processor, all_changes(), sizes);
        let data = Examples::new(Arc::clone(&rows) as _, medium, Some(boxes())).unwrap();
        let (mut found, mut most) = (0, 0);
        for epoch in 0..40 {
            let pass = Pass { seed: 5, epoch };
            let batch = data.batch(&[0, 1, 2, 3], Some(pass)).unwrap();
            let shape = &batch.inputs["pixel_values"].shape;
            let (height, width) = (shape[2], shape[3]);
            let (pixels, sides) = (values(&batch, "pixel_values"), values(&batch, "boxes"));
            let ArrayData::I64(kinds) = &batch.targets["class_labels"].data else { panic!("integers") };
            let each = kinds.len() / 4;
            for row in 0..4 {
                let bright = |x: usize, y: usize| pixels[(row * 3 * height + y) * width + x] > 0.1;
                let (mut in_boxes, mut here) = (vec![false; height * width], 0);
                for at in (row * each..(row + 1) * each).filter(|&at| kinds[at] >= 0) {
                    let [x, y, w, h] = [0, 1, 2, 3].map(|side| f64::from(sides[at * 4 + side]));
                    let (left, right) = ((x - w / 2.0) * width as f64, (x + w / 2.0) * width as f64);
                    let (top, bottom) = ((y - h / 2.0) * height as f64, (y + h / 2.0) * height as f64);
                    assert!(
                        left > -0.01 && top > -0.01 && right < width as f64 + 0.01 && bottom < height as f64 + 0.01
                    );
                    let (middle_x, middle_y) = (((left + right) / 2.0) as usize, ((top + bottom) / 2.0) as usize);
                    assert!(bright(middle_x, middle_y), "epoch {epoch}, image {row}: nothing in the middle of a box");
                    mark(&mut in_boxes, width, [left, top, right, bottom]);
                    here += 1;
                }
                (found, most) = (found + here, most.max(here));
                // What is left of a square that was mostly cut off has no box.
                let (_, seen) = data.medium().augmented(&[0, 1, 2, 3], row, pass).unwrap();
                for (number, moves) in
                    std::iter::once((row, &seen.moves)).chain(seen.others.iter().map(|it| (it.0, &it.1)))
                {
                    match moves.carry(corners(number).map(f64::from)) {
                        Some((rest, left)) if left < 0.25 => mark(&mut in_boxes, width, rest),
                        _ => {}
                    }
                }
                let outside = (0..height * width).filter(|&at| bright(at % width, at / width) && !in_boxes[at]).count();
                assert_eq!(outside, 0, "epoch {epoch}, image {row}: bright pixels outside of boxes");
            }
        }
        assert!(found > 150 && most >= most_expected, "{found} boxes, {most} in one image");
    }
}

/// Pixels are shares of both, in a frame that has room for both, and what belongs to each goes where it goes alone.
#[test]
fn both_images_are_as_they_are_alone() {
    let folder = folder();
    let rows = rows(folder.path());
    let of = |scene_mixup| {
        let augmentation = Augmentation { scene_mixup, ..all_changes() };
        images(&rows, &keeps_shapes(), augmentation, TrainingSizes::Usual)
    };
    let (mixed, alone) = (of(1.0), of(0.0));
    let (mut larger, batch) = (0, [0, 1, 2, 3]);
    for (place, epoch) in (0..4).flat_map(|place| (0..6).map(move |epoch| (place, epoch))) {
        let pass = Pass { seed: 2, epoch };
        let (whole, seen) = mixed.augmented(&batch, place, pass).unwrap();
        let (first, first_seen) = alone.augmented(&batch, place, pass).unwrap();
        let Partner { place: other, own, draw } = mixed.augmentation.partner(&batch, place, pass).unwrap();
        let size = alone.training_size(&batch, batch[other], pass).unwrap();
        let (second, second_moves) = alone.changed(batch[other], size, [pass.seed, draw, batch[other] as u64]).unwrap();
        assert_eq!(whole.width(), first.width().max(second.width()));
        assert_eq!(whole.height(), first.height().max(second.height()));
        larger += usize::from((whole.width(), whole.height()) != (first.width(), first.height()));
        for (x, y) in (0..whole.width()).flat_map(|x| (0..whole.height()).map(move |y| (x, y))) {
            let of = |image: &Pixels| {
                let is_there = x < image.width() && y < image.height();
                f64::from(if is_there { image.pixel(x, y)[1] } else { mixed.neutral[1] })
            };
            let expected = own * of(&first) + (1.0 - own) * of(&second);
            assert!((f64::from(whole.pixel(x, y)[1]) - expected).abs() < 0.501, "{x} {y}");
        }
        assert_eq!(seen.others.len(), first_seen.others.len() + 1);
        let expected = std::iter::once(&first_seen.moves)
            .chain(first_seen.others.iter().map(|(_, moves)| moves))
            .chain([&second_moves]);
        let found = std::iter::once(&seen.moves).chain(seen.others.iter().map(|(_, moves)| moves));
        for (found, expected) in found.zip(expected) {
            assert_eq!(found.size(), (whole.width(), whole.height()));
            let square = [4.0, 6.0, 17.0, 21.0];
            assert_eq!(found.carry(square).is_some(), expected.carry(square).is_some());
            let (found, expected) = (found.carry(square).into_iter(), expected.carry(square).into_iter());
            let sides = |(corners, left): ([f64; 4], f64)| corners.into_iter().chain([left]);
            assert!(found.flat_map(sides).zip(expected.flat_map(sides)).all(|(a, b)| (a - b).abs() < 1e-9));
        }
    }
    assert!(larger > 4, "{larger}");
}

#[test]
fn passes_repeat_whatever_the_number_of_threads() {
    let folder = folder();
    let rows = rows(folder.path());
    let medium = images(&rows, &keeps_shapes(), all_changes(), TrainingSizes::Factors(vec![0.8, 1.25]));
    let data = Arc::new(Examples::new(Arc::clone(&rows) as _, medium, Some(boxes())).unwrap());
    let run = |threads| {
        let plan = (0..12u64).map(|epoch| (vec![3, 0, 2, 1], Some(Pass { seed: 1, epoch })));
        Loader::new(data.clone(), plan, threads, 4).map(Result::unwrap).collect::<Vec<_>>()
    };
    let once = run(1);
    assert_eq!(once, run(2));
    assert_eq!(once, run(3));
    assert_ne!(once[0].inputs["pixel_values"], once[1].inputs["pixel_values"]);
    // An image alone has none to be laid over it, and what is evaluated is as it is.
    let batch = data.batch(&[0], Some(Pass { seed: 1, epoch: 0 })).unwrap();
    let ArrayData::I64(kinds) = &batch.targets["class_labels"].data else { panic!("integers") };
    assert!(kinds.iter().filter(|kind| **kind >= 0).count() <= 1);
    let plain = images(&rows, &keeps_shapes(), Augmentation::default(), TrainingSizes::Usual);
    let plain = Examples::new(Arc::clone(&rows) as _, plain, Some(boxes())).unwrap();
    assert_eq!(data.batch(&[0, 1, 2], None).unwrap(), plain.batch(&[0, 1, 2], None).unwrap());
}

/// A pixel has one class.
#[test]
fn masks_cannot_lie_over_each_other() {
    let folder = folder();
    let rows = rows(folder.path());
    let medium = images(&rows, &one_size(), all_changes(), TrainingSizes::Usual);
    let (raw, _) = RawMasks::read(&rows, &medium, None, &|_, _| ()).unwrap();
    let classes = MaskClasses::choose(&raw.present(), None, &MaskReading::default()).unwrap();
    let Err(DataError::Augmentation { message }) =
        Examples::new(Arc::clone(&rows) as _, medium, Some(Masks::new(raw, classes)))
    else {
        panic!("two classes in one pixel")
    };
    assert!(message.contains("mixup of scenes"), "{message}");
}

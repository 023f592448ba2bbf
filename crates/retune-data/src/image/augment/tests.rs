//! Tests of the order, the independence and the promises of presets.

use super::*;

fn image() -> Pixels {
    Pixels::new(12, 10, 3, (0..360u32).map(|i| (i * i % 251) as u8).collect())
}

fn run(augmentation: &Augmentation, row: u64) -> Pixels {
    apply(augmentation, image(), (8, 8, Resample::Bilinear), &[127; 3], [1, 2, row], &mut Moves::of(12, 10))
}

#[test]
fn nothing_changes_nothing() {
    assert_eq!(run(&Augmentation::default(), 5), image());
    assert_eq!("none".parse::<Augmentation>().unwrap(), Augmentation::default());
}

#[test]
fn one_change_does_not_shift_the_draws_of_another() {
    let flips = Augmentation { horizontal_flip: 0.5, ..Augmentation::default() };
    let with_crop = Augmentation { crop: "light".parse::<Augmentation>().unwrap().crop, ..Augmentation::default() };
    let both = Augmentation { horizontal_flip: 0.5, ..with_crop.clone() };
    for row in 0..40 {
        let flipped = run(&flips, row) != image();
        let mut expected = run(&with_crop, row);
        if flipped {
            expected.flip_horizontally();
        }
        assert_eq!(run(&both, row), expected);
    }
}

#[test]
fn flips_come_as_often_as_asked() {
    let flips = Augmentation { horizontal_flip: 0.25, ..Augmentation::default() };
    let count = (0..2000).filter(|&row| run(&flips, row) != image()).count();
    assert!((430..570).contains(&count), "{count}");
    let upside_down = Augmentation { vertical_flip: 1.0, ..Augmentation::default() };
    assert_eq!(run(&upside_down, 3).row(0), image().row(9));
}

#[test]
fn medical_presets_keep_sides_and_hues() {
    for preset in ["medical-light", "medical", "medical-strong"] {
        let augmentation: Augmentation = preset.parse().unwrap();
        assert_eq!((augmentation.horizontal_flip, augmentation.vertical_flip), (0.0, 0.0), "{preset}");
        let color = augmentation.color.unwrap();
        assert_eq!((color.saturation, color.hue, augmentation.rand_augment), (0.0, 0.0, None), "{preset}");
        assert!(augmentation.crop.unwrap().scale.0 >= 0.7 && augmentation.cutmix == 0.0, "{preset}");
        // A bright left half stays left, through crop, rotation and jitter.
        let half: Vec<u8> = (0..40 * 40).map(|i| if i % 40 < 20 { 220 } else { 20 }).collect();
        for row in 0..50 {
            let out = apply(
                &augmentation,
                Pixels::new(40, 40, 1, half.clone()),
                (32, 32, Resample::Bilinear),
                &[127],
                [1, 2, row],
                &mut Moves::of(40, 40),
            );
            assert!(out.pixel(4, 16)[0] > out.pixel(28, 16)[0], "{preset} {row}");
        }
    }
}

#[test]
fn crops_are_cut_from_images_that_are_fine_enough() {
    let factor = |preset: &str| preset.parse::<Augmentation>().unwrap().crop.unwrap().resolution_factor();
    assert!((factor("light") - 1.1547).abs() < 1e-4 && (factor("strong") - 2.0).abs() < 1e-12);
}

/// Draws a mask of three classes as a picture of three greys, and moves both.
#[test]
fn masks_go_where_pixels_go_whatever_is_done() {
    const SHADES: [u8; 3] = [20, 120, 220];
    let (width, height) = (96, 80);
    // A disc in a quarter of the picture, so that no mirror image is the same.
    let class = |x: usize, y: usize| match (x as isize - 30).pow(2) + (y as isize - 24).pow(2) {
        distance if distance < 280 => 2,
        _ if x + 2 * y > 120 => 1,
        _ => 0,
    };
    let mask: Vec<u8> = (0..height).flat_map(|y| (0..width).map(move |x| class(x, y))).collect();
    let drawn: Vec<u8> = mask.iter().map(|&class| SHADES[usize::from(class)]).collect();
    let crop = "strong".parse::<Augmentation>().unwrap().crop;
    let chain = |seed: u64| Augmentation {
        crop: crop.filter(|_| seed.is_multiple_of(2)),
        zoom_out: Some(ZoomOut { probability: 0.5, least: 0.5 }),
        horizontal_flip: 0.5,
        vertical_flip: 0.5,
        rotation: if seed.is_multiple_of(3) { 40.0 } else { 0.0 },
        ..Augmentation::default()
    };
    let shifts = RandAugment { operations: 3, magnitude: 12 };
    let (mut compared, mut filled) = (0, 0);
    for seed in 0..120 {
        let mut moves = Moves::of(width, height);
        let target = (72, 88, Resample::Bilinear);
        // 128 is neither of the greys.
        let mut picture =
            apply(&chain(seed), Pixels::new(width, height, 1, drawn.clone()), target, &[128], [seed, 1, 2], &mut moves);
        if seed % 4 == 1 {
            // Only those of its operations that move pixels: the others change shades.
            for operation in 0..3 {
                let sign = if (seed / 4 + operation).is_multiple_of(2) { 1.0 } else { -1.0 };
                picture =
                    shifts.operate(picture, 1 + (seed as usize + operation as usize) % 5, sign, &[128], &mut moves);
            }
        }
        assert_eq!((picture.width(), picture.height()), moves.size());
        let moved = moves.pick(&mask, 255);
        let row = picture.width();
        for (place, (&shade, &class)) in picture.data().iter().zip(&moved).enumerate() {
            // At a border shades are blended, two of them perhaps to just the third: there either class is right.
            let inside = [place.wrapping_sub(row), place.wrapping_sub(1), place + 1, place + row]
                .iter()
                .all(|&beside| picture.data().get(beside).is_none_or(|&other| other == shade));
            // Several steps pick the nearest pixel once each for the picture, and once together for the mask: at borders they
            // may differ by one, which the share below allows.
            if inside && SHADES.contains(&shade) && class != 255 && seed % 4 != 1 {
                assert_eq!(shade, SHADES[usize::from(class)], "seed {seed}");
                compared += 1;
            }
            if class == 255 && !SHADES.contains(&shade) {
                filled += 1;
            }
        }
        let agree = picture.data().iter().zip(&moved).filter(|(shade, class)| {
            let expected = SHADES.get(usize::from(**class)).copied().unwrap_or(128);
            shade.abs_diff(expected) < 50
        });
        let share = agree.count() as f64 / moved.len() as f64;
        assert!(share > 0.97, "seed {seed}: {share}");
    }
    assert!(compared > 200_000 && filled > 20_000, "{compared} {filled}");
}

/// Draws a box as a bright field, and moves both: what is bright afterwards is where the box went.
#[test]
fn boxes_go_where_pixels_go_whatever_is_done() {
    let (width, height) = (96, 80);
    let crop = "strong".parse::<Augmentation>().unwrap().crop;
    let (mut there, mut gone, mut cut) = (0, 0, 0);
    for seed in 0..240 {
        // A small one in a corner of the image, which crops may leave out.
        let small = seed % 6 == 5;
        let (xs, ys) = if small { (2..12, 70..78) } else { (20..52, 12..36) };
        let corners = [xs.start, ys.start, xs.end, ys.end].map(f64::from);
        let inside = |x: usize, y: usize| xs.contains(&(x as i32)) && ys.contains(&(y as i32));
        let drawn: Vec<u8> =
            (0..width * height).map(|at| if inside(at % width, at / width) { 255 } else { 0 }).collect();
        let augmentation = Augmentation {
            crop: crop.filter(|_| small || seed % 4 != 0),
            zoom_out: Some(ZoomOut { probability: 0.5, least: 0.5 }),
            horizontal_flip: 0.5,
            vertical_flip: 0.5,
            rotation: if seed % 3 == 0 { 40.0 } else { 0.0 },
            ..Augmentation::default()
        };
        let mut moves = Moves::of(width, height);
        let target = (72, 88, Resample::Bilinear);
        let image = Pixels::new(width, height, 1, drawn);
        let picture = apply(&augmentation, image, target, &[0], [seed, 3, 4], &mut moves);
        let bright: Vec<(usize, usize)> = (0..picture.height())
            .flat_map(|y| (0..picture.width()).map(move |x| (x, y)))
            .filter(|&(x, y)| picture.pixel(x, y)[0] > 127)
            .collect();
        let Some((found, left)) = moves.carry(corners) else {
            assert!(bright.len() < 90, "seed {seed}: {} bright pixels, and no box", bright.len());
            gone += 1;
            continue;
        };
        assert!(left > 0.0 && left < 1.0 + 1e-9, "seed {seed}: {left}");
        cut += usize::from(left < 0.999);
        if left < 0.1 {
            continue;
        }
        let of = |by: fn(&(usize, usize)) -> usize| {
            let least = bright.iter().map(by).min().unwrap_or(0);
            (least as f64, bright.iter().map(by).max().unwrap_or(0) as f64 + 1.0)
        };
        let ((x, right), (y, bottom)) = (of(|place| place.0), of(|place| place.1));
        // Corners of what was turned are blunt, and those that the frame then cuts are as thin as you like.
        let cut_askew = augmentation.rotation > 0.0 && left < 0.999;
        for (i, (pixel, side)) in [x, y, right, bottom].iter().zip(found).enumerate() {
            let outside = if i < 2 { side - pixel } else { pixel - side };
            let wrong = if cut_askew { outside } else { (pixel - side).abs() };
            assert!(wrong < 2.5, "seed {seed}: {found:?}, but bright is {x} {y} {right} {bottom}");
        }
        there += 1;
    }
    assert!(there > 120 && gone > 2 && cut > 40, "{there} {gone} {cut}");
}

//! Tests of the order, the independence and the promises of presets.

use super::*;

fn image() -> Pixels {
    Pixels::new(12, 10, 3, (0..360u32).map(|i| (i * i % 251) as u8).collect())
}

fn run(augmentation: &Augmentation, row: u64) -> Pixels {
    apply(augmentation, image(), (8, 8, Resample::Bilinear), &[127; 3], [1, 2, row])
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

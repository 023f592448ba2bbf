//! Masks as files, and over pictures.

use image::ExtendedColorType;

use super::{Mask, NO_CLASS};
use crate::image::canvas::{Canvas, Rgb, png};
use crate::image::lettering::{Lettering, ink_on};
use crate::image::{Moves, Pixels};

/// How much of a picture a class hides, and how much its border.
const COVER: f32 = 0.5;
const BORDER: f32 = 1.0;
/// Pixels of a border for each so many pixels of the shorter side.
const LINE_PER_SIDE: usize = 300;
/// Behind a legend.
const GROUND: Rgb = [32; 3];
/// Side of a swatch.
const SWATCH: usize = 16;

/// A colour for each class, those of neighbours far from each other: hues by the golden angle, in three lightnesses.
pub fn class_colour(class: u8) -> [u8; 3] {
    let hue = (f32::from(class) * 137.508).rem_euclid(360.0) / 60.0;
    let high = [235.0, 170.0, 255.0][usize::from(class) % 3];
    let low = [40.0, 20.0, 120.0][usize::from(class) % 3];
    let channel = |offset: f32| {
        let place = (offset + hue).rem_euclid(6.0);
        (high - (high - low) * place.min(4.0 - place).clamp(0.0, 1.0)).round() as u8
    };
    [channel(5.0), channel(3.0), channel(1.0)]
}

/// A PNG of 8-bit grey whose samples are the classes.
///
/// # Errors
/// It cannot be written, in words.
pub fn mask_png(mask: &Mask) -> Result<Vec<u8>, String> {
    png(&mask.classes, (mask.width, mask.height), ExtendedColorType::L8)
}

/// A small PNG of a class's colour.
///
/// # Errors
/// It cannot be written, in words.
pub fn swatch(class: u8) -> Result<Vec<u8>, String> {
    png(&class_colour(class).repeat(SWATCH * SWATCH), (SWATCH, SWATCH), ExtendedColorType::Rgb8)
}

/// A PNG of a picture with its mask over it, its longer side at most `most`: classes in colours, their borders darker, what
/// has no class as it is. Below the picture a legend names the classes that are given, which may be none.
pub(in crate::image) fn overlay(
    picture: &Pixels,
    mask: &Mask,
    legend: &[(u8, &str)],
    most: usize,
) -> Result<Vec<u8>, String> {
    let mut canvas = Canvas::of(picture, most);
    let (width, height) = canvas.size();
    let mut moves = Moves::of(mask.width, mask.height);
    moves.resize(width, height);
    let classes = moves.pick(&mask.classes, NO_CLASS);
    let line = (width.min(height) / LINE_PER_SIDE).max(1);
    for y in 0..height {
        for x in 0..width {
            let class = classes[y * width + x];
            let differs = |dx: usize, dy: usize| {
                let (x, y) = (x + dx, y + dy);
                x < width && y < height && classes[y * width + x] != class
            };
            match class {
                NO_CLASS => (),
                _ if differs(line, 0) || differs(0, line) => {
                    canvas.cover((x, y), class_colour(class).map(|sample| sample / 2), BORDER);
                }
                _ => canvas.cover((x, y), class_colour(class), COVER),
            }
        }
    }
    explain(&mut canvas, legend);
    canvas.png()
}

/// Adds lines below a picture: a field of each class's colour and its name behind it.
fn explain(canvas: &mut Canvas, legend: &[(u8, &str)]) {
    if legend.is_empty() {
        return;
    }
    let (width, height) = canvas.size();
    let letters = Lettering::for_picture((width, height));
    let (line, gap) = (letters.height(), letters.height() / 4);
    let mut at = (gap, height + gap);
    let mut entries = Vec::new();
    for &(class, name) in legend {
        let name = letters.fitted(name, "", width.saturating_sub(line + 3 * gap));
        let wide = line + gap + letters.width(&name);
        if at.0 > gap && at.0 + wide + gap > width {
            at = (gap, at.1 + line + gap);
        }
        entries.push((class, name, at));
        at.0 += wide + 3 * gap;
    }
    canvas.lengthen(at.1 + line + gap - height, GROUND);
    for (class, name, (left, top)) in entries {
        canvas.fill((left, top), (line, line), class_colour(class));
        letters.write(canvas, (left + line + gap, top), &name, ink_on(GROUND));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::fixtures::decoded;

    #[test]
    fn a_mask_file_holds_its_classes() {
        let mask = Mask { width: 3, height: 2, classes: vec![0, 1, 254, 2, 255, 0] };
        let read = decoded(&mask_png(&mask).unwrap(), 1).unwrap();
        assert_eq!((read.width(), read.height(), read.data()), (3, 2, &mask.classes[..]));
    }

    #[test]
    fn classes_are_seen_and_what_has_none_is_left_alone() {
        let picture = Pixels::filled(4, 2, 1, &[100]);
        let mask = Mask { width: 4, height: 2, classes: vec![255, 255, 3, 3, 255, 255, 3, 3] };
        let seen = decoded(&overlay(&picture, &mask, &[], 96).unwrap(), 3).unwrap();
        assert_eq!(seen.pixel(0, 1), [100; 3]);
        let expected = class_colour(3).map(|sample| ((100.0 + f32::from(sample)) / 2.0).round() as u8);
        assert_eq!(seen.pixel(3, 0), expected);
        let colours: std::collections::HashSet<[u8; 3]> = (0..40).map(class_colour).collect();
        assert_eq!(colours.len(), 40);
    }

    #[test]
    fn a_legend_stands_below_the_picture() {
        let picture = Pixels::filled(120, 60, 1, &[100]);
        let mask = Mask { width: 120, height: 60, classes: vec![NO_CLASS; 120 * 60] };
        let seen = |legend: &[(u8, &str)]| decoded(&overlay(&picture, &mask, legend, 500).unwrap(), 3).unwrap();
        assert_eq!(seen(&[]).height(), 60);
        let (line, gap) = (13, 3);
        let one = seen(&[(2, "road")]);
        assert_eq!((one.width(), one.height()), (120, 60 + line + 2 * gap));
        assert_eq!((one.pixel(60, 59), one.pixel(119, 60)), (&[100u8; 3][..], &GROUND[..]));
        assert_eq!(one.pixel(gap + 5, 60 + gap + 5), class_colour(2));
        let letters = |picture: &Pixels| {
            let places = (20..120).flat_map(|x| (60..one.height()).map(move |y| (x, y)));
            places.filter(|&(x, y)| picture.pixel(x, y)[0] > 128).count()
        };
        assert!(letters(&one) > 10 && letters(&seen(&[(2, "")])) == 0);
        // What does not fit beside the others begins a line, and what fits no line is cut.
        let names = [(0, "background"), (1, "road"), (2, "a name that is longer than this picture is wide")];
        assert_eq!(seen(&names).height(), 60 + 3 * line + 4 * gap);
    }
}

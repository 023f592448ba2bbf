//! Masks as files, and over pictures.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::{Mask, NO_CLASS};
use crate::image::{Moves, Pixels, Resample, resize};

/// How much of a picture a class hides, and how much its border.
const COVER: f32 = 0.5;
const BORDER: f32 = 1.0;
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

fn png(data: &[u8], (width, height): (usize, usize), colour: ExtendedColorType) -> Result<Vec<u8>, String> {
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Default, FilterType::Adaptive)
        .write_image(data, width as u32, height as u32, colour)
        .map_err(|error| format!("cannot be written as PNG: {error}"))?;
    Ok(png)
}

/// A PNG of a picture with its mask over it, its longer side at most `most`: classes in colours, their borders darker, what
/// has no class as it is.
pub(in crate::image) fn overlay(picture: &Pixels, mask: &Mask, most: usize) -> Result<Vec<u8>, String> {
    let longer = picture.width().max(picture.height()).max(1);
    let scaled = |side: usize| if longer > most { (side * most.max(1) / longer).max(1) } else { side };
    let (width, height) = (scaled(picture.width()), scaled(picture.height()));
    let small = resize(picture, width, height, Resample::Box);
    let mut moves = Moves::of(mask.width, mask.height);
    moves.resize(width, height);
    let classes = moves.pick(&mask.classes, NO_CLASS);
    let channels = small.channels();
    let mut data = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let (class, under) = (classes[y * width + x], small.pixel(x, y));
            let differs = |dx: usize, dy: usize| {
                let (x, y) = (x + dx, y + dy);
                x < width && y < height && classes[y * width + x] != class
            };
            let border = differs(1, 0) || differs(0, 1);
            let (colour, cover) = match (class, border) {
                (NO_CLASS, _) => ([0; 3], 0.0),
                (_, true) => (class_colour(class).map(|sample| sample / 2), BORDER),
                (_, false) => (class_colour(class), COVER),
            };
            data.extend((0..3).map(|channel| {
                let under = f32::from(under[channel.min(channels - 1)]);
                (under + (f32::from(colour[channel]) - under) * cover).round() as u8
            }));
        }
    }
    png(&data, (width, height), ExtendedColorType::Rgb8)
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
        let seen = decoded(&overlay(&picture, &mask, 96).unwrap(), 3).unwrap();
        assert_eq!(seen.pixel(0, 1), [100; 3]);
        let expected = class_colour(3).map(|sample| ((100.0 + f32::from(sample)) / 2.0).round() as u8);
        assert_eq!(seen.pixel(3, 0), expected);
        let colours: std::collections::HashSet<[u8; 3]> = (0..40).map(class_colour).collect();
        assert_eq!(colours.len(), 40);
    }
}

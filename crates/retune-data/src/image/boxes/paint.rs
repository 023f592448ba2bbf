//! Boxes drawn over pictures.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use crate::image::mask::class_colour;
use crate::image::{Moves, Pixels, Resample, resize};

/// Pixels of a line for each so many pixels of the shorter side.
const LINE_PER_SIDE: usize = 160;

/// A box to draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrawnBox {
    /// Left, top, right and bottom in pixels of the picture.
    pub corners: [f64; 4],
    /// Which colour it has: that of its class.
    pub class: usize,
    /// Whether its line is broken.
    pub dashed: bool,
}

/// A PNG of a picture with boxes over it, its longer side at most `most` pixels.
///
/// # Errors
/// It cannot be written, in words.
pub fn draw_boxes(picture: &Pixels, boxes: &[DrawnBox], most: usize) -> Result<Vec<u8>, String> {
    let longer = picture.width().max(picture.height()).max(1);
    let scaled = |side: usize| if longer > most { (side * most.max(1) / longer).max(1) } else { side };
    let (width, height) = (scaled(picture.width()), scaled(picture.height()));
    let small = resize(picture, width, height, Resample::Box);
    let channels = small.channels();
    let mut data: Vec<u8> = Vec::with_capacity(width * height * 3);
    for pixel in small.data().chunks_exact(channels) {
        data.extend((0..3).map(|channel| pixel[channel.min(channels - 1)]));
    }
    let moves = Moves::scaling((picture.width(), picture.height()), (width, height));
    let line = (width.min(height) / LINE_PER_SIDE).max(1);
    for drawn in boxes {
        let Some((corners, _)) = moves.carry(drawn.corners) else { continue };
        outline(&mut data, (width, height), corners, line, drawn);
    }
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Default, FilterType::Adaptive)
        .write_image(&data, width as u32, height as u32, ExtendedColorType::Rgb8)
        .map_err(|error| format!("cannot be written as PNG: {error}"))?;
    Ok(png)
}

/// A line inside the corners, between two thin dark ones, so that it is seen on any ground.
fn outline(data: &mut [u8], (width, height): (usize, usize), corners: [f64; 4], line: usize, drawn: &DrawnBox) {
    let at = |place: f64, side: usize| (place.max(0.0) as usize).min(side - 1);
    let [left, top, right, bottom] = corners;
    let (left, top) = (at(left, width), at(top, height));
    let (right, bottom) = (at(right.ceil() - 1.0, width), at(bottom.ceil() - 1.0, height));
    let colour = class_colour((drawn.class % 256) as u8);
    for y in top..=bottom {
        for x in left..=right {
            let inside = (x - left).min(right - x).min((y - top).min(bottom - y));
            let dash = drawn.dashed && ((x + y) / (4 * line)) % 2 == 1;
            let colour = match () {
                () if inside < line && !dash => colour,
                () if inside < line => [255; 3],
                () if inside == line => colour.map(|sample| sample / 3),
                () => continue,
            };
            data[(y * width + x) * 3..][..3].copy_from_slice(&colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::fixtures::decoded;

    #[test]
    fn lines_lie_just_inside_their_corners() {
        let picture = Pixels::filled(20, 10, 1, &[100]);
        let boxes = [DrawnBox { corners: [4.0, 2.0, 14.0, 9.0], class: 3, dashed: false }];
        let seen = decoded(&draw_boxes(&picture, &boxes, 96).unwrap(), 3).unwrap();
        for place in [(4, 2), (13, 2), (4, 8), (13, 8), (9, 2), (4, 5)] {
            assert_eq!(seen.pixel(place.0, place.1), class_colour(3), "{place:?}");
        }
        for place in [(3, 2), (14, 5), (9, 9), (8, 5)] {
            assert_eq!(seen.pixel(place.0, place.1), [100; 3], "{place:?}");
        }
        // Half as large.
        let seen = decoded(&draw_boxes(&picture, &boxes, 10).unwrap(), 3).unwrap();
        assert_eq!((seen.width(), seen.height(), seen.pixel(2, 1)), (10, 5, &class_colour(3)[..]));
    }
}

//! A picture in colours that is drawn upon: what reports and drawn answers have in common.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::{Pixels, Resample, resize};

/// A colour.
pub(super) type Rgb = [u8; 3];

/// The picture.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Canvas {
    /// A picture, its longer side at most `most` pixels.
    pub(super) fn of(picture: &Pixels, most: usize) -> Self {
        let longer = picture.width().max(picture.height()).max(1);
        let scaled = |side: usize| if longer > most { (side * most.max(1) / longer).max(1) } else { side };
        let (width, height) = (scaled(picture.width()), scaled(picture.height()));
        let small = resize(picture, width, height, Resample::Box);
        let channels = small.channels();
        let pixels = small.data().chunks_exact(channels);
        let data = pixels.flat_map(|pixel| [0, 1, 2].map(|channel: usize| pixel[channel.min(channels - 1)])).collect();
        Self { width, height, data }
    }

    /// Width and height.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Lays a colour over a pixel, which hides this share of it. Nothing is outside.
    pub(super) fn cover(&mut self, (x, y): (usize, usize), colour: Rgb, share: f32) {
        if x >= self.width || y >= self.height {
            return;
        }
        let pixel = &mut self.data[(y * self.width + x) * 3..][..3];
        for (sample, colour) in pixel.iter_mut().zip(colour) {
            let under = f32::from(*sample);
            *sample = (under + (f32::from(colour) - under) * share).round() as u8;
        }
    }

    /// Fills a field of this place, width and height.
    pub(super) fn fill(&mut self, (left, top): (usize, usize), (width, height): (usize, usize), colour: Rgb) {
        for y in top..top + height {
            for x in left..left + width {
                self.cover((x, y), colour, 1.0);
            }
        }
    }

    /// Adds lines of a colour below.
    pub(super) fn lengthen(&mut self, by: usize, colour: Rgb) {
        self.data.extend(colour.repeat(self.width * by));
        self.height += by;
    }

    /// As a file.
    ///
    /// # Errors
    /// It cannot be written, in words.
    pub(super) fn png(&self) -> Result<Vec<u8>, String> {
        png(&self.data, self.size(), ExtendedColorType::Rgb8)
    }
}

/// A PNG of samples.
///
/// # Errors
/// It cannot be written, in words.
pub(super) fn png(data: &[u8], (width, height): (usize, usize), colour: ExtendedColorType) -> Result<Vec<u8>, String> {
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Default, FilterType::Adaptive)
        .write_image(data, width as u32, height as u32, colour)
        .map_err(|error| format!("cannot be written as PNG: {error}"))?;
    Ok(png)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::fixtures::decoded;

    #[test]
    fn what_is_drawn_stays_within_the_picture() {
        let mut canvas = Canvas::of(&Pixels::filled(8, 4, 1, &[100]), 4);
        assert_eq!(canvas.size(), (4, 2));
        canvas.fill((2, 1), (9, 9), [200, 0, 50]);
        canvas.cover((0, 0), [200, 0, 100], 0.5);
        canvas.lengthen(1, [7; 3]);
        let seen = decoded(&canvas.png().unwrap(), 3).unwrap();
        assert_eq!((seen.width(), seen.height()), (4, 3));
        let pixels = [(0, 0), (1, 1), (2, 1), (3, 1), (3, 0), (2, 2)].map(|(x, y)| seen.pixel(x, y).to_vec());
        let expected = [[150, 50, 100], [100; 3], [200, 0, 50], [200, 0, 50], [100; 3], [7; 3]];
        assert_eq!(pixels, expected.map(|colour| colour.to_vec()));
    }
}

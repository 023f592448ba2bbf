//! Small PNG pictures of images, for reports, and heat maps over them.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::{Pixels, Resample, resize};
use crate::HeatMap;

/// Colour of warm places and of the hottest one.
const WARM: [f32; 3] = [255.0, 225.0, 60.0];
const HOT: [f32; 3] = [220.0, 0.0, 60.0];
/// How much of the picture the hottest place hides.
const MOST_COVER: f32 = 0.7;

/// Scales down so that the longer side is at most `most` (at least 1), lays `heat` over it, and encodes as PNG.
pub(super) fn thumbnail(image: &Pixels, most: usize, heat: Option<&HeatMap>) -> Result<Vec<u8>, String> {
    let longer = image.width().max(image.height());
    let most = most.max(1);
    let small = if longer > most {
        let scaled = |side: usize| (side * most / longer).max(1);
        resize(image, scaled(image.width()), scaled(image.height()), Resample::Box)
    } else {
        image.clone()
    };
    let small = heat.map_or_else(|| small.clone(), |heat| heated(&small, heat));
    let color = if small.channels() == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(small.data(), small.width() as u32, small.height() as u32, color)
        .map_err(|error| format!("cannot be written as PNG: {error}"))?;
    Ok(png)
}

/// An RGB picture in which cold places are as they were and warm ones are covered from yellow to red.
fn heated(picture: &Pixels, heat: &HeatMap) -> Pixels {
    let (width, height, channels) = (picture.width(), picture.height(), picture.channels());
    let grid = Pixels::new(heat.width(), heat.height(), 1, heat.cells().to_vec());
    let heat = resize(&grid, width, height, Resample::Bilinear);
    let pixels = picture.data().chunks_exact(channels).zip(heat.data()).flat_map(|(pixel, &heat)| {
        let heat = f32::from(heat) / 255.0;
        std::array::from_fn::<u8, 3, _>(|channel| {
            let colour = WARM[channel] + (HOT[channel] - WARM[channel]) * heat;
            let under = f32::from(pixel[channel.min(channels - 1)]);
            (under + (colour - under) * MOST_COVER * heat).round() as u8
        })
    });
    Pixels::new(width, height, 3, pixels.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::fixtures::decoded;

    #[test]
    fn heat_covers_what_is_warm_and_nothing_else() {
        let grey = Pixels::filled(40, 20, 1, &[100]);
        // Hot at the right, in a grid of 1 × 4.
        let heat = HeatMap::new(1, 4, &[0.0, 0.0, 0.0, 1.0]);
        let picture = decoded(&thumbnail(&grey, 96, Some(&heat)).unwrap(), 3).unwrap();
        assert_eq!((picture.width(), picture.height()), (40, 20));
        assert_eq!(picture.pixel(0, 10), [100, 100, 100]);
        // 100 + 0.7 · (220 - 100), and so on.
        assert_eq!(picture.pixel(39, 10), [184, 30, 72]);
        let cold = HeatMap::new(2, 2, &[0.5; 4]);
        let picture = decoded(&thumbnail(&grey, 10, Some(&cold)).unwrap(), 3).unwrap();
        assert!(picture.width() == 10 && picture.data().iter().all(|&sample| sample == 100));
    }
}

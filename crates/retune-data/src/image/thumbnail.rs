//! Small PNG pictures of images, for reports.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::{Pixels, Resample, resize};

/// Scales down so that the longer side is at most `most` (at least 1) and encodes as PNG.
pub(super) fn thumbnail(image: &Pixels, most: usize) -> Result<Vec<u8>, String> {
    let longer = image.width().max(image.height());
    let most = most.max(1);
    let small = if longer > most {
        let scaled = |side: usize| (side * most / longer).max(1);
        resize(image, scaled(image.width()), scaled(image.height()), Resample::Box)
    } else {
        image.clone()
    };
    let color = if small.channels() == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(small.data(), small.width() as u32, small.height() as u32, color)
        .map_err(|error| format!("cannot be written as PNG: {error}"))?;
    Ok(png)
}

//! Bytes of an image file to 8-bit pixels, as Pillow's `exif_transpose` and `convert` give them.
//!
//! | file | pixels |
//! |---|---|
//! | alpha | dropped, not blended: Pillow's `convert("RGB")` |
//! | palette, 1 bit | looked up |
//! | 16-bit grey | spread over the bytes by a [`GreyRange`], by default the whole range (Pillow clips it at 255) |
//! | 16-bit colour | the high byte, as Pillow |
//! | JPEG | libjpeg-turbo's pixels, bit for bit (`jpeg`) |
//! | CMYK | RGB, as Pillow's `convert("RGB")` |
//! | colour, where grey is needed | ITU-R 601 luma in Pillow's fixed point |
//! | animation | the first frame |
//! | EXIF orientation | applied |

pub(super) mod content;
mod jpeg;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{GreyRange, Pixels};
use crate::error::shortened;

/// Pixels of an image, at most: where Pillow begins to warn of decompression bombs.
const MOST_PIXELS: u64 = 89_478_485;
/// Bytes a decoder may ask for: 16-bit RGBA of the most pixels, and some room.
const MOST_BYTES: u64 = 1 << 30;

/// A decoded image.
pub(super) struct Decoded {
    pub(super) pixels: Pixels,
    /// The greatest sample, if the file is 16-bit grey.
    pub(super) deepest: Option<u16>,
    /// Whether its EXIF orientation turned or mirrored it.
    pub(super) turned: bool,
}

/// Decodes to `channels` (1 or 3).
///
/// # Errors
/// Why not, as a phrase that follows the path in a message.
pub(super) fn decode(bytes: &[u8], channels: usize, grey: GreyRange) -> Result<Decoded, String> {
    // Decoders are written for damaged files, but a panic in one must not end a long run.
    catch_unwind(AssertUnwindSafe(|| decode_unguarded(bytes, channels, grey)))
        .unwrap_or_else(|_| Err("is damaged; write the file again".to_owned()))
}

fn decode_unguarded(bytes: &[u8], channels: usize, grey: GreyRange) -> Result<Decoded, String> {
    if bytes.is_empty() {
        return Err("is empty; write the file again".to_owned());
    }
    let unknown = || match content::foreign(bytes) {
        Some(kind) => format!("is {kind}, not a PNG, JPEG, WebP, GIF, BMP or TIFF image; convert it"),
        None => "is not a PNG, JPEG, WebP, GIF, BMP or TIFF image; convert it".to_owned(),
    };
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| unknown())?;
    let format = reader.format().ok_or_else(unknown)?;
    if format == ImageFormat::Jpeg {
        let (image, orientation) = jpeg::decode(bytes)?;
        return oriented(image, orientation, channels, grey);
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| reason(format, &error))?;
    check_size(decoder.dimensions())?;
    let orientation = match format {
        // A TIFF file is itself laid out as an EXIF block.
        ImageFormat::Tiff => Orientation::from_exif_chunk(bytes),
        // Broken metadata beside sound pixels is no reason to refuse an image.
        _ => decoder.orientation().ok(),
    };
    let image = DynamicImage::from_decoder(decoder).map_err(|error| reason(format, &error))?;
    oriented(image, orientation.unwrap_or(Orientation::NoTransforms), channels, grey)
}

fn oriented(
    mut image: DynamicImage,
    orientation: Orientation,
    channels: usize,
    grey: GreyRange,
) -> Result<Decoded, String> {
    image.apply_orientation(orientation);
    let decoded = to_pixels(image, channels, grey)?;
    Ok(Decoded { turned: orientation != Orientation::NoTransforms, ..decoded })
}

/// Before anything is decoded.
fn check_size((width, height): (u32, u32)) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err("has no pixels; write the file again".to_owned());
    }
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(format!("is {width} × {height} pixels, more than the {MOST_PIXELS} allowed; scale it down"));
    }
    Ok(())
}

fn reason(format: ImageFormat, error: &ImageError) -> String {
    let name = format!("{format:?}").to_uppercase();
    match error {
        ImageError::Limits(_) => too_large(&name),
        ImageError::Unsupported(_) => format!("is a {name} of a kind that cannot be decoded: {}", plain(error)),
        _ => format!("is a truncated or damaged {name}: {}", plain(error)),
    }
}

fn too_large(name: &str) -> String {
    format!("is a {name} that needs more than {MOST_BYTES} bytes to decode; scale it down")
}

fn plain(error: &ImageError) -> String {
    shortened(error.to_string().lines().next().unwrap_or_default().trim_end_matches('.'))
}

fn to_pixels(image: DynamicImage, channels: usize, grey: GreyRange) -> Result<Decoded, String> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut deepest = None;
    let (samples, data) = match image {
        DynamicImage::ImageLuma8(image) => (1, image.into_raw()),
        DynamicImage::ImageLumaA8(image) => (2, image.into_raw()),
        DynamicImage::ImageRgb8(image) => (3, image.into_raw()),
        DynamicImage::ImageRgba8(image) => (4, image.into_raw()),
        DynamicImage::ImageLuma16(image) => {
            deepest = image.iter().max().copied();
            (1, grey.bytes(image.iter().copied()))
        }
        DynamicImage::ImageLumaA16(image) => {
            let samples = image.iter().step_by(2).copied();
            deepest = samples.clone().max();
            (1, grey.bytes(samples))
        }
        DynamicImage::ImageRgb16(image) => (3, image.iter().map(|sample| (sample >> 8) as u8).collect()),
        DynamicImage::ImageRgba16(image) => (4, image.iter().map(|sample| (sample >> 8) as u8).collect()),
        _ => return Err("has floating-point pixels; save it with 8 or 16 bits".to_owned()),
    };
    let data = match (samples, channels) {
        (1, 1) | (3, 3) => data,
        (2, 1) => data.chunks_exact(2).map(|pixel| pixel[0]).collect(),
        (1 | 2, _) => data.chunks_exact(samples).flat_map(|pixel| [pixel[0]; 3]).collect(),
        (_, 1) => data.chunks_exact(samples).map(luma).collect(),
        _ => data.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
    };
    Ok(Decoded { pixels: Pixels::new(width, height, channels, data), deepest, turned: false })
}

/// Luma of an RGB pixel, as Pillow's `convert("L")`.
pub(super) fn luma(pixel: &[u8]) -> u8 {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests;

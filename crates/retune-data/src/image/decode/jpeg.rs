//! JPEG: the pixels of libjpeg-turbo (exact integer cosine transform, triangle-filtered chroma), which Pillow uses.
//!
//! Unlike Pillow, whose libjpeg fills what it cannot read, damaged data is refused.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use libjpeg_turbo_rs::{DecodeLimits, Decoder, JpegError, PixelFormat};

use super::{MOST_BYTES, MOST_PIXELS, check_size, too_large};
use crate::error::shortened;

/// Scans of a progressive file, at most: encoders write about ten, and each costs a walk over all pixels.
const MOST_SCANS: usize = 500;

/// The image as it is stored, and how it is to be turned.
pub(super) fn decode(bytes: &[u8]) -> Result<(DynamicImage, Orientation), String> {
    if !ends(bytes) {
        return Err("is a truncated JPEG; write the file again".to_owned());
    }
    let limits = DecodeLimits {
        max_pixels: MOST_PIXELS,
        max_scans: MOST_SCANS,
        max_memory: Some(MOST_BYTES),
        ..DecodeLimits::default()
    };
    let mut decoder = Decoder::new_with_limits(bytes, limits).map_err(|error| reason(&error))?;
    let (width, height) = (u32::from(decoder.header().width), u32::from(decoder.header().height));
    check_size((width, height))?;
    let components = decoder.header().components.len();
    decoder.set_output_format(match components {
        1 => PixelFormat::Grayscale,
        3 => PixelFormat::Rgb,
        4 => PixelFormat::Cmyk,
        _ => return Err(format!("is a JPEG with {components} components, which no colour model has; convert it")),
    });
    let orientation = decoder.exif_orientation().and_then(Orientation::from_exif);
    let data = decoder.decode_image().map_err(|error| reason(&error))?.into_vec();
    let image = match components {
        1 => GrayImage::from_raw(width, height, data).map(DynamicImage::from),
        3 => RgbImage::from_raw(width, height, data).map(DynamicImage::from),
        _ => RgbImage::from_raw(width, height, data.chunks_exact(4).flat_map(rgb).collect()).map(DynamicImage::from),
    };
    Ok((image.ok_or("is damaged; write the file again")?, orientation.unwrap_or(Orientation::NoTransforms)))
}

/// A CMYK pixel, which JPEG stores inverted, in Pillow's arithmetic.
fn rgb(pixel: &[u8]) -> [u8; 3] {
    let light = u32::from(pixel[3]);
    [0, 1, 2].map(|channel| {
        let product = u32::from(255 - pixel[channel]) * light + 128;
        light.saturating_sub((product + (product >> 8)) >> 8) as u8
    })
}

fn reason(error: &JpegError) -> String {
    let text = shortened(error.to_string().lines().next().unwrap_or_default().trim_end_matches('.'));
    match error {
        JpegError::LimitExceeded { what, .. } if what.contains("scan") => {
            format!("is a JPEG with more than {MOST_SCANS} scans; write it again")
        }
        JpegError::LimitExceeded { .. } | JpegError::AllocationFailed { .. } => too_large("JPEG"),
        JpegError::Unsupported(_) => format!("is a JPEG of a kind that cannot be decoded: {text}"),
        _ => format!("is a truncated or damaged JPEG: {text}"),
    }
}

/// Whether a JPEG has its end marker. Decoders fill what is missing with grey; entropy-coded data
/// cannot contain the marker, so a file cut anywhere after its first scan began lacks it.
fn ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    // Segments up to the first start of scan; their payload may hold anything.
    while let Some(&[0xff, marker]) = bytes.get(at..at + 2) {
        match marker {
            0xff => at += 1,
            0xda => return bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]),
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else {
                    return false;
                };
                at += 2 + usize::from(u16::from_be_bytes([high, low]));
            }
        }
    }
    false
}

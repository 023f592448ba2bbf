//! Bytes of a mask file to the values that it stores.
//!
//! PNG of any depth: an indexed one gives its indices, not its colours; a grey one its samples as they are, so that a 1-bit
//! file gives 0 and 1. Alpha is dropped. BMP, GIF, TIFF and WebP by their colours. JPEG changes values, so that it is refused
//! unless it is black and white but for that.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use png::{BitDepth, ColorType, Transformations};

use crate::image::GreyRange;
use crate::image::decode::decode as decode_picture;

/// Pixels of a mask, at most.
const MOST_PIXELS: u64 = 89_478_485;
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";

/// Shades that are black, and white less them, after compression.
const NEARLY: u8 = 24;
/// The share of the pixels of a JPEG that must be either.
const MOST: f64 = 0.8;

/// What a mask file stores.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) cells: Cells,
    /// Whether shades were made black and white.
    pub(super) cut: bool,
}

/// One for each pixel, row by row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cells {
    /// Indices or samples.
    Values(Vec<u8>),
    /// Colours that are no shades of grey.
    Colours(Vec<[u8; 3]>),
}

/// # Errors
/// Why not, as a phrase that follows the path in a message.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    if bytes.is_empty() {
        return Err("is empty; write the file again".to_owned());
    }
    if bytes.starts_with(JPEG) {
        return decode_jpeg(bytes);
    }
    if !bytes.starts_with(PNG) {
        let picture = decode_picture(bytes, 3, GreyRange::default())?;
        if picture.deepest.is_some() {
            return Err("has 16-bit samples in a file that is no PNG; write it as PNG".to_owned());
        }
        let pixels = picture.pixels;
        return Ok(Decoded {
            width: pixels.width(),
            height: pixels.height(),
            cells: coloured(pixels.data(), 3),
            cut: false,
        });
    }
    // Decoders are written for damaged files, but a panic in one must not end a long run.
    catch_unwind(AssertUnwindSafe(|| decode_png(bytes)))
        .unwrap_or_else(|_| Err("is damaged; write the file again".to_owned()))
}

fn decode_png(bytes: &[u8]) -> Result<Decoded, String> {
    let damaged = |error: png::DecodingError| format!("is a truncated or damaged PNG: {error}");
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    if u64::from(info.width) * u64::from(info.height) > MOST_PIXELS {
        return Err(format!("is {width} × {height} pixels, more than the {MOST_PIXELS} allowed; scale it down"));
    }
    let size = reader.output_buffer_size().ok_or("is a PNG too large for this machine; scale it down")?;
    let mut data = vec![0; size];
    let frame = reader.next_frame(&mut data).map_err(damaged)?;
    data.truncate(frame.buffer_size());
    let samples = match frame.color_type {
        ColorType::Grayscale | ColorType::Indexed => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
    };
    let data = match frame.bit_depth {
        BitDepth::Eight => data,
        BitDepth::Sixteen => deep(&data, samples)?,
        few => unpacked(&data, frame.line_size, width * samples, few as usize),
    };
    let cells = match samples {
        1 => Cells::Values(data),
        2 => Cells::Values(data.chunks_exact(2).map(|pixel| pixel[0]).collect()),
        _ => coloured(&data, samples),
    };
    Ok(Decoded { width, height, cells, cut: false })
}

/// A JPEG that was black and white: bright pixels become 255, dark ones 0.
fn decode_jpeg(bytes: &[u8]) -> Result<Decoded, String> {
    let pixels = decode_picture(bytes, 3, GreyRange::default())?.pixels;
    let data = pixels.data();
    let count = |is: fn(&[u8]) -> bool| data.chunks_exact(3).filter(|pixel| is(pixel)).count();
    let black = count(|pixel| pixel.iter().all(|&it| it <= NEARLY));
    let white = count(|pixel| pixel.iter().all(|&it| it >= u8::MAX - NEARLY));
    // Dark shades alone could be numbers of classes, which nobody can tell any more.
    let plain = data.iter().all(|&it| it == 0) || white > 0;
    if !plain || ((black + white) as f64) < MOST * (data.len() / 3) as f64 {
        return Err(
            "is a JPEG, which changes values when it compresses, and not black and white; give masks as PNG".to_owned()
        );
    }
    let bright = |pixel: &[u8]| pixel.iter().map(|&it| u32::from(it)).sum::<u32>() >= 3 * 128;
    let values = data.chunks_exact(3).map(|pixel| if bright(pixel) { u8::MAX } else { 0 }).collect();
    Ok(Decoded { width: pixels.width(), height: pixels.height(), cells: Cells::Values(values), cut: true })
}

/// Samples of fewer than 8 bits, each row of which begins with a byte.
fn unpacked(data: &[u8], line: usize, samples: usize, bits: usize) -> Vec<u8> {
    let (each, mask) = (8 / bits, 0xffu8 >> (8 - bits));
    let sample = |row: &[u8], place: usize| row[place / each] >> (8 - bits * (place % each + 1)) & mask;
    data.chunks_exact(line.max(1)).flat_map(|row| (0..samples).map(move |place| sample(row, place))).collect()
}

/// 16-bit samples: of colours the high byte, as of black and white; of other values those that a byte holds.
fn deep(data: &[u8], samples: usize) -> Result<Vec<u8>, String> {
    let pairs = data.chunks_exact(2);
    if samples > 2 {
        return Ok(pairs.map(|pair| pair[0]).collect());
    }
    if data.chunks_exact(2 * samples).all(|pixel| matches!(pixel[..2], [0, 0] | [u8::MAX, u8::MAX])) {
        return Ok(pairs.map(|pair| pair[0]).collect());
    }
    let beyond = data.chunks_exact(2 * samples).find(|pixel| pixel[0] != 0);
    if let Some(pixel) = beyond {
        let value = u16::from_be_bytes([pixel[0], pixel[1]]);
        return Err(format!("holds the value {value}; classes are numbered from 0 to 254, and 255 is none"));
    }
    Ok(pairs.map(|pair| pair[1]).collect())
}

/// Shades of grey are values: many tools save them as colours.
fn coloured(data: &[u8], samples: usize) -> Cells {
    let pixels = || data.chunks_exact(samples);
    if pixels().all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]) {
        return Cells::Values(pixels().map(|pixel| pixel[0]).collect());
    }
    Cells::Colours(pixels().map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(colour: ColorType, depth: BitDepth, (width, height): (u32, u32), data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if colour == ColorType::Indexed {
            encoder.set_palette(vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn values(bytes: &[u8]) -> Vec<u8> {
        match decode(bytes).unwrap().cells {
            Cells::Values(values) => values,
            Cells::Colours(_) => panic!("colours"),
        }
    }

    #[test]
    fn stored_values_are_what_counts() {
        let indexed = png(ColorType::Indexed, BitDepth::Eight, (2, 2), &[0, 3, 1, 2]);
        assert_eq!(values(&indexed), [0, 3, 1, 2]);
        let two_bits = png(ColorType::Indexed, BitDepth::Two, (3, 2), &[0b0001_1000, 0b1100_0100]);
        assert_eq!(values(&two_bits), [0, 1, 2, 3, 0, 1]);
        let one_bit = png(ColorType::Grayscale, BitDepth::One, (3, 1), &[0b1010_0000]);
        assert_eq!(values(&one_bit), [1, 0, 1]);
        let four_bits = png(ColorType::Grayscale, BitDepth::Four, (3, 1), &[0x1f, 0x70]);
        assert_eq!(values(&four_bits), [1, 15, 7]);
        assert_eq!(values(&png(ColorType::Grayscale, BitDepth::Sixteen, (2, 1), &[0, 7, 0, 255])), [7, 255]);
        assert_eq!(values(&png(ColorType::GrayscaleAlpha, BitDepth::Eight, (2, 1), &[5, 0, 6, 255])), [5, 6]);
        assert_eq!(values(&png(ColorType::Rgb, BitDepth::Eight, (1, 1), &[8, 8, 8])), [8]);
        let colours = decode(&png(ColorType::Rgba, BitDepth::Eight, (1, 2), &[1, 2, 3, 0, 4, 4, 4, 9])).unwrap();
        assert_eq!(colours.cells, Cells::Colours(vec![[1, 2, 3], [4, 4, 4]]));
        assert_eq!((colours.width, colours.height), (1, 2));
    }

    #[test]
    fn a_jpeg_of_black_and_white_is_one() {
        use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};
        let jpeg = |pixel: &dyn Fn(usize, usize) -> u8| {
            let grey: Vec<u8> = (0..64 * 64).map(|place| pixel(place % 64, place / 64)).collect();
            let colours: Vec<u8> = grey.iter().flat_map(|&value| [value; 3]).collect();
            let of = |pixels, format, samples| compress(pixels, 64, 64, format, 75, samples).unwrap();
            [of(&grey, PixelFormat::Grayscale, Subsampling::S444), of(&colours, PixelFormat::Rgb, Subsampling::S420)]
        };
        let disc = |x: usize, y: usize| x.abs_diff(32).pow(2) + y.abs_diff(30).pow(2) < 300;
        for bytes in jpeg(&|x, y| if disc(x, y) { 255 } else { 0 }) {
            let mask = decode(&bytes).unwrap();
            let expected = (0..64 * 64).map(|place| if disc(place % 64, place / 64) { 255 } else { 0 });
            assert!(mask.cut && mask.cells == Cells::Values(expected.collect()));
        }
        assert!(jpeg(&|_, _| 0).iter().all(|bytes| decode(bytes).unwrap().cut), "nothing is there");
        // Numbers of classes, and a photograph.
        for other in [&(|x: usize, _| (x / 16) as u8) as &dyn Fn(usize, usize) -> u8, &|x, y| (x * y % 256) as u8] {
            assert!(jpeg(other).iter().all(|bytes| decode(bytes).unwrap_err().contains("not black and white")));
        }
    }

    #[test]
    fn what_is_no_mask_says_why() {
        let refused = |bytes: &[u8]| decode(bytes).unwrap_err();
        assert!(refused(&png(ColorType::Grayscale, BitDepth::Sixteen, (1, 1), &[1, 0])).contains("the value 256"));
        assert!(!refused(&[0xff, 0xd8, 0xff, 0xe0, 0]).is_empty());
        assert!(refused(&[]).contains("is empty"));
        assert!(refused(b"text").contains("is not a PNG"));
        let whole = png(ColorType::Grayscale, BitDepth::Eight, (20, 20), &[7; 400]);
        assert!(refused(&whole[..whole.len() / 2]).contains("truncated or damaged"));
    }

    #[test]
    fn deep_black_and_white_is_black_and_white() {
        assert_eq!(deep(&[0, 0, 255, 255, 0, 0], 1).unwrap(), [0, 255, 0]);
        assert_eq!(deep(&[0, 3, 0, 255], 1).unwrap(), [3, 255]);
        assert!(deep(&[0, 1, 255, 255], 1).unwrap_err().contains("65535"));
    }
}

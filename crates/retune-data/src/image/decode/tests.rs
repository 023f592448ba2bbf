//! Decoding compared with Pillow, and broken files.

use proptest::prelude::*;

use super::*;
use crate::image::fixtures::{decoded as decode, difference, file, images};

#[test]
fn every_kind_of_file_decodes_as_pillow_does() {
    let mut compared = 0;
    for (name, expected) in images("decoded.safetensors") {
        let decoded = decode(&file(name.trim_start_matches("grey/")), expected.channels());
        let decoded = decoded.unwrap_or_else(|reason| panic!("{name}: {reason}"));
        assert_eq!(difference(&decoded, &expected), 0, "{name}");
        compared += 1;
    }
    assert!(compared > 35, "{compared}");
}

#[test]
fn truncated_files_are_refused_wherever_they_are_cut() {
    for name in ["rgb.png", "full.jpg", "progressive.jpg", "lossless.webp", "rgb.bmp", "lzw.tif", "palette.gif"] {
        let bytes = file(name);
        for share in [3, 30, 60, 90] {
            let cut = bytes.len() * share / 100;
            let reason = decode(&bytes[..cut], 3).expect_err(&format!("{name} cut at {cut} of {}", bytes.len()));
            assert!(!reason.ends_with('.') && !reason.contains('\n'), "{reason}");
        }
    }
    let reason = decode(&file("full.jpg")[..2000], 3).unwrap_err();
    assert_eq!(reason, "is a truncated JPEG; write the file again");
}

#[test]
fn jpeg_bombs_are_refused_by_their_header() {
    let mut bytes = file("full.jpg");
    let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    let reason = decode(&bytes, 3).unwrap_err();
    assert!(reason.contains("65500 × 65500 pixels, more than"), "{reason}");
}

#[test]
fn what_is_no_image_is_said_so() {
    assert_eq!(decode(b"", 3).unwrap_err(), "is empty; write the file again");
    let text = decode(b"<html>not found</html>", 3).unwrap_err();
    assert!(text.contains("is a web page, not a PNG, JPEG, WebP, GIF, BMP or TIFF image"), "{text}");
    let heic = decode(b"\0\0\0\x18ftypheic\0\0\0\0", 3).unwrap_err();
    assert!(heic.contains("is a HEIC image, not a PNG"), "{heic}");
}

#[test]
fn decompression_bombs_are_refused_before_they_are_decoded() {
    // A PNG header that claims 100000 × 100000 pixels; the checksum is right.
    let mut header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    header.extend([0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0, 8, 2, 0, 0, 0]);
    let checksum = !header[12..].iter().fold(!0u32, |state, byte| {
        (0..8).fold(
            state ^ u32::from(*byte),
            |state, _| if state & 1 == 1 { state >> 1 ^ 0xedb8_8320 } else { state >> 1 },
        )
    });
    header.extend(checksum.to_be_bytes());
    header.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82");
    let reason = decode(&header, 3).unwrap_err();
    assert!(reason.contains("100000 × 100000 pixels") || reason.contains("scale it down"), "{reason}");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), which in 0usize..8) {
        let heads: [&[u8]; 8] = [
            b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBPVP8 ", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
        ];
        let _ = decode(&[heads[which], &bytes].concat(), 3);
    }

    #[test]
    fn damaged_files_never_panic(which in 0usize..40, at in any::<prop::sample::Index>(), value: u8) {
        let names: Vec<String> = images("decoded.safetensors").into_iter().map(|(name, _)| name).collect();
        let mut bytes = file(names[which % names.len()].trim_start_matches("grey/"));
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok(image) = decode(&bytes, 1) {
            prop_assert_eq!(image.channels(), 1);
        }
    }
}

#[test]
fn twelve_bits_of_grey_keep_their_contrast() {
    let ramp: Vec<u16> = (0..4096).step_by(16).collect();
    let png = |samples: &[u16]| {
        let image = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(16, 16, samples.to_vec()).unwrap();
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::ImageLuma16(image).write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    };
    let greatest = |range: &str| {
        let decoded = super::decode(&png(&ramp), 1, range.parse().unwrap()).unwrap();
        assert_eq!(decoded.deepest, Some(4080));
        *decoded.pixels.data().iter().max().unwrap()
    };
    assert_eq!([greatest("full"), greatest("0,4095"), greatest("auto")], [16, 254, 255]);
    assert_eq!(super::decode(&file("grey.png"), 1, GreyRange::Auto).unwrap().deepest, None);
    for (name, turned) in [("orientation_1.jpg", false), ("orientation_3.jpg", true), ("orientation_6.png", true)] {
        assert_eq!(super::decode(&file(name), 3, GreyRange::Auto).unwrap().turned, turned, "{name}");
    }
}

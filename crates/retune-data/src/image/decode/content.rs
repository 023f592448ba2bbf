//! What a file holds by its first bytes, for files whose names do not say it and for those that no decoder here reads.

use image::ImageFormat;

/// How many bytes are needed.
pub(in crate::image) const HEAD: usize = 160;

/// Whether a file that begins so is an image that can be decoded.
pub(in crate::image) fn is_readable(head: &[u8]) -> bool {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    // BMP's two letters begin texts too; its sizes of headers tell them apart.
    let format = image::guess_format(head).ok();
    format.is_some_and(|format| match format {
        Bmp => matches!(head.get(14..18), Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])),
        format => [Png, Jpeg, WebP, Gif, Tiff].contains(&format),
    })
}

/// The name of a kind of image or document that cannot be decoded here.
pub(in crate::image) fn foreign(head: &[u8]) -> Option<&'static str> {
    if head.get(4..8) == Some(b"ftyp") {
        return Some(match head.get(8..12)? {
            b"avif" | b"avis" => "an AVIF image",
            b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1" => "a HEIC image",
            b"crx " => "a raw photograph",
            _ => "a film",
        });
    }
    if head.get(128..132) == Some(b"DICM") {
        return Some("a DICOM image");
    }
    let text = head.trim_ascii_start();
    let starts = |magic: &[u8]| head.starts_with(magic);
    [
        (starts(b"\xff\x0a") || starts(b"\0\0\0\x0cJXL \r\n"), "a JPEG XL image"),
        (starts(b"\0\0\0\x0cjP  \r\n") || starts(b"\xff\x4f\xff\x51"), "a JPEG 2000 image"),
        (starts(b"8BPS"), "a Photoshop document"),
        (starts(b"%PDF"), "a PDF document"),
        (starts(b"\x93NUMPY"), "a NumPy array"),
        (starts(b"\0\0\x01\0"), "an icon"),
        (starts(b"PK\x03\x04"), "a ZIP archive"),
        (starts(b"\x1f\x8b"), "a gzip file"),
        (text.starts_with(b"<svg"), "an SVG drawing"),
        (text.starts_with(b"<!DOCTYPE") || text.starts_with(b"<html"), "a web page"),
        (starts(b"version https://git-lfs"), "a Git LFS pointer (fetch the file with git lfs pull)"),
    ]
    .into_iter()
    .find_map(|(is, name)| is.then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::fixtures::file;

    #[test]
    fn content_tells_what_a_file_is() {
        for name in ["rgb.png", "full.jpg", "lossless.webp", "rgb.bmp", "lzw.tif", "palette.gif"] {
            assert!(is_readable(&file(name)) && foreign(&file(name)).is_none(), "{name}");
        }
        assert!(!is_readable(b"BMW is a car maker, not a picture") && !is_readable(b"text"));
        assert_eq!(foreign(b"\0\0\0\x18ftypheic\0\0"), Some("a HEIC image"));
        assert_eq!(foreign(b"\0\0\0\x18ftypavif\0\0"), Some("an AVIF image"));
        let dicom = [vec![0; 128], b"DICM".to_vec()].concat();
        assert_eq!(foreign(&dicom), Some("a DICOM image"));
        assert_eq!(foreign(b"hello"), None);
    }
}

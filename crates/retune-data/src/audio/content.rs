//! What a file is by its first bytes.

/// Bytes that are looked at.
pub(super) const HEAD: usize = 64;

/// Whether a file that begins so is one that can be decoded.
pub(super) fn is_readable(head: &[u8]) -> bool {
    let riff = |form: &[u8], kind: &[u8]| head.starts_with(form) && head.get(8..12) == Some(kind);
    // A frame of MPEG audio, layer III: eleven bits of synchronisation, then version and layer.
    let frame = matches!(head, [0xff, second, ..] if second & 0xe6 == 0xe2 && second & 0x18 != 0x08);
    riff(b"RIFF", b"WAVE")
        || riff(b"FORM", b"AIFF")
        || riff(b"FORM", b"AIFC")
        || head.starts_with(b"fLaC")
        || head.starts_with(b"ID3")
        || head.starts_with(b"OggS")
        || frame
}

/// What else a file is, where it is known.
pub(super) fn foreign(head: &[u8]) -> Option<&'static str> {
    let at = |place: usize, bytes: &[u8]| head.get(place..place + bytes.len()) == Some(bytes);
    Some(match head {
        _ if at(4, b"ftyp") => "MPEG-4 (m4a, mp4)",
        _ if head.starts_with(b"\x1a\x45\xdf\xa3") => "Matroska or WebM",
        _ if head.starts_with(b"#!AMR") => "AMR",
        _ if head.starts_with(b".snd") => "Sun audio",
        _ if head.starts_with(b"NIST_1A") => "NIST Sphere",
        _ if head.starts_with(b"version https://git-lfs") => "a pointer of Git LFS in place of its file",
        _ if head.starts_with(b"\x93NUMPY") => "a NumPy array",
        _ => return None,
    })
}

/// The channels of an Opus stream, and the number of the order in which they stand.
pub(super) fn opus_channels(head: &[u8]) -> Option<(usize, u8)> {
    // Behind the head of a page with one segment.
    let head = head.strip_prefix(b"OggS").and_then(|rest| rest.get(24..))?.strip_prefix(b"OpusHead")?;
    Some((usize::from(*head.get(1)?), *head.get(10)?))
}

/// Whether the first frame of an MP3 file counts all its frames, as that of LAME does; without such a frame the count is guessed from the bytes.
pub(super) fn counts_frames(bytes: &[u8]) -> bool {
    let tag = match bytes {
        [b'I', b'D', b'3', _, _, _, a, b, c, d, ..] => {
            10 + [a, b, c, d].iter().fold(0, |size, &&seven| size << 7 | usize::from(seven & 0x7f))
        }
        _ => 0,
    };
    // The frame's own header, its side information of at most 32 bytes, then the word.
    let first = bytes.get(tag..).map_or(&[][..], |rest| &rest[..rest.len().min(64)]);
    [b"Xing", b"Info", b"VBRI"].iter().any(|word| has(first, *word))
}

fn has(head: &[u8], part: &[u8]) -> bool {
    head.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        for head in [
            &b"RIFF\0\0\0\0WAVEfmt "[..],
            b"fLaC\0",
            b"ID3\x04",
            b"\xff\xfb\x90\x64",
            b"FORM\0\0\0\0AIFFCOMM",
            b"OggS\0\x02",
        ] {
            assert!(is_readable(head) && foreign(head).is_none(), "{head:?}");
        }
        assert!(!is_readable(b"RIFF\0\0\0\0AVI ") && !is_readable(b"text") && !is_readable(b"\xff\xf1AAC"));
        let opus =
            b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01\x02\x38\x01\0\0\0\0\0\0\x01";
        assert_eq!(opus_channels(opus), Some((2, 1)));
        assert_eq!((opus_channels(&opus[..40]), opus_channels(b"OggS"), opus_channels(b"fLaC")), (None, None, None));
        assert_eq!(foreign(b"\0\0\0\x20ftypM4A "), Some("MPEG-4 (m4a, mp4)"));
    }
}

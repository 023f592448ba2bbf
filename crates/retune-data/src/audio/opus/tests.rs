//! Tests of Opus: what libopus decodes, what the header asks for, and files that are broken.

use super::super::decode::{Decoded, decode};
use super::super::ogg::mended;

/// `fixtures/opus` holds a second of speech in each mode.
fn speech(name: &str) -> Vec<u8> {
    std::fs::read(super::super::wav::fixture(&format!("../opus/{name}"))).unwrap()
}

/// A file whose header has these bytes from there on.
fn with_head(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = speech("silk.opus");
    file[28 + at..28 + at + bytes.len()].copy_from_slice(bytes);
    mended(file)
}

/// A page of packets that begins and ends with them.
fn page(sequence: u8, flags: u8, samples: i64, packets: &[&[u8]]) -> Vec<u8> {
    let mut page = [&b"OggS\0"[..], &[flags], &samples.to_le_bytes(), b"\x07\0\0\0", &[sequence], &[0; 7]].concat();
    let sizes: Vec<u8> =
        packets.iter().flat_map(|one| [vec![255; one.len() / 255], vec![(one.len() % 255) as u8]].concat()).collect();
    page.push(sizes.len() as u8);
    mended([page, sizes, packets.concat()].concat())
}

/// One channel, these packets, and as many samples as that behind a delay of 312.
fn file(packets: &[&[u8]], samples: i64) -> Vec<u8> {
    let head = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0";
    let tags = b"OpusTags\0\0\0\0\0\0\0\0";
    [page(0, 2, 0, &[head]), page(1, 0, 0, &[tags]), page(2, 4, samples + 312, packets)].concat()
}

/// The packets of speech.
fn packets(file: &[u8]) -> Vec<Vec<u8>> {
    let (mut packets, mut packet, mut at) = (Vec::new(), Vec::new(), 0);
    while at < file.len() {
        let segments = usize::from(file[at + 26]);
        let mut begin = at + 27 + segments;
        for &size in &file[at + 27..at + 27 + segments] {
            packet.extend_from_slice(&file[begin..begin + usize::from(size)]);
            begin += usize::from(size);
            if size < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        at = begin;
    }
    packets.split_off(2)
}

fn said(bytes: Vec<u8>) -> String {
    decode(bytes).unwrap_err()
}

#[test]
fn speech_equals_libopus() {
    for (name, channels) in [("silk", 1), ("hybrid", 2)] {
        let Decoded { samples, rate, channels: found, .. } = decode(speech(&format!("{name}.opus"))).unwrap();
        assert_eq!((samples.len(), rate, found), (48_000, 48_000, channels), "{name}");
        let expected = speech(&format!("{name}.f32"));
        let expected = expected.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four));
        let worst = samples.iter().step_by(97).zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-6, "{name}: {worst}");
    }
}

#[test]
fn the_header_is_obeyed() {
    let plain = decode(speech("silk.opus")).unwrap().samples;
    // Half as loud: -6.0206 decibels in 256th.
    let quiet = decode(with_head(16, &(-1541i16).to_le_bytes())).unwrap().samples;
    assert!(plain.iter().zip(&quiet).all(|(a, b)| (a / 2.0 - b).abs() < 1e-4));
    // A hundred samples more belong to the delay; where the sound ends stays.
    let late = decode(with_head(10, &412u16.to_le_bytes())).unwrap().samples;
    assert_eq!(late, plain[100..]);
    assert!(said(with_head(10, &u16::MAX.to_le_bytes())).contains("holds no samples"));
    let said = said(with_head(18, &[255]));
    assert!(said.contains("has 1 Opus channels in an order (family 255) that is not read"), "{said}");
}

#[test]
fn the_last_page_says_where_the_sound_ends() {
    let packets = packets(&speech("silk.opus"));
    let packets: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
    let whole = decode(speech("silk.opus")).unwrap().samples;
    assert_eq!(decode(file(&packets[..10], 9000)).unwrap().samples, whole[..9000]);
    // More than there is cannot come, and an empty packet is none.
    assert_eq!(decode(file(&packets[..10], 1 << 40)).unwrap().samples, whole[..9600 - 312]);
    assert_eq!(decode(file(&[&packets[..10], &[&[]]].concat(), 9000)).unwrap().samples, whole[..9000]);
    assert!(said(file(&packets[..10], -312)).contains("holds no samples"));
}

/// Where nothing was sent, what was heard dies away, as after a loss.
#[test]
fn a_frame_without_bytes_goes_on_as_before() {
    let packets = packets(&speech("silk.opus"));
    let head = [packets[20][0]];
    let mut sent: Vec<&[u8]> = packets[..20].iter().map(Vec::as_slice).collect();
    sent.extend([&head[..]; 20]);
    let samples = decode(file(&sent, 38_400 - 312)).unwrap().samples;
    let loud = |from: usize| samples[from..from + 960].iter().map(|sample| sample * sample).sum::<f32>();
    let (before, first, last) = (loud(18_240 - 312), loud(19_200 - 312), loud(37_440 - 312));
    assert!(first > before / 100.0 && last < first / 100.0, "{before} {first} {last}");
    // The same in one packet of three frames.
    let three = [head[0] | 3, 3];
    let sent = [&sent[..20], &[&three[..]]].concat();
    assert_eq!(decode(file(&sent, 22_080 - 312)).unwrap().samples, samples[..22_080 - 312]);
}

#[test]
fn broken_files_are_explained() {
    let good = speech("hybrid.opus");
    assert!(said(good[..good.len() / 2].to_vec()).contains("is cut off: its last page"));
    assert!(said(good[..60].to_vec()).contains("is "));
    assert!(said(file(&[b"\x03"], 100)).contains("is damaged (malformed stream: "), "{}", said(file(&[b"\x03"], 100)));
    // Any bytes in whole pages give an answer, not a panic.
    for seed in 0..300u32 {
        let mut bytes = good.clone();
        for i in 0..1 + seed % 40 {
            let draw = (seed * 41 + i).wrapping_mul(2_654_435_761);
            let place = 200 + draw as usize % (bytes.len() - 200);
            bytes[place] = (draw >> 11) as u8;
        }
        if let Ok(sound) = decode(mended(bytes)) {
            assert!(sound.samples.len() < 1 << 20 && sound.samples.iter().all(|sample| sample.is_finite()));
        }
    }
}

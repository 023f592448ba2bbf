//! TensorBoard event files: TFRecord frames around hand-encoded `Event` messages.
//!
//! A frame is `length u64 | masked crc32c of it | payload | masked crc32c of it`, little-endian
//! (tensorflow/core/lib/io/record_writer.h). The few fields written follow
//! tensorflow/core/util/event.proto and summary.proto.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const FRAME_HEAD: usize = 12;
const FRAME_TAIL: usize = 4;
const CRC_TABLE: [u32; 256] = crc_table();

/// Writes scalars that TensorBoard can plot.
pub struct EventWriter {
    file: BufWriter<File>,
}

impl EventWriter {
    /// Starts a new file at `path`, replacing what is there. TensorBoard finds files whose name
    /// contains `tfevents`; [`file_name`] makes one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut writer = Self { file: BufWriter::new(File::create(path)?) };
        let mut version = event(now());
        text_field(&mut version, 3, b"brain.Event:2");
        writer.frame(&version)?;
        writer.flush()?;
        Ok(writer)
    }

    /// Goes on with the file at `path`, or starts it. A frame that an interrupted run left half
    /// written, and anything behind it, is cut off.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn append(path: &Path) -> io::Result<Self> {
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::create(path),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole: usize = frames(&bytes).map(|payload| payload.len() + FRAME_HEAD + FRAME_TAIL).sum();
        if whole == 0 {
            return Self::create(path);
        }
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file: BufWriter::new(file) })
    }

    /// Writes one point of the curve `tag`; `wall_time` is seconds since 1970.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn scalar(&mut self, step: u64, tag: &str, value: f32, wall_time: f64) -> io::Result<()> {
        let mut point = Vec::new();
        text_field(&mut point, 1, tag.as_bytes());
        point.push(key(2, WireType::Fixed32));
        point.extend(value.to_le_bytes());

        let mut summary = Vec::new();
        text_field(&mut summary, 1, &point);

        let mut message = event(wall_time);
        step_field(&mut message, step);
        text_field(&mut message, 5, &summary);
        self.frame(&message)
    }

    /// Says that the run goes on from `step`: TensorBoard then drops what was logged past it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn restart(&mut self, step: u64, wall_time: f64) -> io::Result<()> {
        const START: u8 = 1;
        let mut message = event(wall_time);
        step_field(&mut message, step);
        text_field(&mut message, 7, &[key(1, WireType::Varint), START]);
        self.frame(&message)
    }

    /// Hands everything written so far to the operating system.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    #[cfg(test)]
    pub(crate) fn over(file: File) -> Self {
        Self { file: BufWriter::new(file) }
    }

    fn frame(&mut self, payload: &[u8]) -> io::Result<()> {
        let length = (payload.len() as u64).to_le_bytes();
        self.file.write_all(&length)?;
        self.file.write_all(&masked_crc(&length).to_le_bytes())?;
        self.file.write_all(payload)?;
        self.file.write_all(&masked_crc(payload).to_le_bytes())
    }
}

/// The name of an event file started at `wall_time`, seconds since 1970.
pub fn file_name(wall_time: f64) -> String {
    format!("events.out.tfevents.{:010}.retune", wall_time as u64)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

/// The payloads of the whole and undamaged frames at the start of `bytes`.
fn frames(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (head, after) = rest.split_at_checked(FRAME_HEAD)?;
        let (length, crc) = head.split_at(8);
        let size = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
        let (payload, after) = after.split_at_checked(size)?;
        let (payload_crc, after) = after.split_at_checked(FRAME_TAIL)?;
        let sound = crc == masked_crc(length).to_le_bytes() && payload_crc == masked_crc(payload).to_le_bytes();
        rest = after;
        sound.then_some(payload)
    })
}

#[derive(Clone, Copy)]
enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// The key byte of a field below 16.
const fn key(field: u8, wire_type: WireType) -> u8 {
    field << 3 | wire_type as u8
}

/// An `Event` with its wall time and nothing else.
fn event(wall_time: f64) -> Vec<u8> {
    let mut message = vec![key(1, WireType::Fixed64)];
    message.extend(wall_time.to_le_bytes());
    message
}

fn step_field(message: &mut Vec<u8>, step: u64) {
    message.push(key(2, WireType::Varint));
    varint(message, step);
}

fn text_field(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.push(key(field, WireType::Bytes));
    varint(message, bytes.len() as u64);
    message.extend(bytes);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// CRC-32C (Castagnoli), reflected.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| CRC_TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

const fn crc_table() -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// TFRecord stores a rotated crc, so that the crc of a crc stays useful.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Decoded {
        wall_time: f64,
        step: u64,
        version: String,
        tag: String,
        value: Option<f32>,
        restarts: bool,
    }

    /// Fields of one message: number and raw value; varints as 8 little-endian bytes.
    fn fields(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut found = Vec::new();
        while let Some((head, rest)) = bytes.split_first() {
            bytes = rest;
            let mut number = || {
                let mut value = 0u64;
                for shift in (0..).step_by(7) {
                    let (byte, rest) = bytes.split_first().unwrap();
                    bytes = rest;
                    value |= u64::from(byte & 0x7f) << shift;
                    if byte & 0x80 == 0 {
                        break;
                    }
                }
                value
            };
            let value = match head & 7 {
                0 => number().to_le_bytes().to_vec(),
                kind => {
                    let size = match kind {
                        1 => 8,
                        2 => number() as usize,
                        5 => 4,
                        _ => panic!("wire type {kind}"),
                    };
                    let (value, rest) = bytes.split_at(size);
                    bytes = rest;
                    value.to_vec()
                }
            };
            found.push((head >> 3, value));
        }
        found
    }

    fn decode(payload: &[u8]) -> Decoded {
        let mut decoded = Decoded::default();
        for (field, value) in fields(payload) {
            match field {
                1 => decoded.wall_time = f64::from_le_bytes(value.try_into().unwrap()),
                2 => decoded.step = u64::from_le_bytes(value.try_into().unwrap()),
                3 => decoded.version = String::from_utf8(value).unwrap(),
                5 => {
                    for (field, value) in fields(&fields(&value)[0].1) {
                        match field {
                            1 => decoded.tag = String::from_utf8(value).unwrap(),
                            2 => decoded.value = Some(f32::from_le_bytes(value.try_into().unwrap())),
                            other => panic!("field {other}"),
                        }
                    }
                }
                7 => decoded.restarts = value == [8, 1],
                other => panic!("field {other}"),
            }
        }
        decoded
    }

    fn read(path: &Path) -> Vec<Decoded> {
        let bytes = std::fs::read(path).unwrap();
        let decoded: Vec<_> = frames(&bytes).map(decode).collect();
        let framed: usize = frames(&bytes).map(|p| p.len() + 16).sum();
        assert_eq!(framed, bytes.len(), "bytes outside sound frames");
        decoded
    }

    #[test]
    fn crc_matches_known_vectors() {
        // RFC 3720, appendix B.4, and the customary check value.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&ascending), 0x46dd_794e);
    }

    #[test]
    fn scalars_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file_name(1_700_000_000.9));
        assert!(path.ends_with("events.out.tfevents.1700000000.retune"));
        let mut writer = EventWriter::create(&path).unwrap();
        writer.scalar(0, "train/loss", 0.5, 1.5).unwrap();
        writer.scalar(300_000, "naïve/précision", f32::NAN, 2.5).unwrap();
        writer.flush().unwrap();
        let found = read(&path);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].version, "brain.Event:2");
        assert!(found[0].wall_time > 1.6e9);
        assert_eq!(
            found[1],
            Decoded { wall_time: 1.5, tag: "train/loss".into(), value: Some(0.5), ..Decoded::default() }
        );
        assert_eq!((found[2].step, &*found[2].tag), (300_000, "naïve/précision"));
        assert!(found[2].value.unwrap().is_nan());
    }

    #[test]
    fn appending_cuts_a_torn_frame_and_keeps_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tfevents");
        let mut writer = EventWriter::append(&path).unwrap();
        writer.scalar(1, "loss", 2.0, 1.0).unwrap();
        writer.scalar(2, "loss", 1.0, 2.0).unwrap();
        drop(writer);
        let bytes = std::fs::read(&path).unwrap();
        for lost in 1..30 {
            std::fs::write(&path, &bytes[..bytes.len() - lost]).unwrap();
            let mut writer = EventWriter::append(&path).unwrap();
            writer.restart(1, 3.0).unwrap();
            writer.scalar(2, "loss", 0.5, 3.0).unwrap();
            drop(writer);
            let found = read(&path);
            assert_eq!(found.len(), 4);
            assert_eq!(found[1].value, Some(2.0));
            assert!(found[2].restarts && found[2].step == 1);
            assert_eq!(found[3].value, Some(0.5));
        }
    }

    #[test]
    fn damaged_frames_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tfevents");
        drop(EventWriter::create(&path).unwrap());
        let bytes = std::fs::read(&path).unwrap();
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 0x10;
            assert_eq!(frames(&damaged).count(), 0, "byte {index}");
        }
    }
}

//! Bytes of an audio file to samples of one channel, from -1 to 1.
//!
//! | file | samples |
//! |---|---|
//! | WAV, AIFF: 8 to 32 bits | divided by the size of the range: 32768 for 16 bits, as libsndfile does |
//! | WAV: floating point | as they are |
//! | FLAC, MP3, Ogg Vorbis | as decoded |
//! | Ogg Opus | as decoded, at 48 kHz, with the gain of its header |
//! | several channels | their mean |

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP3, CODEC_ID_OPUS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;

use super::opus::{self, Opus};
use super::{content, ogg, riff};
use crate::error::shortened;

/// Samples of one channel, at most: four hours at 16 kHz.
const MOST_SAMPLES: usize = 1 << 28;
/// The largest rate that makes sense.
const MOST_RATE: u32 = 1_000_000;
/// Samples that an MP3 encoder adds, at most: its delay and parts of two frames.
const MP3_SLACK: u64 = 4608;
/// Floating-point samples beyond this are no sound of any scale: that of 32-bit integers is the widest.
const LOUDEST: f32 = 2_147_483_648.0;
/// A sample this near to the end of the range counts as clipped.
const FULL: f32 = 0.9995;

/// A decoded sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Of one channel.
    pub samples: Vec<f32>,
    /// Samples a second.
    pub rate: u32,
    /// Channels of the file.
    pub channels: usize,
    /// Samples of any channel at the ends of the range.
    pub clipped: usize,
}

/// Decodes a file.
///
/// # Errors
/// Why not, as a phrase that follows the path in a message.
pub fn decode(bytes: Vec<u8>) -> Result<Decoded, String> {
    // Decoders are written for damaged files, but a panic in one must not end a long run.
    catch_unwind(AssertUnwindSafe(|| decode_unguarded(bytes))).unwrap_or_else(|_| Err(DAMAGED.to_owned()))
}

const DAMAGED: &str = "is damaged; write the file again";

fn decode_unguarded(mut bytes: Vec<u8>) -> Result<Decoded, String> {
    if bytes.is_empty() {
        return Err("is empty; write the file again".to_owned());
    }
    let head = &bytes[..bytes.len().min(content::HEAD)];
    if let Some(kind) = content::foreign(head) {
        return Err(format!(
            "is {kind}, not WAV, FLAC, MP3, Ogg Vorbis, Opus or AIFF; convert it, as `ffmpeg -i FILE FILE.flac` does"
        ));
    }
    if !content::is_readable(head) {
        return Err("is not a WAV, FLAC, MP3, Ogg Vorbis, Opus or AIFF file; convert it".to_owned());
    }
    if let Some((channels, family)) = content::opus_channels(head).filter(|&(_, family)| family > 1) {
        return Err(opus::unread(channels, family));
    }
    riff::settle_length(&mut bytes)?;
    let ends = ogg::ends(&bytes)?;
    let counted = content::counts_frames(&bytes);
    let damaged = |error: Error| format!("is damaged ({}); write the file again", shortened(&error.to_string()));
    let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let (format, metadata) = (FormatOptions::default(), MetadataOptions::default());
    let mut format = symphonia::default::get_probe().probe(&Hint::new(), stream, format, metadata).map_err(damaged)?;
    let track = format.default_track(TrackType::Audio).ok_or("holds no sound; write the file again")?;
    let (id, claimed) = (track.id, track.num_frames);
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let parameters = parameters.ok_or("does not say how its samples are stored; write the file again")?.clone();
    let is_mp3 = parameters.codec == CODEC_ID_MP3;
    let mut decoder = Decoder::new(&parameters, ends.get(&id).copied())?;
    let mut sound = Decoded { samples: Vec::new(), rate: 0, channels: 0, clipped: 0 };
    let mut interleaved: Vec<f32> = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // What a recorder that was switched off left: the claim below is not met.
            Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(damaged(error)),
        };
        if packet.track_id != id {
            continue;
        }
        let (rate, channels) = match decoder.decode(&packet, &mut interleaved) {
            Ok(form) => form,
            // The first frames of a cut piece of MP3 refer to frames that are gone.
            Err(Error::DecodeError(_)) if is_mp3 => continue,
            Err(error) => return Err(damaged(error)),
        };
        if sound.rate == 0 {
            (sound.rate, sound.channels) = (rate, channels);
        }
        if (rate, channels) != (sound.rate, sound.channels) {
            return Err(format!("changes from {} to {rate} Hz, or its channels, midway; convert it", sound.rate));
        }
        append(&mut sound, &interleaved)?;
    }
    // MP3 has no exact length: what an encoder adds at either end is cut or not, and without a count the claim is a guess. Opus was
    // cut where it ends, and who sends nothing in a pause counts on: that all pages are there is known.
    let claimed = match decoder {
        Decoder::Opus(_) => None,
        _ if is_mp3 => claimed.filter(|_| counted).map(|claimed| claimed.saturating_sub(MP3_SLACK)),
        _ => claimed,
    };
    check(&sound, claimed)?;
    Ok(sound)
}

/// What makes samples of the packets of a file.
enum Decoder {
    Opus(Box<Opus>),
    Other(Box<dyn AudioDecoder>),
}

impl Decoder {
    /// For a track that ends there, where that is known of an Ogg stream.
    fn new(parameters: &AudioCodecParameters, end: Option<i64>) -> Result<Self, String> {
        if parameters.codec == CODEC_ID_OPUS {
            let head = parameters.extra_data.as_deref().unwrap_or_default();
            return Ok(Self::Opus(Box::new(Opus::new(head, end)?)));
        }
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|error| format!("has an encoding that is not read ({error}); convert it to plain WAV or FLAC"))?;
        Ok(Self::Other(decoder))
    }

    /// Puts the samples of a packet in place of what `into` holds, frame by frame, and gives the rate and the number of channels.
    fn decode(&mut self, packet: &Packet, into: &mut Vec<f32>) -> Result<(u32, usize), Error> {
        match self {
            Self::Opus(opus) => {
                opus.decode(packet, into)?;
                Ok((opus::RATE, opus.channels()))
            }
            Self::Other(decoder) => {
                let buffer = decoder.decode(packet)?;
                into.resize(buffer.samples_interleaved(), 0.0);
                buffer.copy_to_slice_interleaved(&mut into[..]);
                Ok((buffer.spec().rate(), buffer.spec().channels().count()))
            }
        }
    }
}

/// Adds the mean of the channels of each frame.
fn append(sound: &mut Decoded, interleaved: &[f32]) -> Result<(), String> {
    let channels = sound.channels.max(1);
    for frame in interleaved.chunks_exact(channels) {
        sound.samples.push(frame.iter().sum::<f32>() / channels as f32);
    }
    sound.clipped += interleaved.iter().filter(|sample| sample.abs() >= FULL).count();
    if sound.samples.len() > MOST_SAMPLES {
        return Err(format!("has more than {MOST_SAMPLES} samples; cut it into pieces"));
    }
    Ok(())
}

fn check(sound: &Decoded, claimed: Option<u64>) -> Result<(), String> {
    let found = sound.samples.len();
    if found == 0 {
        return Err("holds no samples; write the file again, or remove the row".to_owned());
    }
    if !(1..=MOST_RATE).contains(&sound.rate) {
        return Err(format!("has a rate of {} Hz, which cannot be; write the file again", sound.rate));
    }
    if sound.samples.iter().any(|sample| !sample.is_finite()) {
        return Err("holds samples that are no numbers; write the file again".to_owned());
    }
    if let Some(loud) = sound.samples.iter().find(|sample| sample.abs() > LOUDEST) {
        return Err(format!("holds a sample of {loud:e} where 1 is the loudest; write the file again"));
    }
    if let Some(claimed) = claimed.filter(|&claimed| (found as u64) < claimed) {
        return Err(format!("is cut off: it holds {found} of {claimed} samples; write the file again"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

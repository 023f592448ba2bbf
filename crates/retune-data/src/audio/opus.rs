//! Packets of Opus to samples (RFC 6716), and what their Ogg stream asks of whoever plays it (RFC 7845): it begins with the delay of the
//! encoder, ends within its last packet, and has a gain.

use opus_pure::{ChannelLayout, MAX_PACKET_SAMPLES, OpusMSDecoder, Repacketizer, packet};
use symphonia::core::errors::Error;
use symphonia::core::packet::Packet;

/// Opus has one rate, whatever that of the sound was.
pub(super) const RATE: u32 = 48_000;
/// Bytes of the header before its table of channels.
const HEAD: usize = 19;

/// A stream that is being decoded.
pub(super) struct Opus {
    streams: OpusMSDecoder,
    /// Samples of each channel that are still to be left out at the beginning.
    delay: usize,
    /// Where the stream ends, delay included, in samples from its origin; the first packet says where it begins.
    end: Option<i64>,
    /// Samples of each channel that are still to come, known from the first packet on.
    left: Option<usize>,
    frames: Repacketizer,
    frame: Vec<u8>,
    decoded: Vec<f32>,
}

impl Opus {
    /// A decoder for the stream with this header, which ends there if that is known.
    ///
    /// # Errors
    /// Why it is not read, as a phrase that follows the path in a message.
    pub(super) fn new(head: &[u8], end: Option<i64>) -> Result<Self, String> {
        let Some((head, table)) = head.split_first_chunk::<HEAD>() else {
            return Err("is damaged (its header is too short); write the file again".to_owned());
        };
        let (channels, family) = (usize::from(head[9]), head[18]);
        let layout = ChannelLayout::surround(channels, family).map_err(|_| unread(channels, family))?;
        if family != 0 {
            let usual = [layout.nb_streams as u8, layout.nb_coupled_streams as u8].into_iter().chain(layout.mapping);
            if !usual.eq(table.iter().take(2 + channels).copied()) {
                return Err(unread(channels, family));
            }
        }
        let mut streams = OpusMSDecoder::new(RATE as i32, channels, family).map_err(|_| unread(channels, family))?;
        for stream in streams.streams_mut() {
            stream.gain_q8 = i16::from_le_bytes([head[16], head[17]]).into();
        }
        let delay = u16::from_le_bytes([head[10], head[11]]).into();
        let decoded = vec![0.0; MAX_PACKET_SAMPLES * channels];
        Ok(Self { streams, delay, end, left: None, frames: Repacketizer::new(), frame: Vec::new(), decoded })
    }

    pub(super) fn channels(&self) -> usize {
        self.streams.channels()
    }

    /// Puts the samples of the next packet in place of what `into` holds, frame by frame.
    ///
    /// # Errors
    /// The packet is malformed.
    pub(super) fn decode(&mut self, packet: &Packet, into: &mut Vec<f32>) -> Result<(), Error> {
        let (begin, delay) = (packet.pts.get(), self.delay as i64);
        let left = *self.left.get_or_insert_with(|| match self.end {
            Some(end) => end.saturating_sub(begin).saturating_sub(delay).try_into().unwrap_or(0),
            None => usize::MAX,
        });
        into.clear();
        // To a decoder this would be a packet that was lost on its way; in a file some programs mark the end with it.
        if packet.data.is_empty() {
            return Ok(());
        }
        let count = self.decode_frames(&packet.data).map_err(|error| match error {
            opus_pure::Error::InvalidPacket(what) => Error::DecodeError(what),
            _ => Error::DecodeError("a packet does not hold what it says"),
        })?;
        let delay = self.delay.min(count);
        let kept = (count - delay).min(left);
        self.delay -= delay;
        self.left = Some(left - kept);
        let channels = self.channels();
        into.extend_from_slice(&self.decoded[delay * channels..(delay + kept) * channels]);
        Ok(())
    }

    /// Decodes a packet and gives the number of samples of each channel.
    fn decode_frames(&mut self, packet: &[u8]) -> opus_pure::Result<usize> {
        let whole = packet::samples_48k(packet)?;
        let channels = self.channels();
        let [stream] = self.streams.streams_mut() else {
            return self.streams.decode(packet, whole, &mut self.decoded);
        };
        let size = packet::samples_per_frame(packet, RATE as i32)?;
        self.frames.clear();
        self.frames.cat(packet)?;
        let count = self.frames.nb_frames();
        for at in 0..count {
            self.frame.clear();
            self.frames.out_range_into(at, at + 1, &mut self.frame)?;
            // A frame of one byte or none says that nothing was sent, in a pause or for want of bits: libopus goes on as if it had been
            // lost, and so does the decoder where it is given nothing.
            let frame = if self.frame.len() > 2 { &self.frame[..] } else { &[] };
            stream.decode(frame, size, &mut self.decoded[at * size * channels..])?;
        }
        Ok(count * size)
    }
}

/// Why a stream of other channels is not read.
pub(super) fn unread(channels: usize, family: u8) -> String {
    format!(
        "has {channels} Opus channels in an order (family {family}) that is not read; convert it, as `ffmpeg -i FILE -ac 1 FILE.flac` \
         does"
    )
}

#[cfg(test)]
mod tests;

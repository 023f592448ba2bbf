//! The table of characters that a SentencePiece model replaces: a double array (Darts; Yata et al. 2007) of what is replaced,
//! whose values are places in a block of replacements, each ended by a zero.

/// The table.
pub(super) struct CharsMap {
    units: Vec<u32>,
    replacements: String,
}

const BROKEN: &str = "the table of replaced characters is broken; fetch the file again";

impl CharsMap {
    /// Reads the bytes of `precompiled_charsmap`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let (size, rest) = bytes.split_first_chunk::<4>().ok_or(BROKEN)?;
        let (units, replacements) = rest.split_at_checked(u32::from_le_bytes(*size) as usize).ok_or(BROKEN)?;
        let units = units.as_chunks::<4>().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        let replacements = String::from_utf8(replacements.to_vec()).map_err(|_| BROKEN)?;
        Ok(Self { units, replacements })
    }

    fn unit(&self, place: usize) -> Option<u32> {
        self.units.get(place).copied()
    }

    /// The longest begin of `text` that is replaced: its bytes, and what stands there instead.
    pub(super) fn longest(&self, text: &str) -> Option<(usize, &str)> {
        let offset = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
        let mut place = offset(self.unit(0)?);
        let mut found = None;
        for (at, byte) in text.bytes().enumerate() {
            place ^= usize::from(byte);
            let Some(unit) = self.unit(place) else { break };
            if unit & (1 << 31 | 0xff) != u32::from(byte) {
                break;
            }
            place ^= offset(unit);
            if unit >> 8 & 1 == 1
                && let Some(value) = self.unit(place)
            {
                found = Some((at + 1, (value & ((1 << 31) - 1)) as usize));
            }
        }
        let (length, start) = found?;
        let replacement = self.replacements.get(start..)?;
        Some((length, replacement.split('\0').next().unwrap_or_default()))
    }
}

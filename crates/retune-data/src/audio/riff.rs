//! How many samples a WAV file says that it holds, and how many it does.

/// Lengths from here on are claimed by programs that wrote into a pipe and could not know.
const UNKNOWN: u32 = 0xffff_ff00;

/// Makes the length of a WAV file's samples what it is, where whoever wrote it could not know it. Other files stay as they are.
///
/// # Errors
/// The file ends before its samples do.
pub(super) fn settle_length(bytes: &mut [u8]) -> Result<(), String> {
    if !bytes.starts_with(b"RIFF") {
        return Ok(());
    }
    let (mut at, mut frame) = (12, 1);
    while let Some(head) = bytes.get(at..at + 8) {
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let begin = at + 8;
        match &head[..4] {
            b"fmt " => {
                let align = bytes.get(begin + 12..begin + 14).map(|two| u16::from_le_bytes([two[0], two[1]]));
                frame = align.map_or(1, |align| usize::from(align.max(1)));
            }
            b"data" => {
                let left = bytes.len() - begin;
                if size as usize <= left && size != 0 {
                    return Ok(());
                }
                if size != 0 && size < UNKNOWN {
                    let (found, claimed) = (left / frame, size as usize / frame);
                    return Err(format!("is cut off: it holds {found} of {claimed} samples; write the file again"));
                }
                let whole = u32::try_from(left / frame * frame).unwrap_or(UNKNOWN - 1);
                bytes[at + 4..begin].copy_from_slice(&whole.to_le_bytes());
                return Ok(());
            }
            _ => {}
        }
        // Chunks begin at even places.
        at = begin.saturating_add(size as usize).saturating_add(size as usize % 2);
        if at > bytes.len() {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::wav::{Store, wav};
    use super::*;

    #[test]
    fn a_length_that_nobody_knew_is_what_there_is() {
        let good = wav(&[0.5, 0.25, -0.5], 1, 8000, Store::Signed16);
        for claimed in [0u32, u32::MAX, 0xffff_ffdc] {
            let mut piped = good.clone();
            piped[40..44].copy_from_slice(&claimed.to_le_bytes());
            settle_length(&mut piped).unwrap();
            assert_eq!(piped, good);
        }
        let mut cut = good[..good.len() - 2].to_vec();
        assert!(settle_length(&mut cut).unwrap_err().contains("it holds 2 of 3 samples"));
        let mut other = b"fLaC\0\0".to_vec();
        settle_length(&mut other).unwrap();
        // Chunks that reach beyond the end are the decoder's affair.
        let mut odd = b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\x7f".to_vec();
        settle_length(&mut odd).unwrap();
    }
}

//! Sounds as data inside the page, with the browser's own player.

use base64::prelude::{BASE64_STANDARD, Engine};

/// A player; nothing for what is no WAV file.
pub(in crate::report) fn player(wav: &[u8]) -> String {
    if !wav.starts_with(b"RIFF") || wav.get(8..12) != Some(b"WAVE") {
        return String::new();
    }
    let data = BASE64_STANDARD.encode(wav);
    format!("<audio controls preload=\"none\" src=\"data:audio/wav;base64,{data}\"></audio>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wav_files_are_played() {
        assert!(player(b"RIFF\0\0\0\0WAVEfmt ").contains("src=\"data:audio/wav;base64,UklGRgAAAABXQVZFZm10IA==\""));
        assert_eq!(player(b"\x89PNG\r\n\x1a\n"), "");
        assert_eq!(player(b"RIFF"), "");
    }
}

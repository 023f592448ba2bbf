//! Words on pictures: one raster of a monospaced font, scaled to the picture.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use super::canvas::{Canvas, Rgb};
use super::{Pixels, Resample, resize};

const WEIGHT: FontWeight = FontWeight::Bold;
const RASTER: RasterHeight = RasterHeight::Size32;
/// Stands for letters that the font lacks.
const UNKNOWN: char = '\u{fffd}';
/// Stands for the end of a text that is cut.
const CUT: &str = "..";
/// Lines of text that the shorter side of a picture would hold, and how high one is at least, in pixels.
const LINES: usize = 28;
const LEAST: usize = 13;

/// Letters of one height.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lettering {
    height: usize,
}

impl Lettering {
    /// As large as a picture of this width and height asks for.
    pub(super) fn for_picture((width, height): (usize, usize)) -> Self {
        Self { height: (width.min(height) / LINES).max(LEAST) }
    }

    /// Height of a line.
    pub(super) fn height(self) -> usize {
        self.height
    }

    /// Width of a text.
    pub(super) fn width(self, text: &str) -> usize {
        let raster = text.chars().count() * get_raster_width(WEIGHT, RASTER);
        (raster * self.height).div_ceil(RASTER.val())
    }

    /// A text with `kept` behind it, the text cut where both are wider than `most`.
    pub(super) fn fitted(self, text: &str, kept: &str, most: usize) -> String {
        let whole = format!("{text}{kept}");
        if self.width(&whole) <= most {
            return whole;
        }
        let letters: Vec<char> = text.chars().collect();
        let cut = |count: usize| letters[..count].iter().collect::<String>() + CUT + kept;
        let count = (1..letters.len()).rev().find(|&count| self.width(&cut(count)) <= most);
        // Where nothing fits, its begin is more than nothing.
        count.map_or(whole, cut)
    }

    /// Writes a text with its upper left corner at a place.
    pub(super) fn write(self, canvas: &mut Canvas, (left, top): (usize, usize), text: &str, colour: Rgb) {
        let width = get_raster_width(WEIGHT, RASTER);
        let glyphs: Vec<_> = text
            .chars()
            .filter_map(|letter| get_raster(letter, WEIGHT, RASTER).or(get_raster(UNKNOWN, WEIGHT, RASTER)))
            .collect();
        if glyphs.is_empty() {
            return;
        }
        let line = glyphs.len() * width;
        let mut covers = vec![0u8; line * RASTER.val()];
        for (place, glyph) in glyphs.iter().enumerate() {
            for (y, row) in glyph.rows().enumerate() {
                covers[y * line + place * width..][..width].copy_from_slice(row);
            }
        }
        let raster = Pixels::new(line, RASTER.val(), 1, covers);
        let letters = resize(&raster, self.width(text), self.height, Resample::Bilinear);
        for y in 0..letters.height() {
            for (x, &cover) in letters.row(y).iter().enumerate().filter(|(_, cover)| **cover > 0) {
                canvas.cover((left + x, top + y), colour, f32::from(cover) / 255.0);
            }
        }
    }
}

/// Black or white, whichever is read better on a colour.
pub(super) fn ink_on([red, green, blue]: Rgb) -> Rgb {
    let light = 0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue);
    if light > 140.0 { [0; 3] } else { [255; 3] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, side: usize) -> Vec<u8> {
        let mut canvas = Canvas::of(&Pixels::filled(side, side, 1, &[0]), side);
        Lettering::for_picture((side, side)).write(&mut canvas, (0, 0), text, [255; 3]);
        canvas.png().unwrap()
    }

    #[test]
    fn letters_differ_and_what_the_font_lacks_has_a_replacement() {
        let words = ["a", "b", "é", "Ł", "路"].map(|text| written(text, 60));
        for (place, word) in words.iter().enumerate() {
            assert!(words[..place].iter().all(|other| other != word), "{place}");
            assert_ne!(word, &written("", 60), "{place}");
        }
        assert_eq!(words[4], written("\u{1f600}", 60));
    }

    #[test]
    fn a_text_is_cut_before_what_is_kept() {
        let letters = Lettering::for_picture((100, 100));
        assert_eq!((letters.height(), Lettering::for_picture((2800, 5000)).height()), (LEAST, 100));
        assert_eq!(letters.fitted("crosswalk", " 0.93", 1000), "crosswalk 0.93");
        let cut = letters.fitted("crosswalk", " 0.93", letters.width("crosswalk 0.9"));
        assert_eq!(cut, "crossw.. 0.93");
        assert_eq!(letters.fitted("crosswalk", " 0.93", 1), "crosswalk 0.93");
    }
}

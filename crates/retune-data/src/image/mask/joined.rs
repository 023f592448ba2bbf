//! Masks of single objects of one image, joined into one of black and white.

use super::decode::{Cells, Decoded, decode};

/// The mask that several files make: 255 wherever one of them is not 0, nothing at all in an image of this width and height where
/// there is none. One file that is named itself stays as it is.
///
/// # Errors
/// Why not, as a phrase that follows the path in a message.
pub(super) fn joined(files: &[(Option<String>, Vec<u8>)], (width, height): (usize, usize)) -> Result<Decoded, String> {
    if let [(None, bytes)] = files {
        return decode(bytes);
    }
    let mut whole: Option<(Decoded, Vec<u8>)> = None;
    for (name, bytes) in files {
        let named = |reason: String| format!("holds {}, which {reason}", name.as_deref().unwrap_or("a file"));
        let mask = decode(bytes).map_err(named)?;
        let Cells::Values(values) = &mask.cells else { return Err(named("holds colours".to_owned())) };
        let values: Vec<u8> = values.iter().map(|&value| if value > 0 { u8::MAX } else { 0 }).collect();
        let Some((first, joined)) = &mut whole else {
            whole = Some((mask, values));
            continue;
        };
        if (first.width, first.height) != (mask.width, mask.height) {
            let (w, h) = (first.width, first.height);
            return Err(named(format!("is {} × {} pixels, others {w} × {h}", mask.width, mask.height)));
        }
        joined.iter_mut().zip(values).for_each(|(pixel, value)| *pixel |= value);
    }
    Ok(match whole {
        Some((first, joined)) => Decoded { cells: Cells::Values(joined), ..first },
        None => Decoded { width, height, cells: Cells::Values(vec![0; width * height]), cut: false },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(values: [u8; 4], width: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width as u32, (4 / width) as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_image_data(&values).unwrap();
        bytes
    }

    #[test]
    fn objects_are_joined() {
        let of = |name: &str, bytes: Vec<u8>| (Some(name.to_owned()), bytes);
        let two = [of("a.png", mask([0, 255, 0, 0], 2)), of("b.png", mask([0, 0, 1, 0], 2))];
        assert_eq!(joined(&two, (2, 2)).unwrap().cells, Cells::Values(vec![0, 255, 255, 0]));
        assert_eq!(joined(&[(None, mask([0, 0, 1, 2], 2))], (2, 2)).unwrap().cells, Cells::Values(vec![0, 0, 1, 2]));
        let other = [two[0].clone(), of("c.png", mask([0; 4], 4))];
        assert_eq!(joined(&other, (2, 2)).unwrap_err(), "holds c.png, which is 4 × 1 pixels, others 2 × 2");
        let none = joined(&[], (3, 2)).unwrap();
        assert_eq!((none.width, none.height, none.cells), (3, 2, Cells::Values(vec![0; 6])));
    }
}

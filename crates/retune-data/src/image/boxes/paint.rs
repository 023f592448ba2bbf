//! Boxes drawn over pictures, with what they are.

use crate::image::canvas::{Canvas, Rgb};
use crate::image::lettering::{Lettering, ink_on};
use crate::image::mask::class_colour;
use crate::image::{Moves, Pixels};

/// Pixels of a line for each so many pixels of the shorter side.
const LINE_PER_SIDE: usize = 160;

/// A box to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnBox {
    /// Left, top, right and bottom in pixels of the picture.
    pub corners: [f64; 4],
    /// Which colour it has: that of its class.
    pub class: usize,
    /// What it is called.
    pub name: String,
    /// How sure a model is of it.
    pub score: Option<f64>,
    /// Whether its line is broken.
    pub dashed: bool,
}

/// Left, top, width and height in whole pixels.
type Field = [usize; 4];

/// A PNG of a picture with boxes over it, the first one uppermost, its longer side at most `most` pixels.
///
/// # Errors
/// It cannot be written, in words.
pub fn draw_boxes(picture: &Pixels, boxes: &[DrawnBox], most: usize) -> Result<Vec<u8>, String> {
    let mut canvas = Canvas::of(picture, most);
    let moves = Moves::scaling((picture.width(), picture.height()), canvas.size());
    let carried = boxes.iter().filter_map(|drawn| Some((drawn, moves.carry(drawn.corners)?.0)));
    let fields: Vec<(&DrawnBox, Field)> =
        carried.map(|(drawn, corners)| (drawn, field(corners, canvas.size()))).collect();
    for (drawn, field) in fields.iter().rev() {
        outline(&mut canvas, *field, drawn);
    }
    let letters = Lettering::for_picture(canvas.size());
    let mut labels: Vec<(&DrawnBox, String, Field)> = Vec::new();
    for (drawn, field) in fields {
        let score = drawn.score.map(|score| format!(" {score:.2}")).unwrap_or_default();
        let text = letters.fitted(&drawn.name, &score, canvas.size().0);
        let taken: Vec<Field> = labels.iter().map(|(_, _, field)| *field).collect();
        let place = place_of_label(field, (letters.width(&text), letters.height()), canvas.size(), &taken);
        labels.push((drawn, text, place));
    }
    for (drawn, text, [left, top, width, height]) in labels.into_iter().rev() {
        canvas.fill((left, top), (width, height), colour(drawn));
        letters.write(&mut canvas, (left, top), &text, ink_on(colour(drawn)));
    }
    canvas.png()
}

fn colour(drawn: &DrawnBox) -> Rgb {
    class_colour((drawn.class % 256) as u8)
}

/// The pixels just inside corners.
fn field(corners: [f64; 4], (width, height): (usize, usize)) -> Field {
    let at = |place: f64, side: usize| (place.max(0.0) as usize).min(side - 1);
    let (left, top) = (at(corners[0], width), at(corners[1], height));
    let (right, bottom) = (at(corners[2].ceil() - 1.0, width), at(corners[3].ceil() - 1.0, height));
    [left, top, (right + 1).saturating_sub(left), (bottom + 1).saturating_sub(top)]
}

/// Where a label of this size stands: above its box, within it, below it, or at its lower end, the first that lies in the picture and
/// on no other label.
fn place_of_label(
    [left, top, _, tall]: Field,
    (width, height): (usize, usize),
    (most_x, most_y): (usize, usize),
    taken: &[Field],
) -> Field {
    let left = left.min(most_x.saturating_sub(width));
    let bottom = top + tall;
    let tops = [top.checked_sub(height), Some(top), Some(bottom), bottom.checked_sub(height)];
    let fits = tops.into_iter().flatten().filter(|top| top + height <= most_y).map(|top| [left, top, width, height]);
    let mut fits = fits.peekable();
    let first = fits.peek().copied();
    let free = fits.find(|field| taken.iter().all(|other| !overlap(field, other)));
    free.or(first).unwrap_or([left, 0, width, height])
}

fn overlap(a: &Field, b: &Field) -> bool {
    let along = |side: usize| a[side] < b[side] + b[side + 2] && b[side] < a[side] + a[side + 2];
    along(0) && along(1)
}

/// A line at the edge of a field, beside a thin dark one, so that it is seen on any ground.
fn outline(canvas: &mut Canvas, [left, top, wide, tall]: Field, drawn: &DrawnBox) {
    let (width, height) = canvas.size();
    let line = (width.min(height) / LINE_PER_SIDE).max(1);
    let colour = colour(drawn);
    for y in 0..tall {
        for x in 0..wide {
            let inside = x.min(wide - 1 - x).min(y.min(tall - 1 - y));
            let dash = drawn.dashed && ((left + x + top + y) / (4 * line)) % 2 == 1;
            let colour = match () {
                () if inside < line && !dash => colour,
                () if inside < line => [255; 3],
                () if inside == line => colour.map(|sample| sample / 3),
                () => continue,
            };
            canvas.cover((left + x, top + y), colour, 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::fixtures::decoded;

    fn drawn(corners: [f64; 4], name: &str, score: Option<f64>) -> DrawnBox {
        DrawnBox { corners, class: 3, name: name.to_owned(), score, dashed: false }
    }

    #[test]
    fn lines_lie_just_inside_their_corners() {
        let picture = Pixels::filled(20, 10, 1, &[100]);
        let boxes = [drawn([4.0, 2.0, 14.0, 9.0], "", None)];
        let seen = decoded(&draw_boxes(&picture, &boxes, 96).unwrap(), 3).unwrap();
        for place in [(4, 2), (13, 2), (4, 8), (13, 8), (9, 2), (4, 5)] {
            assert_eq!(seen.pixel(place.0, place.1), class_colour(3), "{place:?}");
        }
        for place in [(3, 2), (14, 5), (9, 9), (8, 5)] {
            assert_eq!(seen.pixel(place.0, place.1), [100; 3], "{place:?}");
        }
        // Half as large.
        let seen = decoded(&draw_boxes(&picture, &boxes, 10).unwrap(), 3).unwrap();
        assert_eq!((seen.width(), seen.height(), seen.pixel(2, 1)), (10, 5, &class_colour(3)[..]));
    }

    #[test]
    fn boxes_say_what_they_are() {
        let picture = Pixels::filled(200, 100, 3, &[100; 3]);
        let of =
            |name: &str, score| draw_boxes(&picture, &[drawn([50.0, 40.0, 120.0, 90.0], name, score)], 200).unwrap();
        let seen = decoded(&of("stop", Some(0.93)), 3).unwrap();
        // Above the box and as wide as its words, on its colour.
        assert_eq!(seen.pixel(50, 39 - 12), class_colour(3));
        assert_eq!((seen.pixel(49, 35), seen.pixel(50, 26)), (&[100u8; 3][..], &[100u8; 3][..]));
        let (ground, ink) = (class_colour(3), ink_on(class_colour(3)));
        let is_ink = |pixel: &[u8]| (0..3).all(|it| pixel[it].abs_diff(ink[it]) <= ground[it].abs_diff(ink[it]) / 2);
        assert!((50..110).any(|x| (27..40).any(|y| is_ink(seen.pixel(x, y)))), "letters");
        let all = [of("stop", Some(0.93)), of("stop", Some(0.92)), of("slow", Some(0.93)), of("stop", None)];
        for (place, one) in all.iter().enumerate() {
            assert!(all[..place].iter().all(|other| other != one), "{place}");
        }
    }

    #[test]
    fn labels_stand_in_the_picture_and_beside_each_other() {
        let place = |field, taken: &[Field]| place_of_label(field, (40, 10), (100, 60), taken);
        assert_eq!(place([20, 30, 30, 20], &[]), [20, 20, 40, 10], "above");
        assert_eq!(place([80, 30, 10, 20], &[]), [60, 20, 40, 10], "not beyond the right edge");
        assert_eq!(place([20, 4, 30, 20], &[]), [20, 4, 40, 10], "within");
        assert_eq!(place([20, 4, 30, 20], &[[0, 0, 30, 10]]), [20, 24, 40, 10], "below");
        assert_eq!(place([20, 4, 30, 56], &[[0, 0, 30, 10]]), [20, 50, 40, 10], "at the lower end");
        assert_eq!(place([20, 30, 30, 20], &[[0, 0, 100, 60]]), [20, 20, 40, 10], "where all is taken");
    }

    #[test]
    fn a_picture_that_is_smaller_than_words_is_drawn_all_the_same() {
        for (width, height) in [(1, 1), (3, 9), (40, 5)] {
            let picture = Pixels::filled(width, height, 1, &[100]);
            let all = [drawn([0.0, 0.0, width as f64, height as f64], "a long name", Some(1.0))];
            let seen = decoded(&draw_boxes(&picture, &all, 500).unwrap(), 3).unwrap();
            assert_eq!((seen.width(), seen.height()), (width, height));
        }
    }
}

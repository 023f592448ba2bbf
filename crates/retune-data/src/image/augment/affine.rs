//! Rotation, shear and translation about the middle, with bilinear sampling.

use crate::image::Pixels;
use crate::image::moves::{Matrix, Moves};

/// Turns by `degrees`, counter-clockwise. This and the others lead from a target pixel to where it comes from, about the
/// middle of the image.
pub(super) fn rotation(degrees: f64) -> Matrix {
    let (sin, cos) = degrees.to_radians().sin_cos();
    [cos, -sin, 0.0, sin, cos, 0.0]
}

/// Moves rows sideways by `amount` of their distance from the middle.
pub(super) fn shear_x(amount: f64) -> Matrix {
    [1.0, amount, 0.0, 0.0, 1.0, 0.0]
}

/// Moves columns up or down by `amount` of their distance from the middle.
pub(super) fn shear_y(amount: f64) -> Matrix {
    [1.0, 0.0, 0.0, amount, 1.0, 0.0]
}

/// Moves by whole pixels, to the right and down.
pub(super) fn translation(right: isize, down: isize) -> Matrix {
    [1.0, 0.0, -right as f64, 0.0, 1.0, -down as f64]
}

/// The image after such a move; what comes from outside is `fill`.
pub(super) fn transform(image: &Pixels, matrix: Matrix, fill: &[u8], moves: &mut Moves) -> Pixels {
    moves.about_middle(matrix);
    let [a, b, c, d, e, f] = matrix;
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let (middle_x, middle_y) = ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
    let mut out = Pixels::filled(width, height, channels, fill);
    for y in 0..height {
        let from_y = y as f64 - middle_y;
        for x in 0..width {
            let from_x = x as f64 - middle_x;
            let source_x = a * from_x + b * from_y + c + middle_x;
            let source_y = d * from_x + e * from_y + f + middle_y;
            let inside = source_x > -1.0 && source_y > -1.0 && source_x < width as f64 && source_y < height as f64;
            if inside {
                let start = (y * width + x) * channels;
                sample(image, source_x, source_y, &mut out.data_mut()[start..start + channels]);
            }
        }
    }
    out
}

/// Blends the four pixels around a point into `into`, which holds the fill: what lies outside.
fn sample(image: &Pixels, x: f64, y: f64, into: &mut [u8]) {
    let (left, top) = (x.floor(), y.floor());
    let (right_share, lower_share) = (x - left, y - top);
    let pixel = |dx: f64, dy: f64| {
        let (x, y) = (left + dx, top + dy);
        let inside = x >= 0.0 && y >= 0.0 && x < image.width() as f64 && y < image.height() as f64;
        inside.then(|| image.pixel(x as usize, y as usize))
    };
    let corners = [pixel(0.0, 0.0), pixel(1.0, 0.0), pixel(0.0, 1.0), pixel(1.0, 1.0)];
    let weights = [
        (1.0 - right_share) * (1.0 - lower_share),
        right_share * (1.0 - lower_share),
        (1.0 - right_share) * lower_share,
        right_share * lower_share,
    ];
    for (channel, sample) in into.iter_mut().enumerate() {
        let fill = f64::from(*sample);
        let values = corners.iter().map(|corner| corner.map_or(fill, |pixel| f64::from(pixel[channel])));
        *sample = values.zip(weights).map(|(value, weight)| value * weight).sum::<f64>().round() as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Pixels {
        Pixels::new(3, 3, 1, vec![1, 2, 3, 4, 5, 6, 7, 8, 9])
    }

    fn moved(matrix: Matrix, fill: u8) -> Pixels {
        transform(&ramp(), matrix, &[fill], &mut Moves::of(3, 3))
    }

    #[test]
    fn quarter_turns_and_shifts_move_whole_pixels() {
        assert_eq!(moved(rotation(0.0), 0), ramp());
        assert_eq!(moved(rotation(90.0), 0).data(), [3, 6, 9, 2, 5, 8, 1, 4, 7]);
        assert_eq!(moved(rotation(-90.0), 0).data(), [7, 4, 1, 8, 5, 2, 9, 6, 3]);
        assert_eq!(moved(translation(1, 0), 50).data(), [50, 1, 2, 50, 4, 5, 50, 7, 8]);
        assert_eq!(moved(translation(0, -2), 50).data(), [7, 8, 9, 50, 50, 50, 50, 50, 50]);
    }

    #[test]
    fn shears_keep_the_middle_and_blend() {
        assert_eq!(moved(shear_x(1.0), 0).data(), [0, 1, 2, 4, 5, 6, 8, 9, 0]);
        assert_eq!(moved(shear_y(1.0), 0).row(1), [1, 5, 9]);
        // Half a pixel: the mean of two neighbours.
        assert_eq!(moved(shear_x(0.5), 0).row(2), [8, 9, 5]);
    }
}

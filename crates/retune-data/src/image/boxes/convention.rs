//! What the four numbers of a box mean.

use std::fmt;
use std::str::FromStr;

/// A convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoxConvention {
    /// Left, top, width, height in pixels (COCO).
    Sides,
    /// Left, top, right, bottom in pixels (Pascal VOC).
    Corners,
    /// Middle, width, height in pixels (CreateML).
    Centre,
    /// Left, top, width, height as shares of the image.
    SidesOfOne,
    /// Left, top, right, bottom as shares of the image.
    CornersOfOne,
    /// Middle, width, height as shares of the image (YOLO).
    CentreOfOne,
}

const ALL: [(BoxConvention, &str, &str); 6] = [
    (BoxConvention::Sides, "xywh", "left, top, width, height in pixels"),
    (BoxConvention::Corners, "xyxy", "left, top, right, bottom in pixels"),
    (BoxConvention::Centre, "cxcywh", "middle, width, height in pixels"),
    (BoxConvention::CentreOfOne, "cxcywhn", "middle, width, height as shares of the image"),
    (BoxConvention::CornersOfOne, "xyxyn", "left, top, right, bottom as shares of the image"),
    (BoxConvention::SidesOfOne, "xywhn", "left, top, width, height as shares of the image"),
];
/// Pixels, and share of a side, by which a box may hang over: annotators round.
const SLACK: (f64, f64) = (1.5, 0.005);

impl BoxConvention {
    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|(convention, ..)| *convention)
    }

    /// What the numbers are, in words.
    pub(super) fn words(self) -> &'static str {
        ALL.iter().find(|(it, ..)| *it == self).map_or("", |(_, _, words)| words)
    }

    fn of_one(self) -> bool {
        matches!(self, Self::SidesOfOne | Self::CornersOfOne | Self::CentreOfOne)
    }

    /// Left, top, right and bottom in pixels.
    pub(super) fn corners(self, numbers: [f64; 4], (width, height): (usize, usize)) -> [f64; 4] {
        let (x, y) = if self.of_one() { (width as f64, height as f64) } else { (1.0, 1.0) };
        let [a, b, c, d] = [numbers[0] * x, numbers[1] * y, numbers[2] * x, numbers[3] * y];
        match self {
            Self::Sides | Self::SidesOfOne => [a, b, a + c, b + d],
            Self::Corners | Self::CornersOfOne => [a, b, c, d],
            Self::Centre | Self::CentreOfOne => [a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0],
        }
    }

    /// Whether numbers give a box inside an image, as far as one can tell.
    pub(super) fn fits(self, numbers: [f64; 4], size: (usize, usize)) -> bool {
        // Boxes of parts of a pixel are shares that were taken for pixels.
        let tiny =
            !self.of_one() && numbers.iter().all(|number| (0.0..=1.0).contains(number)) && size.0.min(size.1) > 2;
        !tiny && problem(self.corners(numbers, size), size).is_none()
    }
}

/// What is wrong with corners in an image, as a phrase that follows the box.
pub(super) fn problem([left, top, right, bottom]: [f64; 4], (width, height): (usize, usize)) -> Option<&'static str> {
    let (w, h) = (width as f64, height as f64);
    let (x, y) = (SLACK.0.max(w * SLACK.1), SLACK.0.max(h * SLACK.1));
    match () {
        () if ![left, top, right, bottom].iter().all(|it| it.is_finite()) => Some("is not finite"),
        () if right <= left || bottom <= top => Some("has no area"),
        () if left >= w || top >= h || right <= 0.0 || bottom <= 0.0 => Some("lies outside the image"),
        () if left < -x || top < -y || right > w + x || bottom > h + y => Some("reaches outside the image"),
        () => None,
    }
}

/// The share of a box that must lie inside its image for the rest to be cut off.
const LEAST_INSIDE: f64 = 0.5;

/// What lies inside an image of corners that reach over its edge, where that is most of them.
pub(super) fn cut([left, top, right, bottom]: [f64; 4], (width, height): (usize, usize)) -> Option<[f64; 4]> {
    let inside = [left.max(0.0), top.max(0.0), right.min(width as f64), bottom.min(height as f64)];
    let area = |[left, top, right, bottom]: [f64; 4]| (right - left).max(0.0) * (bottom - top).max(0.0);
    let share = area(inside) / area([left, top, right, bottom]);
    let is_finite = [left, top, right, bottom].iter().all(|side| side.is_finite());
    (is_finite && share >= LEAST_INSIDE).then_some(inside)
}

impl FromStr for BoxConvention {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = ALL.iter().find(|(_, known, _)| *known == name);
        found.map(|(convention, ..)| *convention).ok_or_else(|| {
            let known: Vec<&str> = ALL.iter().map(|(_, name, _)| *name).collect();
            format!("`{name}` is not one of {}", known.join(", "))
        })
    }
}

impl fmt::Display for BoxConvention {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(ALL.iter().find(|(it, ..)| it == self).map_or("", |(_, name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mostly_inside_is_cut() {
        let size = (100, 50);
        assert_eq!(cut([90.0, -2.0, 104.0, 20.0], size), Some([90.0, 0.0, 100.0, 20.0]));
        assert_eq!(cut([90.0, 0.0, 111.0, 20.0], size), None, "more than half is outside");
        for none in [[5.0, 5.0, 5.0, 9.0], [f64::NAN, 0.0, 9.0, 9.0], [0.0, 0.0, f64::INFINITY, 9.0]] {
            assert_eq!(cut(none, size), None);
        }
    }

    #[test]
    fn one_box_in_every_convention() {
        let size = (200, 100);
        for (name, numbers) in [
            ("xywh", [20.0, 10.0, 100.0, 50.0]),
            ("xyxy", [20.0, 10.0, 120.0, 60.0]),
            ("cxcywh", [70.0, 35.0, 100.0, 50.0]),
            ("xywhn", [0.1, 0.1, 0.5, 0.5]),
            ("xyxyn", [0.1, 0.1, 0.6, 0.6]),
            ("cxcywhn", [0.35, 0.35, 0.5, 0.5]),
        ] {
            let convention: BoxConvention = name.parse().unwrap();
            assert_eq!(convention.to_string(), name);
            let corners = convention.corners(numbers, size);
            assert!(corners.iter().zip([20.0, 10.0, 120.0, 60.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{name}");
            assert!(convention.fits(numbers, size));
        }
        assert!(!BoxConvention::Sides.fits([0.1, 0.1, 0.5, 0.5], size), "shares are no pixels");
        assert!(BoxConvention::Sides.fits([190.0, 0.0, 11.0, 100.0], size), "annotators round");
        assert!(!BoxConvention::Sides.fits([190.0, 0.0, 20.0, 100.0], size));
        assert!("yolo".parse::<BoxConvention>().unwrap_err().contains("cxcywhn"));
    }
}

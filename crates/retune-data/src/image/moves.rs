//! Where the pixels of an image went on their way to a model: what masks and boxes need to go along.
//!
//! Coordinates are continuous: a pixel `i` covers `i..i + 1`.

/// From a place behind a step to the place before it: `x' = a·x + b·y + c`, `y' = d·x + e·y + f`.
pub(crate) type Matrix = [f64; 6];

/// One step.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    back: Matrix,
    /// Width and height before it; what comes from outside was filled.
    frame: (usize, usize),
}

/// All steps from an image as it was decoded to one that a model reads, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moves {
    /// Width and height now.
    size: (usize, usize),
    steps: Vec<Step>,
}

impl Moves {
    /// None yet.
    pub fn of(width: usize, height: usize) -> Self {
        Self { size: (width, height), steps: Vec::new() }
    }

    /// From one width and height to another.
    pub fn scaling(from: (usize, usize), to: (usize, usize)) -> Self {
        let mut moves = Self::of(from.0, from.1);
        moves.resize(to.0, to.1);
        moves
    }

    /// Width and height behind all steps.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    fn then(&mut self, back: Matrix, size: (usize, usize)) {
        self.steps.push(Step { back, frame: self.size });
        self.size = size;
    }

    /// Scaled.
    pub(crate) fn resize(&mut self, width: usize, height: usize) {
        let (from_width, from_height) = self.size;
        if (width, height) != self.size {
            let (x, y) = (from_width as f64 / width as f64, from_height as f64 / height as f64);
            self.then([x, 0.0, 0.0, 0.0, y, 0.0], (width, height));
        }
    }

    /// Cut to a window, which may hang over.
    pub(crate) fn window(&mut self, left: isize, top: isize, width: usize, height: usize) {
        self.then([1.0, 0.0, left as f64, 0.0, 1.0, top as f64], (width, height));
    }

    /// Left and right mirrored.
    pub(crate) fn flip_horizontally(&mut self) {
        self.then([-1.0, 0.0, self.size.0 as f64, 0.0, 1.0, 0.0], self.size);
    }

    /// Top and bottom mirrored.
    pub(crate) fn flip_vertically(&mut self) {
        self.then([1.0, 0.0, 0.0, 0.0, -1.0, self.size.1 as f64], self.size);
    }

    /// Turned, sheared or shifted about the middle by a matrix that leads back.
    pub(crate) fn about_middle(&mut self, [a, b, c, d, e, f]: Matrix) {
        let (x, y) = (self.size.0 as f64 / 2.0, self.size.1 as f64 / 2.0);
        self.then([a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y], self.size);
    }

    /// Where a place came from; `None` for what was filled.
    pub fn source(&self, mut x: f64, mut y: f64) -> Option<(f64, f64)> {
        for Step { back: [a, b, c, d, e, f], frame } in self.steps.iter().rev() {
            (x, y) = (a * x + b * y + c, d * x + e * y + f);
            if !(x >= 0.0 && y >= 0.0 && x < frame.0 as f64 && y < frame.1 as f64) {
                return None;
            }
        }
        Some((x, y))
    }

    /// The upright box around what is left of a box (left, top, right, bottom) behind all steps, and the share of its area that
    /// is left; `None` where nothing is. What was outside of the image counts in neither.
    pub fn carry(&self, [left, top, right, bottom]: [f64; 4]) -> Option<([f64; 4], f64)> {
        let first = self.steps.first().map_or(self.size, |step| step.frame);
        let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom)];
        let mut outline = clipped(corners, first);
        let mut left = 1.0;
        for (number, step) in self.steps.iter().enumerate() {
            let [a, b, c, d, e, f] = step.back;
            let determinant = a * e - b * d;
            // The way there is the inverse of the way back.
            let forward = |&(x, y): &(f64, f64)| {
                let (x, y) = (x - c, y - f);
                ((e * x - b * y) / determinant, (a * y - d * x) / determinant)
            };
            let moved: Vec<(f64, f64)> = outline.iter().map(forward).collect();
            let whole = area(&moved);
            outline = clipped(moved, self.steps.get(number + 1).map_or(self.size, |next| next.frame));
            left *= if whole > 0.0 { area(&outline) / whole } else { 0.0 };
        }
        let found = bounds(&outline).filter(|[x, y, right, bottom]| right > x && bottom > y);
        found.map(|corners| (corners, left))
    }

    /// The upright box around where a box behind all steps came from, which may lie outside of the image.
    pub fn back(&self, [left, top, right, bottom]: [f64; 4]) -> [f64; 4] {
        let mut corners = [(left, top), (right, top), (right, bottom), (left, bottom)];
        for Step { back: [a, b, c, d, e, f], .. } in self.steps.iter().rev() {
            corners = corners.map(|(x, y)| (a * x + b * y + c, d * x + e * y + f));
        }
        bounds(&corners).unwrap_or_default()
    }

    /// The cells of the image before all steps, row by row, as they lie behind them: each the nearest one, `fill` where
    /// nothing was. Panics where they are not as many as the image has pixels.
    pub fn pick(&self, cells: &[u8], fill: u8) -> Vec<u8> {
        let (width, height) = self.steps.first().map_or(self.size, |step| step.frame);
        assert_eq!(cells.len(), width * height, "a cell for each pixel");
        if self.steps.is_empty() {
            return cells.to_vec();
        }
        let (to_width, to_height) = self.size;
        let middle = |place: usize| place as f64 + 0.5;
        let mut picked = Vec::with_capacity(to_width * to_height);
        if self.steps.iter().all(|step| step.back[1] == 0.0 && step.back[3] == 0.0) {
            // Columns and rows go their own ways.
            let column = |x: usize| self.along(middle(x), |step| (step.back[0], step.back[2], step.frame.0));
            let row = |y: usize| self.along(middle(y), |step| (step.back[4], step.back[5], step.frame.1));
            let columns: Vec<Option<usize>> = (0..to_width).map(column).collect();
            for y in (0..to_height).map(row) {
                picked.extend(columns.iter().map(|x| y.zip(*x).map_or(fill, |(y, x)| cells[y * width + x])));
            }
            return picked;
        }
        for y in 0..to_height {
            let cell =
                |x: usize| self.source(middle(x), middle(y)).map(|(x, y)| cells[y as usize * width + x as usize]);
            picked.extend((0..to_width).map(|x| cell(x).unwrap_or(fill)));
        }
        picked
    }

    fn along(&self, mut place: f64, of: impl Fn(&Step) -> (f64, f64, usize)) -> Option<usize> {
        for step in self.steps.iter().rev() {
            let (scale, shift, length) = of(step);
            place = scale * place + shift;
            if !(place >= 0.0 && place < length as f64) {
                return None;
            }
        }
        Some(place as usize)
    }
}

/// The part of a convex outline that lies in a frame (Sutherland & Hodgman 1974).
fn clipped(mut outline: Vec<(f64, f64)>, (width, height): (usize, usize)) -> Vec<(f64, f64)> {
    // How far a point is inside of each side.
    type Side = fn((f64, f64), (f64, f64)) -> f64;
    let sides: [Side; 4] = [|(x, _), _| x, |(_, y), _| y, |(x, _), (w, _)| w - x, |(_, y), (_, h)| h - y];
    let frame = (width as f64, height as f64);
    for inside in sides {
        let mut kept = Vec::with_capacity(outline.len() + 1);
        for (i, &point) in outline.iter().enumerate() {
            let before = outline[(i + outline.len() - 1) % outline.len()];
            let (here, there) = (inside(point, frame), inside(before, frame));
            if (here < 0.0) != (there < 0.0) {
                let share = there / (there - here);
                kept.push((before.0 + share * (point.0 - before.0), before.1 + share * (point.1 - before.1)));
            }
            if here >= 0.0 {
                kept.push(point);
            }
        }
        outline = kept;
    }
    outline
}

/// Of an outline (the shoelace formula).
fn area(outline: &[(f64, f64)]) -> f64 {
    let next = outline.iter().cycle().skip(1);
    outline.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum::<f64>().abs() / 2.0
}

/// Left, top, right and bottom of points.
fn bounds(points: &[(f64, f64)]) -> Option<[f64; 4]> {
    let &(x, y) = points.first()?;
    let around = points.iter().fold([x, y, x, y], |[left, top, right, bottom], &(x, y)| {
        [left.min(x), top.min(y), right.max(x), bottom.max(y)]
    });
    Some(around)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_go_where_pixels_go() {
        let cells: Vec<u8> = (1..=12).collect(); // 4 × 3
        let mut moves = Moves::of(4, 3);
        assert_eq!(moves.pick(&cells, 0), cells);
        moves.flip_horizontally();
        assert_eq!(moves.pick(&cells, 0)[..4], [4, 3, 2, 1]);
        moves.window(1, -1, 2, 3);
        assert_eq!(moves.pick(&cells, 0), [0, 0, 3, 2, 7, 6]);
        moves.resize(4, 6);
        assert_eq!(moves.pick(&cells, 9)[8..16], [3, 3, 2, 2, 3, 3, 2, 2]);
        assert_eq!(moves.pick(&cells, 9)[..8], [9; 8]);
        assert_eq!(moves.size(), (4, 6));
    }

    #[test]
    fn what_left_the_frame_does_not_come_back() {
        let cells: Vec<u8> = (1..=9).collect();
        let mut moves = Moves::of(3, 3);
        moves.about_middle([1.0, 0.0, -1.0, 0.0, 1.0, 0.0]); // to the right
        moves.about_middle([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]); // and back
        assert_eq!(moves.pick(&cells, 0), [1, 2, 0, 4, 5, 0, 7, 8, 0]);
        let mut moves = Moves::of(3, 3);
        moves.about_middle([0.0, -1.0, 0.0, 1.0, 0.0, 0.0]); // a quarter turn
        assert_eq!(moves.pick(&cells, 0), [3, 6, 9, 2, 5, 8, 1, 4, 7]);
    }

    #[test]
    fn boxes_are_carried_and_brought_back() {
        let mut moves = Moves::of(40, 20);
        assert_eq!(moves.carry([4.0, 2.0, 14.0, 12.0]), Some(([4.0, 2.0, 14.0, 12.0], 1.0)));
        moves.flip_horizontally();
        moves.window(20, 0, 20, 20); // the right half of the mirrored image: the left one
        moves.resize(40, 60);
        let (corners, left) = moves.carry([4.0, 2.0, 14.0, 12.0]).unwrap();
        assert!((left - 1.0).abs() < 1e-9);
        for (found, expected) in corners.iter().zip([12.0, 6.0, 32.0, 36.0]) {
            assert!((found - expected).abs() < 1e-9, "{corners:?}");
        }
        for (found, expected) in moves.back(corners).iter().zip([4.0, 2.0, 14.0, 12.0]) {
            assert!((found - expected).abs() < 1e-9);
        }
        // A quarter of it is left of the cut; nothing of the last one is.
        let (corners, left) = moves.carry([15.0, 0.0, 35.0, 10.0]).unwrap();
        assert!((left - 0.25).abs() < 1e-9 && corners[0].abs() < 1e-9, "{corners:?} {left}");
        assert_eq!(moves.carry([21.0, 0.0, 30.0, 10.0]), None);
        // A quarter turn about the middle.
        let mut moves = Moves::of(20, 20);
        moves.about_middle([0.0, -1.0, 0.0, 1.0, 0.0, 0.0]);
        let (corners, left) = moves.carry([0.0, 0.0, 10.0, 4.0]).unwrap();
        assert!((left - 1.0).abs() < 1e-9 && (corners[3] - corners[1] - 10.0).abs() < 1e-9, "{corners:?}");
    }
}

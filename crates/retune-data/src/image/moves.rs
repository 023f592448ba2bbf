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
}

//! How much each place of a row counts, to be shown over its picture.

/// A grid of cells, 0 for the least and 255 for the most of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeatMap {
    width: usize,
    height: usize,
    cells: Vec<u8>,
}

impl HeatMap {
    /// Scales `values`, row by row, so that the least is cold and the largest hot; all is cold where none stands out.
    ///
    /// # Panics
    /// There are not `height · width` values.
    pub fn new(height: usize, width: usize, values: &[f32]) -> Self {
        assert_eq!(height * width, values.len(), "the grid must fit the values");
        let least = values.iter().copied().fold(f32::INFINITY, f32::min);
        let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let range = most - least;
        // A difference of rounding says nothing.
        let stands_out = range.is_finite() && range > 1e-5 * most.abs();
        let cell = |value: &f32| if stands_out { ((value - least) / range * 255.0).round() as u8 } else { 0 };
        Self { width, height, cells: values.iter().map(cell).collect() }
    }

    /// Cells in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The cells, row by row.
    pub fn cells(&self) -> &[u8] {
        &self.cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_cold_and_the_most_is_hot() {
        assert_eq!(HeatMap::new(1, 3, &[2.0, 3.0, 4.0]).cells(), [0, 128, 255]);
        assert_eq!(HeatMap::new(2, 1, &[0.25, 0.250_000_1]).cells(), [0, 0]);
        assert_eq!(HeatMap::new(1, 2, &[f32::NAN, f32::INFINITY]).cells(), [0, 0]);
    }
}

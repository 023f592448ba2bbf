//! An object in an image.

/// An object of one image, in pixels of the image as it was decoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageObject {
    /// Its place among the classes.
    pub class: usize,
    /// Left, top, right and bottom.
    pub corners: [f64; 4],
    /// As the file says, of its outline where it has one; by this it is small or large.
    pub area: f64,
    /// Many objects under one box: nothing is learnt of them, and what is found there is neither right nor wrong.
    pub crowd: bool,
}

impl ImageObject {
    /// Left, top, width and height.
    pub fn sides(&self) -> [f64; 4] {
        let [left, top, right, bottom] = self.corners;
        [left, top, right - left, bottom - top]
    }
}

//! Decoded images: 8-bit samples, channels last.

/// An image of 8-bit samples in rows of pixels (H, W, C), one channel (grey) or three (RGB).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    width: usize,
    height: usize,
    channels: usize,
    data: Vec<u8>,
}

impl Pixels {
    /// Panics when `data` is not `width · height · channels` samples: all come from this workspace.
    pub fn new(width: usize, height: usize, channels: usize, data: Vec<u8>) -> Self {
        assert_eq!(width * height * channels, data.len(), "the size must fit the samples");
        Self { width, height, channels, data }
    }

    /// An image of one colour, which is cut or repeated to the channels.
    pub(crate) fn filled(width: usize, height: usize, channels: usize, colour: &[u8]) -> Self {
        let pixel: Vec<u8> = colour.iter().copied().cycle().take(channels).collect();
        Self::new(width, height, channels, pixel.repeat(width * height))
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Samples per pixel.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The samples, row by row, channels last.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    pub(crate) fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// Samples of row `y`.
    pub(crate) fn row(&self, y: usize) -> &[u8] {
        &self.data[y * self.width * self.channels..(y + 1) * self.width * self.channels]
    }

    /// Samples of one pixel.
    pub(crate) fn pixel(&self, x: usize, y: usize) -> &[u8] {
        &self.row(y)[x * self.channels..(x + 1) * self.channels]
    }

    /// The window of `width × height` pixels whose corner is at (`left`, `top`), which may lie
    /// outside; what is outside is 0.
    pub(crate) fn window(&self, left: isize, top: isize, width: usize, height: usize) -> Self {
        let mut data = vec![0; width * height * self.channels];
        let first = left.max(0);
        let last = left.saturating_add_unsigned(width).min(self.width as isize);
        for (y, into) in (top..).zip(data.chunks_exact_mut((width * self.channels).max(1))) {
            if y < 0 || y >= self.height as isize || first >= last {
                continue;
            }
            let from = &self.row(y as usize)[first as usize * self.channels..last as usize * self.channels];
            let start = (first - left) as usize * self.channels;
            into[start..start + from.len()].copy_from_slice(from);
        }
        Self::new(width, height, self.channels, data)
    }

    /// Puts an image of as many channels at (`left`, `top`), where it has room.
    pub(crate) fn paste(&mut self, image: &Self, left: usize, top: usize) {
        let (stride, length) = (self.width * self.channels, image.width * self.channels);
        for y in 0..image.height {
            let start = (top + y) * stride + left * self.channels;
            self.data[start..start + length].copy_from_slice(image.row(y));
        }
    }

    /// Mirrors left and right.
    pub(crate) fn flip_horizontally(&mut self) {
        let channels = self.channels;
        for row in self.data.chunks_exact_mut((self.width * channels).max(1)) {
            // Reversed samples are reversed pixels whose channels are reversed too.
            row.reverse();
            row.chunks_exact_mut(channels).for_each(<[u8]>::reverse);
        }
    }

    /// Mirrors top and bottom.
    pub(crate) fn flip_vertically(&mut self) {
        let stride = self.width * self.channels;
        for y in 0..self.height / 2 {
            let (top, bottom) = self.data.split_at_mut((self.height - 1 - y) * stride);
            top[y * stride..(y + 1) * stride].swap_with_slice(&mut bottom[..stride]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_may_hang_over() {
        let image = Pixels::new(3, 2, 1, vec![1, 2, 3, 4, 5, 6]);
        assert_eq!(image.window(1, 0, 2, 2).data(), [2, 3, 5, 6]);
        assert_eq!(image.window(-1, -1, 3, 2).data(), [0, 0, 0, 0, 1, 2]);
        assert_eq!(image.window(2, 1, 2, 2).data(), [6, 0, 0, 0]);
        assert_eq!(image.window(5, 5, 1, 1).data(), [0]);
    }

    #[test]
    fn flips_keep_channels_in_order() {
        let mut image = Pixels::new(2, 3, 3, (0..18).collect());
        image.flip_horizontally();
        assert_eq!(image.row(0), [3, 4, 5, 0, 1, 2]);
        image.flip_vertically();
        assert_eq!(image.row(2), [3, 4, 5, 0, 1, 2]);
        assert_eq!(image.row(1), [9, 10, 11, 6, 7, 8]);
        assert_eq!(image.pixel(1, 0), [12, 13, 14]);
    }
}

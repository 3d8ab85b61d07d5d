//! A row of samples as a decoder gives it, made RGB.

/// How a pixel's samples lie in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Samples {
    /// Grey, grey and alpha, RGB, or RGB and alpha: 1 to 4.
    pub(super) channels: usize,
    /// Bytes of a sample: 1 or 2.
    pub(super) bytes: usize,
    /// Which of them is the high one.
    pub(super) high: usize,
}

impl Samples {
    /// Bytes of a pixel.
    pub(super) fn pixel(self) -> usize {
        self.channels * self.bytes
    }

    /// Appends a row's pixels as RGB: grey three times, without alpha, of 16 bits the high byte.
    pub(super) fn append_rgb(self, row: &[u8], rgb: &mut Vec<u8>) {
        let Self { channels, bytes, high } = self;
        if (channels, bytes) == (3, 1) {
            rgb.extend_from_slice(row);
            return;
        }
        let at = if channels < 3 { [high; 3] } else { [0, 1, 2].map(|i| i * bytes + high) };
        rgb.extend(row.chunks_exact(self.pixel()).flat_map(|pixel| at.map(|i| pixel[i])));
    }
}

//! A picture as a canvas shows it: the pixels that the network is given, made smaller where there are many.

use retinanet::image::Image;
use wasm_bindgen::prelude::*;

/// The picture in a file, upright, at most so many pixels long.
#[wasm_bindgen]
pub struct Preview {
    width: usize,
    height: usize,
    factor: usize,
    rgba: Vec<u8>,
}

#[wasm_bindgen]
impl Preview {
    /// The picture's own width in pixels.
    #[wasm_bindgen(getter)]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The picture's own height in pixels.
    #[wasm_bindgen(getter)]
    pub fn height(&self) -> usize {
        self.height
    }

    /// So many pixels, across and down, became one; of the last column and row perhaps fewer.
    #[wasm_bindgen(getter)]
    pub fn factor(&self) -> usize {
        self.factor
    }

    /// Red, green, blue and an alpha of 255 for each pixel, rows from the top.
    pub fn rgba(&self) -> Vec<u8> {
        self.rgba.clone()
    }
}

impl Preview {
    /// Means over squares, no more than `longest` of them along the longer side.
    pub fn of(image: &Image, longest: usize) -> Self {
        let (width, height) = (image.width(), image.height());
        let factor = width.max(height).div_ceil(longest.max(1));
        let mut rgba = Vec::with_capacity(width.div_ceil(factor) * height.div_ceil(factor) * 4);
        for rows in image.as_rgb8().chunks(width * 3 * factor) {
            for left in (0..width).step_by(factor) {
                let across = left * 3..(left + factor).min(width) * 3;
                let (mut sum, mut pixels) = ([0u64; 3], 0);
                for row in rows.chunks_exact(width * 3) {
                    for pixel in row[across.clone()].chunks_exact(3) {
                        (0..3).for_each(|channel| sum[channel] += u64::from(pixel[channel]));
                        pixels += 1;
                    }
                }
                rgba.extend(sum.map(|sum| ((sum + pixels / 2) / pixels) as u8));
                rgba.push(u8::MAX);
            }
        }
        Self { width, height, factor, rgba }
    }
}

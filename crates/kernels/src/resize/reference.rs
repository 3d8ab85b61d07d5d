//! The obvious version: one output value at a time. The fast one must equal it to the bit.

use super::axis::Axis;
use super::normalisation::Normalisation;
use super::spec::ResizeSpec;
use crate::Result;

/// [`resize_normalised`](super::resize_normalised), one value at a time on one thread.
///
/// # Errors
///
/// As [`resize_normalised`](super::resize_normalised).
pub fn resize_normalised(
    spec: &ResizeSpec,
    normalisation: &Normalisation,
    rgb: &[u8],
    output: &mut [f32],
) -> Result<()> {
    spec.check_lengths(rgb, output)?;
    let [source_height, source_width] = spec.source();
    let [height, width] = spec.resized();
    let [padded_height, padded_width] = spec.padded();
    output.fill(0.0);
    for channel in 0..3 {
        let pixel = |y: usize, x: usize| {
            normalisation.channel(channel)[usize::from(rgb[(y * source_width + x) * 3 + channel])]
        };
        for y in 0..height {
            for x in 0..width {
                let vertical = Axis::new(source_height, height).tap(y);
                let horizontal = Axis::new(source_width, width).tap(x);
                let in_row = |y: usize| {
                    pixel(y, horizontal.first) * horizontal.first_weight
                        + pixel(y, horizontal.second) * horizontal.second_weight
                };
                output[(channel * padded_height + y) * padded_width + x] = in_row(vertical.first)
                    * vertical.first_weight
                    + in_row(vertical.second) * vertical.second_weight;
            }
        }
    }
    Ok(())
}

//! 8-bit values to normalised f32, one table of 256 entries per channel.

use crate::{Error, Result, with_ieee};

/// The normalised value of each 8-bit value, per channel: `(u / 255 - mean) / std`.
///
/// Three f32 operations, each rounded, in this order; the division by 255 is a true division.
/// Source: torchvision's `to_tensor` followed by `GeneralizedRCNNTransform.normalize`.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalisation {
    table: Box<[[f32; 256]; 3]>,
}

impl Normalisation {
    /// Tabulates the normalisation for `mean` and `std` of the red, green and blue channel, on the
    /// scale where white is 1.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when a normalised value would not be finite (a zero, infinite or NaN `std`
    /// or `mean`, or one so extreme that the quotient overflows).
    pub fn new(mean: [f32; 3], std: [f32; 3]) -> Result<Self> {
        let mut table = Box::new([[0.0; 256]; 3]);
        for (channel, entries) in table.iter_mut().enumerate() {
            with_ieee(|| {
                for (value, entry) in (0u16..).zip(entries.iter_mut()) {
                    *entry = (f32::from(value) / 255.0 - mean[channel]) / std[channel];
                }
            });
            if !std[channel].is_finite() || entries.iter().any(|entry| !entry.is_finite()) {
                return Err(Error::Shape {
                    what: "normalisation",
                    reason: format!(
                        "mean {} and std {} of channel {channel} do not give finite values; std must be finite and not 0",
                        mean[channel], std[channel]
                    ),
                });
            }
        }
        Ok(Self { table })
    }

    /// The 256 normalised values of channel 0, 1 or 2 (red, green, blue).
    ///
    /// # Panics
    ///
    /// When `channel` is above 2.
    pub fn channel(&self, channel: usize) -> &[f32; 256] {
        &self.table[channel]
    }
}

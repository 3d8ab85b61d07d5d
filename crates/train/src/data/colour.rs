//! Brightness and contrast of 8-bit pixels.

/// What each of the 256 values becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Curve([u8; 256]);

impl Curve {
    /// 128 + `brightness` + (v - 128) * `contrast` / 100 of each v, rounded half up and held within 0 to 255.
    pub(super) fn new(brightness: i32, contrast: i32) -> Self {
        let mut curve = [0; 256];
        for (value, slot) in (0..).zip(&mut curve) {
            let spread = (2 * (value - 128) * contrast + 100).div_euclid(200);
            *slot = (128 + brightness + spread).clamp(0, 255) as u8;
        }
        Self(curve)
    }

    pub(super) fn apply(&self, values: &mut [u8]) {
        for value in values {
            *value = self.0[usize::from(*value)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_whole_numbers_rounded_half_up() {
        assert!(Curve::new(0, 100).0.iter().copied().eq(0..=255));
        let half = Curve::new(0, 50).0;
        // (127 - 128) / 2 is -0.5, and becomes 0.
        assert_eq!([half[0], half[126], half[127], half[129], half[255]], [64, 127, 128, 129, 192]);
        let bright = Curve::new(255, 200).0;
        assert_eq!([bright[0], bright[1], bright[128]], [127, 129, 255]);
        assert_eq!(Curve::new(-255, 0).0, [0; 256]);
    }
}

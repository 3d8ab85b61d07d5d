//! Boxes to regressions and back: `torchvision.models.detection._utils.BoxCoder` with weights 1.

use retinanet_kernels::{exp, ln};

/// ln(1000 / 16), rounded to f32: no box grows more than 62.5 times its anchor's side.
const LARGEST_LOG_SCALE: f32 = 4.135_166_6;

/// The regression that turns `anchor` into `object`: dx, dy in anchor sides, dw, dh as logarithms.
///
/// Both boxes are x1, y1, x2, y2 in pixels of the input and have a width and a height. Each operation is one f32
/// rounding, in the order of torchvision's `encode_boxes`, with [`ln`] of our own. It computes in the caller's
/// floating-point environment.
///
/// ```
/// let regression = retinanet_train::box_coder::encode([2.0, 0.0, 10.0, 4.0], [0.0, 0.0, 4.0, 4.0]);
/// assert_eq!(regression, [1.0, 0.0, std::f32::consts::LN_2, 0.0]);
/// ```
pub fn encode(object: [f32; 4], anchor: [f32; 4]) -> [f32; 4] {
    let (width, height, x, y) = centred(anchor);
    let (object_width, object_height, object_x, object_y) = centred(object);
    [
        (object_x - x) / width,
        (object_y - y) / height,
        ln(object_width / width),
        ln(object_height / height),
    ]
}

/// A decoded box, with what its gradient needs.
#[derive(Debug, Clone, Copy)]
pub struct Decoded {
    /// x1, y1, x2, y2 in pixels of the input, not clipped.
    pub corners: [f32; 4],
    /// Width and height of the anchor.
    anchor: [f32; 2],
    /// Half the width and height before the corners were rounded.
    half: [f32; 2],
    /// Whether dw and dh were let through, not cut.
    free: [bool; 2],
}

/// Moves and scales an anchor by a regression, with the bits of the detector's decoding.
///
/// It computes in the caller's floating-point environment.
pub fn decode(regression: [f32; 4], anchor: [f32; 4]) -> Decoded {
    let (width, height, x, y) = centred(anchor);
    let [dx, dy, dw, dh] = regression;
    let x = dx * width + x;
    let y = dy * height + y;
    let half_width = 0.5 * (exp(cut(dw)) * width);
    let half_height = 0.5 * (exp(cut(dh)) * height);
    Decoded {
        corners: [x - half_width, y - half_height, x + half_width, y + half_height],
        anchor: [width, height],
        half: [half_width, half_height],
        free: [dw <= LARGEST_LOG_SCALE, dh <= LARGEST_LOG_SCALE],
    }
}

impl Decoded {
    /// The gradient with respect to the regression, from that with respect to the corners.
    ///
    /// Per axis, with the corners' gradients g1 and g2: `(g1 + g2) * side` and `(g2 - g1) * half`, where `half` is half
    /// the decoded side; +0 where the logarithm was cut.
    pub fn backward(&self, [x1, y1, x2, y2]: [f32; 4]) -> [f32; 4] {
        let grown = |axis: usize, gradient: f32| {
            if self.free[axis] { gradient * self.half[axis] } else { 0.0 }
        };
        [
            (x1 + x2) * self.anchor[0],
            (y1 + y2) * self.anchor[1],
            grown(0, x2 - x1),
            grown(1, y2 - y1),
        ]
    }
}

/// Width, height and centre.
fn centred([x1, y1, x2, y2]: [f32; 4]) -> (f32, f32, f32, f32) {
    let (width, height) = (x2 - x1, y2 - y1);
    (width, height, x1 + 0.5 * width, y1 + 0.5 * height)
}

fn cut(value: f32) -> f32 {
    if value > LARGEST_LOG_SCALE { LARGEST_LOG_SCALE } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_undoes_encoding() {
        let (object, anchor) = ([13.0, 7.5, 40.0, 90.0], [0.0, 16.0, 32.0, 48.0]);
        let corners = decode(encode(object, anchor), anchor).corners;
        for (corner, expected) in corners.iter().zip(object) {
            assert!((corner - expected).abs() < 1e-5, "{corners:?}");
        }
    }

    #[test]
    fn a_logarithm_that_is_cut_has_no_gradient() {
        let decoded = decode([0.0, 0.0, 5.0, 4.0], [0.0, 0.0, 16.0, 16.0]);
        let width = decoded.corners[2] - decoded.corners[0];
        assert!((width - 1000.0).abs() < 1e-3, "{width}");
        let gradient = decoded.backward([-1.0, -1.0, 1.0, 1.0]);
        assert_eq!(gradient[2].to_bits(), 0);
        assert!(gradient[3] > 0.0);
    }
}

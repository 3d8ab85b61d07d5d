//! Anchors and regression to boxes.

/// ln(1000 / 16), rounded to f32: no box grows more than 62.5 times its anchor's side.
const LARGEST_LOG_SCALE: f32 = 4.135_166_6;

/// Moves and scales an anchor by the network's regression.
///
/// `anchor` is x1, y1, x2, y2 in pixels of the resized image; `regression` is dx, dy (in anchor sides),
/// dw, dh (logarithms); each is divided by its weight first. Every operation is one f32 rounding, in
/// the order of torchvision's `BoxCoder.decode_single`; dw and dh are cut at ln(1000/16).
pub(crate) fn decode(regression: [f32; 4], anchor: [f32; 4], weights: [f32; 4]) -> [f32; 4] {
    let [x1, y1, x2, y2] = anchor;
    let width = x2 - x1;
    let height = y2 - y1;
    let centre_x = x1 + 0.5 * width;
    let centre_y = y1 + 0.5 * height;

    let dx = regression[0] / weights[0];
    let dy = regression[1] / weights[1];
    let dw = at_most(regression[2] / weights[2], LARGEST_LOG_SCALE);
    let dh = at_most(regression[3] / weights[3], LARGEST_LOG_SCALE);

    let new_x = dx * width + centre_x;
    let new_y = dy * height + centre_y;
    let half_width = 0.5 * (retinanet_kernels::exp(dw) * width);
    let half_height = 0.5 * (retinanet_kernels::exp(dh) * height);
    [new_x - half_width, new_y - half_height, new_x + half_width, new_y + half_height]
}

/// Moves a box's corners to the nearest point of a `height` x `width` image
/// (`torchvision.ops.clip_boxes_to_image`).
pub(crate) fn clip([x1, y1, x2, y2]: [f32; 4], [height, width]: [usize; 2]) -> [f32; 4] {
    let (height, width) = (height as f32, width as f32);
    [between(x1, width), between(y1, height), between(x2, width), between(y2, height)]
}

fn at_most(value: f32, limit: f32) -> f32 {
    if value > limit { limit } else { value }
}

fn between(value: f32, limit: f32) -> f32 {
    if value < 0.0 { 0.0 } else { at_most(value, limit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_limit_is_the_f32_nearest_to_ln_1000_over_16() {
        let exact = 4.135_166_556_742_356_f64;
        assert_eq!(LARGEST_LOG_SCALE, exact as f32);
    }

    #[test]
    fn zero_regression_gives_the_anchor() {
        let anchor = [-45.0, -23.0, 45.0, 23.0];
        assert_eq!(decode([0.0; 4], anchor, [1.0; 4]), anchor);
    }

    #[test]
    fn offsets_move_by_anchor_sides_and_weights_divide_them() {
        let moved = decode([5.0, -20.0, 0.0, 0.0], [0.0, 0.0, 10.0, 20.0], [10.0, 10.0, 5.0, 5.0]);
        assert_eq!(moved, [5.0, -40.0, 15.0, -20.0]);
    }

    #[test]
    fn growth_stops_at_62_and_a_half() {
        let [x1, _, x2, _] = decode([0.0, 0.0, 50.0, 50.0], [0.0, 0.0, 16.0, 16.0], [1.0; 4]);
        assert!(((x2 - x1) - 1000.0).abs() < 1e-2);
    }

    #[test]
    fn clipping_uses_height_for_y_and_width_for_x() {
        let clipped = clip([-3.0, -4.0, 700.0, f32::INFINITY], [480, 640]);
        assert_eq!(clipped, [0.0, 0.0, 640.0, 480.0]);
        assert_eq!(clip([1.5, 2.5, 3.5, 4.5], [480, 640]), [1.5, 2.5, 3.5, 4.5]);
    }

    #[test]
    fn a_nan_is_not_hidden_by_limits() {
        assert!(between(f32::NAN, 5.0).is_nan() && at_most(f32::NAN, 5.0).is_nan());
    }
}

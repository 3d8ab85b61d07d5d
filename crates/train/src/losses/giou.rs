//! The generalised intersection over union of decoded boxes, v2's box loss.
//!
//! With the areas I of the intersection (0 unless the boxes strictly overlap), U of the union and C of the smallest
//! box around both:
//!
//! ```text
//! loss = 1 - (I / (U + eps) - (C - U) / (C + eps))      eps = 1e-7
//! ```
//!
//! as `torchvision.ops.generalized_box_iou_loss` has it. Where a decoded edge equals the object's, either could be the
//! larger: the derivative of `max` and `min` is then one half for each, as in PyTorch.

use crate::box_coder::decode;
use crate::overlap::{area, larger, smaller};

const EPS: f32 = 1e-7;

/// The term of one anchor, and its derivatives with respect to the regression.
pub(super) fn giou(regression: [f32; 4], anchor: [f32; 4], object: [f32; 4]) -> (f32, [f32; 4]) {
    let decoded = decode(regression, anchor);
    let [x1, y1, x2, y2] = decoded.corners;
    let [object_x1, object_y1, object_x2, object_y2] = object;

    let inner = [
        smaller(x2, object_x2) - larger(x1, object_x1),
        smaller(y2, object_y2) - larger(y1, object_y1),
    ];
    let overlap = inner[0] > 0.0 && inner[1] > 0.0;
    let intersection = if overlap { inner[0] * inner[1] } else { 0.0 };
    let union = area(decoded.corners) + area(object) - intersection;
    let outer = [
        larger(x2, object_x2) - smaller(x1, object_x1),
        larger(y2, object_y2) - smaller(y1, object_y1),
    ];
    let around = outer[0] * outer[1];

    let (union_eps, around_eps) = (union + EPS, around + EPS);
    let iou = intersection / union_eps;
    let waste = (around - union) / around_eps;
    let loss = 1.0 - (iou - waste);

    // Derivatives with respect to the areas; the intersection also makes the union smaller.
    let by_union = iou / union_eps - 1.0 / around_eps;
    let by_intersection = 0.0 - 1.0 / union_eps - by_union;
    let by_around = (1.0 - waste) / around_eps;

    let axis =
        |own: [f32; 2], object: [f32; 2], other_own: f32, other_inner: f32, other_outer: f32| {
            let by_side = by_union * other_own;
            let by_inner = if overlap { by_intersection * other_inner } else { 0.0 };
            let by_outer = by_around * other_outer;
            let low = 0.0
                - by_side
                - by_inner * share(own[0], object[0])
                - by_outer * share(object[0], own[0]);
            let high =
                by_side + by_inner * share(object[1], own[1]) + by_outer * share(own[1], object[1]);
            [low, high]
        };
    let (width, height) = (x2 - x1, y2 - y1);
    let across = axis([x1, x2], [object_x1, object_x2], height, inner[1], outer[1]);
    let down = axis([y1, y2], [object_y1, object_y2], width, inner[0], outer[0]);
    (loss, decoded.backward([across[0], down[0], across[1], down[1]]))
}

/// The derivative of the larger of `a` and `b` with respect to `a` (of the smaller, with respect to `b`).
fn share(a: f32, b: f32) -> f32 {
    if a > b {
        1.0
    } else if a == b {
        0.5
    } else {
        0.0
    }
}

//! Intersection over union as `torchvision.ops.box_iou` rounds it.

/// The area of x1, y1, x2, y2: width times height, each rounded.
pub(crate) fn area([x1, y1, x2, y2]: [f32; 4]) -> f32 {
    (x2 - x1) * (y2 - y1)
}

/// The intersection over union of an object's box and an anchor, whose areas are given. Each step is one rounding,
/// the object's area first in the sum.
pub(crate) fn iou(object: [f32; 4], object_area: f32, anchor: [f32; 4], anchor_area: f32) -> f32 {
    let width = side(smaller(object[2], anchor[2]) - larger(object[0], anchor[0]));
    let height = side(smaller(object[3], anchor[3]) - larger(object[1], anchor[1]));
    let both = width * height;
    both / (object_area + anchor_area - both)
}

/// The larger of two numbers that are not NaN; the first where they are equal.
pub(crate) fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// The smaller of two numbers that are not NaN; the first where they are equal.
pub(crate) fn smaller(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}

fn side(length: f32) -> f32 {
    if length < 0.0 { 0.0 } else { length }
}

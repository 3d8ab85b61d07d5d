//! Which two source pixels make an output pixel along one axis, and in which proportion.

/// The two taps of one output position: source indices and their weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tap {
    pub(crate) first: usize,
    pub(crate) second: usize,
    pub(crate) first_weight: f32,
    pub(crate) second_weight: f32,
}

/// Maps positions of an axis with `resized` pixels back to one with `source` pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    last: usize,
    scale: f32,
}

impl Axis {
    pub(crate) fn new(source: usize, resized: usize) -> Self {
        Self { last: source - 1, scale: source as f32 / resized as f32 }
    }

    /// The taps of output position `position`, in the order of operations the module documents.
    pub(crate) fn tap(&self, position: usize) -> Tap {
        let centre = (position as f32 + 0.5) * self.scale - 0.5;
        let centre = if centre < 0.0 { 0.0 } else { centre };
        // Truncation is floor here: the centre is not negative.
        let first = (centre as usize).min(self.last);
        let second = (first + 1).min(self.last);
        let second_weight = centre - first as f32;
        let second_weight = if second_weight > 1.0 { 1.0 } else { second_weight };
        Tap { first, second, first_weight: 1.0 - second_weight, second_weight }
    }
}

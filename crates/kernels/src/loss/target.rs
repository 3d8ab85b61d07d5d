//! What the focal loss is told about an anchor.

/// What an anchor's logits should say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnchorTarget {
    /// Nothing is there: all classes 0.
    Background,
    /// This class 1, all others 0.
    Class(usize),
    /// The anchor takes no part.
    Ignored,
}

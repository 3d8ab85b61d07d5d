//! What can go wrong while gradients are summed over images.

/// Gradients cannot be summed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GradientError {
    /// A gradient is not a number, infinite, or too large for the sum.
    #[error(
        "image {image}: the gradient of {tensor:?} is {value:e} at index {index}, and at most {limit:e} can be summed; \
         go back to the last good checkpoint, and lower the learning rate"
    )]
    OutOfRange {
        /// Which image, as its user names it.
        image: u64,
        /// The tensor's name, or `losses`.
        tensor: String,
        /// The flat index of the first such value.
        index: usize,
        /// The value.
        value: f32,
        /// The largest magnitude that can be summed.
        limit: f32,
    },
    /// Gradients of other tensors than the sum's.
    #[error(
        "{what}: expected {expected}, got {actual}; give one gradient for each tensor that trains"
    )]
    Shape {
        /// What was counted.
        what: String,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        actual: usize,
    },
    /// More images than the sum was made for.
    #[error("a sum for {capacity} images was given {images}; make it for as many as a step has")]
    TooManyImages {
        /// How many it was made for.
        capacity: u64,
        /// How many it would then have.
        images: u64,
    },
    /// The norm of the gradients is no finite number.
    #[error(
        "the norm of all gradients is {norm}; go back to the last good checkpoint, and lower the learning rate"
    )]
    Norm {
        /// What it came to.
        norm: f32,
    },
}

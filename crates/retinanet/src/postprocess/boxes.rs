//! Boxes on their way from a candidate to an answer.

use super::top_k::Candidate;
use crate::bounding_box::BoundingBox;

/// The sizes, height and width, that boxes are clipped to and scaled back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSizes {
    /// Of the image as decoded.
    pub original: [usize; 2],
    /// Of the image as resized for the network, without its padding.
    pub resized: [usize; 2],
}

/// A box that survived, with the score and class it was found with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredBox {
    /// In pixels of the original image.
    pub bounding_box: BoundingBox,
    /// The class id.
    pub label_id: usize,
    /// Its score and where it was found: the place that breaks ties.
    pub candidate: Candidate,
}

/// A candidate's box in pixels of the resized image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct InputBox {
    pub(crate) candidate: Candidate,
    pub(crate) label_id: usize,
    pub(crate) in_input: [f32; 4],
}

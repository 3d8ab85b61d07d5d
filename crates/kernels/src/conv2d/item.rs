//! One image of a call, and its input.

use crate::layout::{Blocked, BlockedMut};

/// One image's input: blocked, or plain (c, y, x) for a first layer of fewer than 16 channels.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Channel blocks of sixteen.
    Blocked(Blocked<'a>),
    /// Planes of (y, x), one after the other.
    Planar {
        /// channels x height x width values.
        data: &'a [f32],
        /// Height and width.
        size: [usize; 2],
    },
}

impl Input<'_> {
    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        match self {
            Self::Blocked(blocked) => blocked.shape().size(),
            Self::Planar { size, .. } => *size,
        }
    }
}

/// One image of a call: the images of a call may have different sizes and never meet.
#[derive(Debug)]
pub struct Item<'a> {
    /// What is convolved.
    pub input: Input<'a>,
    /// Added after the bias; has the output's shape.
    pub residual: Option<Blocked<'a>>,
    /// Where the result goes.
    pub output: BlockedMut<'a>,
}

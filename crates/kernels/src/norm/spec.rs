//! What a group normalisation is.

use crate::{Error, Result};

pub(super) const WHAT: &str = "group_norm";

/// A group normalisation problem.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GroupNormSpec {
    /// Channels.
    pub channels: usize,
    /// Groups of neighbouring channels; they divide the channels evenly.
    pub groups: usize,
    /// Added to the variance; finite and not negative. torch's default is 1e-5.
    pub eps: f32,
}

impl GroupNormSpec {
    /// Channels of one group.
    pub(super) fn per_group(&self) -> usize {
        self.channels / self.groups
    }

    pub(crate) fn check(&self, gamma: &[f32], beta: &[f32], channels: usize) -> Result<()> {
        let refuse = |reason: String| Err(Error::Shape { what: WHAT, reason });
        let (own, groups, eps) = (self.channels, self.groups, self.eps);
        if own != channels {
            return refuse(format!("the activations have {channels} channels, expected {own}"));
        }
        if groups == 0 || own % groups != 0 {
            return refuse(format!("{own} channels cannot be cut into {groups} equal groups"));
        }
        if !(0.0..f32::INFINITY).contains(&eps) {
            return refuse(format!("eps is {eps}; it must be finite and not negative"));
        }
        Error::check_length("group_norm: gamma", own, gamma.len())?;
        Error::check_length("group_norm: beta", own, beta.len())
    }
}

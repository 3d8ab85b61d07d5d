//! From sums per channel to what each channel is multiplied with and shifted by.

use crate::fma;

/// How the channels are grouped. All slices below run over channels, whole groups of them.
pub(super) struct Groups {
    /// Channels of one group.
    pub(super) channels: usize,
    /// Values of one group.
    pub(super) n: f32,
    pub(super) eps: f32,
}

/// Sums per channel.
pub(super) struct Sums<'a> {
    /// Of `x - mean`.
    pub(super) centred: &'a [f32],
    /// Of its square.
    pub(super) squares: &'a [f32],
}

// Never inlined, so that no step can be moved out of the IEEE environment that the caller set up.
impl Groups {
    /// The mean of each channel's group.
    #[inline(never)]
    pub(super) fn means(&self, sums: &[f32], mean: &mut [f32]) {
        let groups = mean.chunks_mut(self.channels);
        for (mean, sums) in groups.zip(sums.chunks_exact(self.channels)) {
            mean.fill(total(sums) / self.n);
        }
    }

    /// Each channel's scale and shift.
    #[inline(never)]
    pub(super) fn finish(
        &self,
        sums: Sums,
        gamma: &[f32],
        beta: &[f32],
        scale: &mut [f32],
        shift: &mut [f32],
    ) {
        for first in (0..gamma.len()).step_by(self.channels) {
            let group = first..first + self.channels;
            let sum = total(&sums.centred[group.clone()]);
            let rest = sum / self.n;
            let variance = (total(&sums.squares[group.clone()]) - sum * rest) / self.n;
            let variance = if variance < 0.0 { 0.0 } else { variance };
            let rstd = 1.0 / (variance + self.eps).sqrt();
            for c in group {
                scale[c] = gamma[c] * rstd;
                shift[c] = fma(-rest, scale[c], beta[c]);
            }
        }
    }
}

/// A group's channels, added in increasing order to +0.
fn total(sums: &[f32]) -> f32 {
    sums.iter().fold(0.0, |total, sum| total + sum)
}

//! From sums per channel to what each channel is multiplied with and shifted by.

use std::ops::Range;

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
            let (rest, rstd) = self.rest_and_rstd(&sums, group.clone());
            for c in group {
                scale[c] = gamma[c] * rstd;
                shift[c] = fma(-rest, scale[c], beta[c]);
            }
        }
    }

    /// What rounding left over in a group's mean, and one over its standard deviation.
    #[inline(always)]
    fn rest_and_rstd(&self, sums: &Sums, group: Range<usize>) -> (f32, f32) {
        let sum = total(&sums.centred[group.clone()]);
        let rest = sum / self.n;
        let variance = (total(&sums.squares[group]) - sum * rest) / self.n;
        let variance = if variance < 0.0 { 0.0 } else { variance };
        (rest, 1.0 / (variance + self.eps).sqrt())
    }

    /// What each channel's gradient is made with, from the sums of the forward pass and those of the gradient.
    #[inline(never)]
    pub(super) fn backward(
        &self,
        sums: Sums,
        gradient: GradientSums,
        gamma: &[f32],
        out: Backward,
    ) {
        for first in (0..gamma.len()).step_by(self.channels) {
            let group = first..first + self.channels;
            let (rest, rstd) = self.rest_and_rstd(&sums, group.clone());
            let (mut all, mut products) = (0.0, 0.0);
            for c in group.clone() {
                let beta = gradient.plain[c];
                out.beta[c] = beta;
                out.gamma[c] = fma(-rest, beta, gradient.products[c]) * rstd;
                all = fma(gamma[c], beta, all);
                products = fma(gamma[c], out.gamma[c], products);
            }
            let slope = -((products / self.n) * rstd * rstd);
            let shift = fma(-rest, slope, -((all / self.n) * rstd));
            for c in group {
                out.scale[c] = gamma[c] * rstd;
                out.slope[c] = slope;
                out.shift[c] = shift;
            }
        }
    }
}

/// Sums per channel of the output's gradient.
pub(super) struct GradientSums<'a> {
    /// Of itself.
    pub(super) plain: &'a [f32],
    /// Of its products with `x - mean`.
    pub(super) products: &'a [f32],
}

/// Per channel: the gradients of gamma and beta, and the input's gradient as `fma(g, scale, fma(d, slope, shift))`.
pub(super) struct Backward<'a> {
    pub(super) gamma: &'a mut [f32],
    pub(super) beta: &'a mut [f32],
    pub(super) scale: &'a mut [f32],
    pub(super) slope: &'a mut [f32],
    pub(super) shift: &'a mut [f32],
}

/// A group's channels, added in increasing order to +0.
fn total(sums: &[f32]) -> f32 {
    sums.iter().fold(0.0, |total, sum| total + sum)
}

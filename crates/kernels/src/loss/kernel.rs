//! The focal loss's terms, sixteen logits at a time.

use super::target::AnchorTarget;
use crate::pointwise::{exp_vector, log1p_to_one};
use crate::simd::{Kernel, LANES, Simd};
use crate::sum::halve;

/// One chunk's terms and gradients; answers the chunk's sum.
pub(super) struct Terms<'a> {
    pub(super) alpha: f32,
    pub(super) classes: usize,
    pub(super) targets: &'a [AnchorTarget],
    /// The position of the first logit.
    pub(super) start: usize,
    pub(super) logits: &'a [f32],
    pub(super) scale: f32,
    pub(super) gradient: &'a mut [f32],
}

impl Kernel for Terms<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let Self { alpha, classes, targets, start, logits, scale, gradient } = self;
        mark(classes, targets, start, gradient);
        let step =
            Step { alpha: s.splat(alpha), rest: s.splat(1.0 - alpha), scale: s.splat(scale) };
        let mut partial = s.splat(0.0);
        let whole = logits.len() / LANES * LANES;
        for at in (0..whole).step_by(LANES) {
            let (loss, slope) = step.apply(s, s.read(gradient, at), s.read(logits, at));
            partial = s.add(partial, loss);
            s.write(gradient, at, slope);
        }
        let mut sums = [0.0; LANES];
        s.write(&mut sums, 0, partial);
        let rest = logits.len() - whole;
        if rest > 0 {
            let [mut x, mut mark] = [[0.0; LANES]; 2];
            x[..rest].copy_from_slice(&logits[whole..]);
            mark[..rest].copy_from_slice(&gradient[whole..]);
            let (loss, slope) = step.apply(s, s.read(&mark, 0), s.read(&x, 0));
            let [mut losses, mut slopes] = [[0.0; LANES]; 2];
            s.write(&mut losses, 0, loss);
            s.write(&mut slopes, 0, slope);
            gradient[whole..].copy_from_slice(&slopes[..rest]);
            for (sum, loss) in sums[..rest].iter_mut().zip(losses) {
                *sum += loss;
            }
        }
        halve(sums)
    }
}

/// Writes what each logit's sign becomes: -1 where the target is 1, else 1, and 0 where it is ignored.
#[inline(always)]
fn mark(classes: usize, targets: &[AnchorTarget], start: usize, marks: &mut [f32]) {
    let mut at = 0;
    while at < marks.len() {
        let (anchor, class) = ((start + at) / classes, (start + at) % classes);
        let len = (classes - class).min(marks.len() - at);
        let marks = &mut marks[at..at + len];
        match targets[anchor] {
            AnchorTarget::Ignored => marks.fill(0.0),
            AnchorTarget::Background => marks.fill(1.0),
            AnchorTarget::Class(right) => {
                marks.fill(1.0);
                if let Some(mark) = right.checked_sub(class).and_then(|at| marks.get_mut(at)) {
                    *mark = -1.0;
                }
            }
        }
        at += len;
    }
}

struct Step<V> {
    alpha: V,
    rest: V,
    scale: V,
}

impl<V: Copy> Step<V> {
    /// The loss and the gradient of sixteen logits.
    #[inline(always)]
    fn apply<S: Simd<V = V>>(&self, s: S, mark: V, x: V) -> (V, V) {
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        let z = s.select_lt(mark, zero, s.sub(zero, x), x);
        let minus = s.select_lt(z, zero, z, s.sub(zero, z));
        let e = exp_vector(s, minus);
        let ce = s.add(s.relu(z), log1p_to_one(s, e));
        let sum = s.add(one, e);
        let (large, small) = (s.div(one, sum), s.div(e, sum));
        let q = s.select_lt(z, zero, small, large);
        let r = s.select_lt(z, zero, large, small);
        let a = s.select_lt(mark, zero, self.alpha, self.rest);
        let w = s.mul(a, s.mul(q, q));
        let loss = s.mul(ce, w);
        let u = s.mul(ce, r);
        let dz = s.mul(w, s.add(q, s.add(u, u)));
        let dx = s.mul(s.select_lt(mark, zero, s.sub(zero, dz), dz), self.scale);
        let part = s.mul(mark, mark);
        (s.select_lt(zero, part, loss, zero), s.select_lt(zero, part, dx, zero))
    }
}

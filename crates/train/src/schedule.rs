//! The learning rate at each step.
//!
//! The rate of step `s`, from 0, is `base * warm_up(s) * decay(s)`, in f64, from the left:
//!
//! - warm-up: `f + (1 - f) * s / w` for `s < w`, then 1 (`torch.optim.lr_scheduler.LinearLR`);
//! - constant: 1; multi-step: one multiplication by `gamma` for each milestone `<= s` (`MultiStepLR`); cosine:
//!   `l + (1 - l) * (1 + cos(pi * t)) / 2` with `t = (s - w) / (n - w)`, 0 during warm-up, of `n` steps in all
//!   (`CosineAnnealingLR`).
//!
//! The cosine is this module's own, made of IEEE operations, so its bits are the same everywhere.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How the learning rate falls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Decay {
    /// Not at all.
    Constant,
    /// By a factor at each of some steps.
    MultiStep {
        /// The steps, from 0, in increasing order.
        milestones: Vec<u64>,
        /// The factor.
        gamma: f64,
    },
    /// Along half a cosine.
    Cosine {
        /// The share of the base rate that the cosine tends to.
        last_factor: f64,
    },
}

/// The learning rate over a run.
///
/// ```
/// use retinanet_train::schedule::{Decay, Schedule};
///
/// let decay = Decay::MultiStep { milestones: vec![60, 80], gamma: 0.1 };
/// let schedule = Schedule::new(0.01, 10, 0.1, decay, 100)?;
/// assert_eq!(schedule.learning_rate(0), 0.001);
/// assert_eq!(schedule.learning_rate(59), 0.01);
/// assert!((schedule.learning_rate(80) - 0.0001).abs() < 1e-12);
/// # Ok::<(), retinanet_train::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    base: f64,
    warm_up_steps: u64,
    warm_up_factor: f64,
    decay: Decay,
    steps: u64,
}

impl Schedule {
    /// A schedule over `steps` steps, the first `warm_up_steps` of which begin at `warm_up_factor` of the `base` rate.
    ///
    /// # Errors
    /// [`Error::Setting`] naming what is out of range.
    pub fn new(
        base: f64,
        warm_up_steps: u64,
        warm_up_factor: f64,
        decay: Decay,
        steps: u64,
    ) -> Result<Self> {
        let check = |fine, setting, value: String, expected| match fine {
            true => Ok(()),
            false => Err(Error::Setting { setting, value, expected }),
        };
        let share = |setting, value: f64| {
            check((0.0..=1.0).contains(&value), setting, value.to_string(), "0 to 1")
        };
        let in_range = (0.0..=1000.0).contains(&base);
        check(in_range, "learning_rate", base.to_string(), "0 to 1000")?;
        check((1..=1 << 40).contains(&steps), "steps", steps.to_string(), "1 to 2^40")?;
        let warm_up = warm_up_steps.to_string();
        check(warm_up_steps <= steps, "warm_up_steps", warm_up, "at most all steps")?;
        share("warm_up_factor", warm_up_factor)?;
        match &decay {
            Decay::Constant => {}
            Decay::MultiStep { milestones, gamma } => {
                share("gamma", *gamma)?;
                let rise = milestones.windows(2).all(|pair| pair[0] < pair[1]);
                let expected = "steps in increasing order";
                check(rise, "milestones", format!("{milestones:?}"), expected)?;
            }
            Decay::Cosine { last_factor } => share("last_factor", *last_factor)?,
        }
        Ok(Self { base, warm_up_steps, warm_up_factor, decay, steps })
    }

    /// The rate of step `step`, from 0. After the last step it stays what it was there or, for the cosine, its end.
    pub fn learning_rate(&self, step: u64) -> f64 {
        retinanet_kernels::with_ieee(|| {
            let warm_up = if step < self.warm_up_steps {
                let done = step as f64 / self.warm_up_steps as f64;
                self.warm_up_factor + (1.0 - self.warm_up_factor) * done
            } else {
                1.0
            };
            let decay = match &self.decay {
                Decay::Constant => 1.0,
                Decay::MultiStep { milestones, gamma } => {
                    let passed = milestones.iter().filter(|milestone| **milestone <= step);
                    passed.fold(1.0, |factor, _| factor * gamma)
                }
                Decay::Cosine { last_factor } => {
                    let after = step.saturating_sub(self.warm_up_steps) as f64;
                    let all = (self.steps - self.warm_up_steps) as f64;
                    let at = if after < all { after / all } else { 1.0 };
                    // At once at the end where warm-up is all there is.
                    let at = if step < self.warm_up_steps { 0.0 } else { at };
                    last_factor + (1.0 - last_factor) * (1.0 + cos_pi(at)) / 2.0
                }
            };
            self.base * warm_up * decay
        })
    }
}

/// cos(pi * x) for x from 0 to 1, within 1e-15: the Taylor series, of the sine for the middle half.
fn cos_pi(x: f64) -> f64 {
    if x > 0.5 {
        return -cos_pi(1.0 - x);
    }
    let pi = std::f64::consts::PI;
    if x > 0.25 {
        let angle = pi * (0.5 - x);
        angle * series(angle * angle, 1.0)
    } else {
        let angle = pi * x;
        series(angle * angle, 0.0)
    }
}

/// The cosine (`first` is 0), or the sine over the angle (`first` is 1), by the angle's square, which is at most 0.62:
/// `1 - s / (1 * 2) * (1 - s / (3 * 4) * (..))`, ten terms, the innermost first.
fn series(square: f64, first: f64) -> f64 {
    let mut sum = 1.0;
    for term in (1..=10).rev() {
        let n = 2.0 * f64::from(term) + first;
        sum = 1.0 - square / ((n - 1.0) * n) * sum;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_is_right_where_it_is_known_and_falls() {
        let root = std::f64::consts::FRAC_1_SQRT_2;
        for (x, expected) in
            [(0.0, 1.0), (1.0 / 3.0, 0.5), (0.25, root), (0.5, 0.0), (0.75, -root), (1.0, -1.0)]
        {
            assert!((cos_pi(x) - expected).abs() < 1e-15, "{x}: {}", cos_pi(x));
        }
        for i in 0..10_000 {
            let (x, next) = (f64::from(i) / 10_000.0, f64::from(i + 1) / 10_000.0);
            assert!(cos_pi(next) < cos_pi(x), "{x}");
            // cos^2 of the half is (1 + cos) / 2.
            let half = cos_pi(x / 2.0);
            assert!((half * half - (1.0 + cos_pi(x)) / 2.0).abs() < 1e-15, "{x}");
        }
    }

    #[test]
    fn a_cosine_begins_after_the_warm_up_and_ends_at_its_share() {
        let decay = Decay::Cosine { last_factor: 0.01 };
        let schedule = Schedule::new(1.0, 10, 0.0, decay.clone(), 110).unwrap();
        assert_eq!(schedule.learning_rate(0), 0.0);
        assert_eq!(schedule.learning_rate(5), 0.5);
        assert_eq!(schedule.learning_rate(10), 1.0);
        assert!((schedule.learning_rate(60) - 0.505).abs() < 1e-15);
        assert!((schedule.learning_rate(110) - 0.01).abs() < 1e-15);
        assert_eq!(schedule.learning_rate(110), schedule.learning_rate(9999));
        let all = Schedule::new(1.0, 10, 0.0, decay, 10).unwrap();
        assert_eq!(all.learning_rate(9), 0.9);
        assert!(all.learning_rate(10).is_finite());
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let decay =
            |milestones: &[u64], gamma| Decay::MultiStep { milestones: milestones.to_vec(), gamma };
        for (name, made) in [
            ("learning_rate", Schedule::new(f64::NAN, 0, 1.0, Decay::Constant, 5)),
            ("`steps`", Schedule::new(1.0, 0, 1.0, Decay::Constant, 0)),
            ("warm_up_steps", Schedule::new(1.0, 6, 1.0, Decay::Constant, 5)),
            ("warm_up_factor", Schedule::new(1.0, 1, 2.0, Decay::Constant, 5)),
            ("gamma", Schedule::new(1.0, 0, 1.0, decay(&[1], -1.0), 5)),
            ("milestones", Schedule::new(1.0, 0, 1.0, decay(&[2, 2], 0.1), 5)),
            ("last_factor", Schedule::new(1.0, 0, 1.0, Decay::Cosine { last_factor: f64::NAN }, 5)),
        ] {
            let error = made.unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}

//! The norm of all gradients, and keeping it small: `torch.nn.utils.clip_grad_norm_`.
//!
//! A tensor's norm is `sqrt(sum)` of its squares, the total `sqrt(sum)` of the tensors' norms' squares; both sums as
//! [`retinanet_kernels::sum`] orders them. The factor is `max / (total + 1e-6)`, each operation one f32 rounding, and is
//! multiplied to every value where it is below 1.

use rayon::prelude::*;
use retinanet_kernels::sum::{CHUNK, pairwise, sum};
use retinanet_kernels::{Level, with_ieee};

use crate::error::GradientError;
use crate::{Error, Result};

/// Values that one task scales.
const PIECE: usize = 1 << 14;

/// The norm of all values of all tensors.
///
/// # Errors
/// [`GradientError::Norm`] where it is not a finite number.
///
/// ```
/// use retinanet_kernels::Level;
/// assert_eq!(retinanet_train::clip::norm(Level::best(), &[vec![3.0], vec![4.0, 0.0]])?, 5.0);
/// # Ok::<(), retinanet_train::Error>(())
/// ```
pub fn norm(level: Level, gradients: &[Vec<f32>]) -> Result<f32> {
    let mut chunks: Vec<Vec<f32>> =
        gradients.iter().map(|values| vec![0.0; values.len().div_ceil(CHUNK)]).collect();
    let places = chunks.iter_mut().zip(gradients);
    let tasks: Vec<(&mut f32, &[f32])> =
        places.flat_map(|(sums, values)| sums.iter_mut().zip(values.chunks(CHUNK))).collect();
    tasks.into_par_iter().for_each(|(place, values)| {
        let squares: Vec<f32> = with_ieee(|| values.iter().map(|value| value * value).collect());
        // Of one chunk, so that those of a tensor are joined below as `sum` joins them.
        *place = sum(level, &squares);
    });
    let norms: Vec<f32> = chunks
        .iter_mut()
        .map(|sums| {
            let sum = pairwise(sums);
            with_ieee(|| sum.sqrt())
        })
        .collect();
    let squares: Vec<f32> = with_ieee(|| norms.iter().map(|norm| norm * norm).collect());
    let squared = sum(level, &squares);
    let norm = with_ieee(|| squared.sqrt());
    if norm.is_finite() { Ok(norm) } else { Err(GradientError::Norm { norm }.into()) }
}

/// Makes the norm of all gradients at most `max_norm` and answers what it was.
///
/// # Errors
/// [`GradientError::Norm`] where the norm is not a finite number, [`Error::Setting`] for a `max_norm` that is not above 0.
pub fn clip(level: Level, gradients: &mut [Vec<f32>], max_norm: f32) -> Result<f32> {
    if !(max_norm > 0.0 && max_norm.is_finite()) {
        let (setting, value) = ("clip_norm", max_norm.to_string());
        return Err(Error::Setting { setting, value, expected: "a number above 0" });
    }
    let norm = norm(level, gradients)?;
    let factor = with_ieee(|| max_norm / (norm + 1e-6));
    if factor < 1.0 {
        let pieces: Vec<&mut [f32]> =
            gradients.iter_mut().flat_map(|values| values.chunks_mut(PIECE)).collect();
        pieces.into_par_iter().for_each(|values| {
            with_ieee(|| values.iter_mut().for_each(|value| *value *= factor));
        });
    }
    Ok(norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensors_norm_is_the_root_of_the_fixed_sum() {
        let values: Vec<f32> = (0..3 * CHUNK + 77).map(|i| (i % 97) as f32 / 64.0 - 0.7).collect();
        let squares: Vec<f32> = values.iter().map(|value| value * value).collect();
        let root = sum(Level::best(), &squares).sqrt();
        let expected = (root * root).sqrt();
        assert_eq!(norm(Level::best(), &[values]).unwrap().to_bits(), expected.to_bits());
    }

    #[test]
    fn only_a_norm_above_the_limit_is_cut() {
        let mut gradients = [vec![3.0, 0.0], vec![4.0]];
        assert_eq!(clip(Level::best(), &mut gradients, 6.0).unwrap(), 5.0);
        assert_eq!(gradients, [vec![3.0, 0.0], vec![4.0]]);
        assert_eq!(clip(Level::best(), &mut gradients, 1.0).unwrap(), 5.0);
        assert!((norm(Level::best(), &gradients).unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(norm(Level::best(), &[]).unwrap(), 0.0);
        for wrong in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            let error = clip(Level::best(), &mut gradients, wrong).unwrap_err().to_string();
            assert!(error.contains("`clip_norm`"), "{error}");
        }
        for wrong in [f32::NAN, f32::INFINITY, 1e30] {
            let error = clip(Level::best(), &mut [vec![wrong]], 1.0).unwrap_err().to_string();
            assert!(error.contains("the norm of all gradients is"), "{error}");
        }
    }
}

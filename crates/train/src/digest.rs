//! Digests of tensors, by which two runs are compared: a differing tensor can be named.
//!
//! A tensor's digest is [`retinanet::determinism::digest_f32`] of its name, shape and values: sha256 over name, shape and
//! little-endian bytes. The root is `digest_u8` under the list's name, of shape (tensors, 32), over the tensors' digests in
//! their order.

use rayon::prelude::*;
use retinanet::determinism::{Digest, digest_f32, digest_u8};

use crate::Result;
use crate::ema::Ema;
use crate::optimiser::Optimiser;
use crate::parameters::Parameters;

/// The digests of a list of tensors.
///
/// ```
/// use retinanet::Determinism;
/// use retinanet_train::architecture::resnet18_c4_fpn_gn;
/// use retinanet_train::digest::TensorDigests;
/// use retinanet_train::parameters::Parameters;
///
/// let mut parameters = Parameters::initialised(&resnet18_c4_fpn_gn(2), 0, &Determinism::default())?;
/// let before = TensorDigests::of_weights(&parameters)?;
/// parameters.trainable_mut().last().unwrap().values_mut()[0] = 0.5;
/// let after = TensorDigests::of_weights(&parameters)?;
/// assert_eq!(before.first_difference(&after), Some("head.regression_head.bbox_reg.bias"));
/// println!("weights {}", after.root());
/// # Ok::<(), retinanet_train::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorDigests {
    tensors: Vec<(String, Digest)>,
    root: Digest,
}

/// A tensor's name, shape and values.
pub type NamedTensor<'a> = (&'a str, &'a [usize], &'a [f32]);

impl TensorDigests {
    /// Of tensors, each by its name, shape and values, under the list's name.
    ///
    /// # Errors
    /// [`retinanet::determinism::DeterminismError::NotANumber`] naming a tensor that holds a NaN,
    /// [`ElementCount`](retinanet::determinism::DeterminismError::ElementCount) for values that do not fill their shape.
    pub fn of(list: &str, tensors: &[NamedTensor<'_>]) -> Result<Self> {
        // Collected in order: of several, the error is the first.
        let digests: Vec<retinanet::Result<Digest>> = tensors
            .par_iter()
            .with_max_len(1)
            .map(|(name, shape, values)| digest_f32(name, shape, values))
            .collect();
        let digests = digests.into_iter().collect::<retinanet::Result<Vec<Digest>>>()?;
        let bytes: Vec<u8> = digests.iter().flat_map(|digest| *digest.as_bytes()).collect();
        let root = digest_u8(list, &[digests.len(), 32], &bytes)?;
        let names = tensors.iter().map(|(name, ..)| (*name).to_owned());
        Ok(Self { tensors: names.zip(digests).collect(), root })
    }

    /// Of all the model's tensors, under `weights`: what a run prints.
    ///
    /// # Errors
    /// As [`TensorDigests::of`].
    pub fn of_weights(parameters: &Parameters) -> Result<Self> {
        let tensors = parameters.tensors().iter();
        let tensors: Vec<_> = tensors.map(|one| (one.name(), one.shape(), one.values())).collect();
        Self::of("weights", &tensors)
    }

    /// Of an optimiser's moments, under `optimiser`; a tensor's name is `momentum/..`, say.
    ///
    /// # Errors
    /// As [`TensorDigests::of`].
    pub fn of_optimiser(optimiser: &Optimiser, parameters: &Parameters) -> Result<Self> {
        let kinds = optimiser.config().moment_names().iter().zip(optimiser.moments());
        let named: Vec<_> = kinds
            .flat_map(|(kind, values)| {
                let tensors = parameters.trainable().zip(values);
                tensors.map(move |(one, values)| {
                    (format!("{kind}/{}", one.name()), one.shape(), values)
                })
            })
            .collect();
        let tensors: Vec<_> = named
            .iter()
            .map(|(name, shape, values)| (name.as_str(), *shape, values.as_slice()))
            .collect();
        Self::of("optimiser", &tensors)
    }

    /// Of an average of the weights, under `ema`.
    ///
    /// # Errors
    /// As [`TensorDigests::of`].
    pub fn of_ema(ema: &Ema, parameters: &Parameters) -> Result<Self> {
        let tensors = parameters.trainable().zip(ema.values());
        let tensors: Vec<_> =
            tensors.map(|(one, values)| (one.name(), one.shape(), values.as_slice())).collect();
        Self::of("ema", &tensors)
    }

    /// The digest over all.
    pub fn root(&self) -> Digest {
        self.root
    }

    /// Each tensor's, in order.
    pub fn tensors(&self) -> &[(String, Digest)] {
        &self.tensors
    }

    /// The first tensor that is not the same there.
    pub fn first_difference<'a>(&'a self, other: &'a Self) -> Option<&'a str> {
        let (own, others) = (&self.tensors, &other.tensors);
        let differs = own.iter().zip(others).find(|(a, b)| a != b).map(|(a, _)| a);
        let longer = own.get(others.len()).or_else(|| others.get(own.len()));
        differs.or(longer).map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_shape_order_and_every_bit_count() {
        let (a, b) = ([1.0f32, 2.0], [3.0f32, 0.0]);
        let of = |tensors: &[NamedTensor<'_>]| TensorDigests::of("weights", tensors).unwrap();
        let one = of(&[("a", &[2], &a), ("b", &[2], &b)]);
        let others: [(&[NamedTensor<'_>], &str); 5] = [
            (&[("a", &[2, 1], &a), ("b", &[2], &b)], "a"),
            (&[("a", &[2], &a), ("c", &[2], &b)], "b"),
            (&[("b", &[2], &b), ("a", &[2], &a)], "a"),
            (&[("a", &[2], &a), ("b", &[2], &[3.0, -0.0])], "b"),
            (&[("a", &[2], &a)], "b"),
        ];
        for (other, first) in others {
            let other = of(other);
            assert_ne!(one.root(), other.root());
            assert_eq!(one.first_difference(&other), Some(first));
        }
        assert_eq!(one.first_difference(&one), None);
        let other = TensorDigests::of("ema", &[("a", &[2], &a), ("b", &[2], &b)]).unwrap();
        assert_ne!(one.root(), other.root());
    }

    #[test]
    fn a_nan_is_an_error_that_names_the_tensor() {
        let error = TensorDigests::of("weights", &[("a", &[1], &[0.0]), ("b", &[1], &[f32::NAN])]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("\"b\""), "{error}");
        assert!(TensorDigests::of("weights", &[("a", &[2], &[0.0])]).is_err());
    }
}

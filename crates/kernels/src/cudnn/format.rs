//! The number formats of maps and weights.

use half::{bf16, f16};

use crate::{Error, Result};

/// A number format that maps and weights are stored in. Sums are always f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// 32 bits. The fast mode may still multiply in TF32, with 10 bits after the leading one.
    #[default]
    F32,
    /// IEEE half precision: 10 bits after the leading one, up to 65504.
    F16,
    /// The upper half of an f32: 7 bits after the leading one, and an f32's range.
    Bf16,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Bf16];

    /// `f32`, `f16` or `bf16`: also the suffix of its kernels.
    pub fn name(self) -> &'static str {
        self.of(["f32", "f16", "bf16"])
    }

    /// Bytes of a value.
    pub fn bytes(self) -> usize {
        self.of([4, 2, 2])
    }

    /// Channels are padded with zeros to a multiple of this: sixteen bytes, which are moved together and
    /// which tensor cores ask for.
    pub fn lanes(self) -> usize {
        16 / self.bytes()
    }

    /// This format's of three things, in the order of [`Format::ALL`].
    pub(super) fn of<T: Copy>(self, all: [T; 3]) -> T {
        all[self as usize]
    }

    /// The values in this format, each rounded to nearest.
    ///
    /// # Errors
    /// A finite value that is too large for the format; `what` says whose.
    pub(super) fn encode(self, what: &'static str, values: &[f32]) -> Result<Vec<u8>> {
        let overflows = |value: f32| match self {
            Self::F32 => false,
            Self::F16 => value.is_finite() && f16::from_f32(value).is_infinite(),
            Self::Bf16 => value.is_finite() && bf16::from_f32(value).is_infinite(),
        };
        if let Some(value) = values.iter().copied().find(|value| overflows(*value)) {
            let reason = format!("{value} is too large for {}: use bf16 or f32", self.name());
            return Err(Error::Shape { what, reason });
        }
        Ok(match self {
            Self::F32 => values.iter().flat_map(|value| value.to_ne_bytes()).collect(),
            Self::F16 => values.iter().flat_map(|x| f16::from_f32(*x).to_ne_bytes()).collect(),
            Self::Bf16 => values.iter().flat_map(|x| bf16::from_f32(*x).to_ne_bytes()).collect(),
        })
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_to_nearest_and_overflow_is_refused() {
        let encode = |format: Format, values: &[f32]| format.encode("weight", values);
        assert_eq!(encode(Format::F32, &[1.5]).unwrap(), 1.5f32.to_ne_bytes());
        let third = 1.0f32 / 3.0;
        assert_eq!(encode(Format::F16, &[third]).unwrap(), f16::from_f32(third).to_ne_bytes());
        assert_eq!(encode(Format::Bf16, &[1e30]).unwrap(), bf16::from_f32(1e30).to_ne_bytes());
        let error = encode(Format::F16, &[0.0, 7e4]).unwrap_err().to_string();
        assert!(error.contains("70000 is too large for f16: use bf16 or f32"), "{error}");
        encode(Format::F16, &[f32::INFINITY]).unwrap();
    }
}

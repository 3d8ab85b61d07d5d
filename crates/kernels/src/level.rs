//! Which instructions a kernel may use: detected once, can be forced, never guessed.

use std::sync::OnceLock;

use crate::simd::{Kernel, Portable, Simd};
use crate::{Error, Result};

/// Names the environment variable that forces a level (`portable`, `avx`, `avx2` or `avx512`).
pub const LEVEL_VARIABLE: &str = "RETINANET_CPU_LEVEL";

/// A set of CPU instructions. A value of this type is proof that this CPU has them: it can only be
/// made by detection. Every level computes the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Level(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
    Relaxed(crate::simd::Relaxed),
}

impl Level {
    /// Plain Rust over arrays of `f32`: every CPU has it. On 64-bit ARM it compiles to NEON and is
    /// the fast level; on x86-64 it is SSE2 and slow, because there fused multiply-add is done in software.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The levels this CPU has, slowest first.
    pub fn available() -> &'static [Self] {
        static AVAILABLE: OnceLock<Vec<Level>> = OnceLock::new();
        AVAILABLE.get_or_init(|| {
            #[allow(unused_mut)]
            let mut levels = vec![Self::PORTABLE];
            #[cfg(target_arch = "x86_64")]
            {
                if is_x86_feature_detected!("avx") {
                    levels.push(Self(Kind::Avx));
                }
                let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
                if avx2 {
                    levels.push(Self(Kind::Avx2));
                }
                if avx2 && is_x86_feature_detected!("avx512f") {
                    levels.push(Self(Kind::Avx512));
                }
            }
            #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
            levels.extend(crate::simd::Relaxed::detect().map(|fused| Self(Kind::Relaxed(fused))));
            levels
        })
    }

    /// The fastest level this CPU has.
    pub fn best() -> Self {
        *Self::available().last().unwrap_or(&Self::PORTABLE)
    }

    /// The level named by `RETINANET_CPU_LEVEL`, or [`Level::best`] where it is not set.
    ///
    /// # Errors
    /// The variable names no level, or one that this CPU does not have.
    pub fn from_env() -> Result<Self> {
        match std::env::var_os(LEVEL_VARIABLE) {
            None => Ok(Self::best()),
            Some(name) => Self::from_name(&name.to_string_lossy()),
        }
    }

    /// The level of that name.
    ///
    /// # Errors
    /// There is no such level, or this CPU does not have it.
    pub fn from_name(name: &str) -> Result<Self> {
        let levels = Self::available();
        levels.iter().copied().find(|level| level.name() == name).ok_or_else(|| {
            Error::LevelUnavailable {
                asked: name.escape_debug().to_string(),
                available: levels.iter().map(|l| l.name()).collect::<Vec<_>>().join(", "),
            }
        })
    }

    /// `portable`, `avx`, `avx2`, `avx512` or `relaxed-simd`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx => "avx",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
            Kind::Relaxed(_) => "relaxed-simd",
        }
    }

    /// Products of bfloat16 pairs, for the fast mode: only at the AVX-512 level, on CPUs that have
    /// them.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn bf16(self) -> Option<crate::simd::Bf16> {
        if self.0 == Kind::Avx512 { crate::simd::Bf16::detect() } else { None }
    }

    /// Pixels of a register tile of the matrix kernels.
    pub(crate) fn tile_pixels(self) -> usize {
        struct TilePixels;
        impl Kernel for TilePixels {
            type Output = usize;
            #[inline(always)]
            fn run<S: Simd>(self, _: S) -> usize {
                S::TILE_PIXELS
            }
        }
        self.run(TilePixels)
    }

    /// Whether convolutions are computed over lists of the values that are not zero: where fused
    /// multiply-adds are emulated on x86-64.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn uses_lists(self) -> bool {
        struct UsesLists;
        impl Kernel for UsesLists {
            type Output = bool;
            #[inline(always)]
            fn run<S: Simd>(self, _: S) -> bool {
                S::EMULATED
            }
        }
        self.run(UsesLists)
    }

    /// Runs a kernel compiled for this level.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Kind::Portable => kernel.run(Portable),
            // SAFETY: a `Level` of this kind is only made after the CPU was seen to have AVX.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx => unsafe { crate::simd::avx::run(kernel) },
            // SAFETY: a `Level` of this kind is only made after the CPU was seen to have AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { crate::simd::avx2::run(kernel) },
            // SAFETY: a `Level` of this kind is only made after the CPU was seen to have AVX-512F.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { crate::simd::avx512::run(kernel) },
            #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
            Kind::Relaxed(fused) => kernel.run(fused),
        }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_level_is_an_error_that_names_what_there_is() {
        let error = Level::from_name("avx9000\n").unwrap_err().to_string();
        assert!(error.contains("avx9000\\n") && error.contains("portable"), "{error}");
    }

    #[test]
    fn every_available_level_is_found_by_its_name() {
        for level in Level::available() {
            assert_eq!(Level::from_name(level.name()), Ok(*level));
        }
    }
}

//! AVX-512 BF16: products of pairs of bfloat16, for the fast mode only. It is no level: its results
//! are not those of the others.

use std::arch::asm;
use std::arch::x86_64::*;

use super::LANES;
use super::avx512::Avx512;

/// Proof that the CPU has AVX-512F and AVX-512 BF16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bf16(());

/// What a [`PairKernel`] computes with. Only [`Bf16::run`] makes one.
#[derive(Clone, Copy)]
pub(crate) struct Pairs(Avx512);

/// A piece of work on pairs of bfloat16.
pub(crate) trait PairKernel {
    /// Does the work. Must be `#[inline(always)]`.
    fn run(self, pairs: Pairs);
}

impl Bf16 {
    /// The proof, if this CPU has the instructions.
    pub fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512bf16")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }

    /// Runs a kernel compiled for these instructions.
    pub(crate) fn run(self, kernel: impl PairKernel) {
        // SAFETY: `self` proves that the CPU has the instructions.
        unsafe { run(kernel) }
    }
}

/// # Safety
/// The CPU has AVX-512F, AVX-512 BF16, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx512bf16,avx2,fma")]
unsafe fn run<K: PairKernel>(kernel: K) {
    // SAFETY: the caller promises AVX-512F.
    kernel.run(Pairs(unsafe { Avx512::assume() }));
}

impl Pairs {
    /// The same CPU's f32 operations.
    #[inline(always)]
    pub(crate) fn f32(self) -> Avx512 {
        self.0
    }

    /// Rounds 16 values to bfloat16, the first `valid` of them; the rest become zero.
    ///
    /// # Safety
    /// `out` points to 8 writable pairs.
    #[inline(always)]
    pub(crate) unsafe fn narrow(self, values: __m512, valid: usize, out: *mut u32) {
        let mask = if valid >= LANES { u16::MAX } else { (1 << valid) - 1 };
        // SAFETY: `self` proves the instructions; the caller promises the place.
        unsafe {
            let narrow = _mm512_cvtneps_pbh(_mm512_maskz_mov_ps(mask, values));
            out.cast::<__m256bh>().write_unaligned(narrow);
        }
    }

    /// Sixteen pairs.
    ///
    /// # Safety
    /// `p` points to 16 readable pairs.
    #[inline(always)]
    pub(crate) unsafe fn load(self, p: *const u32) -> __m512i {
        // SAFETY: `self` proves AVX-512F; the caller promises readable pairs.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }

    /// `sum + a[0] * b[0] + a[1] * b[1]` in each lane, where `a` is the one pair at the pointer.
    ///
    /// # Safety
    /// `a` points to a readable pair.
    #[inline(always)]
    pub(crate) unsafe fn dot(self, sum: __m512, a: *const u32, b: __m512i) -> __m512 {
        // SAFETY: `self` proves the instructions; the caller promises a readable pair.
        unsafe { dot(sum, a, b) }
    }
}

/// The broadcast is part of the instruction: written as one of its own, the compiler does those of a
/// whole register tile first and has no registers left for the sums.
///
/// # Safety
/// The CPU has the instructions, and `a` points to a readable pair.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16,avx2,fma")]
unsafe fn dot(sum: __m512, a: *const u32, b: __m512i) -> __m512 {
    let mut out = sum;
    // SAFETY: one instruction that reads a pair and changes nothing but `out`.
    unsafe {
        asm!(
            "vdpbf16ps {out}, {b}, dword ptr [{a}]{{1to16}}",
            out = inout(zmm_reg) out,
            b = in(zmm_reg) b,
            a = in(reg) a,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    out
}

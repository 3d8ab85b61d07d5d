//! The floating-point environment a kernel computes in.
//!
//! A host program may have set another rounding mode, or flush-to-zero and denormals-are-zero (many
//! audio and game libraries do). Either changes results. Every worker therefore computes inside
//! [`with_ieee`], which puts the defaults in place and restores what it found.

use std::hint::black_box;

/// Runs `f` with rounding to nearest even and with subnormal numbers, whatever the caller has set.
#[inline]
pub fn with_ieee<R>(f: impl FnOnce() -> R) -> R {
    let _restore = Ieee::enter();
    // The compiler believes that the environment never changes, so it may move or share arithmetic
    // across a change of it. What `f` captures goes in, and its result comes out, through a box that
    // the compiler cannot see into, between the two writes of the register.
    let f = black_box(f);
    black_box(f())
}

/// Restores the control register on drop, a panic included.
struct Ieee {
    found: Option<Control>,
}

impl Ieee {
    #[inline]
    fn enter() -> Self {
        let found = read();
        let wanted = found & !NOT_IEEE | IEEE;
        if found == wanted {
            return Self { found: None };
        }
        write(wanted);
        Self { found: Some(found) }
    }
}

impl Drop for Ieee {
    #[inline]
    fn drop(&mut self) {
        if let Some(found) = self.found {
            write(found);
        }
    }
}

#[cfg(target_arch = "x86_64")]
use x86_64::{Control, IEEE, NOT_IEEE, read, write};
#[cfg(target_arch = "x86_64")]
mod x86_64 {
    pub(super) type Control = u32;
    /// Flush-to-zero, both rounding bits, denormals-are-zero.
    pub(super) const NOT_IEEE: u32 = 0xe040;
    /// All exceptions masked: an inexact result must not trap.
    pub(super) const IEEE: u32 = 0x1f80;
    /// Flush-to-zero, rounding towards zero, denormals-are-zero.
    #[cfg(test)]
    pub(super) const HOSTILE: u32 = 0xe040;

    #[inline]
    pub(super) fn read() -> u32 {
        let mut mxcsr = 0u32;
        // SAFETY: stores the 32-bit register into a local of that size.
        unsafe {
            std::arch::asm!("stmxcsr [{p}]", p = in(reg) &mut mxcsr, options(nostack, preserves_flags));
        }
        // The sticky exception flags are no part of the environment.
        mxcsr & !0x3f
    }

    #[inline]
    pub(super) fn write(mxcsr: u32) {
        // SAFETY: loads a value that was read from the register, with only defined bits changed;
        // `Ieee` restores the found value before control returns to the caller.
        unsafe {
            std::arch::asm!("ldmxcsr [{p}]", p = in(reg) &mxcsr, options(nostack, readonly, preserves_flags));
        }
    }
}

#[cfg(target_arch = "aarch64")]
use aarch64::{Control, IEEE, NOT_IEEE, read, write};
#[cfg(target_arch = "aarch64")]
mod aarch64 {
    pub(super) type Control = u64;
    /// FZ16, both rounding bits, FZ, DN, and FEAT_AFP's NEP, AH and FIZ.
    pub(super) const NOT_IEEE: u64 = (1 << 19) | (3 << 22) | (1 << 24) | (1 << 25) | 7;
    pub(super) const IEEE: u64 = 0;
    /// Flush-to-zero and rounding towards zero.
    #[cfg(test)]
    pub(super) const HOSTILE: u64 = (3 << 22) | (1 << 24);

    #[inline]
    pub(super) fn read() -> u64 {
        let fpcr: u64;
        // SAFETY: reads a register that user code may read.
        unsafe { std::arch::asm!("mrs {r}, fpcr", r = out(reg) fpcr, options(nomem, nostack)) };
        fpcr
    }

    #[inline]
    pub(super) fn write(fpcr: u64) {
        // SAFETY: writes a value read from the register with only defined bits changed; `Ieee`
        // restores the found value before control returns to the caller.
        unsafe { std::arch::asm!("msr fpcr, {r}", r = in(reg) fpcr, options(nostack)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use other::{Control, IEEE, NOT_IEEE, read, write};
/// Where the register cannot be read, the language's own promise (the default environment) stands.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod other {
    pub(super) type Control = u32;
    pub(super) const NOT_IEEE: u32 = 0;
    pub(super) const IEEE: u32 = 0;
    #[cfg(test)]
    pub(super) const HOSTILE: u32 = 0;
    pub(super) fn read() -> u32 {
        0
    }
    pub(super) fn write(_: u32) {}
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Runs `f` as a host program that has set flush-to-zero and rounding towards zero.
    pub(crate) fn with_hostile_host<R>(f: impl FnOnce() -> R) -> R {
        #[cfg(target_arch = "aarch64")]
        use super::aarch64::HOSTILE;
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        use super::other::HOSTILE;
        #[cfg(target_arch = "x86_64")]
        use super::x86_64::HOSTILE;

        let found = read();
        write(found | HOSTILE);
        let f = black_box(f);
        let out = black_box(f());
        write(found);
        out
    }

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn subnormals_and_rounding_survive_a_hostile_host() {
        let tiny = f32::MIN_POSITIVE;
        with_hostile_host(|| {
            assert_eq!(black_box(tiny) * black_box(0.5), 0.0, "the host flushes to zero");
            with_ieee(|| {
                assert!(black_box(tiny) * black_box(0.5) > 0.0);
                assert_eq!(black_box(1.0f32) + black_box(f32::EPSILON * 0.75), 1.0 + f32::EPSILON);
            });
            assert_eq!(black_box(tiny) * black_box(0.5), 0.0, "what the host set is restored");
        });
    }

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn arithmetic_is_not_moved_into_or_out_of_the_environment() {
        let (tiny, half) = (f32::MIN_POSITIVE, 0.5f32);
        with_hostile_host(|| {
            let (tiny, half) = (black_box(tiny), black_box(half));
            let before = tiny * half;
            let inside = with_ieee(|| tiny * half);
            let moved_in = with_ieee(move || tiny * half);
            let after = tiny * half;
            assert_eq!([before, after], [0.0; 2]);
            assert_eq!([inside, moved_in], [f32::from_bits(0x0040_0000); 2]);
        });
    }
}

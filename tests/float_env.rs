//! A host program that has changed how its CPU computes, as audio and game libraries do.

/// Runs `f` on a thread of its own that flushes subnormal numbers to zero and rounds towards zero;
/// threads started by it inherit that. `None` where it is not known how to set this.
pub fn with_hostile_host<R: Send>(f: impl FnOnce() -> R + Send) -> Option<R> {
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return None;
    }
    std::thread::scope(|scope| {
        let hostile = scope.spawn(|| {
            set_hostile();
            let halved = std::hint::black_box(f32::MIN_POSITIVE) * std::hint::black_box(0.5);
            assert_eq!(halved, 0.0, "subnormal numbers are flushed");
            f()
        });
        Some(hostile.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

#[cfg(target_arch = "x86_64")]
fn set_hostile() {
    // All exceptions masked, flush-to-zero, denormals-are-zero, rounding towards zero.
    let mxcsr: u32 = 0x1f80 | 0x8000 | 0x0040 | 0x6000;
    // SAFETY: loads a valid value of the register; the thread that it belongs to ends with the test.
    unsafe { std::arch::asm!("ldmxcsr [{p}]", p = in(reg) &mxcsr, options(nostack, readonly)) };
}

#[cfg(target_arch = "aarch64")]
fn set_hostile() {
    // FZ, rounding towards zero.
    let fpcr: u64 = 1 << 24 | 3 << 22;
    // SAFETY: writes defined bits of the register; the thread that it belongs to ends with the test.
    unsafe { std::arch::asm!("msr fpcr, {r}", r = in(reg) fpcr, options(nostack)) };
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn set_hostile() {}

//! What the kernels' tests share.

use std::hint::black_box;

use crate::{Level, with_ieee};

/// Set to 1, this makes a level that the machine lacks a failure instead of a printed line.
const REQUIRE_LEVELS: &str = "RETINANET_REQUIRE_LEVELS";

/// Levels of this architecture.
const ALL: &[&str] = if cfg!(target_arch = "x86_64") {
    &["portable", "avx", "avx2", "avx512"]
} else {
    &["portable"]
};

/// The levels to test; says which it skips.
pub(crate) fn levels() -> Vec<Level> {
    let found = ALL.iter().filter_map(|name| match Level::from_name(name) {
        Ok(level) => Some(level),
        Err(error) => {
            assert!(
                std::env::var_os(REQUIRE_LEVELS).is_none_or(|v| v != "1"),
                "{REQUIRE_LEVELS}=1, but: {error}"
            );
            println!("SKIPPED level {name}: this CPU does not have it");
            None
        }
    });
    found.collect()
}

/// Runs `test` on every level, inside pools of 1, 2, 3 and 8 threads, and on a host that has set
/// flush-to-zero and another rounding mode.
pub(crate) fn everywhere(test: impl Fn(Level) + Sync) {
    use std::sync::OnceLock;
    static POOLS: OnceLock<Vec<rayon::ThreadPool>> = OnceLock::new();
    let pools = POOLS.get_or_init(|| {
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        [1, 2, 3, 8].map(|threads| pool(threads).unwrap()).into()
    });
    for level in levels() {
        for pool in pools {
            pool.install(|| test(level));
        }
        for pool in &pools[..2] {
            use crate::float_env::tests::with_hostile_host;
            pool.install(|| with_hostile_host(|| test(level)));
        }
    }
}

/// An oracle's answer in the IEEE environment, whatever the host has set.
#[inline(never)]
pub(crate) fn in_ieee<I, R>(input: I, oracle: impl FnOnce(I) -> R) -> R {
    // The compiler believes in one environment and may move arithmetic past a change of it; what it
    // cannot see through stays in place.
    with_ieee(|| black_box(oracle(black_box(input))))
}

/// Panics at the first value whose bits differ. A NaN's payload is not promised.
#[track_caller]
pub(crate) fn assert_same_bits(actual: &[f32], expected: &[f32], what: impl std::fmt::Display) {
    assert_eq!(actual.len(), expected.len(), "{what}: lengths");
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        let same = a.to_bits() == e.to_bits() || (a.is_nan() && e.is_nan());
        assert!(same, "{what}: value {i} is {a:e}, expected {e:e}");
    }
}

/// `len` values between -4 and 4, the same on every machine. With `hard`, one in eight is a zero of
/// either sign, an infinity, a NaN, a subnormal or a repeated value.
pub(crate) fn values(seed: u64, len: usize, hard: bool) -> Vec<f32> {
    const HARD: [f32; 8] = [
        0.0,
        -0.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::from_bits(1),
        f32::from_bits(0x8000_0fff),
        1.0,
    ];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    (0..len)
        .map(|_| match next() {
            n if hard && n & 7 == 0 => HARD[(n >> 3) as usize & 7],
            n => (n >> 7) as f32 / (1u32 << 21) as f32 - 4.0,
        })
        .collect()
}

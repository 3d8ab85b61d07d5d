//! How fast this machine could multiply at best: what measured rates are compared with.

use std::hint::black_box;
use std::time::Instant;

use crate::simd::{Kernel, LANES, Simd};
use crate::{Level, parallel};

/// Chains at the same time: enough to hide the latency of any CPU's multiply-add, few enough for its
/// registers (two a vector on AVX2).
const CHAINS: usize = 6;

/// Multiply-adds of sixteen lanes that nothing waits for.
struct Spin {
    rounds: u32,
}

impl Kernel for Spin {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let (a, b) = (s.splat(black_box(0.5)), s.splat(black_box(1.0)));
        let mut chains = [s.splat(black_box(0.0)); CHAINS];
        for _ in 0..self.rounds {
            for chain in &mut chains {
                *chain = s.fma(*chain, a, b);
            }
        }
        let mut sum = chains[0];
        for chain in &chains[1..] {
            sum = s.add(sum, *chain);
        }
        let mut lanes = [0.0; LANES];
        s.write(&mut lanes, 0, sum);
        lanes[0]
    }
}

/// Multiply-adds a second, counted as two operations each, that the ambient pool's threads reach
/// together when they do nothing else: the best of a few tries of some milliseconds.
///
/// On the portable level of an x86-64 CPU this is the speed of fused arithmetic in software.
pub fn multiply_add_rate(level: Level) -> f64 {
    let threads = rayon::current_num_threads();
    let mut rounds = 1 << 10;
    let mut best = 0.0;
    let mut tries = 0;
    while tries < 8 {
        let start = Instant::now();
        parallel::for_each(threads, |_| {
            black_box(level.run(Spin { rounds }));
        });
        let seconds = start.elapsed().as_secs_f64();
        if seconds < 0.01 && rounds < 1 << 30 {
            rounds *= 2;
            continue;
        }
        let operations = f64::from(rounds) * (2 * CHAINS * LANES * threads) as f64;
        let rate = operations / seconds;
        if rate > best {
            best = rate;
        }
        tries += 1;
    }
    best
}

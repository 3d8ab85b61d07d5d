//! Splits an output over threads. Never a sum: who computes an output cannot change it.

use rayon::prelude::*;

use crate::float_env::with_ieee;

/// Runs `task(0..tasks)`, each in the IEEE environment, on rayon's ambient pool: the one the caller
/// is inside of (see `rayon::ThreadPool::install`), else the global one. Tasks must write disjoint
/// outputs; which thread runs which does not matter.
pub(crate) fn for_each(tasks: usize, task: impl Fn(usize) + Sync) {
    if tasks <= 1 || rayon::current_num_threads() == 1 {
        with_ieee(|| (0..tasks).for_each(task));
    } else {
        (0..tasks).into_par_iter().with_max_len(1).for_each(|i| with_ieee(|| task(i)));
    }
}

//! Splits an output over threads. Never a sum: who computes an output cannot change it.

use rayon::prelude::*;

use crate::buffer::Shared;
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

/// Runs `task(i, some of 0..chunks)` for each i in `0..tasks` and all its chunks, as [`for_each`] does.
/// Where there are few tasks for the threads, the chunks of output channels are split too.
pub(crate) fn for_each_with_chunks(
    tasks: usize,
    chunks: usize,
    task: impl Fn(usize, std::ops::Range<usize>) + Sync,
) {
    let wanted = 4 * rayon::current_num_threads();
    let groups = if tasks >= wanted { 1 } else { chunks.min(wanted.div_ceil(tasks.max(1))) };
    let per_group = chunks.div_ceil(groups.max(1));
    for_each(tasks * groups, |i| {
        let (i, group) = (i / groups, i % groups);
        task(i, group * per_group..((group + 1) * per_group).min(chunks));
    });
}

/// Runs `task(i, &mut values[i])` for each value, as [`for_each`] does.
pub(crate) fn for_each_value(values: &mut [f32], task: impl Fn(usize, &mut f32) + Sync) {
    let len = values.len();
    let shared = Shared::new(values);
    for_each(len, |i| {
        // SAFETY: each task has its own value.
        let value = unsafe { shared.part(i, 1) };
        task(i, &mut value[0]);
    });
}

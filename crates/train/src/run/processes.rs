//! Ranks that are processes, on one machine or several, that an MPI launcher (`mpirun`) started.
//!
//! The library and its launcher bring the connections, the network's fast paths and the end of all processes when one dies.
//! How it adds up (in a ring, a tree, in the network's switches) is its own choice and may change with sizes and releases: the
//! sums are of integers.

use std::fs;
use std::thread;

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::*;

use super::reduce::Reduce;
use crate::Result;
use crate::error::RunError;

/// Values that go out at once: 8 MiB, which keeps a network busy, and copies of which are small.
const PIECE: usize = 1 << 20;
/// No machine has a CPU with a higher number.
const MOST_CPUS: usize = 1 << 14;
/// What all processes end with when one of them panics.
const PANICKED: i32 = 3;

/// This process's membership in a run; ends when it is dropped. It outlives its [`MpiRank`]s.
pub struct MpiWorld {
    universe: Universe,
}

impl MpiWorld {
    /// Joins the processes that the launcher started: once a process, before other threads are, and on the thread that
    /// will drop it.
    ///
    /// # Errors
    /// [`RunError::Mpi`] where it was called before, or the library allows calls from one thread only. A library that cannot
    /// reach the others ends the process with a message of its own.
    pub fn join() -> Result<Self> {
        let refuse = |reason: String| RunError::Mpi { reason };
        // Calls come from the thread that trains, one at a time, which need not be the one that joined.
        let wanted = Threading::Serialized;
        let (universe, threading) = mpi::initialize_with_threading(wanted)
            .ok_or_else(|| refuse("it was used before in this process".to_owned()))?;
        if threading < wanted {
            let reason = format!("the library offers {threading:?}, and {wanted:?} is needed");
            return Err(refuse(reason).into());
        }
        Ok(Self { universe })
    }

    /// The rank that this process is.
    pub fn rank(&self) -> MpiRank {
        let world = self.universe.world();
        let number = |value: i32| usize::try_from(value).unwrap_or(0);
        MpiRank { rank: number(world.rank()), ranks: number(world.size()), piece: Vec::new() }
    }

    /// How many threads this rank may use so that those of this machine have a CPU each: the CPUs that it may run on, each
    /// divided by the ranks that may run on it. All ranks ask together.
    pub fn threads(&self) -> usize {
        let machine = self.universe.world().split_shared(0);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let allowed = allowed_cpus();
        let mine: Vec<i64> = (0..MOST_CPUS).map(|cpu| i64::from(allowed.contains(&cpu))).collect();
        let mut users = vec![0_i64; MOST_CPUS];
        machine.all_reduce_into(&mine[..], &mut users[..], SystemOperation::sum());
        let others = usize::try_from(machine.size()).unwrap_or(1);
        match allowed.is_empty() {
            true => share_of(cores, &vec![others as i64; cores]),
            false => share_of(cores, &allowed.iter().map(|cpu| users[*cpu]).collect::<Vec<_>>()),
        }
    }
}

/// The threads for CPUs with so many users each, at most `cores`, at least one.
fn share_of(cores: usize, users: &[i64]) -> usize {
    // In 27720ths, of which 1 to 12 users have whole numbers each.
    let share: i64 = users.iter().map(|users| 27_720 / (*users).max(1)).sum();
    usize::try_from(share / 27_720).unwrap_or(1).clamp(1, cores.max(1))
}

/// The numbers of the CPUs that this process may run on; none where the system does not say.
fn allowed_cpus() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.map(parse_cpus).unwrap_or_default()
}

/// `0-3,8` is 0, 1, 2, 3 and 8.
fn parse_cpus(list: &str) -> Vec<usize> {
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
    });
    ranges.flatten().take_while(|cpu| *cpu < MOST_CPUS).collect()
}

/// One of several processes that make a run together.
#[derive(Debug)]
pub struct MpiRank {
    rank: usize,
    ranks: usize,
    /// A copy of what goes out.
    piece: Vec<i64>,
}

impl Reduce for MpiRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn add(&mut self, values: &mut [i64]) -> Result<()> {
        let world = SimpleCommunicator::world();
        for values in values.chunks_mut(PIECE) {
            self.piece.clear();
            self.piece.extend_from_slice(values);
            // Where another process is lost, the library or the launcher ends this one.
            world.all_reduce_into(&self.piece[..], values, SystemOperation::sum());
        }
        Ok(())
    }
}

impl Drop for MpiRank {
    fn drop(&mut self) {
        // The others would wait for this one's values, and the end of the membership for theirs.
        if thread::panicking() {
            SimpleCommunicator::world().abort(PANICKED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_share_the_cpus_that_they_have() {
        assert_eq!(parse_cpus("\t0-3,8\n"), [0, 1, 2, 3, 8]);
        assert_eq!(parse_cpus("5"), [5]);
        assert_eq!(parse_cpus("?"), [0; 0]);
        assert_eq!(parse_cpus("0-99999999999").len(), MOST_CPUS);
        // Alone on 8; 4 on 8; bound to one of one's own; 4 on 2; 5 on 64.
        assert_eq!(share_of(8, &[1; 8]), 8);
        assert_eq!(share_of(8, &[4; 8]), 2);
        assert_eq!(share_of(1, &[1]), 1);
        assert_eq!(share_of(2, &[4; 2]), 1);
        assert_eq!(share_of(64, &[5; 64]), 12);
        // A limit on time, not on CPUs.
        assert_eq!(share_of(2, &[1; 64]), 2);
    }
}

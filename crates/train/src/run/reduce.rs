//! Sums over the processes of a run.

use retinanet::data::Shard;

use crate::Result;
use crate::gradient_sum::GradientSum;

/// Several processes (ranks) that make a run together: each computes a share of every step's pictures and has all
/// weights. Sums are of integers, so no order of adding up, and no number of ranks, changes a bit.
pub trait Reduce {
    /// Which one this is, from 0. Rank 0 writes the run's files.
    fn rank(&self) -> usize;

    /// How many there are.
    fn ranks(&self) -> usize;

    /// Adds up the sums of all ranks; each then has the total.
    ///
    /// # Errors
    /// The connection to another rank is lost.
    fn add_up(&mut self, sum: &mut GradientSum) -> Result<()>;

    /// Whether any rank says yes.
    ///
    /// # Errors
    /// As [`Reduce::add_up`].
    fn any(&mut self, yes: bool) -> Result<bool>;

    /// Returns when all ranks are here.
    ///
    /// # Errors
    /// As [`Reduce::add_up`].
    fn wait(&mut self) -> Result<()> {
        self.any(false).map(drop)
    }

    /// This rank's share of the run's positions.
    ///
    /// # Errors
    /// None, for a rank below the number of ranks.
    fn shard(&self) -> Result<Shard> {
        Ok(Shard::new(self.rank(), self.ranks())?)
    }

    /// How many pictures of a step are this rank's.
    fn share(&self, step: u64, batch: usize) -> usize {
        let (rank, ranks) = (self.rank() as u64, self.ranks() as u64);
        // Positions below `end` that leave `rank` when divided by `ranks`.
        let below = |end: u64| (end + ranks - 1 - rank) / ranks;
        let (start, end) = (step * batch as u64, (step + 1) * batch as u64);
        (below(end) - below(start)) as usize
    }
}

/// A run of one process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Reduce for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn ranks(&self) -> usize {
        1
    }

    fn add_up(&mut self, _: &mut GradientSum) -> Result<()> {
        Ok(())
    }

    fn any(&mut self, yes: bool) -> Result<bool> {
        Ok(yes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Rank(usize, usize);

    impl Reduce for Rank {
        fn rank(&self) -> usize {
            self.0
        }

        fn ranks(&self) -> usize {
            self.1
        }

        fn add_up(&mut self, _: &mut GradientSum) -> Result<()> {
            Ok(())
        }

        fn any(&mut self, yes: bool) -> Result<bool> {
            Ok(yes)
        }
    }

    #[test]
    fn the_shares_of_a_step_are_its_positions() {
        for (ranks, batch) in [(1, 4), (3, 16), (5, 16), (4, 3), (7, 1)] {
            for step in 0..9 {
                let share = |rank| {
                    let positions = step * batch as u64..(step + 1) * batch as u64;
                    let own = positions.filter(|p| p % ranks as u64 == rank as u64).count();
                    assert_eq!(Rank(rank, ranks).share(step, batch), own, "{rank} of {ranks}");
                    own
                };
                assert_eq!((0..ranks).map(share).sum::<usize>(), batch);
            }
        }
    }
}

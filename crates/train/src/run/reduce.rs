//! Sums over the processes of a run.

use retinanet::data::Shard;

use crate::Result;
use crate::gradient_sum::GradientSum;

/// Several processes (ranks) that make a run together: each computes a share of every step's pictures and has all
/// weights. Sums are of integers, so no order of adding up, and no number of ranks, changes a bit.
///
/// A transport has three methods; the rest is made of them. All ranks make the same calls in the same sequence.
pub trait Reduce {
    /// Which one this is, from 0. Rank 0 writes the run's files.
    fn rank(&self) -> usize;

    /// How many there are.
    fn ranks(&self) -> usize;

    /// Adds up each of these values over all ranks, which give as many; each then has the total. Totals fit into 64 bits.
    ///
    /// # Errors
    /// The connection to another rank is lost.
    fn add(&mut self, values: &mut [i64]) -> Result<()>;

    /// Adds up the sums of all ranks; each then has the total.
    ///
    /// # Errors
    /// As [`Reduce::add`].
    fn add_up(&mut self, sum: &mut GradientSum) -> Result<()> {
        sum.slices_mut().try_for_each(|values| self.add(values))
    }

    /// What every rank gives, as many values each, in order of ranks.
    ///
    /// # Errors
    /// As [`Reduce::add`].
    fn gather(&mut self, own: &[i64]) -> Result<Vec<Vec<i64>>> {
        // A sum in which everyone has a place of its own.
        let mut all = vec![0; own.len() * self.ranks()];
        all[own.len() * self.rank()..][..own.len()].copy_from_slice(own);
        self.add(&mut all)?;
        let len = own.len();
        Ok((0..self.ranks()).map(|rank| all[rank * len..][..len].to_vec()).collect())
    }

    /// The first rank that says yes.
    ///
    /// # Errors
    /// As [`Reduce::add`].
    fn first(&mut self, yes: bool) -> Result<Option<usize>> {
        let all = self.gather(&[i64::from(yes)])?;
        Ok(all.iter().position(|said| said == &[1]))
    }

    /// Whether any rank says yes.
    ///
    /// # Errors
    /// As [`Reduce::add`].
    fn any(&mut self, yes: bool) -> Result<bool> {
        Ok(self.first(yes)?.is_some())
    }

    /// Returns when all ranks are here.
    ///
    /// # Errors
    /// As [`Reduce::add`].
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

    fn add(&mut self, _: &mut [i64]) -> Result<()> {
        Ok(())
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

        fn add(&mut self, _: &mut [i64]) -> Result<()> {
            Ok(())
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

//! Ranks that are threads of one process.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::reduce::Reduce;
use crate::error::RunError;
use crate::{Error, Result};

/// One of several threads that make a run together. A thread that ends, also by a panic, ends the run of the others.
///
/// ```
/// use retinanet_train::run::{Reduce, ThreadRank};
///
/// let threads = ThreadRank::group(3).into_iter().map(|mut rank| {
///     std::thread::spawn(move || {
///         let mut values = [rank.rank() as i64, 1];
///         rank.add(&mut values).map(|()| values)
///     })
/// });
/// for thread in threads.collect::<Vec<_>>() {
///     assert_eq!(thread.join().unwrap()?, [3, 3]);
/// }
/// # Ok::<(), retinanet_train::Error>(())
/// ```
#[derive(Debug)]
pub struct ThreadRank {
    rank: usize,
    ranks: usize,
    place: Arc<Place>,
}

/// Where they meet.
#[derive(Debug, Default)]
struct Place {
    meeting: Mutex<Meeting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Meeting {
    /// What those who came have together.
    sum: Vec<i64>,
    came: usize,
    /// How many have yet to take the sum; while there are some, nobody comes to the next.
    to_take: usize,
    /// A rank that is gone.
    gone: Option<usize>,
}

impl ThreadRank {
    /// So many ranks, one for each thread.
    pub fn group(ranks: usize) -> Vec<Self> {
        let place = Arc::new(Place::default());
        (0..ranks).map(|rank| Self { rank, ranks, place: place.clone() }).collect()
    }
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Meeting> {
        // Whoever panicked is in `gone`.
        self.meeting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, meeting: MutexGuard<'a, Meeting>) -> MutexGuard<'a, Meeting> {
        self.changed.wait(meeting).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reduce for ThreadRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn add(&mut self, values: &mut [i64]) -> Result<()> {
        let mut meeting = self.place.lock();
        while meeting.to_take > 0 {
            meeting = self.place.wait(meeting);
        }
        if meeting.came == 0 {
            meeting.sum.clear();
            meeting.sum.extend_from_slice(values);
        } else {
            let (what, expected, actual) =
                ("what the ranks add up", meeting.sum.len(), values.len());
            if expected != actual {
                return Err(Error::Length { what, expected, actual });
            }
            for (sum, value) in meeting.sum.iter_mut().zip(&*values) {
                *sum += value;
            }
        }
        meeting.came += 1;
        if meeting.came == self.ranks {
            (meeting.came, meeting.to_take) = (0, self.ranks);
            self.place.changed.notify_all();
        }
        while meeting.to_take == 0 {
            if let Some(rank) = meeting.gone {
                return Err(RunError::RankGone { rank }.into());
            }
            meeting = self.place.wait(meeting);
        }
        values.copy_from_slice(&meeting.sum);
        meeting.to_take -= 1;
        if meeting.to_take == 0 {
            self.place.changed.notify_all();
        }
        Ok(())
    }
}

impl Drop for ThreadRank {
    fn drop(&mut self) {
        let mut meeting = self.place.lock();
        meeting.gone.get_or_insert(self.rank);
        drop(meeting);
        self.place.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn sums_are_everyones_round_after_round() {
        for ranks in [1, 2, 3, 5] {
            let threads: Vec<_> = ThreadRank::group(ranks)
                .into_iter()
                .map(|mut one| {
                    thread::spawn(move || {
                        for round in 0..200_i64 {
                            let rank = one.rank() as i64;
                            let mut values = vec![rank * round; (round % 7) as usize];
                            one.add(&mut values).unwrap();
                            let all = (0..ranks as i64).sum::<i64>() * round;
                            assert!(values.iter().all(|value| *value == all));
                            let expected: Vec<_> = (0..ranks as i64).map(|r| vec![r, 7]).collect();
                            assert_eq!(one.gather(&[rank, 7]).unwrap(), expected);
                            let last = one.first(rank + 1 == ranks as i64).unwrap();
                            assert_eq!(last, Some(ranks - 1));
                            assert!(!one.any(false).unwrap());
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    }

    #[test]
    fn nobody_waits_for_a_rank_that_is_gone_or_gives_other_values() {
        let mut group = ThreadRank::group(3);
        let (gone, waiting) = (group.remove(1), group);
        let threads: Vec<_> = waiting
            .into_iter()
            .map(|mut one| thread::spawn(move || one.wait().unwrap_err().to_string()))
            .collect();
        drop(gone);
        for thread in threads {
            let error = thread.join().unwrap();
            assert!(error.contains("has left the run"), "{error}");
        }
        let threads: Vec<_> = ThreadRank::group(2)
            .into_iter()
            .map(|mut one| {
                thread::spawn(move || {
                    let mut values = vec![0; 1 + one.rank()];
                    one.add(&mut values).unwrap_err().to_string()
                })
            })
            .collect();
        let errors: Vec<String> = threads.into_iter().map(|one| one.join().unwrap()).collect();
        assert!(errors.iter().any(|e| e.contains("what the ranks add up: expected")), "{errors:?}");
        assert!(errors.iter().any(|error| error.contains("has left the run")), "{errors:?}");
    }
}

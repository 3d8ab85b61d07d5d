//! What ranks have to agree about: that all can go on, and that all have the same.

use retinanet::determinism::Digest;
use sha2::{Digest as _, Sha256};

use super::reduce::Reduce;
use crate::error::RunError;
use crate::{Error, Result};

/// What this rank came to, if every rank came to something. Where some failed, the first of them has its own error, and all
/// others hear which one it was: no rank waits for one that is gone. `doing` says what was done, for messages.
///
/// # Errors
/// The rank's own, [`RunError::OtherRank`], and those of the transport.
pub fn agree<T, E: From<Error>>(
    reduce: &mut dyn Reduce,
    own: Result<T, E>,
    doing: &str,
) -> Result<T, E> {
    let rank = match reduce.first(own.is_err())? {
        None => return own,
        Some(rank) => rank,
    };
    match own {
        Err(error) if rank == reduce.rank() => Err(error),
        _ => Err(E::from(RunError::OtherRank { rank, doing: doing.to_owned() }.into())),
    }
}

/// Checks that all ranks have the same of each of these.
///
/// # Errors
/// [`RunError::RankDiffers`], the same one on every rank: it names the first part that is not the same, and the first rank
/// that is not with most of the others. Those of the transport.
pub fn same(reduce: &mut dyn Reduce, parts: &[(&str, Digest)]) -> Result<()> {
    let own: Vec<i64> = parts.iter().flat_map(|(_, digest)| words(digest)).collect();
    let all = reduce.gather(&own)?;
    for (index, (part, _)) in parts.iter().enumerate() {
        let of = |rank: usize| &all[rank][index * WORDS..][..WORDS];
        let with = |rank: usize| (0..all.len()).filter(|other| of(*other) == of(rank)).count();
        // Of as many, the one with the lowest rank.
        let usual = (0..all.len()).fold(
            0,
            |usual, rank| {
                if with(rank) > with(usual) { rank } else { usual }
            },
        );
        if let Some(rank) = (0..all.len()).find(|rank| of(*rank) != of(usual)) {
            let part = (*part).to_owned();
            return Err(RunError::RankDiffers { rank, usual, part }.into());
        }
    }
    Ok(())
}

/// What rank 0 has.
pub(super) fn of_rank_0(reduce: &mut dyn Reduce, own: Digest) -> Result<Digest> {
    let all = reduce.gather(&words(&own))?;
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(&all[0]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    Ok(Digest::from_bytes(bytes))
}

/// A digest of a text, to be compared.
pub(super) fn mark(text: &str) -> Digest {
    Digest::from_bytes(Sha256::digest(text).into())
}

/// How many integers a digest is.
const WORDS: usize = 4;

fn words(digest: &Digest) -> [i64; WORDS] {
    let bytes = digest.as_bytes();
    std::array::from_fn(|word| {
        i64::from_le_bytes(std::array::from_fn(|byte| bytes[word * 8 + byte]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of several ranks of which the others' values are known.
    struct Scripted {
        rank: usize,
        others: Vec<Vec<i64>>,
    }

    impl Reduce for Scripted {
        fn rank(&self) -> usize {
            self.rank
        }

        fn ranks(&self) -> usize {
            self.others.len()
        }

        fn add(&mut self, values: &mut [i64]) -> Result<()> {
            let len = values.len() / self.others.len();
            for (rank, own) in self.others.iter().enumerate().filter(|(rank, _)| *rank != self.rank)
            {
                values[rank * len..][..len].copy_from_slice(own);
            }
            Ok(())
        }
    }

    fn told(ranks: &[[&str; 2]]) -> Option<String> {
        let others: Vec<Vec<i64>> = ranks
            .iter()
            .map(|parts| parts.iter().flat_map(|part| words(&mark(part))).collect())
            .collect();
        let messages: Vec<Option<String>> = (0..ranks.len())
            .map(|rank| {
                let parts = [("recipe", mark(ranks[rank][0])), ("weights", mark(ranks[rank][1]))];
                let mut reduce = Scripted { rank, others: others.clone() };
                same(&mut reduce, &parts).err().map(|error| error.to_string())
            })
            .collect();
        assert!(messages.iter().all(|message| *message == messages[0]), "{messages:?}");
        messages[0].clone()
    }

    #[test]
    fn the_rank_that_differs_is_named_with_what_differs() {
        assert_eq!(told(&[["a", "b"]; 3]), None);
        assert_eq!(told(&[["a", "b"]]), None);
        let message = told(&[["a", "b"], ["c", "d"]]).unwrap();
        assert!(message.contains("rank 1 does not have the same recipe as rank 0"), "{message}");
        let message = told(&[["a", "b"], ["a", "d"]]).unwrap();
        assert!(message.contains("rank 1 does not have the same weights as rank 0"), "{message}");
        // The one that is alone, not the one that is first.
        let message = told(&[["x", "b"], ["a", "b"], ["a", "b"]]).unwrap();
        assert!(message.contains("rank 0 does not have the same recipe as rank 1"), "{message}");
    }

    #[test]
    fn the_first_rank_that_fails_speaks_for_all() {
        let says = |rank: usize, failed: [bool; 3]| {
            let others = failed.map(|yes| vec![i64::from(yes)]).to_vec();
            let own = match failed[rank] {
                true => Err(Error::from(RunError::NoRun { folder: "x".into() })),
                false => Ok(rank),
            };
            agree(&mut Scripted { rank, others }, own, "in step 4").map_err(|e| e.to_string())
        };
        assert_eq!(says(1, [false; 3]), Ok(1));
        let failed = [false, true, true];
        assert!(says(1, failed).unwrap_err().contains("no run"));
        for rank in [0, 2] {
            let message = says(rank, failed).unwrap_err();
            assert!(message.contains("rank 1 failed in step 4"), "{message}");
        }
    }
}

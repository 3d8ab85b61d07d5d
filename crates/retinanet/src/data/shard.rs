//! A fixed share of a list, so that several processes or machines split the work.

use std::fmt;
use std::str::FromStr;

use super::DataError;
use crate::Result;

/// More shares than any list is split into; a typing error more likely.
const MAX_SHARDS: usize = 1_000_000;

/// Share `index` of `count`: the items at the places `index`, `index + count`, `index + 2 count`, ...
///
/// The shares of one count do not overlap and leave nothing out; their lengths differ by at most one.
/// Written `I/N`.
///
/// ```
/// use retinanet::data::Shard;
///
/// let shard: Shard = "1/3".parse()?;
/// let places: Vec<usize> = (0..shard.share_of(8)).map(|k| shard.place(k)).collect();
/// assert_eq!(places, [1, 4, 7]);
/// assert!("3/3".parse::<Shard>().is_err());
/// # Ok::<(), retinanet::Error>(())
/// ```
///
/// Source: `torch.utils.data.DistributedSampler` without its padding, which repeats samples to make
/// the shares equally long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Default for Shard {
    /// The whole.
    fn default() -> Self {
        Self { index: 0, count: 1 }
    }
}

impl Shard {
    /// Share `index` (from 0) of `count`.
    ///
    /// # Errors
    /// [`DataError::Shard`] unless `index < count` and `count` is at most a million.
    pub fn new(index: usize, count: usize) -> Result<Self> {
        if index >= count || count > MAX_SHARDS {
            return Err(DataError::Shard { text: format!("{index}/{count}") }.into());
        }
        Ok(Self { index, count })
    }

    /// Which share, from 0.
    pub fn index(self) -> usize {
        self.index
    }

    /// Of how many.
    pub fn count(self) -> usize {
        self.count
    }

    /// How many of `len` items are in this share.
    pub fn share_of(self, len: usize) -> usize {
        len / self.count + usize::from(self.index < len % self.count)
    }

    /// The place in the whole of this share's item number `position`.
    ///
    /// # Panics
    /// If the place overflows, which none of a share's own items does.
    pub fn place(self, position: usize) -> usize {
        position
            .checked_mul(self.count)
            .and_then(|start| start.checked_add(self.index))
            .expect("a place within the list")
    }
}

impl FromStr for Shard {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || DataError::Shard { text: text.chars().take(80).collect() };
        let (index, count) = text.split_once('/').ok_or_else(refuse)?;
        let plain = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            if digits { part.parse::<usize>().ok() } else { None }
        };
        let (index, count) = plain(index).zip(plain(count)).ok_or_else(refuse)?;
        Self::new(index, count)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_a_partition() {
        for count in 1..=7 {
            for len in 0..20 {
                let mut seen = vec![0; len];
                for index in 0..count {
                    let shard = Shard::new(index, count).unwrap();
                    for position in 0..shard.share_of(len) {
                        seen[shard.place(position)] += 1;
                    }
                }
                assert!(seen.iter().all(|&times| times == 1), "{len} in {count}: {seen:?}");
            }
        }
    }

    #[test]
    fn text_goes_round_and_nonsense_is_refused() {
        for text in ["0/1", "3/5", "999999/1000000"] {
            assert_eq!(text.parse::<Shard>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "1",
            "/",
            "1/",
            "/2",
            "2/2",
            "0/0",
            "-1/2",
            "+0/2",
            "0/2/3",
            "a/b",
            "0/1000001",
            " 0/1",
        ] {
            let error = wrong.parse::<Shard>().unwrap_err().to_string();
            assert!(error.contains("0/4"), "{error}");
        }
    }
}

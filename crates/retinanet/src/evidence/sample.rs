//! Which images of a log are re-run.

use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use super::EvidenceError;
use crate::determinism::Digest;

/// The most digits after the point of a percentage.
const MAX_DECIMALS: usize = 6;

/// How many images of a log are re-run; which ones, the log's head decides.
///
/// Written `1%`, `0.5%` or `20`. A percentage is rounded up, so at least one image is chosen of a log that has any.
///
/// Image number i (from 0, u64 little-endian) has the key SHA-256(`retinanet-sample-v1`, the head's 32 bytes, the
/// length of the beacon (u64) and its UTF-8, i); the images with the smallest keys are chosen. So nobody who
/// verifies can choose, and nobody who changes a line afterwards can keep the choice: with the line, the head
/// changes. Who *makes* a log knows its head, and can make many until a choice pleases: against that, the
/// verifier adds a beacon, a text that nobody knew when the head was published.
///
/// ```
/// use retinanet::evidence::Sample;
///
/// let head = "00".repeat(32).parse()?;
/// let chosen = "1%".parse::<Sample>()?.choose(head, "", 250);
/// assert_eq!(chosen.len(), 3);
/// # Ok::<(), retinanet::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    size: Size,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Size {
    #[default]
    All,
    Count(usize),
    /// Of `over`, rounded up.
    Share {
        part: u64,
        over: u64,
    },
}

impl Sample {
    /// Every image.
    pub fn all() -> Self {
        Self::default()
    }

    /// How many of `total` are chosen.
    pub fn size(self, total: usize) -> usize {
        match self.size {
            Size::All => total,
            Size::Count(count) => count.min(total),
            Size::Share { part, over } => {
                let share = (total as u128 * u128::from(part)).div_ceil(u128::from(over));
                usize::try_from(share).unwrap_or(total).min(total)
            }
        }
    }

    /// The chosen ones of `total` images, in their order; `beacon` is empty for none.
    pub fn choose(self, head: Digest, beacon: &str, total: usize) -> Vec<usize> {
        let size = self.size(total);
        if size == total {
            return (0..total).collect();
        }
        let mut start = Sha256::new_with_prefix("retinanet-sample-v1");
        start.update(head.as_bytes());
        start.update((beacon.len() as u64).to_le_bytes());
        start.update(beacon);
        let key = |index: usize| -> ([u8; 32], usize) {
            let hash = start.clone().chain_update((index as u64).to_le_bytes());
            (hash.finalize().into(), index)
        };
        let mut keys: Vec<_> = (0..total).map(key).collect();
        keys.sort_unstable();
        let mut chosen: Vec<usize> = keys[..size].iter().map(|(_, index)| *index).collect();
        chosen.sort_unstable();
        chosen
    }
}

impl FromStr for Sample {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, crate::Error> {
        let size = match text.strip_suffix('%') {
            Some(share) => percentage(share),
            None => digits(text)
                .filter(|count| *count > 0)
                .and_then(|count| usize::try_from(count).ok().map(Size::Count)),
        };
        let refused = || EvidenceError::Sample { text: text.chars().take(80).collect() };
        Ok(Self { size: size.ok_or_else(refused)? })
    }
}

fn percentage(text: &str) -> Option<Size> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if decimals.len() > MAX_DECIMALS || whole.len() > 3 {
        return None;
    }
    let over = 10_u64.pow(decimals.len() as u32);
    let part = digits(whole)? * over + digits(decimals)?;
    let over = 100 * over;
    (part > 0 && part <= over).then_some(Size::Share { part, over })
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(byte: u8) -> Digest {
        Digest::from_bytes([byte; 32])
    }

    #[test]
    fn the_choice_is_a_function_of_the_head_and_the_beacon() {
        let sample: Sample = "5%".parse().unwrap();
        let chosen = sample.choose(head(1), "", 1000);
        assert_eq!(chosen, sample.choose(head(1), "", 1000));
        assert_eq!(chosen.len(), 50);
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
        assert_ne!(chosen, sample.choose(head(2), "", 1000));
        assert_ne!(chosen, sample.choose(head(1), "x", 1000));
        // Computed apart, in Python: what this release chooses, every other has to choose.
        let three: Sample = "3".parse().unwrap();
        assert_eq!(three.choose(head(0), "", 100), [2, 14, 95]);
        assert_eq!(three.choose(head(0), "x", 100), [18, 32, 46]);
    }

    #[test]
    fn every_image_is_chosen_about_as_often() {
        let sample: Sample = "10%".parse().unwrap();
        let mut times = [0; 40];
        for byte in 0..=255 {
            sample.choose(head(byte), "", 40).iter().for_each(|&index| times[index] += 1);
        }
        // 25.6 are expected; six standard deviations are 28.
        assert_eq!(times.iter().sum::<usize>(), 256 * 4);
        assert!(times.iter().all(|&times| (3..=54).contains(&times)), "{times:?}");
    }

    #[test]
    fn sizes_are_rounded_up_and_end_at_all() {
        for (text, total, size) in [
            ("1%", 1, 1),
            ("1%", 100, 1),
            ("1%", 101, 2),
            ("0.5%", 1000, 5),
            ("0.000001%", 10, 1),
            ("100%", 7, 7),
            ("100.0%", 7, 7),
            ("20", 7, 7),
            ("3", 7, 3),
            ("1%", 0, 0),
        ] {
            let sample: Sample = text.parse().unwrap();
            assert_eq!(sample.size(total), size, "{text} of {total}");
            assert_eq!(sample.choose(head(3), "", total).len(), size);
        }
        assert_eq!(Sample::all().choose(head(1), "", 3), [0, 1, 2]);
    }

    #[test]
    fn what_is_no_sample_is_refused() {
        for text in [
            "",
            "%",
            "0",
            "0%",
            "0.0%",
            "-1%",
            "101%",
            "100.1%",
            "1e2%",
            "1.%",
            ".5%",
            "1 %",
            "x",
            "0.0000001%",
            "99999999999999999999",
            "+1",
            "1%%",
            "1/2",
        ] {
            let error = text.parse::<Sample>().unwrap_err().to_string();
            assert!(error.contains("is no sample: give a percentage"), "{text}: {error}");
        }
    }
}

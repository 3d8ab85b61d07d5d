//! Random streams keyed by (seed, purpose, name, index), equal on every platform.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::{DeterminismError, normal, philox};
use crate::Result;

/// What random numbers are for; streams of different purposes share nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// Initial values of parameters; the name is the parameter's full path, the index 0.
    Initialisation,
    /// The order of a data set; the name is the data set's, the index the epoch.
    Shuffle,
    /// Choosing a subset.
    Sampling,
    /// Random changes to a sample; the index is the sample's.
    Augmentation,
    /// Inputs of tests and measurements.
    TestData,
}

impl Purpose {
    fn tag(self) -> &'static str {
        match self {
            Self::Initialisation => "initialisation",
            Self::Shuffle => "shuffle",
            Self::Sampling => "sampling",
            Self::Augmentation => "augmentation",
            Self::TestData => "test-data",
        }
    }
}

/// A stream of random numbers, a pure function of (seed, purpose, name, index).
///
/// No two streams share state, so neither the order nor the thread in which streams are used can
/// change what one of them gives.
///
/// Definition, version 1. The key material is SHA-256 over: the text `retinanet-stream-v1`, the seed
/// (u64), the purpose in lower case (`initialisation`, `shuffle`, `sampling`, `augmentation`,
/// `test-data`), the name, the index (u64); each text as its length in bytes (u64) and its UTF-8,
/// every integer little-endian. Of the hash, read as little-endian u32 words h0..h7, (h0, h1) is the
/// key of Philox4x32-10 and (h2, h3) the upper half of its counter. The lower half, from 0, counts
/// blocks of four words, which are handed out in order.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 2],
    upper_counter: [u32; 2],
    next_block: u64,
    words: [u32; 4],
    used: usize,
}

impl Stream {
    /// The stream of a seed, purpose, name and index.
    pub fn new(seed: u64, purpose: Purpose, name: &str, index: u64) -> Self {
        let mut hash = Sha256::new();
        hash_text(&mut hash, "retinanet-stream-v1");
        hash.update(seed.to_le_bytes());
        hash_text(&mut hash, purpose.tag());
        hash_text(&mut hash, name);
        hash.update(index.to_le_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let word = |i: usize| {
            u32::from_le_bytes([hash[4 * i], hash[4 * i + 1], hash[4 * i + 2], hash[4 * i + 3]])
        };
        Self {
            key: [word(0), word(1)],
            upper_counter: [word(2), word(3)],
            next_block: 0,
            words: [0; 4],
            used: 4,
        }
    }

    /// 32 random bits: the next word.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            let counter = [
                self.next_block as u32,
                (self.next_block >> 32) as u32,
                self.upper_counter[0],
                self.upper_counter[1],
            ];
            self.words = philox::block(counter, self.key);
            self.next_block = self.next_block.wrapping_add(1);
            self.used = 0;
        }
        let word = self.words[self.used];
        self.used += 1;
        word
    }

    /// 64 random bits: two words, the first one low.
    pub fn next_u64(&mut self) -> u64 {
        let low = self.next_u32();
        u64::from(low) | (u64::from(self.next_u32()) << 32)
    }

    /// Uniform on [0, 1): one of the 2^24 multiples of 2^-24, from the upper 24 bits of one word.
    pub fn uniform_f32(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform on [0, 1): one of the 2^53 multiples of 2^-53, from the upper 53 bits of
    /// [`next_u64`](Self::next_u64).
    pub fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Standard normal (mean 0, variance 1) in f64; always consumes two words.
    ///
    /// The quantile function at (k + 1/2) 2^-52, k the upper 52 bits of
    /// [`next_u64`](Self::next_u64); values lie within +-8.21. It uses +, -, *, / and sqrt only, and
    /// its own logarithm, so the bits are equal on every platform.
    ///
    /// Source: Wichura's algorithm AS 241 (1988).
    pub fn normal_f64(&mut self) -> f64 {
        let k = self.next_u64() >> 12;
        normal::quantile((k as f64 + 0.5) * (1.0 / 4_503_599_627_370_496.0))
    }

    /// Standard normal: [`normal_f64`](Self::normal_f64) rounded to f32.
    pub fn normal_f32(&mut self) -> f32 {
        self.normal_f64() as f32
    }

    /// A uniform integer below `n`, without bias.
    ///
    /// The upper half of the 128-bit product of `n` and [`next_u64`](Self::next_u64); draws whose
    /// lower half is below 2^64 mod n are thrown away.
    ///
    /// # Errors
    /// [`DeterminismError::EmptyRange`] where `n` is 0.
    ///
    /// Source: Lemire, "Fast random integer generation in an interval", 2019.
    pub fn range(&mut self, n: u64) -> Result<u64> {
        if n == 0 {
            return Err(DeterminismError::EmptyRange.into());
        }
        Ok(self.below(n))
    }

    /// [`range`](Self::range) for an `n` known not to be 0.
    fn below(&mut self, n: u64) -> u64 {
        let rejected = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= rejected {
                return (product >> 64) as u64;
            }
        }
    }

    /// Puts `items` into a uniformly random order.
    ///
    /// Fisher-Yates: for i from the last index down to 1, swap i with [`range`](Self::range)(i + 1).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i as u64 + 1) as usize;
            items.swap(i, j);
        }
    }

    /// `count` distinct indices below `population`, in random order.
    ///
    /// The first `count` steps of a Fisher-Yates shuffle of 0, 1, .. that goes upwards: for i from 0,
    /// swap i with i + [`range`](Self::range)(population - i), and take what is now at i. Memory is
    /// proportional to `count`, not to `population`.
    ///
    /// # Errors
    /// [`DeterminismError::SampleTooLarge`] where `count` exceeds `population`.
    pub fn sample(&mut self, population: usize, count: usize) -> Result<Vec<usize>> {
        if count > population {
            return Err(DeterminismError::SampleTooLarge { count, population }.into());
        }
        // Positions whose value is no longer their own index.
        let mut moved = HashMap::new();
        let mut samples = Vec::with_capacity(count);
        for i in 0..count {
            let j = i + self.below((population - i) as u64) as usize;
            let at_i = moved.get(&i).copied().unwrap_or(i);
            samples.push(moved.get(&j).copied().unwrap_or(j));
            moved.insert(j, at_i);
        }
        Ok(samples)
    }
}

fn hash_text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

//! Weights and pictures made of integers: the twin of `golden/generator.py`, bit for bit.

use serde::Deserialize;

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// What makes random weights give many different detections; see `golden/models.py`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lively {
    /// Of the variance of `cls_logits.weight`, over Kaiming's.
    pub log2_logits_gain: i32,
    /// Of the variance of `bbox_reg.weight`, over Kaiming's.
    pub log2_boxes_gain: i32,
    /// The norm that ends a residual block: `bn2` or `bn3`.
    pub last_norm: String,
}

/// A stream of 64-bit words that can be read at any index.
#[derive(Debug, Clone, Copy)]
struct Stream(u64);

/// SplitMix64's finaliser.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Stream {
    /// The stream of that name: FNV-1a under the seed.
    fn new(seed: u64, name: &str) -> Self {
        let fnv = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(mix(fnv ^ mix(seed)))
    }

    fn word(self, index: u64) -> u64 {
        mix(self.0.wrapping_add(index.wrapping_add(1).wrapping_mul(STEP)))
    }

    /// An odd integer in -4095..=4095.
    fn odd(self, index: usize) -> i32 {
        (self.word(index as u64) >> 52) as i32 * 2 - 4095
    }

    /// A value in centre +- 2^log2_spread.
    fn around(self, index: usize, centre: f32, log2_spread: i32) -> f32 {
        centre + self.odd(index) as f32 * power_of_two(log2_spread - 12)
    }
}

/// 2^exponent, from its bits.
fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) as u32) << 23)
}

/// sqrt(6 * 2^log2_gain / fan_in) as (bound, shift): bound / 2^shift, bound of 12 bits.
fn kaiming_bound(fan_in: usize, log2_gain: i32) -> (i32, i32) {
    let mut shift = 0;
    loop {
        let six = 6_u128 << (2 * shift);
        let scaled = match log2_gain {
            0.. => six << log2_gain,
            _ => six >> -log2_gain,
        };
        let bound = (scaled / fan_in as u128).isqrt();
        if bound >= 2048 {
            return (bound as i32, shift);
        }
        shift += 1;
    }
}

/// The tensor of that name: convolutions as Kaiming would, norms near the identity.
pub fn tensor(seed: u64, name: &str, shape: &[usize], lively: &Lively) -> Vec<f32> {
    let stream = Stream::new(seed, name);
    let n = shape.iter().product();
    let around =
        |centre, log2_spread| (0..n).map(|i| stream.around(i, centre, log2_spread)).collect();
    if let [_, fan_in @ ..] = shape
        && shape.len() == 4
    {
        let log2_gain = if name.ends_with("cls_logits.weight") {
            lively.log2_logits_gain
        } else if name.ends_with("bbox_reg.weight") {
            lively.log2_boxes_gain
        } else {
            0
        };
        let (bound, shift) = kaiming_bound(fan_in.iter().product(), log2_gain);
        let unit = power_of_two(-(12 + shift));
        return (0..n).map(|i| (stream.odd(i) * bound) as f32 * unit).collect();
    }
    if name.ends_with("running_var") {
        around(1.0, -2)
    } else if name.ends_with(&format!("{}.weight", lively.last_norm)) {
        around(0.25, -4)
    } else if name.ends_with("weight") {
        around(1.0, -2)
    } else {
        around(0.0, -3)
    }
}

/// An RGB picture, row by row: lattice noise at four scales, linear in between.
pub fn picture(seed: u64, width: usize, height: usize) -> Vec<u8> {
    let mut sums = vec![0_i64; width * height * 3];
    for channel in 0..3 {
        for (log2_cell, weight) in [(7, 5), (5, 5), (3, 4), (1, 2)] {
            let stream = Stream::new(seed, &format!("picture.{channel}.{log2_cell}"));
            let lattice = |x: usize, y: usize| (stream.word((y * 65536 + x) as u64) >> 56) as i64;
            let cell = 1_usize << log2_cell;
            for y in 0..height {
                for x in 0..width {
                    let (cx, cy) = (x >> log2_cell, y >> log2_cell);
                    let (fx, fy) = ((x % cell) as i64, (y % cell) as i64);
                    let side = cell as i64;
                    let row = |cy| lattice(cx, cy) * (side - fx) + lattice(cx + 1, cy) * fx;
                    let value = row(cy) * (side - fy) + row(cy + 1) * fy;
                    sums[(y * width + x) * 3 + channel] += weight * (value >> (2 * log2_cell));
                }
            }
        }
    }
    let stretch = |sum: i64| ((sum / 16 - 128) * 2 + 128).clamp(0, 255) as u8;
    sums.into_iter().map(stretch).collect()
}

/// A photo (RGB, row by row) stretched to a size by the nearest pixel, after moving it round by
/// `roll`.
pub fn rolled(
    photo: &[u8],
    [photo_width, photo_height]: [usize; 2],
    width: usize,
    height: usize,
    [dx, dy]: [usize; 2],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let row = (y * photo_height / height + dy) % photo_height;
        for x in 0..width {
            let column = (x * photo_width / width + dx) % photo_width;
            let at = (row * photo_width + column) * 3;
            out.extend_from_slice(&photo[at..at + 3]);
        }
    }
    out
}

/// `n` places in a (channels, height, width) tensor, a quarter of them on its border.
pub fn places(name: &str, [channels, height, width]: [usize; 3], n: usize) -> Vec<usize> {
    let stream = Stream::new(0, name);
    let place = |i: usize| {
        let word = |part: usize| stream.word((4 * i + part) as u64);
        let below = |part, n: usize| (word(part) % n as u64) as usize;
        let (c, mut y, mut x) = (below(0, channels), below(1, height), below(2, width));
        match word(3) % 16 {
            0 => y = 0,
            1 => y = height - 1,
            2 => x = 0,
            3 => x = width - 1,
            _ => {}
        }
        (c * height + y) * width + x
    };
    (0..n).map(place).collect()
}

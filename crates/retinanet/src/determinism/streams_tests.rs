//! The streams: known answers, keys, distributions.

use super::{Purpose, Stream};
use sha2::{Digest as _, Sha256};

fn stream() -> Stream {
    Stream::new(3407, Purpose::TestData, "known answers", 0)
}

fn words(mut stream: Stream) -> Vec<u32> {
    (0..16).map(|_| stream.next_u32()).collect()
}

// Computed by a second implementation of the documented definition, in Python, whose normals
// come from its standard library's `NormalDist.inv_cdf`.
#[test]
fn known_answers_stay() {
    let mut s = stream();
    assert_eq!(
        [s.next_u32(), s.next_u32(), s.next_u32(), s.next_u32()],
        [0xee0f_6d1b, 0x5bce_7189, 0xd3f4_c6f5, 0xb7f0_2ae3]
    );
    assert_eq!(s.next_u64(), 0x7dbf_e5de_a230_fb96);
    assert_eq!(s.uniform_f32().to_bits(), 0x3ea7_376c);
    let mut s = stream();
    let normals: Vec<u32> = (0..6).map(|_| s.normal_f32().to_bits()).collect();
    assert_eq!(
        normals,
        [0xbeb9_6c20u32, 0x3f14_1315, 0xbcb4_861a, 0xbf47_33de, 0x3ef6_063a, 0x3f28_1463]
    );
    let mut s = stream();
    let ranges: Vec<u64> = (0..8).map(|_| s.range(100).unwrap()).collect();
    assert_eq!(ranges, [35, 71, 49, 21, 68, 74, 61, 39]);
    assert_eq!(
        stream().sample(1_000_000, 5).unwrap(),
        [358_618, 718_508, 491_210, 218_247, 684_571]
    );
    let mut items: Vec<u32> = (0..10).collect();
    stream().shuffle(&mut items);
    assert_eq!(items, [5, 0, 8, 2, 7, 4, 1, 9, 6, 3]);
}

// The hash, too, is that of the second implementation.
#[test]
fn a_long_run_of_normals_keeps_its_bits() {
    let mut s = stream();
    let mut hash = Sha256::new();
    for _ in 0..100_000 {
        hash.update(s.normal_f32().to_le_bytes());
    }
    let hash: [u8; 32] = hash.finalize().into();
    assert_eq!(hash[..8], [0xa6, 0xb8, 0xda, 0x09, 0xc7, 0xf9, 0xfa, 0x73]);
}

#[test]
fn every_part_of_the_key_changes_the_stream() {
    let base = words(Stream::new(1, Purpose::Shuffle, "ab", 0));
    for other in [
        Stream::new(2, Purpose::Shuffle, "ab", 0),
        Stream::new(1, Purpose::Sampling, "ab", 0),
        Stream::new(1, Purpose::Shuffle, "a", 0),
        Stream::new(1, Purpose::Shuffle, "ab", 1),
    ] {
        assert_ne!(words(other), base);
    }
    assert_eq!(words(Stream::new(1, Purpose::Shuffle, "ab", 0)), base);
}

#[test]
fn a_range_of_zero_is_an_error_and_of_one_is_zero() {
    assert!(stream().range(0).is_err());
    assert_eq!(stream().range(1).unwrap(), 0);
}

#[test]
fn ranges_are_uniform() {
    let mut s = stream();
    let mut counts = [0u32; 7];
    for _ in 0..70_000 {
        counts[s.range(7).unwrap() as usize] += 1;
    }
    // Chi-squared with 6 degrees of freedom: above 22.5 once in 1,000.
    let off = counts.map(|c| f64::from(c) - 1e4);
    let chi: f64 = off.iter().map(|d| d * d / 1e4).sum();
    assert!(chi < 22.5, "{counts:?}");
}

#[test]
fn a_range_that_half_the_draws_miss_stays_in_range() {
    let mut s = stream();
    let n = (1 << 63) + 1;
    let above = (0..2000).filter(|_| {
        let value = s.range(n).unwrap();
        assert!(value < n);
        value >= n / 2
    });
    let above = above.count();
    assert!((850..1150).contains(&above), "{above}");
}

#[test]
fn uniforms_fill_zero_to_one_evenly() {
    let mut s = stream();
    let (mut sum, mut squares) = (0.0, 0.0);
    for _ in 0..100_000 {
        let u = s.uniform_f32();
        assert!((0.0..1.0).contains(&u));
        sum += f64::from(u);
        squares += f64::from(u) * f64::from(u);
    }
    assert!((sum / 1e5 - 0.5).abs() < 0.004);
    assert!((squares / 1e5 - 1.0 / 3.0).abs() < 0.004);
    let mut s = stream();
    let sum: f64 = (0..100_000).map(|_| s.uniform_f64()).sum();
    assert!((sum / 1e5 - 0.5).abs() < 0.004);
}

#[test]
fn normals_have_the_moments_and_tails_of_a_normal() {
    let n = 400_000;
    let mut s = stream();
    let mut moments = [0.0; 4];
    let mut beyond = [0u32; 4];
    for _ in 0..n {
        let z = f64::from(s.normal_f32());
        let mut power = 1.0;
        for moment in &mut moments {
            power *= z;
            *moment += power / f64::from(n);
        }
        for (sigma, count) in beyond.iter_mut().enumerate() {
            *count += u32::from(z.abs() > sigma as f64 + 1.0);
        }
    }
    // Five standard errors each: sqrt(var(z^p) / n) with variances 1, 2, 15, 96.
    for (moment, (mean, variance)) in
        moments.iter().zip([(0.0, 1.0), (1.0, 2.0), (0.0, 15.0), (3.0, 96.0)])
    {
        let error: f64 = moment - mean;
        assert!(error.abs() < 5.0 * f64::sqrt(variance / f64::from(n)), "{moments:?}");
    }
    for (count, p) in beyond.iter().zip([0.317_310_5, 0.045_500_26, 0.002_699_796, 6.334_248e-5]) {
        let expected = p * f64::from(n);
        assert!((f64::from(*count) - expected).abs() < 5.0 * f64::sqrt(expected), "{beyond:?}");
    }
}

#[test]
fn shuffles_of_three_reach_all_six_orders_evenly() {
    let mut s = stream();
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..6000 {
        let mut items = [0, 1, 2];
        s.shuffle(&mut items);
        *counts.entry(items).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 6);
    assert!(counts.values().all(|c| (850..1150).contains(c)), "{counts:?}");
}

#[test]
fn samples_are_distinct_and_need_no_memory_for_the_population() {
    let samples = stream().sample(usize::MAX, 1000).unwrap();
    let distinct: std::collections::HashSet<_> = samples.iter().collect();
    assert_eq!(distinct.len(), 1000);
    let mut all = stream().sample(50, 50).unwrap();
    all.sort_unstable();
    assert_eq!(all, (0..50).collect::<Vec<_>>());
    assert!(stream().sample(2, 3).is_err());
}

#[test]
fn sampling_all_equals_the_upward_shuffle_written_plainly() {
    let mut plain: Vec<usize> = (0..20).collect();
    let mut s = stream();
    for i in 0..20 {
        let j = i + s.range(20 - i as u64).unwrap() as usize;
        plain.swap(i, j);
    }
    assert_eq!(stream().sample(20, 20).unwrap(), plain);
}

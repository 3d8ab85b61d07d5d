use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::data::{DataError, Dataset, LoadError, Loader, LoaderConfig, Shard};
use crate::determinism::{Determinism, Purpose, Stream};

/// Samples that say what they were made of, take unequal time, and count those that are alive.
#[derive(Debug, Default)]
struct Numbers {
    len: usize,
    /// Bytes that a sample claims to have.
    bytes: usize,
    begun: AtomicUsize,
    alive: Arc<AtomicUsize>,
    most_alive: AtomicUsize,
}

#[derive(Debug)]
struct Number {
    index: usize,
    drawn: u64,
    alive: Arc<AtomicUsize>,
}

impl Drop for Number {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Dataset for Numbers {
    type Sample = Number;
    type Error = String;

    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, index: usize, random: &mut Stream) -> Result<Number, String> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let drawn = random.next_u64();
        std::thread::sleep(Duration::from_micros(drawn % 500));
        assert!(index % 10 != 7, "sample {index} is cursed");
        if index % 10 == 3 {
            return Err(format!("no sample {index}"));
        }
        let alive = self.alive.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_alive.fetch_max(alive, Ordering::SeqCst);
        Ok(Number { index, drawn, alive: Arc::clone(&self.alive) })
    }

    fn size_in_bytes(&self, _: &Number) -> usize {
        self.bytes
    }
}

fn numbers(len: usize) -> Numbers {
    Numbers { len, ..Numbers::default() }
}

/// Everything about an epoch, as text.
fn seen(len: usize, config: LoaderConfig, epoch: u64, skip: usize) -> Vec<String> {
    let loader = Loader::new(numbers(len), config).unwrap();
    let samples = loader.epoch_from(epoch, skip).unwrap();
    let expected = samples.len();
    let seen: Vec<String> = samples
        .map(|sample| {
            let result = match sample.result {
                Ok(number) => {
                    assert_eq!(number.index, sample.index);
                    format!("drew {:x}", number.drawn)
                }
                Err(error) => error.to_string(),
            };
            format!("{} {} {result}", sample.place, sample.index)
        })
        .collect();
    assert_eq!(seen.len(), expected);
    seen
}

fn config(workers: usize) -> LoaderConfig {
    LoaderConfig { workers, shuffle: true, ahead: 5, ..LoaderConfig::default() }
}

#[test]
fn order_samples_and_failures_do_not_depend_on_workers_or_bounds() {
    let expected = seen(60, config(0), 3, 0);
    for workers in [1, 2, 4, 70] {
        assert_eq!(seen(60, config(workers), 3, 0), expected, "{workers} workers");
    }
    for (ahead, max_bytes) in [(1, usize::MAX), (100, usize::MAX), (100, 0)] {
        let config = LoaderConfig { ahead, max_bytes, ..config(3) };
        assert_eq!(seen(60, config, 3, 0), expected, "{ahead} ahead, {max_bytes} bytes");
    }
}

#[test]
fn an_error_or_a_panic_is_one_samples_result() {
    let samples = seen(20, LoaderConfig { shuffle: false, ..config(2) }, 0, 0);
    assert_eq!(samples[3], "3 3 no sample 3");
    assert!(
        samples[7].contains("sample 7: ") && samples[7].contains("sample 7 is cursed"),
        "{}",
        samples[7]
    );
    assert_eq!(samples.iter().filter(|sample| sample.contains("drew")).count(), 16);
}

#[test]
fn the_order_and_the_streams_are_the_documented_ones() {
    let determinism = Determinism::strict(11);
    let mut order: Vec<usize> = (0..50).collect();
    determinism.stream(Purpose::Shuffle, "train", 4).shuffle(&mut order);

    let config = LoaderConfig { seed: 11, name: "train".to_owned(), ..config(2) };
    let loader = Loader::new(numbers(50), config).unwrap();
    for sample in loader.epoch(4).unwrap() {
        assert_eq!(sample.index, order[sample.place]);
        if let Ok(number) = sample.result {
            let name = "train/epoch/4";
            let mut stream = determinism.stream(Purpose::Augmentation, name, sample.index as u64);
            assert_eq!(number.drawn, stream.next_u64());
        }
    }
}

#[test]
fn epochs_seeds_and_names_differ() {
    let first = seen(40, config(2), 0, 0);
    assert_ne!(first, seen(40, config(2), 1, 0));
    assert_ne!(first, seen(40, LoaderConfig { seed: 1, ..config(2) }, 0, 0));
    assert_ne!(first, seen(40, LoaderConfig { name: "x".to_owned(), ..config(2) }, 0, 0));
}

#[test]
fn shards_are_shares_of_the_same_order() {
    let whole = seen(43, config(0), 2, 0);
    for count in [2, 5, 50] {
        let mut joined = vec![String::new(); whole.len()];
        for index in 0..count {
            let shard = Shard::new(index, count).unwrap();
            for sample in seen(43, LoaderConfig { shard, ..config(2) }, 2, 0) {
                let place: usize = sample.split(' ').next().unwrap().parse().unwrap();
                joined[place] = sample;
            }
        }
        assert_eq!(joined, whole, "{count} shards");
    }
}

#[test]
fn an_epoch_can_be_continued() {
    let whole = seen(30, config(2), 1, 0);
    for skip in [0, 1, 17, 30, 99] {
        assert_eq!(seen(30, config(2), 1, skip), whole[skip.min(30)..], "from {skip}");
    }
}

#[test]
fn no_more_samples_are_alive_than_asked_for() {
    let loader = Loader::new(numbers(60), config(4)).unwrap();
    for sample in loader.epoch(0).unwrap() {
        std::thread::sleep(Duration::from_millis(1));
        drop(sample);
    }
    // Those that wait, and the one in hand.
    assert!(loader.dataset().most_alive.load(Ordering::SeqCst) <= 5 + 1);
    assert_eq!(loader.dataset().alive.load(Ordering::SeqCst), 0);
}

#[test]
fn few_large_samples_wait_at_a_time() {
    let dataset = Numbers { bytes: 100, ..numbers(60) };
    let config = LoaderConfig { ahead: 50, max_bytes: 200, ..config(2) };
    let loader = Loader::new(dataset, config).unwrap();
    for sample in loader.epoch(0).unwrap() {
        std::thread::sleep(Duration::from_millis(1));
        drop(sample);
    }
    // Two that wait, one more for each other worker that had begun, and the one in hand.
    assert!(loader.dataset().most_alive.load(Ordering::SeqCst) <= 2 + 2 + 1);
}

#[test]
fn dropping_an_epoch_stops_its_workers() {
    for workers in [0, 1, 4] {
        let loader = Loader::new(numbers(1_000_000), config(workers)).unwrap();
        let mut epoch = loader.epoch(0).unwrap();
        assert_eq!(epoch.next().unwrap().place, 0);
        drop(epoch);
        let begun = loader.dataset().begun.load(Ordering::SeqCst);
        assert!(begun <= 1 + 5, "{begun} were begun");
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(loader.dataset().begun.load(Ordering::SeqCst), begun);
        assert_eq!(loader.dataset().alive.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn an_empty_data_set_has_empty_epochs() {
    assert!(seen(0, config(2), 0, 0).is_empty());
    let shard = Shard::new(4, 5).unwrap();
    assert!(seen(3, LoaderConfig { shard, ..config(2) }, 0, 0).is_empty());
}

#[test]
fn settings_without_sense_are_refused() {
    for wrong in [LoaderConfig { ahead: 0, ..config(1) }, config(5000)] {
        let error = Loader::new(numbers(1), wrong).unwrap_err();
        assert!(matches!(error, crate::Error::Data(DataError::Setting { .. })), "{error}");
    }
}

#[test]
fn a_panic_becomes_the_crates_error() {
    let error: crate::Error =
        LoadError::Panicked { index: 5, message: "\u{1b}boo".to_owned() }.into();
    assert_eq!(error.to_string(), "sample 5: the worker that loaded it panicked: \"\\u{1b}boo\"");
}

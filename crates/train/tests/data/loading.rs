//! Samples come in order, with the same bits, whoever makes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use retinanet::data::Shard;
use retinanet_train::Error;
use retinanet_train::data::{
    AugmentConfig, DataError, LoadConfig, MosaicConfig, Sample, SampleLoader, SquareConfig,
};

use crate::source;

fn augment() -> AugmentConfig {
    AugmentConfig {
        square: Some(SquareConfig { side: 96, ..SquareConfig::default() }),
        mosaic: Some(MosaicConfig { until: 0.5, ..MosaicConfig::default() }),
        ..AugmentConfig::default()
    }
}

fn loader(source: &Arc<retinanet_train::data::SampleSource>, config: LoadConfig) -> SampleLoader {
    SampleLoader::new(Arc::clone(source), &config, Arc::default()).unwrap()
}

#[test]
fn order_and_bits_do_not_depend_on_workers_the_cache_or_room() {
    let folder = tempfile::tempdir().unwrap();
    let whole = Arc::new(source(folder.path(), 7, augment(), 0));
    let expected: Vec<Sample> = (0..24).map(|position| whole.sample(position).unwrap()).collect();
    // Nothing, some of the images, and all.
    for cache in [0, 12_000, 1 << 20] {
        let source = Arc::new(source(folder.path(), 7, augment(), cache));
        for (workers, ahead, max_bytes) in
            [(0, 16, 1 << 20), (1, 1, 1), (2, 5, 1 << 18), (4, 16, 1 << 30)]
        {
            let config = LoadConfig { workers, ahead, max_bytes, ..LoadConfig::default() };
            let loader = loader(&source, config);
            let samples: Vec<Sample> = loader.from_step(0).unwrap().map(Result::unwrap).collect();
            assert!(samples == expected, "{workers} workers, cache {cache}");
            let resumed: Vec<Sample> = loader.from_step(4).unwrap().map(Result::unwrap).collect();
            assert!(resumed == expected[16..], "{workers} workers, cache {cache}, resumed");
        }
    }
}

#[test]
fn shares_of_a_run_put_together_are_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let source = Arc::new(source(folder.path(), 5, AugmentConfig::default(), 1 << 20));
    let mut positions = vec![];
    for index in 0..3 {
        let config = LoadConfig { shard: Shard::new(index, 3).unwrap(), ..LoadConfig::default() };
        for sample in loader(&source, config).from_step(1).unwrap() {
            let sample = sample.unwrap();
            assert_eq!(sample.position % 3, index as u64);
            assert_eq!(source.sample(sample.position).unwrap(), sample);
            positions.push(sample.position);
        }
    }
    positions.sort_unstable();
    assert!(positions.into_iter().eq(4..24));
}

#[test]
fn a_file_that_does_not_decode_is_an_error_where_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let source = Arc::new(source(folder.path(), 6, AugmentConfig::default(), 0));
    let bad = source.order().place(3).image_id;
    std::fs::write(folder.path().join(format!("{}.png", 100 - bad)), b"\x89PNG\r\n\x1a\n cut")
        .unwrap();
    for workers in [0, 1, 4] {
        let config = LoadConfig { workers, ..LoadConfig::default() };
        let mut samples = loader(&source, config).from_step(0).unwrap();
        for position in 0..3 {
            assert_eq!(samples.next().unwrap().unwrap().position, position);
        }
        let error = samples.next().unwrap().unwrap_err();
        let expected =
            matches!(&error, DataError::Sample { image_id, position: 3, .. } if *image_id == bad);
        assert!(expected, "{error}");
        assert!(samples.next().is_none());
    }
}

#[test]
fn a_stop_flag_ends_it_promptly() {
    let folder = tempfile::tempdir().unwrap();
    let source = Arc::new(source(folder.path(), 7, augment(), 0));
    for workers in [0, 2] {
        let stop = Arc::new(AtomicBool::new(false));
        let config = LoadConfig { workers, ahead: 2, ..LoadConfig::default() };
        let loader = SampleLoader::new(Arc::clone(&source), &config, Arc::clone(&stop)).unwrap();
        let mut samples = loader.from_step(0).unwrap();
        samples.next().unwrap().unwrap();
        let start = Instant::now();
        stop.store(true, Ordering::Relaxed);
        let rest: Vec<_> = samples.collect();
        // Those that wait come still.
        assert!(rest.len() <= 4, "{}", rest.len());
        assert_eq!(rest.last().unwrap().as_ref().unwrap_err(), &DataError::Stopped);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}

#[test]
fn a_loader_that_nobody_empties_can_be_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let source = Arc::new(source(folder.path(), 7, augment(), 0));
    let config = LoadConfig { workers: 4, ..LoadConfig::default() };
    let mut samples = loader(&source, config).from_step(2).unwrap();
    assert_eq!(samples.next().unwrap().unwrap().position, 8);
    drop(samples);
    // After the end there is nothing, and that is no error.
    let config = LoadConfig::default();
    assert!(loader(&source, config.clone()).from_step(6).unwrap().next().is_none());
    assert!(loader(&source, config).from_step(u64::MAX).unwrap().next().is_none());
}

#[test]
fn a_consumer_on_the_only_thread_of_a_pool_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let source = Arc::new(source(folder.path(), 4, AugmentConfig::default(), 0));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for workers in [0, 1, 2] {
        let config = LoadConfig { workers, ..LoadConfig::default() };
        let loader = loader(&source, config);
        let count = pool.install(|| loader.from_step(0).unwrap().map(Result::unwrap).count());
        assert_eq!(count, 24);
    }
}

#[test]
fn senseless_settings_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let source = Arc::new(source(folder.path(), 2, AugmentConfig::default(), 0));
    let base = LoadConfig::default;
    for (config, setting) in [
        (LoadConfig { workers: 5000, ..base() }, "workers"),
        (LoadConfig { ahead: 0, ..base() }, "ahead"),
    ] {
        let error = SampleLoader::new(Arc::clone(&source), &config, Arc::default()).unwrap_err();
        assert!(matches!(error, Error::Setting { setting: s, .. } if s == setting), "{error}");
    }
}

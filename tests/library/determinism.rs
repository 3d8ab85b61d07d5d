//! One photo, one checkpoint, one digest: whatever the threads, neighbours, CPU level, process,
//! build or host program.

use retinanet::Image;
use retinanet::ops::Level;
use retinanet_examples::PUBLISHED_DIGEST;
use retinanet_tests::demo::{builder, cut, detector, photo};
use retinanet_tests::float_env::with_hostile_host;
use retinanet_tests::new_process;

fn digest_of(detector: &retinanet::Detector, image: &Image) -> String {
    detector.detect(image).unwrap().digest().unwrap().to_string()
}

#[test]
fn twenty_runs_give_the_published_digest() {
    let (detector, photo) = (detector(), photo());
    for run in 0..20 {
        assert_eq!(digest_of(&detector, &photo), PUBLISHED_DIGEST, "run {run}");
    }
}

#[test]
fn new_processes_give_the_published_digest() {
    for run in 0..5 {
        let run = run.to_string();
        let variables = [("RAYON_NUM_THREADS", run.as_str()), ("RETINANET_TESTS_RUN", &run)];
        let answer = new_process::ask("determinism::tells_its_digest", &variables);
        assert_eq!(answer, PUBLISHED_DIGEST, "process {run}");
    }
}

#[test]
fn tells_its_digest() {
    new_process::answer(digest_of(&detector(), &photo()));
}

#[test]
fn one_two_three_and_eight_threads_give_the_published_digest() {
    let photo = photo();
    for threads in [1, 2, 3, 8] {
        let detector = builder().threads(threads).build().unwrap();
        assert_eq!(detector.threads(), threads);
        assert_eq!(digest_of(&detector, &photo), PUBLISHED_DIGEST, "{threads} threads");
    }
}

#[test]
fn calls_at_the_same_time_give_the_published_digest() {
    let (detector, photo) = (detector(), photo());
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..3).map(|_| scope.spawn(|| digest_of(&detector, &photo))).collect();
        for call in calls {
            assert_eq!(call.join().unwrap(), PUBLISHED_DIGEST);
        }
    });
}

#[test]
fn neighbours_of_any_size_change_nothing() {
    let (detector, photo) = (detector(), photo());
    let wide = cut(&photo, [0, 100], [500, 130]);
    let tall = cut(&photo, [130, 0], [97, 511]);
    let pixel = cut(&photo, [200, 100], [1, 1]);
    let images = [&wide, &photo, &tall, &photo, &pixel, &photo, &photo, &wide];
    let together = detector.detect_batch(&images).unwrap();
    assert_eq!(together.len(), images.len());
    for (index, (image, found)) in images.iter().zip(&together).enumerate() {
        assert_eq!(found.image_size(), [image.height(), image.width()]);
        assert_eq!(*found, detector.detect(image).unwrap(), "image {index}");
        if std::ptr::eq(*image, &photo) {
            assert_eq!(found.digest().unwrap().to_string(), PUBLISHED_DIGEST, "image {index}");
        }
    }
    assert!(detector.detect_batch::<Image>(&[]).unwrap().is_empty());
}

/// Set `RETINANET_REQUIRE_LEVELS=1` where every level must be there.
#[test]
fn every_cpu_level_gives_the_published_digest() {
    let photo = photo();
    let named: &[&str] = if cfg!(target_arch = "x86_64") {
        &["portable", "avx", "avx2", "avx512"]
    } else {
        &["portable"]
    };
    for name in named {
        match Level::from_name(name) {
            Ok(level) => {
                let detector = builder().level(level).build().unwrap();
                assert_eq!(detector.environment().cpu.level, *name);
                assert_eq!(digest_of(&detector, &photo), PUBLISHED_DIGEST, "{name}");
            }
            Err(error) if std::env::var_os("RETINANET_REQUIRE_LEVELS").is_some() => {
                panic!("{error}")
            }
            Err(error) => println!("SKIPPED {name}: {error}"),
        }
    }
}

#[test]
fn a_host_that_flushes_and_rounds_otherwise_gets_the_published_digest() {
    let answers = with_hostile_host(|| {
        let (detector, photo) = (detector(), photo());
        let batch = detector.detect_batch(&[photo.clone(), photo.clone()]).unwrap();
        let batch = batch.iter().map(|found| found.digest().unwrap().to_string());
        let mut answers: Vec<String> = batch.collect();
        answers.push(digest_of(&detector, &photo));
        answers
    });
    match answers {
        Some(answers) => assert_eq!(answers, [PUBLISHED_DIGEST; 3]),
        None => println!("SKIPPED: how to change this CPU's rounding is not known"),
    }
}

//! Matching and losses: against torchvision by tolerance, over threads and CPU levels by bits, and bad input.

use retinanet_kernels::Level;
use retinanet_train::Error;
use retinanet_train::losses::{
    BoxLoss, DivideBy, ImageLosses, LossConfig, Object, Predictions, image_losses,
};
use retinanet_train::matching::{Match, MatcherConfig};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    classes: usize,
    anchors: Vec<[f32; 4]>,
    cases: Vec<Case>,
}

/// Logits and regressions are in units of 1/4096.
#[derive(Deserialize)]
struct Case {
    name: String,
    objects: Vec<[f32; 4]>,
    labels: Vec<usize>,
    logits: Vec<f32>,
    regression: Vec<f32>,
    matches: Vec<i64>,
    classification: f32,
    by_logits: Vec<f32>,
    l1: Boxes,
    giou: Boxes,
}

#[derive(Deserialize)]
struct Boxes {
    loss: f32,
    by_regression: Vec<f32>,
}

/// Equal to some units in the last place of the largest value.
fn assert_near(actual: &[f32], expected: &[f32], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let largest = expected.iter().map(|v| v.abs()).max_by(f32::total_cmp).unwrap_or(0.0);
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= 2e-6 * largest, "{what}: value {i} is {a:e}, expected {e:e}");
    }
}

#[test]
fn matches_losses_and_gradients_are_torchvisions() {
    let golden: Golden = serde_json::from_str(include_str!("testdata/torchvision.json")).unwrap();
    assert_eq!(golden.cases.len(), 6);
    for case in &golden.cases {
        let name = &case.name;
        let matches = MatcherConfig::default().matches(&golden.anchors, &case.objects).unwrap();
        let numbers = matches.iter().map(|one| match one {
            Match::Background => -1,
            Match::Ignored => -2,
            Match::Object(index) => i64::try_from(*index).unwrap(),
        });
        assert_eq!(numbers.collect::<Vec<_>>(), case.matches, "{name}");

        let scaled = |values: &[f32]| values.iter().map(|v| v / 4096.0).collect::<Vec<f32>>();
        let (logits, regression) = (scaled(&case.logits), scaled(&case.regression));
        let regression: Vec<[f32; 4]> =
            regression.chunks_exact(4).map(|r| [r[0], r[1], r[2], r[3]]).collect();
        let pairs = case.objects.iter().zip(&case.labels);
        let objects: Vec<Object> =
            pairs.map(|(corners, class)| Object { corners: *corners, class: *class }).collect();
        let said =
            Predictions { classes: golden.classes, logits: &logits, regression: &regression };
        for (kind, expected) in [(BoxLoss::L1, &case.l1), (BoxLoss::Giou, &case.giou)] {
            let config = LossConfig::new(kind);
            let losses =
                image_losses(Level::best(), &config, &golden.anchors, &objects, &said).unwrap();
            let what = format!("{name}, {kind:?}");
            assert_near(&[losses.classification], &[case.classification], &what);
            assert_near(&losses.by_logits, &case.by_logits, &what);
            assert_near(&[losses.regression], &[expected.loss], &what);
            assert_near(losses.by_regression.as_flattened(), &expected.by_regression, &what);
        }
    }
}

/// Whole numbers from 0 to `below`, the same on every machine.
fn numbers(seed: u64, below: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below) as f32
    }
}

/// Losses of some ten thousand anchors, several pieces of every kind of work.
fn large(level: Level, kind: BoxLoss) -> ImageLosses {
    let mut next = numbers(5, 512);
    let mut some_box = |from: f32| {
        let (x, y) = (next(), next());
        [x, y, x + from + next() / 4.0, y + from + next() / 4.0]
    };
    let anchors: Vec<[f32; 4]> = (0..10_007).map(|_| some_box(8.0)).collect();
    let objects: Vec<Object> =
        (0..19).map(|class| Object { corners: some_box(4.0), class: class % 7 }).collect();
    let mut next = numbers(6, 1 << 16);
    let logits: Vec<f32> = (0..anchors.len() * 7).map(|_| next() / 8192.0 - 6.0).collect();
    let regression: Vec<[f32; 4]> =
        (0..anchors.len()).map(|_| [(); 4].map(|()| next() / 65536.0 - 0.5)).collect();
    let said = Predictions { classes: 7, logits: &logits, regression: &regression };
    image_losses(level, &LossConfig::new(kind), &anchors, &objects, &said).unwrap()
}

#[test]
fn bits_do_not_depend_on_threads_or_cpu_level() {
    for kind in [BoxLoss::L1, BoxLoss::Giou] {
        let bits = |losses: &ImageLosses| {
            let single = [losses.classification, losses.regression];
            let values = losses.by_logits.iter().chain(losses.by_regression.as_flattened());
            single.iter().chain(values).map(|v| v.to_bits()).collect::<Vec<u32>>()
        };
        let expected = large(Level::best(), kind);
        assert!(expected.foreground > 100, "{}", expected.foreground);
        let names = ["portable", "avx", "avx2", "avx512"];
        let levels: Vec<Level> =
            names.iter().filter_map(|name| Level::from_name(name).ok()).collect();
        assert!(!levels.is_empty());
        for threads in [1, 2, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for level in &levels {
                let losses = pool.install(|| large(*level, kind));
                assert!(bits(&losses) == bits(&expected), "{kind:?}, {threads} threads, {level}");
            }
        }
    }
}

#[test]
fn a_batch_divides_later_what_an_image_divides_at_once() {
    let anchors = [[0.0, 0.0, 8.0, 8.0], [1.0, 0.0, 9.0, 8.0], [40.0, 40.0, 48.0, 48.0]];
    let objects = [Object { corners: [0.0, 0.0, 8.0, 9.0], class: 1 }];
    let said = Predictions { classes: 2, logits: &[-1.0; 6], regression: &[[0.25; 4]; 3] };
    let run = |divide_by| {
        let config = LossConfig { divide_by, ..LossConfig::new(BoxLoss::Giou) };
        image_losses(Level::best(), &config, &anchors, &objects, &said).unwrap()
    };
    let (image, batch) = (run(DivideBy::Image), run(DivideBy::Batch));
    assert_eq!((image.foreground, batch.foreground), (2, 2));
    // A division by two is exact.
    assert_eq!(batch.classification, 2.0 * image.classification);
    assert_eq!(batch.regression, 2.0 * image.regression);
    let doubled = image.by_logits.iter().map(|slope| 2.0 * slope);
    assert_eq!(batch.by_logits, doubled.collect::<Vec<f32>>());
    let doubled = image.by_regression.iter().map(|slopes| slopes.map(|slope| 2.0 * slope));
    assert_eq!(batch.by_regression, doubled.collect::<Vec<[f32; 4]>>());
}

#[test]
fn what_cannot_be_trained_on_is_an_error() {
    let anchors = [[0.0, 0.0, 8.0, 8.0]];
    let run = |class, logits: &[f32], regression: &[[f32; 4]], alpha| {
        let objects = [Object { corners: [0.0, 0.0, 8.0, 9.0], class }];
        let said = Predictions { classes: 2, logits, regression };
        let config = LossConfig { alpha, ..LossConfig::new(BoxLoss::Giou) };
        image_losses(Level::best(), &config, &anchors, &objects, &said)
    };
    let (two, one) = ([0.0; 2], [[0.0; 4]]);
    assert!(run(1, &two, &one, 0.25).is_ok());
    let error = run(2, &two, &one, 0.25).unwrap_err();
    assert!(matches!(error, Error::Class { index: 0, class: 2, classes: 2 }), "{error:?}");
    assert!(error.to_string().contains("classes (0 to 1)"), "{error}");
    assert!(matches!(run(1, &[0.0; 3], &one, 0.25), Err(Error::Length { what: "logits", .. })));
    assert!(matches!(run(1, &two, &[], 0.25), Err(Error::Length { what: "regressions", .. })));
    assert!(matches!(run(1, &two, &one, 1.5), Err(Error::Kernels(_))));
    for wrong in [f32::NAN, f32::INFINITY] {
        let error = run(1, &[wrong, 0.0], &one, 0.25).unwrap_err();
        assert!(matches!(error, Error::NotFinite { loss: "classification", .. }), "{error}");
        let error = run(1, &two, &[[wrong, 0.0, 0.0, 0.0]], 0.25).unwrap_err();
        assert!(matches!(error, Error::NotFinite { loss: "box", .. }), "{error}");
    }
}

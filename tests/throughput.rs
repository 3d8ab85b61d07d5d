//! How much of the bare network's speed a batch keeps: `RETINANET_THROUGHPUT=1 cargo test --release -p
//! retinanet-tests --test throughput -- --nocapture`, on an idle machine.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use retinanet::batch::{Batch, BatchConfig, Existing};
use retinanet::data::Listing;
use retinanet::model::{RetinaNet, RetinaNetConfig};
use retinanet::{Detector, Determinism, Error};

const IMAGES: usize = 6;

#[test]
fn a_batch_keeps_95_percent_of_the_bare_networks_speed() {
    if std::env::var_os("RETINANET_THROUGHPUT").is_none() {
        println!(
            "SKIPPED: a measurement, which needs the machine to itself (RETINANET_THROUGHPUT)"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let asset = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/assets/astronaut.png");
    let photo = image::open(asset).unwrap().into_rgb8();
    // 640 x 480 as most of COCO's, 800 x 1067 after the resize.
    let photo = image::imageops::resize(&photo, 640, 480, image::imageops::FilterType::Triangle);
    for number in 0..IMAGES {
        photo.save(folder.path().join(format!("{number}.jpg"))).unwrap();
    }
    let config = RetinaNetConfig::resnet50_fpn_v2();
    let model = RetinaNet::new(&config, Determinism::default()).unwrap();
    let detector = Detector::builder().build_with_model(model).unwrap();

    let bare = || -> Duration {
        let run = || detector.profile_network([800, 1088], 1).unwrap();
        (0..IMAGES).flat_map(|_| run()).map(|stage| stage.time).sum()
    };
    let out = folder.path().join("out.jsonl");
    let batch = || {
        let config = BatchConfig { existing: Existing::Overwrite, ..BatchConfig::default() };
        let listing = Listing::of(&[folder.path()]).unwrap();
        let batch = Batch::new(&detector, listing, config).unwrap();
        let started = Instant::now();
        batch.run::<Error>(&out, |_| Ok(()), |_| ControlFlow::Continue(())).unwrap();
        started.elapsed()
    };
    detector.profile_network([800, 1088], 1).unwrap();
    let (mut network, mut whole) = (Duration::MAX, Duration::MAX);
    for _ in 0..2 {
        network = network.min(bare());
        whole = whole.min(batch());
    }
    let share = network.as_secs_f64() / whole.as_secs_f64();
    println!(
        "{IMAGES} images: network alone {network:?}, batch {whole:?}: {share:.3} of its speed"
    );
    assert!(share >= 0.95, "{share}");
}

//! Logs whose lines were made one by one are those of a batch.

use std::ops::ControlFlow;
use std::path::Path;

use retinanet::batch::{Batch, BatchConfig};
use retinanet::data::Listing;
use retinanet::error::EvidenceError;
use retinanet::evidence::{Log, LooseLine, assemble};
use retinanet::image::DecodeLimits;
use retinanet::{Detector, Error, Result};
use retinanet_tests::demo;

fn record(detector: &Detector, listing: &Listing, index: usize) -> Result<LooseLine> {
    let (path, name) = (listing.path(index), listing.name(index));
    let (line, found) = LooseLine::record(detector, path, &name, &DecodeLimits::default())?;
    assert_eq!(found.is_some(), line.line().answer.is_ok());
    // As it comes back from another machine.
    Ok(LooseLine::from_json(&line.to_json())?)
}

fn refusal(written: Result<retinanet::evidence::LogSummary>, out: &Path) -> String {
    assert!(!out.exists());
    match written.unwrap_err() {
        Error::Evidence(error @ EvidenceError::Unfit { .. }) => error.to_string(),
        error => panic!("{error}"),
    }
}

#[test]
fn lines_made_one_by_one_are_a_batchs_log_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    demo::cut(&demo::photo(), [100, 20], [200, 160]).save_png(path("a.png")).unwrap();
    std::fs::write(path("damaged.png"), &std::fs::read(path("a.png")).unwrap()[..2000]).unwrap();
    demo::cut(&demo::photo(), [0, 0], [512, 1]).save_png(path("flat.png")).unwrap();
    std::fs::write(path("list.txt"), "a.png\nmissing.png\ndamaged.png\nflat.png\na.png\n").unwrap();
    let listing = Listing::of(&[path("list.txt")]).unwrap();
    let detector = demo::detector();

    let config = BatchConfig { receipts: Some(path("theirs.jsonl")), ..BatchConfig::default() };
    let batch = Batch::new(&detector, listing.clone(), config).unwrap();
    let summary = batch
        .run::<Error>(&path("results.jsonl"), |_| Ok(()), |_| ControlFlow::Continue(()))
        .unwrap();

    let out = path("ours.jsonl");
    let lines: Vec<_> =
        (0..listing.len()).map(|index| record(&detector, &listing, index).unwrap()).collect();
    let all = || lines.iter().cloned().map(Ok::<_, Error>);
    let few = assemble(&out, &detector, &listing, all().take(4), false);
    assert!(refusal(few, &out).contains("none about \"a.png\", image 5 of 5"));
    let many = assemble(&out, &detector, &listing, all().chain(all()), false);
    assert!(refusal(many, &out).contains("one image more than the 5"));
    let turned = assemble(&out, &detector, &listing, all().rev(), false);
    assert!(refusal(turned, &out).contains("line 3"), "the first and the last are the same image");
    let other = demo::builder().score_threshold(0.5).build().unwrap();
    let foreign = assemble(&out, &other, &listing, all(), false);
    assert!(refusal(foreign, &out).contains("detected with"));

    let written = assemble(&out, &detector, &listing, all(), false).unwrap();
    assert_eq!(Some(written), summary.log);
    assert!(written.failed >= 2, "{written:?}");
    let same = std::fs::read(&out).unwrap() == std::fs::read(path("theirs.jsonl")).unwrap();
    assert!(same, "{}", std::fs::read_to_string(&out).unwrap());
    assert_eq!(Log::open(&out).unwrap().head(), written.head);
    assert!(assemble(&out, &detector, &listing, all(), false).is_err(), "it is there already");
    assemble(&out, &detector, &listing, all(), true).unwrap();
}

//! Large pictures, window by window: the windows are SAHI's, the answer is the windows', and its bits
//! depend on nothing else.

use retinanet::image::{DecodeLimits, DecodeOptions, ImageRows, Tiling};
use retinanet::{Detection, Detections, Detector, Determinism, Image};
use retinanet_examples::PUBLISHED_DIGEST;
use retinanet_tests::demo::{builder, cut, detector, photo};
use retinanet_tests::reduced;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    height: usize,
    width: usize,
    size: usize,
    overlap: f64,
    /// Left, top, right, bottom.
    windows: Vec<[usize; 4]>,
}

#[test]
fn windows_are_sahis() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../golden/sahi_windows.json")).unwrap();
    assert_eq!(cases.len(), 20);
    for Case { height, width, size, overlap, windows: expected } in cases {
        let windows = Tiling { size, overlap }.windows([height, width]).unwrap();
        let [tall, wide] = windows.size();
        let ours: Vec<_> = windows.corners().map(|[x, y]| [x, y, x + wide, y + tall]).collect();
        assert_eq!(ours, expected, "{width} x {height} in {size} with {overlap}");
        assert_eq!(windows.count(), expected.len());
    }
}

/// A small detector that finds something everywhere.
fn small(threads: usize) -> Detector {
    let builder = Detector::builder().config(reduced::plain_heads()).threads(threads);
    builder.determinism(Determinism::strict(7)).build_untrained().unwrap()
}

const TILING: Tiling = Tiling { size: 64, overlap: 0.25 };

fn digest(detector: &Detector, rows: ImageRows<'_>) -> String {
    detector.detect_tiled(rows, &TILING).unwrap().digest().unwrap().to_string()
}

#[test]
fn a_picture_that_fits_into_one_tile_has_the_published_digest() {
    let (detector, photo) = (detector(), photo());
    for size in [512, 800] {
        let tiling = Tiling::new(size);
        let found = detector.detect_tiled(ImageRows::of(&photo), &tiling).unwrap();
        assert_eq!(found.digest().unwrap().to_string(), PUBLISHED_DIGEST, "{size}");
    }
}

#[test]
fn one_and_four_threads_give_one_digest() {
    let picture = reduced::picture(230, 170);
    let digests = [1, 4].map(|threads| digest(&small(threads), ImageRows::of(&picture)));
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digest(&small(3), ImageRows::of(&picture)));
}

#[test]
fn files_read_by_rows_give_the_digest_of_the_picture_in_memory() {
    let (detector, picture) = (small(2), reduced::picture(230, 170));
    let expected = digest(&detector, ImageRows::of(&picture));
    let rgb = image::RgbImage::from_raw(230, 170, picture.as_rgb8().to_vec()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // What the rows of all windows of a row take, and not what the picture takes.
    let limits = DecodeLimits { max_memory_bytes: 300_000, ..Default::default() };
    let options = DecodeOptions { limits, ..Default::default() };
    for name in ["1.png", "1.tif"] {
        let path = folder.path().join(name);
        rgb.save(&path).unwrap();
        assert!(Image::open_with(&path, &options).is_err(), "{name}");
        let rows = ImageRows::open(&path, &options).unwrap();
        assert!(!rows.is_whole(), "{name}");
        assert_eq!(digest(&detector, rows), expected, "{name}");
    }
}

/// The windows' answers put together by other code.
fn by_hand(detector: &Detector, picture: &Image, tiling: Tiling) -> Vec<Detection> {
    let windows = tiling.windows([picture.height(), picture.width()]).unwrap();
    let [height, width] = windows.size();
    let mut all: Vec<(usize, Detection)> = Vec::new();
    for (index, [x, y]) in windows.corners().enumerate() {
        let found = detector.detect(&cut(picture, [x, y], [width, height])).unwrap();
        all.extend(found.iter().cloned().map(|mut one| {
            one.bounding_box.x1 += x as f32;
            one.bounding_box.y1 += y as f32;
            one.bounding_box.x2 += x as f32;
            one.bounding_box.y2 += y as f32;
            (index, one)
        }));
    }
    // Stable: equal scores stay in the order of windows, and of a window's answer.
    all.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    let threshold = detector.model().config().postprocess.nms_thresh;
    let mut kept: Vec<(usize, Detection)> = Vec::new();
    for (window, one) in all {
        let beaten = kept.iter().any(|(other, better)| {
            *other != window
                && better.label_id == one.label_id
                && f64::from(overlap(better, &one)) > threshold
        });
        if !beaten {
            kept.push((window, one));
        }
    }
    kept.into_iter().map(|(_, one)| one).collect()
}

fn overlap(a: &Detection, b: &Detection) -> f32 {
    let (a, b) = (a.bounding_box, b.bounding_box);
    let side = |from: f32, to: f32| if to > from { to - from } else { 0.0 };
    let x1 = if a.x1 < b.x1 { b.x1 } else { a.x1 };
    let y1 = if a.y1 < b.y1 { b.y1 } else { a.y1 };
    let x2 = if b.x2 < a.x2 { b.x2 } else { a.x2 };
    let y2 = if b.y2 < a.y2 { b.y2 } else { a.y2 };
    let shared = side(x1, x2) * side(y1, y2);
    shared / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - shared)
}

#[test]
fn the_answer_is_that_of_the_windows_put_together_by_hand() {
    let (detector, picture) = (small(2), reduced::picture(230, 170));
    for tiling in [TILING, Tiling { size: 100, overlap: 0.5 }, Tiling { size: 64, overlap: 0.0 }] {
        let found = detector.detect_tiled(ImageRows::of(&picture), &tiling).unwrap();
        let expected = by_hand(&detector, &picture, tiling);
        assert_eq!(found.as_slice(), expected, "{tiling:?}");
        assert_eq!(found.image_size(), [170, 230]);
        let alone: usize = detector.model().config().postprocess.detections_per_img;
        assert!(found.len() > alone, "{}", found.len());
    }
}

#[test]
fn people_are_found_where_they_are_in_the_picture() {
    let photo = photo();
    let rows = photo.as_rgb8().chunks_exact(512 * 3);
    let twice: Vec<u8> = rows.flat_map(|row| [row, row].concat()).collect();
    let twice = Image::from_rgb8(1024, 512, twice).unwrap();
    let detector = builder().score_threshold(0.5).build().unwrap();
    let alone = detector.detect(&photo).unwrap();
    let found = detector.detect_tiled(ImageRows::of(&twice), &Tiling { size: 512, overlap: 0.0 });
    let corners = |found: &Detections| -> Vec<[f32; 4]> {
        found.iter().map(|one| one.bounding_box.into()).collect()
    };
    let expected: Vec<[f32; 4]> = corners(&alone)
        .into_iter()
        .flat_map(|[x1, y1, x2, y2]| [[x1, y1, x2, y2], [x1 + 512.0, y1, x2 + 512.0, y2]])
        .collect();
    assert!(!expected.is_empty());
    assert_eq!(corners(&found.unwrap()), expected);
}

#[test]
fn stages_name_every_window() {
    let (detector, picture) = (small(2), reduced::picture(150, 100));
    let mut told = Vec::new();
    let (found, stages) = detector
        .detect_tiled_traced(ImageRows::of(&picture), &TILING, &mut |done, of| {
            told.push((done, of))
        })
        .unwrap();
    assert_eq!(told.last(), Some(&(6, 6)), "{told:?}");
    assert_eq!(found, detector.detect_tiled(ImageRows::of(&picture), &TILING).unwrap());
    let (_, whole) = detector.detect_traced(&picture).unwrap();
    assert_eq!(stages.get("decoded"), whole.get("decoded"));
    let last = detector.detect(&cut(&picture, [86, 36], [64, 64])).unwrap();
    assert_eq!(stages.get("window/5"), Some(last.digest().unwrap()));
    assert_eq!(stages.get("detections"), Some(found.digest().unwrap()));
    assert_eq!(stages.len(), 8);
}

#[test]
fn tiles_that_make_no_sense_are_refused() {
    let (detector, picture) = (small(1), reduced::picture(100, 100));
    let refused = |size, overlap| {
        let tiling = Tiling { size, overlap };
        detector.detect_tiled(ImageRows::of(&picture), &tiling).unwrap_err().to_string()
    };
    for size in [0, 1, 31] {
        let told = refused(size, 0.25);
        assert!(told.contains(&format!("`size` is {size}")), "{told}");
        assert!(told.contains("sides of 32 pixels"), "{told}");
    }
    for overlap in [1.0, 2.0, -0.25, f64::NAN, f64::INFINITY] {
        let told = refused(64, overlap);
        assert!(told.contains(&format!("`overlap` is {overlap}")), "{told}");
    }
    let blank = Image::from_rgb8(20_000, 1_000, vec![0; 60_000_000]).unwrap();
    let many = Tiling { size: 64, overlap: 0.99 };
    let told = detector.detect_tiled(ImageRows::of(&blank), &many).unwrap_err().to_string();
    assert!(told.contains("would have 18680969 windows, more than 100000"), "{told}");
}

#[test]
fn damage_far_down_a_file_is_told_with_its_name() {
    let picture = reduced::picture(200, 150);
    let rgb = image::RgbImage::from_raw(200, 150, picture.as_rgb8().to_vec()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.png");
    rgb.save(&path).unwrap();
    let file = std::fs::read(&path).unwrap();
    std::fs::write(&path, &file[..file.len() / 2]).unwrap();
    let rows = ImageRows::open(&path, &DecodeOptions::default()).unwrap();
    let mut windows = 0;
    let answer = small(1).detect_tiled_with(rows, &TILING, &mut |done, _| windows = done);
    let told = answer.unwrap_err().to_string();
    assert!(told.contains("cut.png") && told.contains("damaged or cut short"), "{told}");
    assert!(windows > 0);
}

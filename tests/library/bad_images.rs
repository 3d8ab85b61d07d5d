//! What a user is told about images, labels, outputs and devices that cannot be used.

use std::path::Path;

use retinanet::determinism::Determinism;
use retinanet::{DType, Device, Image, Mask, OverlayStyle};
use retinanet_examples::PHOTO;
use retinanet_tests::demo::{builder, detector, photo};

#[track_caller]
fn contains(error: &retinanet::Error, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    assert!(!message.contains(char::is_control), "{message:?}");
}

fn image(width: usize, height: usize) -> Image {
    Image::from_rgb8(width, height, vec![77; width * height * 3]).unwrap()
}

#[test]
fn files_that_hold_no_image_are_each_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let photo = std::fs::read(PHOTO).unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    for (path, parts) in [
        (folder.path().join("missing.jpg"), ["missing.jpg", "check the path"]),
        (folder.path().to_owned(), ["it is a folder", "give the path of an image"]),
        (file("empty.png", b""), ["empty.png", "is empty (0 bytes)"]),
        (file("notes.jpg", b"Dear diary,"), ["notes.jpg", "starts with \"Dear diary,\""]),
        (file("cut.png", &photo[..photo.len() / 2]), ["cut.png", "damaged or cut short"]),
        (file("bomb.ppm", b"P6 100000 100000 255\n"), ["bomb.ppm", "is 100000 x 100000 pixels"]),
        (file("bell\u{7}.jpg", b"\x1b[31m"), ["bell\\u{7}.jpg", "is not an image"]),
    ] {
        contains(&Image::open(&path).unwrap_err(), &parts);
    }
}

#[test]
fn an_image_too_thin_to_resize_is_refused_alone_and_in_a_batch() {
    let detector = detector();
    let parts = ["1 x 5000 pixels (width x height)", "resized to 0 x 512", "crop it"];
    contains(&detector.detect(&image(1, 5000)).unwrap_err(), &parts);
    contains(&detector.detect_batch(&[photo(), image(1, 5000)]).unwrap_err(), &parts);
    // The detector is as good as before.
    assert_eq!(detector.detect(&photo()).unwrap().above(0.5).len(), 1);
}

#[test]
fn a_single_pixel_is_an_image_like_any_other() {
    let found = detector().detect(&image(1, 1)).unwrap();
    assert_eq!(found.image_size(), [1, 1]);
    assert!(found.above(0.5).is_empty());
}

#[test]
fn an_unknown_label_is_an_error_that_suggests_the_right_one() {
    let found = detector().detect(&photo()).unwrap();
    let parts = ["unknown label \"persn\"", "did you mean \"person\"?"];
    contains(&found.of("persn").unwrap_err(), &parts);
    contains(&found.masks("persn").unwrap_err(), &parts);
}

#[test]
fn outputs_that_cannot_be_written_name_the_path_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"kept").unwrap();
    let drawn = detector().detect(&photo()).unwrap().overlay(&photo(), &OverlayStyle::default());
    let drawn = drawn.unwrap();
    let mask = Mask::filled_box(2, 2, [0.0; 4]).unwrap();
    for path in [file.join("out.png"), folder.path().join("none/out.png"), "/proc/out.png".into()] {
        let told = path.to_string_lossy().into_owned();
        let parts = ["cannot write", &told, "check that its folder exists"];
        contains(&drawn.save_png(&path).unwrap_err(), &parts);
        contains(&mask.save_png(&path).unwrap_err(), &parts);
        assert!(!Path::new(&path).exists());
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_device_this_build_lacks_is_an_error_that_says_how_to_get_it() {
    if !cfg!(feature = "cuda") {
        for determinism in [Determinism::default(), Determinism::fast()] {
            let builder = builder().determinism(determinism).device(Device::Cuda(1));
            let error = builder.build().unwrap_err();
            contains(&error, &["cuda:1", "build with `--features cuda`", "answers are the same"]);
        }
    }
    let error = "tpu".parse::<Device>().unwrap_err();
    contains(&error, &["\"tpu\"", "expected `cpu`, `cuda` or `cuda:N`"]);
}

#[test]
fn settings_that_break_the_promise_or_make_no_sense_are_refused() {
    let strict = builder().dtype(DType::F16).build().unwrap_err();
    contains(&strict, &["f16", "strict"]);
    let fast = builder().dtype(DType::F16).determinism(Determinism::fast()).build().unwrap_err();
    contains(&fast, &["dtype f16", "computes in f32"]);
    for threads in [0, usize::MAX] {
        let error = builder().threads(threads).build().unwrap_err();
        contains(&error, &[&format!("threads is {threads}"), "expected 1 to 4096"]);
    }
    for threshold in [f64::NAN, f64::INFINITY] {
        let error = builder().score_threshold(threshold).build().unwrap_err();
        contains(&error, &["score_thresh"]);
    }
}

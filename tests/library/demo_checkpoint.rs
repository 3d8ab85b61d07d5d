//! The bundled checkpoint on the bundled photo, against torchvision's own answer.

use retinanet::Detector;
use retinanet::image::DecodeLimits;
use retinanet::receipt::{Difference, Receipt};
use retinanet_tests::demo::{detector, photo};
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Golden {
    decoded_rgb_sha256: String,
    boxes: Vec<[f32; 4]>,
    scores: Vec<f32>,
    labels: Vec<usize>,
}

#[test]
fn the_answer_is_torchvisions() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/astronaut.json")).unwrap();
    let photo = photo();
    let hash = Sha256::digest(photo.as_rgb8());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, golden.decoded_rgb_sha256, "the same pixels");

    let found = detector().detect(&photo).unwrap();
    assert_eq!(found.len(), golden.boxes.len());
    let expected = golden.boxes.iter().zip(&golden.scores).zip(&golden.labels);
    for (index, (ours, ((corners, score), label))) in found.iter().zip(expected).enumerate() {
        assert_eq!(ours.label_id, *label, "detection {index}");
        let apart = (ours.score - score).abs();
        assert!(apart <= 1e-4, "detection {index}: score {} for {score}", ours.score);
        for (a, b) in <[f32; 4]>::from(ours.bounding_box).iter().zip(corners) {
            assert!((a - b).abs() <= 0.05, "detection {index}: {:?}", ours.bounding_box);
        }
    }
}

#[test]
fn above_one_half_there_is_exactly_the_one_person() {
    let found = detector().detect(&photo()).unwrap().above(0.5);
    let people = found.of("person").unwrap();
    assert_eq!((people.len(), found.len()), (1, 1));
    assert!((people[0].score - 0.93).abs() < 0.005);
    let masks = found.masks("person").unwrap();
    assert_eq!((masks[0].width(), masks[0].height()), (512, 512));
    // Rows 11..491 and columns 0..429 of the golden box.
    assert_eq!(masks[0].area(), (491 - 11) * 429);
    assert_eq!(
        masks[0].as_bytes()[11 * 512..][..512].iter().map(|&b| usize::from(b)).sum::<usize>(),
        429
    );
}

#[test]
fn weights_and_photo_from_memory_answer_as_their_files_and_receipts_name_them() {
    let read = |path| std::fs::read(path).unwrap();
    let (weights, photo_file) =
        (read(retinanet_examples::WEIGHTS), read(retinanet_examples::PHOTO));
    let builder = || Detector::builder().weights_from_bytes("the weights", weights.as_slice());
    let detector = builder().build().unwrap();
    let receipt = Receipt::create_from_bytes(&detector, "the photo", &photo_file).unwrap();
    assert_eq!(receipt.digest().to_string(), retinanet_examples::PUBLISHED_DIGEST);
    assert_eq!((&*receipt.weights().given, &*receipt.image().path), ("the weights", "the photo"));
    let sha256: String =
        Sha256::digest(&weights).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(receipt.weights().sha256.to_string(), sha256);

    let limits = DecodeLimits::default();
    let verify = |builder, photo: &[u8]| {
        receipt.verify_from_bytes(builder, "photo.png", photo, &limits, &mut |_, _| ())
    };
    let same = verify(builder(), &photo_file).unwrap();
    assert!(same.is_same() && same.stages > 10, "{same}");

    // A photo that is cut short, and weights that are damaged, are differences with both hashes.
    let cut = verify(builder(), &photo_file[..5000]).unwrap();
    let [Difference::ImageFile { undecodable: Some(reason), .. }] = &cut.differences[..] else {
        panic!("{cut}");
    };
    assert!(reason.contains("photo.png"), "{reason}");
    let damaged = Detector::builder().weights_from_bytes("damaged", &weights[..1 << 20]);
    let damaged = verify(damaged, &photo_file).unwrap();
    let [Difference::WeightsFile { unusable: Some(reason), .. }] = &damaged.differences[..] else {
        panic!("{damaged}");
    };
    assert!(reason.contains("damaged"), "{reason}");
}

#[test]
fn weights_in_memory_are_refused_by_their_name() {
    for (bytes, says) in [(&b""[..], "empty"), (b"<html>", "web page"), (b"\x89PNG\r\n", "image")] {
        let error = Detector::builder().weights_from_bytes("given.bin", bytes).build().unwrap_err();
        let message = error.to_string();
        assert!(message.contains("given.bin") && message.contains(says), "{message}");
    }
    // Nothing is looked up: a name that is in the manifest does not stand for its file.
    let name = "retinanet_resnet50_fpn_v2.coco_v1";
    let error = Detector::builder().weights_from_bytes(name, &b"x"[..]).build().unwrap_err();
    assert!(error.to_string().contains(name), "{error}");
}

//! The bundled checkpoint on the bundled photo, against torchvision's own answer.

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

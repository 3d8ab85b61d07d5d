//! The digests' layout and their refusals.

use super::*;
use sha2::Digest as _;

/// The layout written a second time, plainly.
fn by_hand(kind: &str, name: &str, shape: &[u64], rest: &[u8]) -> Digest {
    let mut bytes = Vec::new();
    for text in ["retinanet-digest-v1", kind, name] {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes.extend((shape.len() as u64).to_le_bytes());
    for dim in shape {
        bytes.extend(dim.to_le_bytes());
    }
    bytes.extend(rest);
    Digest::from_bytes(sha2::Sha256::digest(&bytes).into())
}

fn le(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[test]
fn tensors_follow_the_documented_layout() {
    let values = [1.0, -0.0, 0.1, f32::INFINITY, 5e-45, -7.5];
    assert_eq!(
        digest_f32("C3", &[1, 2, 3], &values).unwrap(),
        by_hand("f32", "C3", &[1, 2, 3], &le(&values))
    );
    assert_eq!(
        digest_u8("decoded", &[1, 2, 3], &[9, 8, 7, 6, 5, 4]).unwrap(),
        by_hand("u8", "decoded", &[1, 2, 3], &[9, 8, 7, 6, 5, 4])
    );
    assert_eq!(
        digest_f32("scalar", &[], &[2.0]).unwrap(),
        by_hand("f32", "scalar", &[], &le(&[2.0]))
    );
    assert_eq!(digest_f32("empty", &[0, 4], &[]).unwrap(), by_hand("f32", "empty", &[0, 4], &[]));
}

#[test]
fn detections_follow_the_documented_layout() {
    let found = [
        (1, "person", 0.93f32, [1.0f32, 2.0, 3.5, 4.0]),
        (18, "hund \u{e9}", 0.5, [-0.0, 0.0, 1e9, 7.0]),
    ];
    let mut rest = Vec::new();
    rest.extend(480u64.to_le_bytes());
    rest.extend(640u64.to_le_bytes());
    for (id, label, score, corners) in &found {
        rest.extend((*id as u64).to_le_bytes());
        rest.extend((label.len() as u64).to_le_bytes());
        rest.extend(label.as_bytes());
        rest.extend(le(&[*score]));
        rest.extend(le(corners));
    }
    assert_eq!(
        digest_detections([480, 640], found.into_iter()).unwrap(),
        by_hand("detections", "detections", &[2], &rest)
    );
}

// Computed by a second implementation, in Python.
#[test]
fn known_answers_stay() {
    assert_eq!(
        digest_f32("P3", &[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap().to_string(),
        "301cb48be37d1fe27181c627383d42e6d7ef2b865e8ae74312164e28485a1335"
    );
    assert_eq!(
        digest_detections([480, 640], std::iter::empty()).unwrap().to_string(),
        "591e06f89b285e45a34de72f47fa60312485abf41479f83f7f2de67ca54094b4"
    );
}

#[test]
fn name_shape_kind_and_the_sign_of_zero_all_count() {
    let base = digest_f32("a", &[2, 2], &[0.0; 4]).unwrap();
    for other in [
        digest_f32("b", &[2, 2], &[0.0; 4]),
        digest_f32("a", &[4, 1], &[0.0; 4]),
        digest_f32("a", &[4], &[0.0; 4]),
        digest_f32("a", &[2, 2], &[0.0, 0.0, 0.0, -0.0]),
        digest_u8("a", &[2, 2], &[0; 4]),
    ] {
        assert_ne!(other.unwrap(), base);
    }
}

#[test]
fn order_and_label_of_detections_count() {
    let a = (1, "person", 0.5, [0.0; 4]);
    let b = (2, "bicycle", 0.5, [0.0; 4]);
    let digest = |found: [(usize, &str, f32, [f32; 4]); 2]| {
        digest_detections([2, 3], found.into_iter()).unwrap()
    };
    assert_ne!(digest([a, b]), digest([b, a]));
    assert_ne!(digest([a, b]), digest([(1, "people", 0.5, [0.0; 4]), b]));
}

#[test]
fn a_nan_is_named_by_tensor_and_index() {
    let mut values = vec![0.0; 5000];
    values[4321] = f32::NAN;
    let message = digest_f32("P4\n", &[5000], &values).unwrap_err().to_string();
    assert!(message.contains(r#""P4\n""#), "{message}");
    assert!(message.contains("4321"), "{message}");
    let mut writer = DigestWriter::f32("P4", &[8]).unwrap();
    writer.write_f32(&[0.0; 5]).unwrap();
    let message = writer.write_f32(&[0.0, f32::NAN]).unwrap_err().to_string();
    assert!(message.contains("index 6"), "{message}");
    let found = [(1, "person", 0.5, [0.0; 4]), (1, "person", 0.5, [0.0, 0.0, f32::NAN, 0.0])];
    let message = digest_detections([2, 3], found.into_iter()).unwrap_err().to_string();
    assert!(message.contains("index 1"), "{message}");
}

#[test]
fn data_that_does_not_fill_the_shape_is_refused() {
    for count in [3, 5] {
        let error = digest_f32("a", &[2, 2], &vec![0.0; count]).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(&count.to_string()), "{message}");
    }
    assert!(digest_u8("a", &[usize::MAX, 2], &[]).is_err());
}

#[test]
fn digests_survive_text_and_json() {
    let digest = digest_u8("a", &[1], &[1]).unwrap();
    let text = digest.to_string();
    assert_eq!(text.len(), 64);
    assert_eq!(text.parse::<Digest>().unwrap(), digest);
    assert_eq!(text.to_uppercase().parse::<Digest>().unwrap(), digest);
    let json = serde_json::to_string(&digest).unwrap();
    assert_eq!(json, format!("\"{text}\""));
    assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
}

#[test]
fn text_that_is_no_digest_is_quoted_and_refused() {
    let text = digest_u8("a", &[1], &[1]).unwrap().to_string();
    let signed = format!("+{}", &text[1..]);
    let wide = "\u{e9}".repeat(32);
    for bad in ["", "abc", "\x1b[31m", &text[1..], &signed, &wide] {
        let message = bad.parse::<Digest>().unwrap_err().to_string();
        assert!(message.contains("64 hexadecimal"), "{message}");
        assert!(!message.contains('\x1b'));
    }
}

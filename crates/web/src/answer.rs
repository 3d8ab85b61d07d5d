//! Answers as JSON.

use retinanet::receipt::{Receipt, Verification};
use retinanet::{Detector, Result};
use serde_json::json;

/// What was loaded.
pub fn weights(detector: &Detector, name: &str) -> String {
    let sha256 = detector.environment().weights_sha256.map(|digest| digest.to_string());
    let categories = detector.categories().names();
    json!({ "name": name, "sha256": sha256, "categories": categories }).to_string()
}

/// What was found.
pub fn found(receipt: &Receipt) -> Result<String> {
    let detections = receipt.detections();
    let answer = json!({
        "imageSize": detections.image_size(),
        "detections": detections.iter().collect::<Vec<_>>(),
        "digest": receipt.digest(),
        "stages": receipt.stages(),
        "receipt": receipt.to_json()?,
    });
    Ok(answer.to_string())
}

/// What re-running a receipt showed.
pub fn verification(verification: &Verification) -> String {
    json!({ "same": verification.is_same(), "report": verification.to_string() }).to_string()
}

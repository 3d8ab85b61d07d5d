//! Answers as JSON.

use retinanet::batch::Record;
use retinanet::determinism::NUMERICS_VERSION;
use retinanet::image::DecodeLimits;
use retinanet::receipt::{Difference, Receipt, Verification};
use retinanet::{Detector, Result};
use serde_json::json;

/// What was loaded.
pub fn weights(detector: &Detector, name: &str) -> String {
    let sha256 = detector.environment().weights_sha256.map(|digest| digest.to_string());
    let categories = detector.categories().names();
    let threshold = detector.model().config().postprocess.score_thresh;
    json!({
        "name": name,
        "sha256": sha256,
        "categories": categories,
        "scoreThreshold": threshold,
        "numerics": NUMERICS_VERSION,
    })
    .to_string()
}

/// What an image may cost.
pub fn limits(limits: &DecodeLimits) -> String {
    json!({ "maxFileBytes": limits.max_file_bytes, "maxPixels": limits.max_pixels }).to_string()
}

/// What was found.
pub fn found(receipt: &Receipt, name: &str) -> Result<String> {
    let detections = receipt.detections();
    let answer = json!({
        "imageSize": detections.image_size(),
        "detections": detections.iter().collect::<Vec<_>>(),
        "digest": receipt.digest(),
        "stages": receipt.stages(),
        "receipt": receipt.to_json()?,
        "record": format!("[\n{}\n]\n", Record::found(name, detections)?.to_json()),
    });
    Ok(answer.to_string())
}

/// What re-running a receipt showed.
pub fn verification(verification: &Verification) -> String {
    let differences = verification
        .differences
        .iter()
        .map(|difference| json!({ "kind": kind(difference), "text": difference.to_string() }));
    json!({
        "same": verification.is_same(),
        "stages": verification.stages,
        "differences": differences.collect::<Vec<_>>(),
        "report": verification.to_string(),
    })
    .to_string()
}

/// What differs, in a word.
fn kind(difference: &Difference) -> &'static str {
    match difference {
        Difference::Seal => "seal",
        Difference::Versions(_) => "versions",
        Difference::OwnDetections { .. } => "ownDetections",
        Difference::ImageFile { .. } => "imageFile",
        Difference::WeightsFile { .. } => "weightsFile",
        Difference::Stage(_) => "stage",
        Difference::Detections { .. } => "detections",
        _ => "other",
    }
}

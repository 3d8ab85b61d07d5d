//! One image's answer as JSON.

use retinanet::Detections;
use retinanet::detection::Detection;
use serde::{Serialize, Serializer};

use crate::exit::Outcome;

/// What is written for one image.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum ImageRecord {
    /// What was found.
    Found {
        /// The image as the user named it.
        image: String,
        /// In pixels.
        width: usize,
        /// In pixels.
        height: usize,
        /// Best score first.
        detections: Vec<RecordDetection>,
        /// SHA-256 over the exact bits of `detections` and the image's size.
        digest: String,
    },
    /// Why there is no answer.
    Failed {
        /// The image as the user named it.
        image: String,
        /// The reason.
        error: String,
    },
}

/// One detection, as [`Detection`] but with numbers every reader takes for the same bits.
#[derive(Debug, Serialize)]
pub struct RecordDetection {
    label_id: usize,
    label: String,
    score: Exact,
    #[serde(rename = "box")]
    in_image: [Exact; 4],
}

impl ImageRecord {
    /// The record of what was found in an image.
    pub fn found(image: &str, found: &Detections) -> Outcome<Self> {
        let [height, width] = found.image_size();
        Ok(Self::Found {
            image: image.to_owned(),
            width,
            height,
            detections: found.iter().map(RecordDetection::from).collect(),
            digest: found.digest()?.to_string(),
        })
    }

    /// The record of an image without an answer.
    pub fn failed(image: &str, error: &str) -> Self {
        Self::Failed { image: image.to_owned(), error: error.to_owned() }
    }

    /// One line of JSON, without a newline.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a record has string keys only")
    }
}

impl From<&Detection> for RecordDetection {
    fn from(found: &Detection) -> Self {
        Self {
            label_id: found.label_id,
            label: found.label.clone(),
            score: Exact(found.score),
            in_image: <[f32; 4]>::from(found.bounding_box).map(Exact),
        }
    }
}

/// An f32 in JSON: its shortest digits, or more where they are needed.
#[derive(Debug, Clone, Copy)]
struct Exact(f32);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match bits_kept(self.0) {
            Ok(short) => serializer.serialize_f32(short),
            Err(long) => serializer.serialize_f64(long),
        }
    }
}

/// The number whose shortest digits read back to `value`'s bits, whether a reader parses them as f32
/// or, like Python and JavaScript, as f64 and then rounds: `value` itself, but for a few (such as
/// 7.038531e-26) `value` as f64.
pub fn bits_kept(value: f32) -> Result<f32, f64> {
    let through_f64 = value.to_string().parse::<f64>().map(|wide| wide as f32);
    match through_f64 {
        Ok(read) if read.to_bits() == value.to_bits() => Ok(value),
        _ => Err(f64::from(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_to_the_same_bits_as_f32_and_as_f64() {
        let mut bits = 0x9e37_79b9_u32;
        let drawn = std::iter::repeat_with(|| {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from_bits(bits)
        });
        let awkward = [7.038531e-26, -0.0, 0.0, 1e-45, f32::MAX, f32::MIN_POSITIVE, 16_777_216.0];
        for value in awkward.into_iter().chain(drawn.take(200_000)).filter(|v| v.is_finite()) {
            let json = serde_json::to_string(&Exact(value)).unwrap();
            assert_eq!(json.parse::<f32>().unwrap().to_bits(), value.to_bits(), "{json}");
            assert_eq!((json.parse::<f64>().unwrap() as f32).to_bits(), value.to_bits(), "{json}");
        }
    }

    #[test]
    fn usual_numbers_stay_short() {
        assert_eq!(serde_json::to_string(&Exact(0.1)).unwrap(), "0.1");
    }
}

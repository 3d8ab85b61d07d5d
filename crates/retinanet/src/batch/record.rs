//! One image's answer as one line of JSON.

use serde::{Serialize, Serializer};

use crate::Result;
use crate::detection::{Detection, Detections};

/// What is written about one image: an object with `image`, `width`, `height`, `detections` (each
/// `label_id`, `label`, `score`, `box`: `[x1, y1, x2, y2]`) and `digest`
/// ([`Detections::digest`] of exactly these), or with `image` and `error`.
///
/// Every number reads back to the same bits, by a reader of f32 as by one of f64.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Record {
    /// What was found.
    Found {
        /// The image's name.
        image: String,
        /// In pixels.
        width: usize,
        /// In pixels.
        height: usize,
        /// Best score first.
        detections: Vec<RecordDetection>,
        /// Over the exact bits of the detections and the image's size.
        digest: String,
    },
    /// Why there is no answer.
    Failed {
        /// The image's name.
        image: String,
        /// The reason.
        error: String,
    },
}

/// A [`Detection`] with numbers that every reader takes for the same bits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordDetection {
    label_id: usize,
    label: String,
    score: Exact,
    #[serde(rename = "box")]
    in_image: [Exact; 4],
}

impl Record {
    /// The record of what was found in an image.
    ///
    /// # Errors
    /// [`DeterminismError::NotANumber`](crate::determinism::DeterminismError::NotANumber), which
    /// detections of a [`Detector`](crate::Detector) never hold.
    pub fn found(image: &str, found: &Detections) -> Result<Self> {
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
    ///
    /// # Panics
    /// Never: a record has nothing that JSON cannot hold.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a record has string keys only")
    }
}

impl RecordDetection {
    /// The class id, the label, and score and corners as CSV.
    pub(super) fn csv_fields(&self) -> [String; 3] {
        let [x1, y1, x2, y2] = self.in_image;
        let numbers = [self.score, x1, y1, x2, y2]
            .map(|number| serde_json::to_string(&number).expect("a number can be written"));
        [self.label_id.to_string(), self.label.clone(), numbers.join(",")]
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
#[derive(Debug, Clone, Copy, PartialEq)]
struct Exact(f32);

impl Serialize for Exact {
    /// The shortest digits of an f32 read as f64 and then rounded give other bits for a few values
    /// (7.038531e-26 for one); those are written as f64.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let through_f64 = self.0.to_string().parse::<f64>().map(|wide| wide as f32);
        match through_f64 {
            Ok(read) if read.to_bits() == self.0.to_bits() => serializer.serialize_f32(self.0),
            _ => serializer.serialize_f64(f64::from(self.0)),
        }
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
        for value in awkward.into_iter().chain(drawn.take(100_000)).filter(|v| v.is_finite()) {
            let json = serde_json::to_string(&Exact(value)).unwrap();
            assert_eq!(json.parse::<f32>().unwrap().to_bits(), value.to_bits(), "{json}");
            assert_eq!((json.parse::<f64>().unwrap() as f32).to_bits(), value.to_bits(), "{json}");
        }
        assert_eq!(serde_json::to_string(&Exact(0.1)).unwrap(), "0.1");
    }

    #[test]
    fn a_failed_image_has_its_name_and_the_reason() {
        let json = Record::failed("a/\"1\".jpg", "no\nway").to_json();
        assert_eq!(json, r#"{"image":"a/\"1\".jpg","error":"no\nway"}"#);
    }
}

//! The answers of live torchvision, as `golden/make_parity.py` wrote them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use retinanet::Image;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::generator::{self, Lively};

/// The bias that [`ParityData::tensors`] does not draw but reads.
const LOGITS_BIAS: &str = "head.classification_head.cls_logits.bias";

/// One model and what it answers to several pictures.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParityData {
    /// Its name in `golden/models.py`.
    pub model: String,
    /// PyTorch's version.
    pub torch: String,
    /// torchvision's version.
    pub torchvision: String,
    /// How its weights were drawn; none where a checkpoint brings them.
    pub weights: Option<DrawnWeights>,
    /// The answers.
    pub cases: Vec<Case>,
}

/// The recipe of a model's weights.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawnWeights {
    seed: u64,
    sha256: String,
    lively: Lively,
    tensors: BTreeMap<String, Vec<usize>>,
    logits_bias: Vec<f32>,
}

/// What a picture is made from.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureSource {
    /// [`generator::picture`].
    Seed(u64),
    /// [`generator::rolled`] of the bundled photo.
    Roll([usize; 2]),
}

/// What torchvision answers to one picture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Of the picture.
    pub width: usize,
    /// Of the picture.
    pub height: usize,
    /// What it is made from.
    pub picture: PictureSource,
    /// Of its RGB bytes.
    pub picture_sha256: String,
    /// [height, width] as the network sees it.
    pub resized: [usize; 2],
    /// [height, width] with padding.
    pub padded: [usize; 2],
    /// Four numbers a detection: x1, y1, x2, y2 in pixels of the picture.
    pub boxes: Vec<f32>,
    /// Best first.
    pub scores: Vec<f32>,
    /// Class ids.
    pub labels: Vec<usize>,
    /// Per level (anchors * classes, height, width).
    pub logits: Vec<TensorSample>,
    /// Per level (anchors * 4, height, width).
    pub regression: Vec<TensorSample>,
    /// The backbone's feature maps, in one case a model.
    #[serde(default)]
    pub stages: Vec<TensorSample>,
    /// The pyramid's feature maps, in one case a model.
    #[serde(default)]
    pub levels: Vec<TensorSample>,
}

/// A (channels, height, width) tensor in small.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSample {
    /// Names the places of `values`.
    pub name: String,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Where the largest magnitude is.
    pub largest_at: usize,
    /// The value there.
    pub largest: f32,
    /// The mean of all magnitudes.
    pub mean_magnitude: f64,
    /// At [`generator::places`].
    pub values: Vec<f32>,
}

/// A file of the repository: where this was built, or, on another machine, below the current folder.
pub fn in_repository(path: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if built.exists() { built } else { path.into() }
}

impl ParityData {
    /// Reads `golden/{model}.json`.
    ///
    /// # Panics
    /// When the file is not there or not such data.
    pub fn read(model: &str) -> Self {
        let path = in_repository(&format!("tests/golden/{model}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path:?}: {e}"))
    }
}

impl DrawnWeights {
    /// Name, shape and values of every tensor, proved to be the bits that torchvision had.
    ///
    /// # Panics
    /// When they are not.
    pub fn tensors(&self) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
        let mut digest = Sha256::new();
        let mut tensors = BTreeMap::new();
        for (name, shape) in &self.tensors {
            let values = if name == LOGITS_BIAS {
                self.logits_bias.clone()
            } else {
                generator::tensor(self.seed, name, shape, &self.lively)
            };
            for value in &values {
                digest.update(value.to_le_bytes());
            }
            tensors.insert(name.clone(), (shape.clone(), values));
        }
        assert_eq!(hex(&digest.finalize()), self.sha256, "weights drawn here");
        tensors
    }
}

impl Case {
    /// The picture, proved to be the one that torchvision saw.
    ///
    /// # Panics
    /// When it is not.
    pub fn image(&self) -> Image {
        let rgb = match self.picture {
            PictureSource::Seed(seed) => generator::picture(seed, self.width, self.height),
            PictureSource::Roll(roll) => {
                let photo = Image::open(in_repository("examples/assets/astronaut.png")).unwrap();
                let size = [photo.width(), photo.height()];
                generator::rolled(photo.as_rgb8(), size, self.width, self.height, roll)
            }
        };
        assert_eq!(hex(&Sha256::digest(&rgb)), self.picture_sha256, "picture made here");
        Image::from_rgb8(self.width, self.height, rgb).unwrap()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

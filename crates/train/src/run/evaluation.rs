//! The validation pictures, looked at with the model as it is.

use std::ops::ControlFlow;
use std::path::PathBuf;

use retinanet::Detector;
use retinanet::eval::{CategoryMap, CocoScores, GroundTruth};
use retinanet::image::DecodeOptions;
use retinanet::labels::Categories;
use retinanet::model::{RetinaNet, RetinaNetConfig};
use retinanet::ops::Level;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::parameters::Parameters;
use crate::recipe::Recipe;

/// COCO's scores of an evaluation; none where nothing is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// Over IoU 0.50 to 0.95.
    pub ap: Option<f64>,
    /// At IoU 0.50.
    pub ap50: Option<f64>,
    /// At IoU 0.75.
    pub ap75: Option<f64>,
    /// Of objects below 32 x 32 pixels.
    pub ap_small: Option<f64>,
    /// Up to 96 x 96.
    pub ap_medium: Option<f64>,
    /// Of larger ones.
    pub ap_large: Option<f64>,
    /// Average recall with 100 detections.
    pub ar_100: Option<f64>,
}

impl From<&CocoScores> for Scores {
    fn from(scores: &CocoScores) -> Self {
        let CocoScores { ap, ap50, ap75, ap_small, ap_medium, ap_large, ar_100, .. } = *scores;
        Self { ap, ap50, ap75, ap_small, ap_medium, ap_large, ar_100 }
    }
}

/// What a model is evaluated on.
#[derive(Debug)]
pub(super) struct Validation {
    truth: GroundTruth,
    folder: PathBuf,
}

impl Validation {
    /// The recipe's, where it has one.
    pub(super) fn open(recipe: &Recipe, config: &RetinaNetConfig) -> Result<Option<Self>> {
        let data = &recipe.data;
        let (Some(annotations), Some(images)) =
            (&data.validation_annotations, &data.validation_images)
        else {
            return Ok(None);
        };
        let truth = GroundTruth::open(recipe.resolve(annotations))?;
        // Said now, not after hours.
        let names = Categories::new(config.categories.clone().unwrap_or_default())?;
        CategoryMap::new(&names, &truth)?;
        let folder = recipe.resolve(images);
        for image in truth.images() {
            let path = image.path(&folder)?;
            if !path.is_file() {
                return Err(crate::error::RunError::NoValidationImage { path }.into());
            }
        }
        Ok(Some(Self { truth, folder }))
    }

    /// The model's scores; `told` is told how many pictures are done, of how many, and may break it off: then there are none.
    pub(super) fn scores(
        &self,
        model: &Parameters,
        level: Level,
        told: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<Scores>> {
        let network = RetinaNet::with_level(model.config(), level, model)?;
        let detector = Detector::builder().build_with_model(network)?;
        let map = CategoryMap::new(detector.categories(), &self.truth)?;
        let (images, options) = (self.truth.images(), DecodeOptions::default());
        let mut detections = Vec::new();
        for (done, image) in images.iter().enumerate() {
            if told(done, images.len()).is_break() {
                return Ok(None);
            }
            let found = detector.detect(&image.open(&self.folder, &options)?)?;
            detections.extend(map.translate(image.id, &found));
        }
        Ok(Some(Scores::from(&self.truth.evaluate(&detections)?.overall)))
    }
}

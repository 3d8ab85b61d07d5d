//! The steps from one image's maps to its boxes, wherever the maps are.

use retinanet_kernels::with_ieee;

use super::boxes::{ImageSizes, InputBox, ScoredBox};
use super::config::PostprocessConfig;
use super::level_shape::LevelShape;
use super::threshold::Collector;
use super::top_k::Candidate;
use super::{box_coder, nms};
use crate::bounding_box::BoundingBox;
use crate::error::PostprocessError;

/// What the network says about one feature level of one image, in some layout.
pub(super) trait LevelMaps {
    /// Its checked sizes; `level` is its number, 0 being the finest.
    fn shape(&self, level: usize, classes: usize) -> Result<LevelShape, PostprocessError>;

    /// Has the collectors that `new` makes read all logits that can matter, and joins them.
    fn collect(&self, shape: LevelShape, new: impl Fn() -> Collector + Sync) -> Collector;

    /// The regression at a channel (anchor * 4 + coordinate) and a position (y * width + x).
    fn regression(&self, shape: LevelShape, channel: usize, position: usize) -> f32;

    /// x1, y1, x2, y2 of an anchor in pixels of the resized image, counted row by row, then anchor by
    /// anchor.
    fn anchor(&self, index: usize) -> [f32; 4];
}

impl PostprocessConfig {
    /// The boxes of all levels, the finest first, in pixels of the original image, best first.
    pub(super) fn all_levels(
        &self,
        levels: &[impl LevelMaps],
        num_classes: usize,
        sizes: ImageSizes,
    ) -> Result<Vec<ScoredBox>, PostprocessError> {
        self.check()?;
        // Levels that scan their logits on several threads do this again on each of them.
        with_ieee(|| {
            let mut boxes = Vec::new();
            for (level, output) in levels.iter().enumerate() {
                let shape = output.shape(level, num_classes)?;
                let channels = shape.anchors * shape.classes;
                let new =
                    || Collector::new(level, channels, self.score_thresh, self.topk_candidates);
                let candidates = output.collect(shape, new).finish(shape.width)?;
                boxes.extend(self.decode(&candidates, shape, output, sizes.resized)?);
            }
            self.select(boxes, sizes)
        })
    }

    /// The clipped boxes of one level's candidates.
    fn decode(
        &self,
        candidates: &[Candidate],
        shape: LevelShape,
        output: &impl LevelMaps,
        resized: [usize; 2],
    ) -> Result<Vec<InputBox>, PostprocessError> {
        let decode_one = |candidate: &Candidate| {
            let label_id = candidate.index % shape.classes;
            let anchor_index = candidate.index / shape.classes;
            let (position, anchor) = (anchor_index / shape.anchors, anchor_index % shape.anchors);
            let (y, x) = (position / shape.width, position % shape.width);
            let (level, anchor_box) = (candidate.level, output.anchor(anchor_index));

            let mut offsets = [0.0; 4];
            for (coordinate, offset) in offsets.iter_mut().enumerate() {
                let channel = anchor * 4 + coordinate;
                let value = output.regression(shape, channel, position);
                if !value.is_finite() {
                    let output = "box regression";
                    return Err(PostprocessError::NonFinite {
                        output,
                        level,
                        channel,
                        y,
                        x,
                        value,
                    });
                }
                *offset = value;
            }
            let decoded = box_coder::decode(offsets, anchor_box, self.box_coder_weights);
            // An infinite corner is clipped like any far one.
            if decoded.iter().any(|corner| corner.is_nan()) {
                let regression = offsets;
                return Err(PostprocessError::BadBox {
                    level,
                    anchor,
                    y,
                    x,
                    regression,
                    anchor_box,
                    decoded,
                });
            }
            Ok(InputBox {
                candidate: *candidate,
                label_id,
                in_input: box_coder::clip(decoded, resized),
            })
        };
        candidates.iter().map(decode_one).collect()
    }

    /// NMS over all levels' boxes, the cut to `detections_per_img`, and the way back to the original
    /// image's pixels.
    fn select(
        &self,
        boxes: Vec<InputBox>,
        sizes: ImageSizes,
    ) -> Result<Vec<ScoredBox>, PostprocessError> {
        let ratio = |axis: usize| sizes.original[axis] as f32 / sizes.resized[axis] as f32;
        if sizes.original.contains(&0) || sizes.resized.contains(&0) {
            return Err(PostprocessError::Config {
                name: "the image's size",
                value: format!("{:?}, resized to {:?}", sizes.original, sizes.resized),
                needs: "height and width must not be 0",
            });
        }
        let (y_ratio, x_ratio) = (ratio(0), ratio(1));
        let scaled = |kept: InputBox| {
            let [x1, y1, x2, y2] = kept.in_input;
            let bounding_box = BoundingBox {
                x1: x1 * x_ratio,
                y1: y1 * y_ratio,
                x2: x2 * x_ratio,
                y2: y2 * y_ratio,
            };
            ScoredBox { bounding_box, label_id: kept.label_id, candidate: kept.candidate }
        };
        let kept = nms::nms(boxes, self.nms_thresh, self.detections_per_img);
        Ok(kept.into_iter().map(scaled).collect())
    }
}

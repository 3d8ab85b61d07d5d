//! From logits to detections: threshold, top-k, box decoding, clipping, NMS, scaling back.

mod blocked;
mod box_coder;
mod config;
mod nms;
#[cfg(feature = "cuda")]
mod selected;
mod threshold;
mod top_k;

#[cfg(test)]
mod tests;

pub use crate::error::PostprocessError;
#[doc(hidden)]
pub use blocked::BlockedLevel;
pub use config::PostprocessConfig;
#[cfg(feature = "cuda")]
pub(crate) use selected::SelectedLevel;
pub use top_k::Candidate;

use retinanet_kernels::with_ieee;

use crate::Result;
use crate::detection::BoundingBox;

/// What the network says about one feature level of one image.
#[derive(Debug, Clone, Copy)]
pub struct LevelOutput<'a> {
    /// Height and width of the feature map.
    pub grid: [usize; 2],
    /// Shape (anchors * classes, height, width); channel = anchor * classes + class.
    pub logits: &'a [f32],
    /// Shape (anchors * 4, height, width); channel = anchor * 4 + (dx, dy, dw, dh).
    pub regression: &'a [f32],
    /// x1, y1, x2, y2 in pixels of the resized image, row by row, then anchor by anchor.
    pub anchors: &'a [[f32; 4]],
}

/// The sizes, height and width, that boxes are clipped to and scaled back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSizes {
    /// Of the image as decoded.
    pub original: [usize; 2],
    /// Of the image as resized for the network, without its padding.
    pub resized: [usize; 2],
}

/// A box that survived, with the score and class it was found with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredBox {
    /// In pixels of the original image.
    pub bounding_box: BoundingBox,
    /// The class id.
    pub label_id: usize,
    /// Its score and where it was found: the place that breaks ties.
    pub candidate: Candidate,
}

/// A candidate's box in pixels of the resized image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct InputBox {
    pub(crate) candidate: Candidate,
    pub(crate) label_id: usize,
    pub(crate) in_input: [f32; 4],
}

impl PostprocessConfig {
    /// Turns one image's network outputs, the finest level first, into scored boxes in the original
    /// image's pixels, best first.
    ///
    /// Scores are sigmoids of logits; boxes are x1, y1, x2, y2 within the image. Equal scores keep the
    /// order of (level, flattened index), so the answer is one list, whatever the thread count. Time is
    /// linear in the logits; NMS compares each of at most `levels * topk_candidates` boxes with the
    /// kept ones of its class.
    ///
    /// # Errors
    /// [`PostprocessError`] for settings out of range, outputs that do not fit their grids, any logit
    /// that is not finite, and any regression among those used that is not.
    ///
    /// Mirrors torchvision's `RetinaNet.postprocess_detections` and
    /// `GeneralizedRCNNTransform.postprocess`, with NMS truly per class.
    pub fn apply(
        &self,
        levels: &[LevelOutput<'_>],
        num_classes: usize,
        sizes: ImageSizes,
    ) -> Result<Vec<ScoredBox>> {
        self.check()?;
        // The scan of the logits, split over threads, does this again on each of them.
        Ok(with_ieee(|| self.all_levels(levels, num_classes, sizes))?)
    }

    fn all_levels(
        &self,
        levels: &[LevelOutput<'_>],
        num_classes: usize,
        sizes: ImageSizes,
    ) -> Result<Vec<ScoredBox>, PostprocessError> {
        let mut boxes = Vec::new();
        for (level, output) in levels.iter().enumerate() {
            let shape = LevelShape::check(level, output, num_classes)?;
            let candidates = threshold::candidates(
                level,
                output.logits,
                shape,
                self.score_thresh,
                self.topk_candidates,
            )?;
            let regression = |channel: usize, position: usize| {
                output.regression[channel * shape.positions + position]
            };
            boxes.extend(self.decode(
                &candidates,
                shape,
                regression,
                |index| output.anchors[index],
                sizes.resized,
            )?);
        }
        self.select(boxes, sizes)
    }

    /// The clipped boxes of one level's candidates; `regression` reads a (channel, position).
    pub(crate) fn decode(
        &self,
        candidates: &[Candidate],
        shape: LevelShape,
        regression: impl Fn(usize, usize) -> f32,
        anchor_at: impl Fn(usize) -> [f32; 4],
        resized: [usize; 2],
    ) -> Result<Vec<InputBox>, PostprocessError> {
        let decode_one = |candidate: &Candidate| {
            let label_id = candidate.index % shape.classes;
            let anchor_index = candidate.index / shape.classes;
            let (position, anchor) = (anchor_index / shape.anchors, anchor_index % shape.anchors);
            let (y, x) = (position / shape.width, position % shape.width);
            let (level, anchor_box) = (candidate.level, anchor_at(anchor_index));

            let mut offsets = [0.0; 4];
            for (coordinate, offset) in offsets.iter_mut().enumerate() {
                let channel = anchor * 4 + coordinate;
                let value = regression(channel, position);
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
    pub(crate) fn select(
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

/// A level's checked sizes, none of them 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LevelShape {
    /// Height * width.
    pub(crate) positions: usize,
    pub(crate) width: usize,
    /// Anchors per location.
    pub(crate) anchors: usize,
    pub(crate) classes: usize,
}

impl LevelShape {
    fn check(
        level: usize,
        output: &LevelOutput<'_>,
        classes: usize,
    ) -> Result<Self, PostprocessError> {
        let lengths = [output.logits.len(), output.regression.len()];
        Self::new(level, output.grid, output.anchors.len(), classes, lengths)
    }

    /// Checks how many anchors, and how many values of both outputs ([classification, regression]),
    /// a level has.
    fn new(
        level: usize,
        [height, width]: [usize; 2],
        anchors: usize,
        classes: usize,
        lengths: [usize; 2],
    ) -> Result<Self, PostprocessError> {
        let misfit = || PostprocessError::Grid { level, height, width, anchors, classes };

        let positions = height.checked_mul(width).filter(|&n| n > 0).ok_or_else(misfit)?;
        let logits = anchors.checked_mul(classes).filter(|&n| n > 0).ok_or_else(misfit)?;
        let regression = anchors.checked_mul(4).ok_or_else(misfit)?;
        if !anchors.is_multiple_of(positions) {
            return Err(misfit());
        }
        for (what, actual, expected) in [
            ("the classification output", lengths[0], logits),
            ("the regression output", lengths[1], regression),
        ] {
            if actual != expected {
                return Err(PostprocessError::Length {
                    what,
                    level,
                    height,
                    width,
                    anchors,
                    classes,
                    actual,
                    expected,
                });
            }
        }
        Ok(Self { positions, width, anchors: anchors / positions, classes })
    }
}

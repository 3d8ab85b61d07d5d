//! The losses of one image and their gradients, as torchvision's RetinaNet computes them.
//!
//! An image's losses depend on that image alone; over a batch, torchvision's losses are the means of its images'.
//!
//! # The order of operations
//!
//! With `n` the number of anchors that have an object, as f32 and at least 1:
//!
//! - Where the batch is divided by, not the image ([`DivideBy::Batch`]), `n` is 1.
//! - Classification: the sum of the [focal loss](retinanet_kernels::loss)'s terms over all anchors that are not ignored
//!   and all classes, divided by `n`. A term's gradient is multiplied by `1 / n`.
//! - Boxes: the terms stand at the positions `4 * anchor + coordinate` (L1) or `anchor` (GIoU), those of anchors without
//!   an object are +0, and are summed as [`retinanet_kernels::sum`] says; divided by `n`. A term's
//!   gradient is multiplied by `1 / n`.
//!
//! The shapes of these sums depend on the numbers of anchors and classes only.

mod giou;
mod l1;

use rayon::prelude::*;
use retinanet_kernels::loss::{AnchorTarget, focal_loss};
use retinanet_kernels::sum::sum;
use retinanet_kernels::{Level, with_ieee};
use serde::{Deserialize, Serialize};

use crate::matching::{Match, MatcherConfig};
use crate::{Error, Result};
use giou::giou;
use l1::l1;

/// Anchors that one task handles.
const PIECE: usize = 4096;

/// How boxes are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoxLoss {
    /// The distance between regressions: torchvision's v1.
    L1,
    /// The generalised intersection over union of the decoded boxes: torchvision's v2.
    Giou,
}

/// What the sums over an image's anchors are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DivideBy {
    /// The image's own anchors that have an object; over a batch, then, the mean over its images: torchvision's.
    Image,
    /// Nothing, for the whole batch's sums are to be divided by its anchors that have an object.
    Batch,
}

/// What is to be computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossConfig {
    /// Which anchor should find which object.
    pub matcher: MatcherConfig,
    /// The focal loss's weight of the right class, 0 to 1. 0.25 in torchvision.
    pub alpha: f32,
    /// How boxes are compared.
    pub box_loss: BoxLoss,
    /// What the sums are divided by.
    pub divide_by: DivideBy,
}

impl LossConfig {
    /// torchvision's settings with this box loss.
    pub fn new(box_loss: BoxLoss) -> Self {
        let (matcher, divide_by) = (MatcherConfig::default(), DivideBy::Image);
        Self { matcher, alpha: 0.25, box_loss, divide_by }
    }
}

/// Something to be found in an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object {
    /// x1, y1, x2, y2 in pixels of the input (the resized image).
    pub corners: [f32; 4],
    /// Which logit it is. In torchvision's checkpoints, 0 is the background and no object's.
    pub class: usize,
}

/// What the network said about one image, all levels in one list.
#[derive(Debug, Clone, Copy)]
pub struct Predictions<'a> {
    /// How many classes there are.
    pub classes: usize,
    /// `[anchor][class]`
    pub logits: &'a [f32],
    /// `[anchor]`: dx, dy, dw, dh.
    pub regression: &'a [[f32; 4]],
}

/// The losses of one image and their gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageLosses {
    /// The focal loss.
    pub classification: f32,
    /// The box loss.
    pub regression: f32,
    /// How many anchors have an object.
    pub foreground: usize,
    /// The gradient of `classification` with respect to the logits, `[anchor][class]`.
    pub by_logits: Vec<f32>,
    /// The gradient of `regression` with respect to the regressions.
    pub by_regression: Vec<[f32; 4]>,
}

/// Matches anchors and objects of one image and computes its losses and their gradients.
///
/// `anchors` are x1, y1, x2, y2 in pixels of the input, all levels in one list. An image without objects is all
/// background.
///
/// # Errors
/// [`Error::Length`], [`Error::Class`], what [`MatcherConfig::matches`] refuses, an alpha that is not 0 to 1, and
/// [`Error::NotFinite`] where a loss is not a finite number.
///
/// Mirrors `torchvision.models.detection.retinanet.RetinaNet.compute_loss`; the [module](self) says in which order.
///
/// ```
/// use retinanet_kernels::Level;
/// use retinanet_train::losses::{BoxLoss, LossConfig, Object, Predictions, image_losses};
/// let anchors = [[0.0, 0.0, 8.0, 8.0], [40.0, 40.0, 48.0, 48.0]];
/// let objects = [Object { corners: [0.0, 0.0, 8.0, 9.0], class: 1 }];
/// let said = Predictions { classes: 2, logits: &[-4.0; 4], regression: &[[0.0; 4]; 2] };
/// let config = LossConfig::new(BoxLoss::Giou);
/// let losses = image_losses(Level::best(), &config, &anchors, &objects, &said)?;
/// assert_eq!(losses.foreground, 1);
/// assert!(losses.by_logits[1] < 0.0 && losses.by_logits[0] > 0.0);
/// # Ok::<(), retinanet_train::Error>(())
/// ```
pub fn image_losses(
    level: Level,
    config: &LossConfig,
    anchors: &[[f32; 4]],
    objects: &[Object],
    said: &Predictions,
) -> Result<ImageLosses> {
    image_losses_in(level, config, anchors, objects, said, Vec::new())
}

/// As [`image_losses`], with `by_logits` in memory of before: [`ImageLosses::by_logits`] of another image, say.
///
/// # Errors
/// As [`image_losses`].
pub fn image_losses_in(
    level: Level,
    config: &LossConfig,
    anchors: &[[f32; 4]],
    objects: &[Object],
    said: &Predictions,
    mut by_logits: Vec<f32>,
) -> Result<ImageLosses> {
    let (logits, regression) = (said.logits, said.regression);
    check_length("logits", anchors.len().saturating_mul(said.classes), logits.len())?;
    check_length("regressions", anchors.len(), regression.len())?;
    if let Some(index) = objects.iter().position(|object| object.class >= said.classes) {
        let (class, classes) = (objects[index].class, said.classes);
        return Err(Error::Class { index, class, classes });
    }
    let boxes: Vec<[f32; 4]> = objects.iter().map(|object| object.corners).collect();
    let matches = config.matcher.matches(anchors, &boxes)?;
    let foreground = matches.iter().filter(|one| matches!(one, Match::Object(_))).count();
    let n = match config.divide_by {
        DivideBy::Image => foreground.max(1) as f32,
        DivideBy::Batch => 1.0,
    };
    let scale = with_ieee(|| 1.0 / n);

    let targets: Vec<AnchorTarget> = matches
        .iter()
        .map(|one| match one {
            Match::Background => AnchorTarget::Background,
            Match::Ignored => AnchorTarget::Ignored,
            Match::Object(index) => AnchorTarget::Class(objects[*index].class),
        })
        .collect();
    by_logits.resize(logits.len(), 0.0);
    let classification =
        focal_loss(level, config.alpha, said.classes, &targets, logits, scale, &mut by_logits)?;

    // The four terms of an anchor, or one.
    let width = match config.box_loss {
        BoxLoss::L1 => 4,
        BoxLoss::Giou => 1,
    };
    let mut terms = vec![0.0; anchors.len() * width];
    let mut by_regression = vec![[0.0; 4]; anchors.len()];
    let pieces = terms.par_chunks_mut(PIECE * width).zip(by_regression.par_chunks_mut(PIECE));
    pieces.enumerate().for_each(|(piece, (terms, slopes))| {
        with_ieee(|| {
            let slots = terms.chunks_exact_mut(width).zip(slopes);
            for (anchor, (terms, slopes)) in (piece * PIECE..).zip(slots) {
                let Match::Object(index) = matches[anchor] else { continue };
                let pair = (regression[anchor], anchors[anchor], boxes[index]);
                *slopes = term(config.box_loss, pair, terms).map(|slope| slope * scale);
            }
        });
    });
    let distance = sum(level, &terms);

    let (classification, distance) = with_ieee(|| (classification / n, distance / n));
    check_finite("classification", classification)?;
    check_finite("box", distance)?;
    Ok(ImageLosses { classification, regression: distance, foreground, by_logits, by_regression })
}

/// Writes one anchor's terms; answers their derivatives.
fn term(
    kind: BoxLoss,
    (regression, anchor, object): ([f32; 4], [f32; 4], [f32; 4]),
    terms: &mut [f32],
) -> [f32; 4] {
    match kind {
        BoxLoss::L1 => {
            let (values, slopes) = l1(regression, anchor, object);
            terms.copy_from_slice(&values);
            slopes
        }
        BoxLoss::Giou => {
            let (value, slopes) = giou(regression, anchor, object);
            terms[0] = value;
            slopes
        }
    }
}

fn check_length(what: &'static str, expected: usize, actual: usize) -> Result<()> {
    if expected == actual { Ok(()) } else { Err(Error::Length { what, expected, actual }) }
}

fn check_finite(loss: &'static str, value: f32) -> Result<()> {
    if value.is_finite() { Ok(()) } else { Err(Error::NotFinite { loss, value }) }
}

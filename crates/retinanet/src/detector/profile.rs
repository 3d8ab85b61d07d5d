//! Where the network's time goes.

use std::time::{Duration, Instant};

use super::Detector;
use crate::Result;
use crate::model::plan::{Canvas, Map, Observer};

/// How long one stage of the network took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageTime {
    /// `stem`, `pool`, `layer1`, `C3`, .., `P3`, .., `logits/tower`, `logits/P3`, .., `regression/P3`, ...
    /// Stages that are computed together share the time of the first of them.
    pub stage: String,
    /// From the end of the stage before.
    pub time: Duration,
}

/// Notes when each stage is done.
struct Stopwatch {
    last: Instant,
    stages: Vec<StageTime>,
}

impl Observer for Stopwatch {
    fn stage(&mut self, stage: &str, _: &[Map]) -> Result<()> {
        let now = Instant::now();
        self.stages.push(StageTime { stage: stage.to_owned(), time: now - self.last });
        self.last = now;
        Ok(())
    }
}

impl Detector {
    /// Runs the network alone, without decoding and post-processing, on `images` canvases of `size`
    /// (height, width), and times its stages. The canvases hold a fixed pattern of small numbers.
    ///
    /// # Errors
    /// The canvas is too small for the network, or too large to allocate.
    pub fn profile_network(&self, size: [usize; 2], images: usize) -> Result<Vec<StageTime>> {
        let shape = [images, 3, size[0], size[1]];
        let values = shape[1..].iter().try_fold(1usize, |n, side| n.checked_mul(*side));
        let values =
            values.filter(|n| *n <= 3 * crate::image::MAX_INPUT_PIXELS).ok_or_else(|| {
                super::DetectorError::Setting {
                    setting: "canvas size",
                    value: format!("{size:?}"),
                    needs: "expected a height and width that the network could be given",
                }
            })?;
        let canvas: Vec<f32> =
            (0..values).map(|i| (i * 7919 % 1009) as f32 / 504.5 - 1.0).collect();
        let canvases = vec![Canvas { data: &canvas, size }; images];
        self.pool.install(|| {
            let mut workspace = self.take_workspace();
            let mut watch = Stopwatch { last: Instant::now(), stages: Vec::new() };
            let predictions = self.model.run(&canvases, &mut workspace, &mut watch)?;
            self.give_back(workspace, predictions);
            Ok(watch.stages)
        })
    }
}

//! Digests of every stage of a detection, so that two machines can find where they part.

use crate::Result;
use crate::determinism::{DigestWriter, StageDigests};
use crate::model::plan::{FeatureMap, Observer};

/// Collects the digests of one image's stages.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) stages: StageDigests,
}

impl Observer for Trace {
    fn stage(&mut self, stage: &str, maps: &[&dyn FeatureMap]) -> Result<()> {
        if let ([map], true) = (maps, is_published(stage)) {
            let [channels, height, width] = map.shape();
            let shape = [1, channels, height, width];
            let mut writer = DigestWriter::f32(stage, &shape)?;
            writer.write_f32(&map.to_chw()?)?;
            self.stages.push(stage, writer.finish()?)?;
        }
        Ok(())
    }
}

fn is_published(stage: &str) -> bool {
    stage == "input" || stage.starts_with("C") || stage.starts_with("P") || stage.contains("/P")
}

/// What one stage of the network answers for an image.
#[derive(Debug, Clone, PartialEq)]
pub struct StageValues {
    /// `input`, `C3`.., `P3`.., `logits/P3`.., `regression/P3`...
    pub stage: String,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// In (c, y, x) order.
    pub values: Vec<f32>,
}

impl Observer for Vec<StageValues> {
    fn stage(&mut self, stage: &str, maps: &[&dyn FeatureMap]) -> Result<()> {
        if let ([map], true) = (maps, is_published(stage)) {
            let (stage, values) = (stage.to_owned(), map.to_chw()?);
            self.push(StageValues { stage, shape: map.shape(), values });
        }
        Ok(())
    }
}

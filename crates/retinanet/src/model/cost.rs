//! How many multiply-adds each stage of the network needs.

use std::cell::Cell;

use super::RetinaNet;
use super::plan::{Backend, FeatureMap, Observer, Then};
use crate::Result;
use crate::ops::{Conv2d, GroupNorm, MaxPool2d, Relu, UpsampleAdd};

/// A map without values: channels, height and width.
#[derive(Debug, Clone, Copy)]
struct Extent([usize; 3]);

impl FeatureMap for Extent {
    fn shape(&self) -> [usize; 3] {
        self.0
    }

    fn to_chw(&self) -> Result<Vec<f32>> {
        Ok(Vec::new())
    }
}

/// Counts convolutions; norms, additions and pooling are not counted.
struct Count<'a>(&'a Cell<u64>);

impl Backend for Count<'_> {
    type Canvas<'a> = Extent;
    type Map = Extent;

    fn stem(&mut self, conv: &Conv2d, canvases: &[Extent]) -> Result<Vec<Extent>> {
        self.conv(conv, canvases, Then::Relu)
    }

    fn conv(
        &mut self,
        conv: &Conv2d,
        inputs: &[Extent],
        _: Then<'_, Extent>,
    ) -> Result<Vec<Extent>> {
        let spec = conv.spec();
        let weights = spec.weights()? as u64;
        let outputs = inputs.iter().map(|Extent([_, height, width])| {
            let [height, width] = spec.output_size([*height, *width])?;
            let pixels = (height as u64).saturating_mul(width as u64);
            self.0.set(self.0.get().saturating_add(weights.saturating_mul(pixels)));
            Ok(Extent([spec.out_channels, height, width]))
        });
        outputs.collect()
    }

    fn group_norm_relu(&mut self, _: &GroupNorm, _: &mut [Extent]) -> Result<()> {
        Ok(())
    }

    fn max_pool(&mut self, pool: &MaxPool2d, inputs: &[Extent]) -> Result<Vec<Extent>> {
        let outputs = inputs.iter().map(|Extent([channels, height, width])| {
            let [height, width] = pool.spec.output_size([*height, *width])?;
            Ok(Extent([*channels, height, width]))
        });
        outputs.collect()
    }

    fn relu(&mut self, _: &Relu, inputs: &[Extent]) -> Result<Vec<Extent>> {
        Ok(inputs.to_vec())
    }

    fn upsample_add(&mut self, _: &UpsampleAdd, _: &[Extent], _: &mut [Extent]) -> Result<()> {
        Ok(())
    }
}

/// Takes what was counted since the stage before.
struct Stages<'a> {
    count: &'a Cell<u64>,
    stages: Vec<(String, u64)>,
}

impl Observer for Stages<'_> {
    fn stage(&mut self, stage: &str, _: &[&dyn FeatureMap]) -> Result<()> {
        if stage != "input" {
            self.stages.push((stage.to_owned(), self.count.take()));
        }
        Ok(())
    }
}

impl RetinaNet {
    /// The multiply-adds of the convolutions of each stage, for one canvas of `size` (height, width),
    /// as a plain convolution needs them: the stages are those of
    /// [`Detector::profile_network`](crate::Detector::profile_network), in its order. Levels that are
    /// computed together count, as they are timed, at the first of them.
    ///
    /// # Errors
    /// The canvas is too small for the network.
    pub fn multiply_adds(&self, size: [usize; 2]) -> Result<Vec<(String, u64)>> {
        let count = Cell::new(0);
        let mut stages = Stages { count: &count, stages: Vec::new() };
        self.run(&[Extent([3, size[0], size[1]])], &mut Count(&count), &mut stages)?;
        Ok(stages.stages)
    }
}

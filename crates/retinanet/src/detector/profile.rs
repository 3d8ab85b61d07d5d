//! Where the network's time goes.

use std::time::{Duration, Instant};

use super::engine::{Engine, with_workspace};
use super::{Detector, DetectorError};
use crate::Result;
#[cfg(feature = "cudnn")]
use crate::model::plan::OnCudnn;
#[cfg(feature = "cuda")]
use crate::model::plan::OnGpu;
use crate::model::plan::{Canvas, FeatureMap, NoObserver, Observer};

/// How long one stage of the network took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageTime {
    /// `stem`, `pool`, `layer1`, `C3`, .., `P3`, .., `logits/tower`, `logits/P3`, .., `regression/P3`, ...
    /// Stages that are computed together share the time of the first of them.
    pub stage: String,
    /// From the end of the stage before.
    pub time: Duration,
    /// The multiply-adds of its convolutions, over all images.
    pub multiply_adds: u64,
}

/// Notes when each stage is done.
struct Stopwatch {
    last: Instant,
    stages: Vec<StageTime>,
}

/// The time, where there is a clock: WebAssembly has none of its own, and asking for it would end the program.
fn now() -> Result<Instant, DetectorError> {
    if cfg!(target_family = "wasm") { Err(DetectorError::NoClock) } else { Ok(Instant::now()) }
}

impl Observer for Stopwatch {
    fn stage(&mut self, stage: &str, maps: &[&dyn FeatureMap]) -> Result<()> {
        maps.iter().try_for_each(|map| map.wait())?;
        let now = now()?;
        if stage != "input" {
            let (stage, time) = (stage.to_owned(), now - self.last);
            self.stages.push(StageTime { stage, time, multiply_adds: 0 });
        }
        self.last = now;
        Ok(())
    }
}

impl Detector {
    /// Runs the network alone, without decoding and post-processing, on `images` canvases of `size`
    /// (height, width), and times its stages. The canvases hold a fixed pattern of small numbers.
    ///
    /// # Errors
    /// The canvas is too small for the network, or too large to allocate; [`DetectorError::NoClock`].
    pub fn profile_network(&self, size: [usize; 2], images: usize) -> Result<Vec<StageTime>> {
        let mut stages = Vec::new();
        self.on_pattern(size, images, |network| {
            let mut watch = Stopwatch { last: now()?, stages: Vec::new() };
            network(&mut watch)?;
            stages = watch.stages;
            Ok(())
        })?;
        let counted = self.model.multiply_adds(size)?;
        for (stage, (_, multiply_adds)) in stages.iter_mut().zip(counted) {
            stage.multiply_adds = multiply_adds.saturating_mul(images as u64);
        }
        Ok(stages)
    }

    /// As [`Detector::profile_network`], `runs` times without looking at the stages (a GPU would have to
    /// wait for each): the time of each run.
    ///
    /// # Errors
    /// As [`Detector::profile_network`].
    pub fn time_network(
        &self,
        size: [usize; 2],
        images: usize,
        runs: usize,
    ) -> Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(runs);
        self.on_pattern(size, images, |network| {
            for _ in 0..runs {
                let start = now()?;
                network(&mut NoObserver)?;
                times.push(start.elapsed());
            }
            Ok(())
        })?;
        Ok(times)
    }

    /// Hands `task` a function that runs the network on a fixed pattern, and returns when it is done.
    fn on_pattern(
        &self,
        size: [usize; 2],
        images: usize,
        task: impl FnOnce(&mut dyn FnMut(&mut dyn Observer) -> Result<()>) -> Result<()> + Send,
    ) -> Result<()> {
        let shape = [3, size[0], size[1]];
        let values = shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
        let values =
            values.filter(|n| *n <= 3 * crate::image::MAX_INPUT_PIXELS).ok_or_else(|| {
                DetectorError::Setting {
                    setting: "canvas size",
                    value: format!("{size:?}"),
                    needs: "expected a height and width that the network could be given",
                }
            })?;
        let canvas: Vec<f32> =
            (0..values).map(|i| (i % 1009 * 7919 % 1009) as f32 / 504.5 - 1.0).collect();
        self.pool.install(|| match &self.engine {
            Engine::Cpu(workspaces) => with_workspace(workspaces, |workspace| {
                let canvases = vec![Canvas { data: &canvas, size }; images];
                task(&mut |observer| {
                    for found in self.model.run(&canvases, workspace, observer)? {
                        let maps = found.cls_logits.into_iter().chain(found.bbox_regression);
                        workspace.give_all(maps);
                    }
                    Ok(())
                })
            }),
            #[cfg(feature = "cuda")]
            Engine::Cuda(gpu) => {
                let canvases = super::cuda::canvases(gpu, size, &canvas, images)?;
                gpu.synchronize()?;
                task(&mut |observer| {
                    self.model.run(&canvases, &mut OnGpu, observer)?;
                    Ok(gpu.synchronize()?)
                })
            }
            #[cfg(feature = "cudnn")]
            Engine::Cudnn(on) => {
                let canvases = super::cuda::canvases(on.gpu(), size, &canvas, images)?;
                on.gpu().synchronize()?;
                task(&mut |observer| {
                    self.model.run(&canvases, &mut OnCudnn(on), observer)?;
                    Ok(on.gpu().synchronize()?)
                })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::determinism::Determinism;
    use crate::model::{ExtraLevels, ResNetDepth, RetinaNet, RetinaNetConfig};

    fn model(config: &RetinaNetConfig) -> RetinaNet {
        RetinaNet::new(config, Determinism::default()).unwrap()
    }

    #[test]
    fn every_timed_stage_is_counted_under_its_own_name() {
        let mut config = RetinaNetConfig::resnet50_fpn_v2();
        config.backbone.depth = ResNetDepth::ResNet18;
        config.fpn.out_channels = 32;
        config.num_classes = 2;
        for extra in [ExtraLevels::P6P7FromBackbone, ExtraLevels::MaxPool] {
            config.fpn.extra_levels = extra;
            config.anchors.sizes.truncate(3 + extra.count());
            config.anchors.aspect_ratios.truncate(3 + extra.count());
            let detector = Detector::builder().threads(1).build_with_model(model(&config)).unwrap();
            let timed = detector.profile_network([64, 96], 2).unwrap();
            let counted = detector.model().multiply_adds([64, 96]).unwrap();
            let names = |name: &str| name.to_owned();
            let timed_names: Vec<_> = timed.iter().map(|stage| names(&stage.stage)).collect();
            let counted_names: Vec<_> = counted.iter().map(|(name, _)| names(name)).collect();
            assert_eq!(timed_names, counted_names);
            assert_eq!(timed[0].multiply_adds, 2 * 64 * 3 * 49 * 32 * 48);
        }
    }

    #[test]
    fn the_published_model_needs_its_published_multiply_adds() {
        // torchvision states 152.24 GFLOPS (multiply-adds) at 800 x 800 for v2.
        let model = model(&RetinaNetConfig::resnet50_fpn_v2());
        let counted = model.multiply_adds([800, 800]).unwrap();
        let total: u64 = counted.iter().map(|(_, count)| count).sum();
        assert_eq!(total / 10_000_000, 15_223);
    }
}

//! How far the network is, for who waits for it.

use std::fmt;
use std::sync::Arc;

use crate::Result;
use crate::image::Image;
use crate::model::RetinaNet;
use crate::model::plan::{FeatureMap, Observer};

/// How far the network is with an image, or with the images that go through it together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// What was done last: `input` (decoded, resized, normalised), then the names of
    /// [`profile_network`](super::Detector::profile_network).
    pub stage: &'a str,
    /// The multiply-adds that are done. Levels that are computed together count at the first of them.
    pub done: u64,
    /// Those of the whole network.
    pub all: u64,
}

/// Whoever is told.
#[derive(Clone)]
pub(super) struct Listener(Arc<dyn Fn(Progress<'_>) + Send + Sync>);

impl Listener {
    pub(super) fn new(told: impl Fn(Progress<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// Tells of each stage after another observer has seen it.
pub(super) struct Telling<'a> {
    listener: &'a Listener,
    observer: &'a mut dyn Observer,
    /// Of the stages that are to come, over all images, the last one first.
    to_come: Vec<u64>,
    done: u64,
    all: u64,
}

impl<'a> Telling<'a> {
    pub(super) fn new(
        listener: &'a Listener,
        observer: &'a mut dyn Observer,
        model: &RetinaNet,
        images: &[&Image],
    ) -> Result<Self> {
        let mut stages: Vec<u64> = Vec::new();
        for image in images {
            let (_, padded) =
                model.config().transform.output_sizes(image.height(), image.width())?;
            let counted = model.multiply_adds(padded)?;
            stages.resize(counted.len(), 0);
            for (stage, (_, count)) in stages.iter_mut().zip(counted) {
                *stage = stage.saturating_add(count);
            }
        }
        let all = stages.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
        stages.reverse();
        Ok(Self { listener, observer, to_come: stages, done: 0, all })
    }
}

impl Observer for Telling<'_> {
    fn stage(&mut self, stage: &str, maps: &[&dyn FeatureMap]) -> Result<()> {
        self.observer.stage(stage, maps)?;
        if stage != "input" {
            self.done = self.done.saturating_add(self.to_come.pop().unwrap_or(0));
        }
        (self.listener.0)(Progress { stage, done: self.done, all: self.all });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use crate::determinism::Determinism;
    use crate::image::Image;
    use crate::model::{ResNetDepth, RetinaNet, RetinaNetConfig};
    use crate::{Detector, DetectorBuilder};

    fn detector(builder: DetectorBuilder) -> Detector {
        let mut config = RetinaNetConfig::resnet50_fpn_v2();
        config.backbone.depth = ResNetDepth::ResNet18;
        config.fpn.out_channels = 32;
        config.num_classes = 2;
        config.transform.min_size = 64;
        config.transform.max_size = 128;
        let model = RetinaNet::new(&config, Determinism::default()).unwrap();
        builder.threads(1).build_with_model(model).unwrap()
    }

    #[test]
    fn progress_goes_from_nothing_to_all_and_changes_no_answer() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let here = Arc::clone(&told);
        let listening = detector(Detector::builder().on_progress(move |progress| {
            let stage = progress.stage.to_owned();
            here.lock().unwrap().push((stage, progress.done, progress.all));
        }));
        let images = [(40, 30), (90, 20)].map(|(width, height)| {
            let rgb = (0..width * height * 3).map(|i| (i * 31 % 251) as u8).collect();
            Image::from_rgb8(width, height, rgb).unwrap()
        });
        let found = listening.detect_batch(&images).unwrap();
        let told = std::mem::take(&mut *told.lock().unwrap());
        let all = told[0].2;
        assert_eq!(told[0], ("input".to_owned(), 0, all));
        assert!(told.windows(2).all(|pair| pair[0].1 <= pair[1].1 && pair[1].2 == all));
        assert!(all > 0 && told.last().unwrap().1 == all, "{told:?}");
        let silent = detector(Detector::builder());
        for (image, found) in images.iter().zip(found) {
            assert_eq!(silent.detect(image).unwrap().digest().unwrap(), found.digest().unwrap());
        }
    }
}

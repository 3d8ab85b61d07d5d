//! The user's entry: from an image to its detections.

mod builder;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "cudnn")]
mod cudnn;
mod engine;
mod pool;
mod profile;
mod progress;
mod source;
mod tiled;
mod trace;

use std::borrow::Borrow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use crate::error::DetectorError;
pub use builder::DetectorBuilder;
pub use profile::StageTime;
pub use progress::Progress;

use crate::Result;
use crate::detection::Detections;
use crate::determinism::{Determinism, Digest, Environment, StageDigests, digest_u8};
use crate::device::Device;
use crate::image::Image;
use crate::labels::Categories;
use crate::model::RetinaNet;
use crate::model::plan::{NoObserver, Observer};
use crate::ops::Level;
use crate::postprocess::ScoredBox;
use crate::weights::LoadReport;
use engine::Engine;
use pool::Pool;
use progress::{Listener, Telling};
pub(crate) use source::GivenWeights;
pub use trace::StageValues;
use trace::Trace;

/// Input pixels that go through the network together: enough to read the weights once for many
/// small images, few enough that the maps of large ones do not add up.
pub(crate) const PIXELS_TOGETHER: usize = 800 * 1088;

/// Finds objects in images: weights, configuration, threads and memory, built once.
///
/// The answer for an image is a function of its pixels, the weights and the configuration: not of
/// the thread count, the CPU, the other images of a batch or what was detected before. In the fast mode
/// ([`Determinism::fast`]) that is true to rounding only.
///
/// ```no_run
/// use retinanet::{Detector, Image};
///
/// let detector = Detector::builder().weights("person_r18.safetensors").build()?;
/// for person in detector.detect(&Image::open("photo.jpg")?)?.of("person")? {
///     println!("{:.2} {:?}", person.score, person.bounding_box);
/// }
/// # Ok::<(), retinanet::Error>(())
/// ```
#[derive(Debug)]
pub struct Detector {
    model: RetinaNet,
    categories: Arc<Categories>,
    determinism: Determinism,
    level: Level,
    device: Device,
    pool: Pool,
    engine: Engine,
    listener: Option<Listener>,
    /// The GPU's name and driver.
    gpu: Option<String>,
    /// As they were given: a name or a path.
    weights: Option<PathBuf>,
    weights_sha256: Option<Digest>,
    load_report: Option<LoadReport>,
}

impl Detector {
    /// A detector to be configured: [`DetectorBuilder`].
    pub fn builder() -> DetectorBuilder {
        DetectorBuilder::default()
    }

    /// The objects in `image`, best score first, in the image's own pixels.
    ///
    /// # Errors
    /// The image cannot be resized to the network's input (one of 1 x 5000 pixels, say), or the
    /// network answers something that is not a number.
    pub fn detect(&self, image: &Image) -> Result<Detections> {
        self.pool.install(|| {
            let boxes = self.boxes(&[image], &mut NoObserver)?.concat();
            self.name(image, &boxes)
        })
    }

    /// The objects in each image, in the images' order: bit for bit what [`Detector::detect`] answers
    /// for each alone. The images may have different sizes.
    ///
    /// # Errors
    /// As [`Detector::detect`], for the first image at fault.
    pub fn detect_batch<I: Borrow<Image> + Sync>(&self, images: &[I]) -> Result<Vec<Detections>> {
        self.pool.install(|| {
            let mut all = Vec::with_capacity(images.len());
            let mut rest = images;
            while !rest.is_empty() {
                let (group, after) = rest.split_at(self.group_length(rest)?);
                let group: Vec<&Image> = group.iter().map(Borrow::borrow).collect();
                for (image, boxes) in group.iter().zip(self.boxes(&group, &mut NoObserver)?) {
                    all.push(self.name(image, &boxes)?);
                }
                rest = after;
            }
            Ok(all)
        })
    }

    /// The objects in `image`, and the digest of every stage on the way to them: `decoded`, `input`,
    /// `C3`.., `P3`.., `logits/P3`.., `regression/P3`.., `detections`.
    ///
    /// # Errors
    /// As [`Detector::detect`]; also a stage that holds a NaN.
    pub fn detect_traced(&self, image: &Image) -> Result<(Detections, StageDigests)> {
        self.pool.install(|| {
            let mut trace = Trace::default();
            let size = [image.height(), image.width(), 3];
            trace.stages.push("decoded", digest_u8("decoded", &size, image.as_rgb8())?)?;
            let boxes = self.boxes(&[image], &mut trace)?.concat();
            let detections = self.name(image, &boxes)?;
            trace.stages.push("detections", detections.digest()?)?;
            Ok((detections, trace.stages))
        })
    }

    /// What every stage of the network answers for `image`: to see how far the fast mode is from the
    /// strict one, which digests cannot tell.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn stage_values(&self, image: &Image) -> Result<Vec<StageValues>> {
        self.pool.install(|| {
            let mut stages = Vec::new();
            self.boxes(&[image], &mut stages)?;
            Ok(stages)
        })
    }

    /// The network, for those who want its tensors: `forward` to logits and regressions, `features`.
    pub fn model(&self) -> &RetinaNet {
        &self.model
    }

    /// The names of the model's classes.
    pub fn categories(&self) -> &Categories {
        &self.categories
    }

    /// The name or path its weights were given by; `None` for a detector made of a model.
    pub fn weights(&self) -> Option<&Path> {
        self.weights.as_deref()
    }

    /// What was loaded, renamed and ignored; `None` for a detector made of a model.
    pub fn load_report(&self) -> Option<&LoadReport> {
        self.load_report.as_ref()
    }

    /// How many threads it uses.
    pub fn threads(&self) -> usize {
        self.pool.size()
    }

    /// What its answers are computed with.
    pub fn environment(&self) -> Environment {
        let Self { determinism, level, device, .. } = self;
        let mut environment =
            Environment::capture(determinism, level, *device, self.threads(), self.weights_sha256);
        environment.gpu.clone_from(&self.gpu);
        #[cfg(feature = "cudnn")]
        if let Engine::Cudnn(on) = &self.engine {
            environment.device = cudnn::named(&environment.device, on);
            environment.problems.extend(on.is_pinned().then(cudnn::problem));
        }
        environment
    }

    /// How many of the images go through the network together.
    fn group_length<I: Borrow<Image>>(&self, images: &[I]) -> Result<usize> {
        let mut pixels = 0;
        for (index, image) in images.iter().enumerate() {
            let image = image.borrow();
            let (_, padded) =
                self.model.config().transform.output_sizes(image.height(), image.width())?;
            pixels += padded[0] * padded[1];
            if pixels > PIXELS_TOGETHER {
                return Ok(index.max(1));
            }
        }
        Ok(images.len())
    }

    /// What the engine finds; whoever wants to know is told how far it is.
    fn boxes(&self, images: &[&Image], observer: &mut dyn Observer) -> Result<Vec<Vec<ScoredBox>>> {
        match &self.listener {
            None => self.engine.boxes(&self.model, images, observer),
            Some(listener) => {
                let mut telling = Telling::new(listener, observer, &self.model, images)?;
                self.engine.boxes(&self.model, images, &mut telling)
            }
        }
    }

    fn name(&self, image: &Image, boxes: &[ScoredBox]) -> Result<Detections> {
        Detections::new([image.height(), image.width()], Arc::clone(&self.categories), boxes)
    }
}

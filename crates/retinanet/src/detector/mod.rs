//! The user's entry: from an image to its detections.

mod builder;
mod device;
mod error;
mod profile;
mod source;
mod trace;

use std::borrow::Borrow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use candle_core::Device;
use rayon::prelude::*;

pub use builder::DetectorBuilder;
pub use device::device;
pub use error::DetectorError;
pub use profile::StageTime;

use crate::Result;
use crate::detection::Detections;
use crate::determinism::{Determinism, Digest, Environment, StageDigests, digest_f32, digest_u8};
use crate::image::{Image, Transformed};
use crate::labels::Categories;
use crate::model::RetinaNet;
use crate::model::plan::{Canvas, NoObserver, Observer, Predictions, Workspace};
use crate::ops::Level;
use crate::postprocess::{BlockedLevel, ImageSizes, ScoredBox};
use crate::weights::LoadReport;
use trace::Trace;

/// Input pixels that go through the network together: enough to read the weights once for many
/// small images, few enough that the maps of large ones do not add up.
pub(crate) const PIXELS_TOGETHER: usize = 800 * 1088;

/// Finds objects in images: weights, configuration, threads and memory, built once.
///
/// The answer for an image is a function of its pixels, the weights and the configuration: not of
/// the thread count, the CPU, the other images of a batch or what was detected before.
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
    pool: rayon::ThreadPool,
    /// Memory of earlier calls; one more for each call that runs at the same time.
    workspaces: Mutex<Vec<Workspace>>,
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
            let input = self.model.config().transform.apply(image)?;
            let boxes = self.run(&[input], &mut NoObserver)?.concat();
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
                let transform = &self.model.config().transform;
                let inputs = group
                    .par_iter()
                    .map(|image| transform.apply(image.borrow()))
                    .collect::<Result<Vec<Transformed>>>()?;
                for (image, boxes) in group.iter().zip(self.run(&inputs, &mut NoObserver)?) {
                    all.push(self.name(image.borrow(), &boxes)?);
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
            let input = self.model.config().transform.apply(image)?;
            let shape = [1, 3, input.padded[0], input.padded[1]];
            trace.stages.push("input", digest_f32("input", &shape, &input.data)?)?;
            let boxes = self.run(&[input], &mut trace)?.concat();
            let detections = self.name(image, &boxes)?;
            trace.stages.push("detections", detections.digest()?)?;
            Ok((detections, trace.stages))
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
        self.pool.current_num_threads()
    }

    /// What its answers are computed with.
    pub fn environment(&self) -> Environment {
        let Self { determinism, level, device, .. } = self;
        Environment::capture(determinism, level, device, self.threads(), self.weights_sha256)
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

    /// Network and post-processing: each image's boxes.
    fn run(
        &self,
        inputs: &[Transformed],
        observer: &mut dyn Observer,
    ) -> Result<Vec<Vec<ScoredBox>>> {
        let mut workspace = self.take_workspace();
        let canvases: Vec<Canvas<'_>> =
            inputs.iter().map(|input| Canvas { data: &input.data, size: input.padded }).collect();
        let predictions = self.model.run(&canvases, &mut workspace, observer)?;
        let boxes =
            predictions.iter().zip(inputs).map(|(found, input)| self.boxes(found, input)).collect();
        self.give_back(workspace, predictions);
        boxes
    }

    fn take_workspace(&self) -> Workspace {
        self.workspaces.lock().ok().and_then(|mut free| free.pop()).unwrap_or_default()
    }

    fn give_back(&self, mut workspace: Workspace, predictions: Vec<Predictions>) {
        for found in predictions {
            workspace.give_all(found.cls_logits.into_iter().chain(found.bbox_regression));
        }
        if let Ok(mut free) = self.workspaces.lock() {
            free.push(workspace);
        }
    }

    /// Threshold, top-k, box decoding, clipping, NMS, and back to the image's pixels.
    fn boxes(&self, found: &Predictions, input: &Transformed) -> Result<Vec<ScoredBox>> {
        let grids: Vec<_> = found.cls_logits.iter().map(|map| map.shape().size()).collect();
        let anchors = self.model.anchors(input.padded, &grids)?;
        let maps = found.cls_logits.iter().zip(&found.bbox_regression);
        let levels = maps.zip(&anchors).map(|((logits, regression), anchors)| {
            Ok(BlockedLevel { logits: logits.as_ref()?, regression: regression.as_ref()?, anchors })
        });
        let levels = levels.collect::<Result<Vec<_>>>()?;
        let config = self.model.config();
        let sizes = ImageSizes { original: input.original, resized: input.resized };
        config.postprocess.apply_blocked(&levels, config.num_classes, sizes)
    }

    fn name(&self, image: &Image, boxes: &[ScoredBox]) -> Result<Detections> {
        Detections::new([image.height(), image.width()], Arc::clone(&self.categories), boxes)
    }
}

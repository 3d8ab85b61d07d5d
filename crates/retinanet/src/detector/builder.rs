//! Everything a detector can be told.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use super::engine::Engine;
use super::pool::Pool;
use super::progress::{Listener, Progress};
use super::source::{Described, GivenWeights, Loaded, Source, check_categories};
use super::{Detector, DetectorError};
use crate::Result;
use crate::determinism::{Determinism, Digest};
use crate::device::{DType, Device};
use crate::labels::Categories;
use crate::model::{RetinaNet, RetinaNetConfig};
use crate::ops::{Arithmetic, Level};
use crate::weights::{Architecture, Checkpoint, FetchOptions, Manifest};

/// Builds a [`Detector`]. Only the weights are needed; everything else has a default.
#[derive(Debug, Default)]
#[must_use]
pub struct DetectorBuilder {
    source: Source,
    device: Device,
    dtype: Option<DType>,
    determinism: Determinism,
    score_threshold: Option<f64>,
    threads: Option<usize>,
    level: Option<Level>,
    listener: Option<Listener>,
    #[cfg(feature = "cuda")]
    gpu: Option<retinanet_kernels::cuda::Gpu>,
    #[cfg(feature = "cudnn")]
    cudnn: Option<bool>,
    #[cfg(feature = "cudnn")]
    library: Option<Arc<dyn retinanet_kernels::cudnn::ConvolutionLibrary>>,
}

/// What does not depend on the weights.
struct Prepared {
    level: Level,
    pool: Pool,
    engine: Engine,
    /// The GPU's name and driver.
    gpu: Option<String>,
}

impl Prepared {
    fn arithmetic(&self, determinism: &Determinism) -> Arithmetic<'_> {
        match &self.engine {
            Engine::Cpu(_) => Arithmetic::new(determinism, self.level),
            #[cfg(feature = "cuda")]
            Engine::Cuda(gpu) => Arithmetic::new(determinism, self.level).on(gpu),
            #[cfg(feature = "cudnn")]
            Engine::Cudnn(on) => Arithmetic::new(determinism, self.level).on_cudnn(on),
        }
    }
}

impl DetectorBuilder {
    /// The weights: a `.safetensors` or `.pth` file, or the name of a checkpoint in the manifest
    /// (`retinanet_resnet50_fpn_v2.coco_v1`), which is fetched once and then found in the cache.
    pub fn weights(mut self, path_or_name: impl Into<PathBuf>) -> Self {
        self.source.weights = Some(GivenWeights::Named(path_or_name.into()));
        self
    }

    /// The weights, from memory: `bytes` is the content of a `.safetensors` or `.pth` file, `name` what
    /// messages and receipts call it. Nothing is looked up on disk.
    ///
    /// ```no_run
    /// let bytes = std::fs::read("person_r18.safetensors")?;
    /// let detector = retinanet::Detector::builder().weights_from_bytes("person_r18", bytes).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn weights_from_bytes(
        mut self,
        name: impl Into<PathBuf>,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Self {
        self.source.weights = Some(GivenWeights::InMemory(name.into(), bytes.into()));
        self
    }

    /// The manifest that names are looked up in. Default: the built-in one.
    pub fn manifest(mut self, manifest: Manifest) -> Self {
        self.source.manifest = Some(manifest);
        self
    }

    /// Cache folder, offline switch, progress bar and so on. Default: [`FetchOptions::from_env`].
    pub fn fetch_options(mut self, options: FetchOptions) -> Self {
        self.source.fetch = Some(options);
        self
    }

    /// Which of torchvision's two models the file belongs to, where it does not tell by itself; one
    /// that clashes with the file is an error.
    pub fn architecture(mut self, architecture: Architecture) -> Self {
        self.source.architecture = Some(architecture);
        self
    }

    /// The model's configuration. Default: the file's own, or its architecture's.
    pub fn config(mut self, config: RetinaNetConfig) -> Self {
        self.source.config = Some(config);
        self
    }

    /// The eps of the backbone's batch norm, which no weights file stores as a tensor: for weights of v1's
    /// architecture of which neither the file nor the manifest nor the hash says it. It takes precedence over
    /// the manifest; one that contradicts the file's own configuration, or what is known of a file that
    /// torchvision publishes, is an error. At least 0 and less than 1.
    pub fn batch_norm_eps(mut self, eps: f64) -> Self {
        self.source.batch_norm_eps = Some(eps);
        self
    }

    /// The names of the classes, as many as the model has; in torchvision's models index 0 is the
    /// background. Default: the file's own, the manifest's, or COCO's for 91 classes.
    pub fn categories(mut self, categories: Categories) -> Self {
        self.source.categories = Some(categories);
        self
    }

    /// Where it runs; in strict mode the answer does not depend on it. Default: the CPU.
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// The number format of weights and maps. Default, and all that [`Determinism::strict`] allows: f32.
    ///
    /// In the fast mode on a GPU, with the feature `cudnn`: f32 (which lets cuDNN multiply in TF32), f16
    /// or bf16; sums are f32 in all three.
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = Some(dtype);
        self
    }

    /// How repeatable the answers must be. Default: [`Determinism::strict`].
    pub fn determinism(mut self, determinism: Determinism) -> Self {
        self.determinism = determinism;
        self
    }

    /// Only detections with a score above this are answered. Default: the configuration's (0.05).
    pub fn score_threshold(mut self, threshold: f64) -> Self {
        self.score_threshold = Some(threshold);
        self
    }

    /// How many threads a detection uses; the answer does not depend on it. Default: one per core. On a target
    /// without threads (WebAssembly in a browser) it runs on the caller's, and more than one is an error.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// The CPU instructions to use; the answer does not depend on them. Default: the best there are,
    /// or what `RETINANET_CPU_LEVEL` names.
    pub fn level(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    /// Tells `told`, on the thread that computes, how far the network is, as soon as a stage is done (on a GPU: asked
    /// for). The answer does not depend on it.
    pub fn on_progress(mut self, told: impl Fn(Progress<'_>) + Send + Sync + 'static) -> Self {
        self.listener = Some(Listener::new(told));
        self
    }

    /// A GPU that is open already, for a model built on it ([`Arithmetic::on`]); takes precedence over
    /// [`DetectorBuilder::device`].
    #[cfg(feature = "cuda")]
    pub fn gpu(mut self, gpu: retinanet_kernels::cuda::Gpu) -> Self {
        self.gpu = Some(gpu);
        self
    }

    /// Whether convolutions on a GPU are cuDNN's instead of this crate's canonical kernels. Default: in
    /// the fast mode, yes; in strict mode, no.
    ///
    /// - Strict without it: the same bits on every machine, CPU or GPU.
    /// - Strict with it: algorithm and precision are pinned (implicit GEMM with precomputed indices, f32
    ///   without TF32). One machine, with its GPU, driver and cuDNN, then answers the same bits in every
    ///   run; no other need answer them. `CUBLAS_WORKSPACE_CONFIG` and `NVIDIA_TF32_OVERRIDE` must be set
    ///   as [`cuda_setting_problems`](crate::determinism::cuda_setting_problems) says, and receipts and
    ///   [`Environment`](crate::determinism::Environment) name cuDNN.
    /// - Fast with it: nothing about bits; algorithms are chosen by timing, when a shape is first seen.
    #[cfg(feature = "cudnn")]
    pub fn cudnn(mut self, yes: bool) -> Self {
        self.cudnn = Some(yes);
        self
    }

    /// A GPU that is open already, with what convolves on it; takes precedence over
    /// [`DetectorBuilder::device`].
    #[cfg(feature = "cudnn")]
    pub fn gpu_with_library(
        mut self,
        gpu: retinanet_kernels::cuda::Gpu,
        library: Arc<dyn retinanet_kernels::cudnn::ConvolutionLibrary>,
    ) -> Self {
        self.gpu = Some(gpu);
        self.library = Some(library);
        self
    }

    /// Finds, reads and checks the weights, and builds the network.
    ///
    /// # Errors
    /// [`DetectorError`] for settings that do not fit together, and everything that can be wrong with
    /// weights: not found, not readable, of another model, with missing, unexpected or mis-shaped
    /// tensors.
    pub fn build(mut self) -> Result<Detector> {
        let source = std::mem::take(&mut self.source);
        let weights = source.weights.as_ref().map(|given| given.name().to_owned());
        let prepared = self.prepare(source.fetch.as_ref())?;
        let pool = &prepared.pool;
        // On the pool's threads, for a configuration's numbers are read from text.
        let Loaded { mut config, categories, tensors, sha256 } = pool.install(|| source.load())?;
        self.apply_threshold(&mut config)?;
        let load_report = Some(tensors.report().clone());
        let arithmetic = prepared.arithmetic(&self.determinism);
        let tensors = Mutex::new(tensors);
        let model = pool.install(|| RetinaNet::with_arithmetic(&config, arithmetic, tensors))?;
        let weights_sha256 = Digest::from_str(&sha256).ok();
        let mut detector = self.finish(model, categories, prepared);
        detector.weights = weights;
        detector.weights_sha256 = weights_sha256;
        detector.load_report = load_report;
        Ok(detector)
    }

    /// A detector around a model that is there already (freshly initialised, or built from a
    /// [`TensorSource`](crate::model::TensorSource) of your own). The builder's weights and configuration are not looked at.
    /// With the feature `candle`, a model of variables is packed with the values that they have now.
    ///
    /// # Errors
    /// [`DetectorError`] for settings that do not fit together.
    pub fn build_with_model(mut self, model: RetinaNet) -> Result<Detector> {
        let source = std::mem::take(&mut self.source);
        let prepared = self.prepare(source.fetch.as_ref())?;
        #[cfg(feature = "candle")]
        let model = model.packed()?;
        self.around(model, source, prepared)
    }

    fn around(self, model: RetinaNet, source: Source, prepared: Prepared) -> Result<Detector> {
        let model = match self.score_threshold {
            None => model,
            Some(_) => {
                let mut config = model.config().clone();
                self.apply_threshold(&mut config)?;
                model.with_postprocess(config.postprocess)
            }
        };
        let config = model.config();
        let categories = match (source.categories, &config.categories) {
            (Some(categories), _) => categories,
            (None, Some(names)) => Categories::new(names.iter().cloned())?,
            (None, None) => Categories::unnamed(config.num_classes)?,
        };
        check_categories(&categories, config)?;
        Ok(self.finish(model, categories, prepared))
    }

    /// A detector whose weights are drawn from the seed: it finds nothing sensible, but takes as long as
    /// a trained one. The model is the builder's configuration, or its architecture's (default: v2).
    ///
    /// # Errors
    /// [`DetectorError`] for settings that do not fit together,
    /// [`ModelError`](crate::model::ModelError) for a configuration that makes no model.
    pub fn build_untrained(mut self) -> Result<Detector> {
        let source = std::mem::take(&mut self.source);
        source.check_eps()?;
        let mut config = source.config.clone().unwrap_or_else(|| match source.architecture {
            Some(Architecture::RetinanetResnet50Fpn) => RetinaNetConfig::resnet50_fpn(),
            _ => RetinaNetConfig::resnet50_fpn_v2(),
        });
        if let Some(eps) = source.batch_norm_eps {
            config.backbone.batch_norm.eps = eps;
        }
        let prepared = self.prepare(source.fetch.as_ref())?;
        let arithmetic = prepared.arithmetic(&self.determinism);
        let model = RetinaNet::with_arithmetic(&config, arithmetic, &self.determinism)?;
        self.around(model, source, prepared)
    }

    /// Reads the weights and says what they are, without building anything: the configuration has the classes'
    /// names.
    ///
    /// # Errors
    /// As [`DetectorBuilder::build`]'s, but for tensors that are not the model's.
    pub fn read_weights(mut self) -> Result<(Checkpoint, RetinaNetConfig)> {
        let source = std::mem::take(&mut self.source);
        let Described { checkpoint, mut config, categories } = source.describe()?;
        self.apply_threshold(&mut config)?;
        config.categories = Some(categories.into());
        Ok((checkpoint, config))
    }

    /// Writes the weights as a `.safetensors` file that describes itself: configuration, eps and class names
    /// go into its metadata, so that a detector built from that file alone gives the same answers. Tensors
    /// keep their bits and get torchvision's names. Returns the checkpoint that was read.
    ///
    /// # Errors
    /// As [`build`](Self::build), but for what concerns the machine; also
    /// [`WriteError`](crate::WriteError).
    pub fn save_weights(mut self, output: impl AsRef<Path>) -> Result<Checkpoint> {
        let source = std::mem::take(&mut self.source);
        let mut described = source.describe()?;
        self.apply_threshold(&mut described.config)?;
        described.save(output)
    }

    fn apply_threshold(&self, config: &mut RetinaNetConfig) -> Result<()> {
        if let Some(threshold) = self.score_threshold {
            config.postprocess.score_thresh = threshold;
        }
        Ok(config.postprocess.check()?)
    }

    /// The weights, where none were given yet.
    pub(crate) fn weights_unless_given(mut self, path_or_name: &str) -> Self {
        self.source.weights.get_or_insert_with(|| GivenWeights::Named(path_or_name.into()));
        self
    }

    /// The weights as they were given.
    pub(crate) fn given_weights(&self) -> Option<&GivenWeights> {
        self.source.weights.as_ref()
    }

    /// Checks what does not depend on the weights, before any are read.
    fn prepare(&self, fetch: Option<&FetchOptions>) -> Result<Prepared> {
        let dtype = self.dtype.unwrap_or(DType::F32);
        self.determinism.check_dtype(dtype)?;
        #[cfg(feature = "cudnn")]
        let choice = self.cudnn_choice(dtype)?;
        #[cfg(not(feature = "cudnn"))]
        let choice = None::<()>;
        if dtype != DType::F32 && choice.is_none() {
            return Err(DetectorError::Dtype { dtype: dtype.as_str() }.into());
        }
        let level = match self.level {
            Some(level) => level,
            None => Level::from_env()?,
        };
        let pool = Pool::new(self.threads)?;
        #[cfg(feature = "cudnn")]
        if let Some(choice) = choice {
            let (engine, gpu) = self.engine_with_cudnn(choice, fetch)?;
            return Ok(Prepared { level, pool, engine, gpu });
        }
        let (engine, gpu) = self.engine(fetch)?;
        Ok(Prepared { level, pool, engine, gpu })
    }

    /// The device, and what it is called if it is a GPU. The fast mode may round, but it does not
    /// quietly run elsewhere than it was told to.
    #[cfg(feature = "cuda")]
    fn engine(&self, fetch: Option<&FetchOptions>) -> Result<(Engine, Option<String>)> {
        match (&self.gpu, self.device) {
            (Some(gpu), _) => Ok((Engine::Cuda(gpu.clone()), None)),
            (None, Device::Cpu) => Ok((Engine::Cpu(Mutex::default()), None)),
            (None, Device::Cuda(ordinal)) => {
                let (gpu, name) = super::cuda::open(ordinal, shelf(fetch).as_deref())?;
                Ok((Engine::Cuda(gpu), Some(name)))
            }
        }
    }

    /// cuDNN, if it is to convolve.
    #[cfg(feature = "cudnn")]
    fn cudnn_choice(&self, dtype: DType) -> Result<Option<super::cudnn::Choice>> {
        let possible = match &self.gpu {
            Some(_) => self.library.is_some(),
            None => self.device != Device::Cpu,
        };
        super::cudnn::Choice::of(&self.determinism, dtype, self.cudnn, possible)
    }

    /// The device with cuDNN.
    #[cfg(feature = "cudnn")]
    fn engine_with_cudnn(
        &self,
        choice: super::cudnn::Choice,
        fetch: Option<&FetchOptions>,
    ) -> Result<(Engine, Option<String>)> {
        use retinanet_kernels::cudnn::CudnnGpu;
        match (&self.gpu, &self.library, self.device) {
            (Some(gpu), Some(library), _) => {
                let (gpu, library) = (gpu.clone(), Arc::clone(library));
                let on = CudnnGpu::new(gpu, library, choice.format, choice.pinned);
                Ok((Engine::Cudnn(on), None))
            }
            (None, _, Device::Cuda(ordinal)) => {
                let (on, name) = choice.open(ordinal, shelf(fetch).as_deref())?;
                Ok((Engine::Cudnn(on), Some(name)))
            }
            _ => self.engine(fetch),
        }
    }

    /// The device.
    #[cfg(not(feature = "cuda"))]
    fn engine(&self, _: Option<&FetchOptions>) -> Result<(Engine, Option<String>)> {
        if self.device == Device::Cpu {
            return Ok((Engine::Cpu(Mutex::default()), None));
        }
        Err(self.device.not_in_this_build())
    }

    fn finish(self, model: RetinaNet, categories: Categories, prepared: Prepared) -> Detector {
        let Prepared { level, pool, engine, gpu } = prepared;
        Detector {
            model,
            categories: Arc::new(categories),
            determinism: self.determinism,
            level,
            device: self.device,
            pool,
            engine,
            listener: self.listener,
            gpu,
            weights: None,
            weights_sha256: None,
            load_report: None,
        }
    }
}

/// Where compiled kernels are kept.
#[cfg(feature = "cuda")]
fn shelf(fetch: Option<&FetchOptions>) -> Option<PathBuf> {
    let options = fetch.cloned().map_or_else(FetchOptions::from_env, Ok);
    options.ok().map(|options| options.cache_dir.join("cuda"))
}

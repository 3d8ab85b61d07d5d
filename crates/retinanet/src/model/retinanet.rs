//! The whole network.

use super::plan::{Backend, Observer, Predictions, Walk};
#[cfg(any(feature = "training", feature = "candle"))]
use super::site::LayerMut;
use super::site::Site;
use super::tensor_source::{TensorSource, TensorsAt};
use super::tensor_spec::TensorSpec;
use super::{
    AnchorGenerator, Fpn, LevelAnchors, ModelError, PredictionHead, ResNet, RetinaNetConfig,
    RetinaNetHead, heads,
};
use crate::Result;
use crate::ops::{Arithmetic, Level};
use crate::postprocess::PostprocessConfig;

/// More parameters than any detector has: 8 GiB of f32.
const MAX_PARAMETERS: u64 = 1 << 31;

/// RetinaNet: backbone, feature pyramid, heads and anchors.
///
/// Lin et al., "Focal Loss for Dense Object Detection"; `torchvision.models.detection.RetinaNet`.
///
/// ```
/// use retinanet::determinism::Determinism;
/// use retinanet::model::{ResNetDepth, RetinaNet, RetinaNetConfig};
/// use retinanet::{Detector, Image};
///
/// let mut config = RetinaNetConfig::resnet50_fpn_v2();
/// config.backbone.depth = ResNetDepth::ResNet18;
/// config.fpn.out_channels = 32;
/// config.num_classes = 2;
/// let model = RetinaNet::new(&config, Determinism::strict(3407))?; // freshly initialised
///
/// let detector = Detector::builder().build_with_model(model)?;
/// let found = detector.detect(&Image::from_rgb8(96, 64, vec![0; 96 * 64 * 3])?)?;
/// assert!(found.is_empty()); // the prior of an untrained network is below the threshold
/// # Ok::<(), retinanet::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RetinaNet {
    config: RetinaNetConfig,
    pub(crate) backbone: ResNet,
    pub(crate) fpn: Fpn,
    pub(crate) head: RetinaNetHead,
    anchors: AnchorGenerator,
    #[cfg(feature = "candle")]
    pub(crate) num_anchors: usize,
}

impl RetinaNet {
    /// Loads the model from `source`, whose names are torchvision's (`backbone.body.conv1.weight`,
    /// ...), for the best CPU level this machine has, or the one `RETINANET_CPU_LEVEL` names.
    ///
    /// # Errors
    /// [`ModelError`] when the configuration makes no model or a tensor is missing, mis-shaped or
    /// not finite; a kernel error when the level named is not there.
    pub fn new(config: &RetinaNetConfig, source: impl TensorSource) -> Result<Self> {
        Self::with_level(config, Level::from_env()?, source)
    }

    /// As [`RetinaNet::new`], at a given CPU level. The answer's bits do not depend on it.
    ///
    /// # Errors
    /// As [`RetinaNet::new`].
    pub fn with_level(
        config: &RetinaNetConfig,
        level: Level,
        source: impl TensorSource,
    ) -> Result<Self> {
        Self::with_arithmetic(config, level.into(), source)
    }

    /// As [`RetinaNet::new`], computing as `arithmetic` says: the fast mode's answers are near the
    /// canonical ones, and not the same on every machine.
    ///
    /// # Errors
    /// As [`RetinaNet::new`].
    pub fn with_arithmetic(
        config: &RetinaNetConfig,
        arithmetic: Arithmetic<'_>,
        source: impl TensorSource,
    ) -> Result<Self> {
        config.validate()?;
        // Before anything is loaded, for it bounds how much will be.
        parameter_count(config)?;
        let channels = config.fpn.out_channels;
        let num_anchors = config.anchors.num_anchors()?;
        let tensors = TensorsAt::root(&source);
        let backbone = tensors.at("backbone");
        let classes = config.num_classes;
        let in_channels = config.backbone.returned_channels();
        let (body, fpn, head) = (backbone.at("body"), backbone.at("fpn"), tensors.at("head"));
        let build_head =
            || RetinaNetHead::new(&config.head, channels, num_anchors, classes, arithmetic, head);
        let (body, (fpn, head)) = rayon::join(
            || ResNet::new(&config.backbone, arithmetic, body),
            || rayon::join(|| Fpn::new(&config.fpn, &in_channels, arithmetic, fpn), build_head),
        );
        Ok(Self {
            backbone: body?,
            fpn: fpn?,
            head: head?,
            anchors: AnchorGenerator::new(&config.anchors)?,
            #[cfg(feature = "candle")]
            num_anchors,
            config: config.clone(),
        })
    }

    /// The configuration it was built from.
    pub fn config(&self) -> &RetinaNetConfig {
        &self.config
    }

    /// The same network with other settings for what comes after it.
    #[must_use]
    pub fn with_postprocess(mut self, postprocess: PostprocessConfig) -> Self {
        self.config.postprocess = postprocess;
        self
    }

    /// All layers with weights, to be given others.
    #[cfg(any(feature = "training", feature = "candle"))]
    pub(crate) fn layers_mut(&mut self) -> impl Iterator<Item = LayerMut<'_>> {
        let convs = self.backbone.convs_mut().chain(self.fpn.convs_mut()).map(LayerMut::Conv);
        let RetinaNetHead { classification_head, regression_head } = &mut self.head;
        convs.chain(classification_head.layers_mut()).chain(regression_head.layers_mut())
    }

    /// "C3", "C4", ...: the backbone's returned maps.
    pub fn backbone_names(&self) -> Vec<String> {
        names('C', self.config.backbone.returned_levels())
    }

    /// "P3", "P4", ...: the pyramid's levels.
    pub fn pyramid_names(&self) -> Vec<String> {
        names('P', self.config.pyramid_levels())
    }

    /// The predictions for each canvas: bit for bit those of it alone.
    ///
    /// # Errors
    /// A canvas is too small, or what the observer reports.
    pub(crate) fn run<B: Backend>(
        &self,
        canvases: &[B::Canvas<'_>],
        backend: &mut B,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Predictions<B::Map>>> {
        if canvases.is_empty() {
            return Ok(Vec::new());
        }
        let mut walk = Walk { backend, observer };
        walk.observe("input", canvases)?;
        let stages = self.backbone.walk(&mut walk, canvases)?;
        let names = self.pyramid_names();
        // The images of each level, level by level.
        let pyramid: Vec<B::Map> =
            self.fpn.walk(&mut walk, stages, &names)?.into_iter().flatten().collect();
        let images = canvases.len();
        let mut by_image = |head: &PredictionHead, kind: &str| -> Result<Vec<Vec<B::Map>>> {
            let output = head.walk(&mut walk, &pyramid, kind)?;
            for (name, level) in names.iter().zip(output.chunks(images)) {
                walk.observe(&format!("{kind}/{name}"), level)?;
            }
            let mut by_image: Vec<Vec<B::Map>> =
                (0..images).map(|_| Vec::with_capacity(names.len())).collect();
            for (i, map) in output.into_iter().enumerate() {
                by_image[i % images].push(map);
            }
            Ok(by_image)
        };
        let cls_logits = by_image(&self.head.classification_head, "logits")?;
        let regression = by_image(&self.head.regression_head, "regression")?;
        walk.backend.give_all(pyramid);
        let pairs = cls_logits.into_iter().zip(regression);
        Ok(pairs
            .map(|(cls_logits, bbox_regression)| Predictions { cls_logits, bbox_regression })
            .collect())
    }

    /// The anchors of every level for a padded canvas and the levels' maps, all [height, width].
    ///
    /// # Errors
    /// [`ModelError::Input`] when the grids are not those of this model's levels.
    pub fn anchors(&self, padded: [usize; 2], grids: &[[usize; 2]]) -> Result<Vec<LevelAnchors>> {
        self.anchors.anchors(padded, grids)
    }
}

fn names(letter: char, levels: Vec<usize>) -> Vec<String> {
    levels.into_iter().map(|level| format!("{letter}{level}")).collect()
}

/// All layers with weights, in torchvision's order.
pub(crate) fn sites(config: &RetinaNetConfig) -> Result<Vec<Site>, ModelError> {
    config.check_network()?;
    let in_channels = config.backbone.returned_channels();
    let body = config.backbone.sites().into_iter().map(|conv| conv.under("backbone.body"));
    let fpn = config.fpn.sites(&in_channels).into_iter().map(|conv| conv.under("backbone.fpn"));
    let num_anchors = config.anchors.num_anchors()?;
    let channels = config.fpn.out_channels;
    let heads = heads::sites(&config.head, channels, num_anchors, config.num_classes)?;
    let convs = body.chain(fpn).map(Site::Conv);
    Ok(convs.chain(heads.into_iter().map(|site| site.under("head"))).collect())
}

/// Every tensor of the model in torchvision's order, with what it is filled with at first.
///
/// # Errors
/// [`ModelError::Config`] when the configuration makes no model.
pub fn tensor_specs(config: &RetinaNetConfig) -> Result<Vec<TensorSpec>> {
    Ok(sites(config)?.iter().flat_map(Site::tensors).collect())
}

/// Name and shape of every tensor a checkpoint must hold, in torchvision's order.
///
/// A checkpoint of a plain batch norm may also hold `num_batches_tracked` beside each
/// `running_var`; nothing reads it.
///
/// # Errors
/// [`ModelError::Config`] when the configuration makes no model.
pub fn expected_tensors(config: &RetinaNetConfig) -> Result<Vec<(String, Vec<usize>)>> {
    let tensors = tensor_specs(config)?.into_iter();
    Ok(tensors.map(|tensor| (tensor.name, tensor.shape)).collect())
}

/// How many parameters the model has, counted as torchvision counts them: running statistics and
/// frozen batch norms are not parameters.
///
/// # Errors
/// [`ModelError::Config`] when the configuration makes no model, or one of more than 2^31 values.
pub fn parameter_count(config: &RetinaNetConfig) -> Result<u64> {
    let (mut parameters, mut values) = (0u64, 0u64);
    for tensor in tensor_specs(config)? {
        let dims = tensor.shape.iter();
        let size = dims.fold(1u64, |size, &dim| size.saturating_mul(dim as u64));
        values = values.saturating_add(size);
        if tensor.is_parameter {
            parameters = parameters.saturating_add(size);
        }
    }
    if values > MAX_PARAMETERS {
        let reason = format!("make {values} weights; at most {MAX_PARAMETERS} are supported");
        return Err(ModelError::config("fpn, head and num_classes together", reason).into());
    }
    Ok(parameters)
}

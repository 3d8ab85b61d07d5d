//! A network that can be run backward.

use super::TrainingError;
use super::backward::Backward;
use super::layers::Layers;
use super::memory::Memory;
use super::outputs;
use super::tape::{Node, Tape, give_back};
use crate::Result;
use crate::model::plan::{Canvas, FeatureMap, NoObserver, Observer, Predictions};
use crate::model::{RetinaNet, RetinaNetConfig, TensorSource};
use crate::ops::Level;

/// A [`RetinaNet`] whose weights change: [updated](TrainableNetwork::update) with them before each step.
///
/// ```
/// use retinanet::determinism::Determinism;
/// use retinanet::model::{ResNetDepth, RetinaNetConfig};
/// use retinanet::ops::Level;
/// use retinanet::training::{Memory, TrainableNetwork};
///
/// let mut config = RetinaNetConfig::resnet50_fpn_v2();
/// config.backbone.depth = ResNetDepth::ResNet18;
/// config.fpn.out_channels = 32;
/// config.num_classes = 2;
/// let weights = Determinism::strict(3407); // freshly initialised
/// let trains = ["head.classification_head.cls_logits.bias".to_owned()];
/// let network = TrainableNetwork::new(&config, Level::from_env()?, &weights, &trains)?;
///
/// let mut memory = Memory::default();
/// let forward = network.forward(&mut memory, &[0.0; 3 * 64 * 64], [64, 64])?;
/// let (logits, boxes) = (forward.logits().len(), forward.regression().len());
/// let gradients = forward.backward(&vec![1.0; logits], &vec![[0.0; 4]; boxes])?;
/// assert_eq!(gradients[0].len(), 9 * 2);
/// assert_eq!(gradients[0].iter().sum::<f32>(), logits as f32);
/// # Ok::<(), retinanet::Error>(())
/// ```
pub struct TrainableNetwork {
    network: RetinaNet,
    layers: Layers,
}

impl TrainableNetwork {
    /// Builds the network from `source`, which must answer a tensor as often as it is asked. `trainable` are the
    /// names of the tensors whose gradients are wanted.
    ///
    /// # Errors
    /// As [`RetinaNet::new`]; [`TrainingError`] for a name that is no tensor of the network or one of a batch norm, which is
    /// frozen here.
    pub fn new(
        config: &RetinaNetConfig,
        level: Level,
        source: &dyn TensorSource,
        trainable: &[String],
    ) -> Result<Self> {
        let layers = Layers::new(config, level, source, trainable)?;
        let network = RetinaNet::with_level(config, level, source)?;
        #[cfg(feature = "candle")]
        let network = network.packed()?;
        Ok(Self { network, layers })
    }

    /// Takes the values that the tensors that train have in `source` now; all others are taken to be what they were. It is
    /// then the network that [`TrainableNetwork::new`] would build, in the memory of the one before.
    ///
    /// # Errors
    /// As [`TrainableNetwork::new`]. The network is then of no more use.
    pub fn update(&mut self, source: &dyn TensorSource) -> Result<()> {
        self.layers.update(&mut self.network, source)
    }

    /// Runs the network on one image's canvas, planes R, G, B of `size` (height, width), as
    /// [`Transformed::data`](crate::image::Transformed) has them.
    ///
    /// # Errors
    /// The canvas has another length or is too small for the network.
    pub fn forward<'b>(
        &'b self,
        memory: &'b mut Memory,
        canvas: &[f32],
        size: [usize; 2],
    ) -> Result<Forward<'b>> {
        let canvas = Canvas { data: check_canvas(canvas, size)?, size };
        let mut tape = Tape::new(&self.layers, &mut memory.workspace);
        let predictions = self.network.run(&[canvas], &mut tape, &mut NoObserver)?;
        let (records, gradients) = (tape.records, tape.gradients);
        let Some(nodes) = predictions.into_iter().next() else {
            return Err(TrainingError::Canvas { size, values: canvas.data.len() }.into());
        };
        let grids: Vec<_> = nodes.cls_logits.iter().map(|node| node.map().shape().size()).collect();
        let levels = self.network.anchors(size, &grids)?;
        let anchors = levels.iter().flat_map(|level| level.iter()).collect();
        let maps = |nodes: &[Node], list| outputs::by_anchor(nodes.iter().map(Node::map), list);
        let logits = maps(&nodes.cls_logits, std::mem::take(&mut memory.logits))?;
        let regression = maps(&nodes.bbox_regression, Vec::new())?;
        let regression = regression.as_chunks().0.to_vec();
        let backward = Backward::new(&self.layers, memory, records, gradients);
        Ok(Forward { backward, nodes, anchors, logits, regression })
    }

    /// The first stage of the network (`stem`, `C3`, `P3`, `logits/P3`, ...) that is not finite for this canvas, for messages.
    ///
    /// # Errors
    /// As [`TrainableNetwork::forward`].
    pub fn first_not_finite(
        &self,
        memory: &mut Memory,
        canvas: &[f32],
        size: [usize; 2],
    ) -> Result<Option<String>> {
        let canvas = Canvas { data: check_canvas(canvas, size)?, size };
        let mut found = FirstNotFinite(None);
        for maps in self.network.run(&[canvas], &mut memory.workspace, &mut found)? {
            memory.workspace.give_all(maps.cls_logits.into_iter().chain(maps.bbox_regression));
        }
        Ok(found.0)
    }
}

fn check_canvas(canvas: &[f32], size: [usize; 2]) -> Result<&[f32], TrainingError> {
    let pixels = size[0].checked_mul(size[1]).and_then(|pixels| pixels.checked_mul(3));
    match pixels {
        Some(values) if values == canvas.len() && values > 0 => Ok(canvas),
        _ => Err(TrainingError::Canvas { size, values: canvas.len() }),
    }
}

/// Looks for the first stage with a value that is not finite.
struct FirstNotFinite(Option<String>);

impl Observer for FirstNotFinite {
    fn stage(&mut self, stage: &str, maps: &[&dyn FeatureMap]) -> Result<()> {
        for map in maps {
            if self.0.is_none() && !map.to_chw()?.iter().all(|value| value.is_finite()) {
                self.0 = Some(stage.to_owned());
            }
        }
        Ok(())
    }
}

/// What the network said about one image, and the way back.
pub struct Forward<'a> {
    backward: Backward<'a>,
    nodes: Predictions<Node>,
    anchors: Vec<[f32; 4]>,
    logits: Vec<f32>,
    regression: Vec<[f32; 4]>,
}

impl Forward<'_> {
    /// x1, y1, x2, y2 of every anchor in pixels of the canvas: level by level, finest first, row by row.
    pub fn anchors(&self) -> &[[f32; 4]] {
        &self.anchors
    }

    /// `[anchor][class]`
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// `[anchor]`: dx, dy, dw, dh.
    pub fn regression(&self) -> &[[f32; 4]] {
        &self.regression
    }

    /// From the gradients of a loss with respect to [`Forward::logits`] and [`Forward::regression`] those with respect to each tensor
    /// that trains, in the order in which the network was given their names.
    ///
    /// # Errors
    /// A gradient has another length.
    pub fn backward(
        mut self,
        by_logits: &[f32],
        by_regression: &[[f32; 4]],
    ) -> Result<Vec<Vec<f32>>> {
        let Predictions { cls_logits, bbox_regression } = self.nodes;
        check_length("gradient of the logits", self.logits.len(), by_logits.len())?;
        let [expected, found] = [self.regression.len(), by_regression.len()];
        check_length("gradient of the regression", expected, found)?;
        self.backward.start(&cls_logits, by_logits)?;
        self.backward.start(&bbox_regression, by_regression.as_flattened())?;
        let maps = cls_logits.into_iter().chain(bbox_regression).map(Node::into_map);
        give_back(&mut self.backward.memory.workspace, maps);
        self.backward.memory.logits = self.logits;
        self.backward.run()
    }
}

fn check_length(what: &'static str, expected: usize, actual: usize) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    Err(retinanet_kernels::Error::Length { what, expected, actual }.into())
}

//! The forward pass on the CPU, and a record of what the way back needs.

use std::sync::Arc;

use retinanet_kernels::layout::BlockedShape;
use retinanet_kernels::norm;
use retinanet_kernels::pool::MaxPool2dSpec;

use super::layers::Layers;
use crate::Result;
use crate::model::plan::{Backend, Canvas, FeatureMap, Map, Then, Workspace, conv_maps};
use crate::ops::{Conv2d, GroupNorm, MaxPool2d, Relu, UpsampleAdd};

/// A map of the forward pass.
#[derive(Debug)]
pub(super) struct Node {
    map: Arc<Map>,
    /// The place of its gradient, where one is wanted: where something that trains lies below it.
    gradient: Option<usize>,
}

impl Node {
    pub(super) fn map(&self) -> &Map {
        &self.map
    }

    pub(super) fn into_map(self) -> Arc<Map> {
        self.map
    }

    /// What a record needs to find its gradient.
    pub(super) fn place(&self) -> Place {
        Place { gradient: self.gradient, shape: self.map.shape() }
    }
}

impl FeatureMap for Node {
    fn shape(&self) -> [usize; 3] {
        FeatureMap::shape(&*self.map)
    }

    fn to_chw(&self) -> Result<Vec<f32>> {
        self.map.to_chw()
    }
}

/// Where a map's gradient is, and its shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) gradient: Option<usize>,
    pub(super) shape: BlockedShape,
}

/// What a convolution read.
#[derive(Debug)]
pub(super) enum ConvInputs {
    /// Nothing of it trains.
    NotKept,
    /// An image's planes.
    Planes(Vec<f32>, [usize; 2]),
    Maps(Vec<Arc<Map>>),
}

/// One layer of the forward pass.
#[derive(Debug)]
pub(super) enum Record {
    Conv {
        name: String,
        inputs: Vec<Place>,
        /// For the weights' gradient.
        kept: ConvInputs,
        residuals: Vec<Place>,
        outputs: Vec<Place>,
        /// Outputs after ReLU; none without it.
        rectified: Vec<Arc<Map>>,
    },
    GroupNormRelu {
        norm: GroupNorm,
        inputs: Vec<(Place, Arc<Map>)>,
        outputs: Vec<(Place, Arc<Map>)>,
    },
    MaxPool {
        spec: MaxPool2dSpec,
        input: (Place, Arc<Map>),
        output: Place,
    },
    Relu {
        input: Place,
        output: (Place, Arc<Map>),
    },
    /// The finer map's gradient is the output's.
    UpsampleAdd {
        coarser: Place,
        finer: Place,
        output: Place,
    },
}

/// The layers on the CPU, recorded.
pub(super) struct Tape<'a> {
    layers: &'a Layers<'a>,
    workspace: &'a mut Workspace,
    pub(super) records: Vec<Record>,
    /// How many gradients are wanted.
    pub(super) gradients: usize,
}

impl<'a> Tape<'a> {
    pub(super) fn new(layers: &'a Layers<'a>, workspace: &'a mut Workspace) -> Self {
        Self { layers, workspace, records: Vec::new(), gradients: 0 }
    }

    /// A new gradient's place, where one is wanted.
    fn new_gradient(&mut self, wanted: bool) -> Option<usize> {
        let gradient = wanted.then_some(self.gradients);
        self.gradients += usize::from(wanted);
        gradient
    }

    fn node(&mut self, map: Map, wanted: bool) -> Node {
        Node { map: Arc::new(map), gradient: self.new_gradient(wanted) }
    }

    fn nodes(&mut self, maps: Vec<Map>, wanted: bool) -> Vec<Node> {
        maps.into_iter().map(|map| self.node(map, wanted)).collect()
    }

    /// Records a convolution, where anything below its outputs trains.
    fn convolved(
        &mut self,
        conv: &Conv2d,
        inputs: Vec<Place>,
        kept: ConvInputs,
        residuals: Vec<Place>,
        (outputs, relu): (Vec<Map>, bool),
    ) -> Vec<Node> {
        let mut places = inputs.iter().chain(&residuals);
        let wanted =
            self.layers.trains(conv.name()) || places.any(|place| place.gradient.is_some());
        let outputs = self.nodes(outputs, wanted);
        if wanted {
            let rectified = if relu { &outputs[..] } else { &[] };
            self.records.push(Record::Conv {
                name: conv.name().to_owned(),
                inputs,
                kept,
                residuals,
                rectified: rectified.iter().map(|node| node.map.clone()).collect(),
                outputs: outputs.iter().map(Node::place).collect(),
            });
        }
        outputs
    }
}

impl Backend for Tape<'_> {
    type Canvas<'a> = Canvas<'a>;
    type Map = Node;

    fn stem(&mut self, conv: &Conv2d, canvases: &[Canvas<'_>]) -> Result<Vec<Node>> {
        let outputs = self.workspace.stem(conv, canvases)?;
        let kept = match canvases {
            [canvas] if self.layers.trains(conv.name()) => {
                ConvInputs::Planes(canvas.data.to_vec(), canvas.size)
            }
            _ => ConvInputs::NotKept,
        };
        Ok(self.convolved(conv, Vec::new(), kept, Vec::new(), (outputs, true)))
    }

    fn conv(&mut self, conv: &Conv2d, inputs: &[Node], then: Then<'_, Node>) -> Result<Vec<Node>> {
        let maps: Vec<&Map> = inputs.iter().map(Node::map).collect();
        let residual = |i: usize| then.residual(i).map(Node::map);
        let outputs = conv_maps(self.workspace, conv, &maps, residual, then.relu())?;
        let kept = if self.layers.trains(conv.name()) {
            ConvInputs::Maps(inputs.iter().map(|node| node.map.clone()).collect())
        } else {
            ConvInputs::NotKept
        };
        let residuals = (0..inputs.len()).filter_map(|i| then.residual(i)).map(Node::place);
        let (inputs, residuals) = (inputs.iter().map(Node::place).collect(), residuals.collect());
        Ok(self.convolved(conv, inputs, kept, residuals, (outputs, then.relu())))
    }

    fn group_norm_relu(&mut self, norm: &GroupNorm, maps: &mut [Node]) -> Result<()> {
        let wanted =
            self.layers.trains(norm.name()) || maps.iter().any(|node| node.gradient.is_some());
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for node in maps.iter_mut() {
            let mut output = self.workspace.take(node.map.shape())?;
            let GroupNorm { level, spec, weight, bias, .. } = norm;
            norm::group_norm(
                *level,
                spec,
                weight,
                bias,
                true,
                node.map.as_ref().as_ref()?,
                &mut output.as_mut()?,
            )?;
            let output = self.node(output, wanted);
            let input = std::mem::replace(node, output);
            if wanted {
                outputs.push((node.place(), node.map.clone()));
                inputs.push((input.place(), input.map));
            } else {
                self.give_all([input]);
            }
        }
        if wanted {
            self.records.push(Record::GroupNormRelu { norm: norm.clone(), inputs, outputs });
        }
        Ok(())
    }

    fn max_pool(&mut self, pool: &MaxPool2d, inputs: &[Node]) -> Result<Vec<Node>> {
        let mut outputs = Vec::with_capacity(inputs.len());
        for input in inputs {
            let pooled = self.workspace.max_pool(pool, std::slice::from_ref(&*input.map))?;
            for pooled in pooled {
                let output = self.node(pooled, input.gradient.is_some());
                if input.gradient.is_some() {
                    self.records.push(Record::MaxPool {
                        spec: pool.spec,
                        input: (input.place(), input.map.clone()),
                        output: output.place(),
                    });
                }
                outputs.push(output);
            }
        }
        Ok(outputs)
    }

    fn relu(&mut self, relu: &Relu, inputs: &[Node]) -> Result<Vec<Node>> {
        let mut outputs = Vec::with_capacity(inputs.len());
        for input in inputs {
            for rectified in self.workspace.relu(relu, std::slice::from_ref(&*input.map))? {
                let output = self.node(rectified, input.gradient.is_some());
                if input.gradient.is_some() {
                    let (input, output) = (input.place(), (output.place(), output.map.clone()));
                    self.records.push(Record::Relu { input, output });
                }
                outputs.push(output);
            }
        }
        Ok(outputs)
    }

    fn upsample_add(
        &mut self,
        op: &UpsampleAdd,
        coarser: &[Node],
        finer: &mut [Node],
    ) -> Result<()> {
        for (coarser, finer) in coarser.iter().zip(finer) {
            let wanted = coarser.gradient.is_some() || finer.gradient.is_some();
            // In place, unless somebody still needs the map as it was.
            if Arc::get_mut(&mut finer.map).is_none() {
                let mut copy = self.workspace.take(finer.map.shape())?;
                copy.as_mut()?.data().copy_from_slice(finer.map.as_ref().as_ref()?.data());
                finer.map = Arc::new(copy);
            }
            if let Some(sum) = Arc::get_mut(&mut finer.map) {
                let from = std::slice::from_ref(&*coarser.map);
                self.workspace.upsample_add(op, from, std::slice::from_mut(sum))?;
            }
            let lateral = finer.place();
            finer.gradient = self.new_gradient(wanted);
            if wanted {
                let (coarser, output) = (coarser.place(), finer.place());
                self.records.push(Record::UpsampleAdd { coarser, finer: lateral, output });
            }
        }
        Ok(())
    }

    fn give_all(&mut self, nodes: impl IntoIterator<Item = Node>) {
        give_back(self.workspace, nodes.into_iter().map(|node| node.map));
    }
}

/// Gives the memory of maps back that nobody else holds.
pub(super) fn give_back(workspace: &mut Workspace, maps: impl IntoIterator<Item = Arc<Map>>) {
    workspace.give_all(maps.into_iter().filter_map(Arc::into_inner));
}

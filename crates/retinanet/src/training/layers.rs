//! Which tensors train, and what the way back needs of each layer.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use retinanet_kernels::conv2d::DataGradient;

use super::TrainingError;
use crate::Result;
use crate::model::{
    ConvSite, ModelError, RetinaNetConfig, Shift, Site, TensorSource, TensorsAt, sites,
};
use crate::ops::Level;

/// The network's layers by name.
pub(super) struct Layers<'a> {
    pub(super) level: Level,
    pub(super) tensors: TensorsAt<'a>,
    convs: BTreeMap<String, ConvLayer>,
    norms: BTreeMap<String, [Option<usize>; 2]>,
    /// Values of each tensor that trains.
    pub(super) lengths: Vec<usize>,
}

/// A convolution. Places are those in the list of gradients.
pub(super) struct ConvLayer {
    pub(super) site: ConvSite,
    pub(super) weight: Option<usize>,
    pub(super) bias: Option<usize>,
    data_gradient: OnceLock<DataGradient>,
}

impl<'a> Layers<'a> {
    pub(super) fn new(
        config: &RetinaNetConfig,
        level: Level,
        source: &'a dyn TensorSource,
        trainable: &[String],
    ) -> Result<Self> {
        let mut places = BTreeMap::new();
        for (place, name) in trainable.iter().enumerate() {
            if places.insert(name.clone(), place).is_some() {
                return Err(TrainingError::NamedTwice { name: name.clone() }.into());
            }
        }
        let mut lengths = vec![0; trainable.len()];
        let (mut convs, mut norms) = (BTreeMap::new(), BTreeMap::new());
        for site in sites(config)? {
            for tensor in site.tensors() {
                if let Some(&place) = places.get(&tensor.name) {
                    lengths[place] = tensor.shape.iter().product();
                }
            }
            match site {
                Site::Conv(site) => {
                    let weight = places.remove(&format!("{}.weight", site.path));
                    let bias = match &site.shift {
                        Shift::Bias(_) => places.remove(&format!("{}.bias", site.path)),
                        Shift::None => None,
                        Shift::BatchNorm(norm) => {
                            let mut of_norm = norm.tensors().into_iter().map(|one| one.name);
                            if let Some(name) = of_norm.find(|name| places.contains_key(name)) {
                                return Err(TrainingError::BatchNorm { name }.into());
                            }
                            None
                        }
                    };
                    let name = site.path.clone();
                    let data_gradient = OnceLock::new();
                    convs.insert(name, ConvLayer { site, weight, bias, data_gradient });
                }
                Site::GroupNorm(site) => {
                    let own = ["weight", "bias"].map(|tensor| format!("{}.{tensor}", site.path));
                    norms.insert(site.path, own.map(|name| places.remove(&name)));
                }
            }
        }
        if let Some(name) = places.into_keys().next() {
            return Err(TrainingError::Unknown { name }.into());
        }
        Ok(Self { level, tensors: TensorsAt::root(source), convs, norms, lengths })
    }

    /// Whether a tensor of the layer trains.
    pub(super) fn trains(&self, name: &str) -> bool {
        let conv = self.convs.get(name).is_some_and(|conv| conv.weight.or(conv.bias).is_some());
        conv || self.norms.get(name).is_some_and(|places| places.iter().any(Option::is_some))
    }

    pub(super) fn conv(&self, name: &str) -> Result<&ConvLayer> {
        let missing = || ModelError::MissingTensor { name: format!("{name}.weight") };
        Ok(self.convs.get(name).ok_or_else(missing)?)
    }

    /// Places of a group norm's weight and bias.
    pub(super) fn norm(&self, name: &str) -> [Option<usize>; 2] {
        self.norms.get(name).copied().unwrap_or_default()
    }
}

impl ConvLayer {
    /// From the outputs' gradient to the inputs'; packed at the first use.
    pub(super) fn data_gradient(&self, layers: &Layers<'_>) -> Result<&DataGradient> {
        if let Some(gradient) = self.data_gradient.get() {
            return Ok(gradient);
        }
        let (weight, _) = self.site.folded(&layers.tensors)?;
        let gradient = DataGradient::new(layers.level, self.site.spec, &weight)?;
        Ok(self.data_gradient.get_or_init(|| gradient))
    }
}

//! Which tensors train, and what the way back needs of each layer.

use std::collections::BTreeMap;

use rayon::prelude::*;
use retinanet_kernels::conv2d::DataGradient;

use super::TrainingError;
use crate::Result;
use crate::model::{
    ConvSite, GroupNormSite, LayerMut, ModelError, RetinaNet, RetinaNetConfig, Shift, Site,
    TensorSource, TensorsAt, sites,
};
use crate::ops::Level;

/// The network's layers by name.
pub(super) struct Layers {
    pub(super) level: Level,
    convs: BTreeMap<String, ConvLayer>,
    norms: BTreeMap<String, NormLayer>,
    /// Values of each tensor that trains.
    pub(super) lengths: Vec<usize>,
}

/// A convolution. Places are those in the list of gradients.
pub(super) struct ConvLayer {
    pub(super) site: ConvSite,
    pub(super) weight: Option<usize>,
    pub(super) bias: Option<usize>,
    /// What batch norm multiplies each channel by, where the weights train.
    pub(super) scales: Option<Vec<f64>>,
    /// From the outputs' gradient to the inputs', where one may be wanted.
    data_gradient: Option<DataGradient>,
}

struct NormLayer {
    site: GroupNormSite,
    /// Of weight and bias.
    places: [Option<usize>; 2],
}

impl Layers {
    pub(super) fn new(
        config: &RetinaNetConfig,
        level: Level,
        source: &dyn TensorSource,
        trainable: &[String],
    ) -> Result<Self> {
        let mut places = BTreeMap::new();
        for (place, name) in trainable.iter().enumerate() {
            if places.insert(name.clone(), place).is_some() {
                return Err(TrainingError::NamedTwice { name: name.clone() }.into());
            }
        }
        let tensors = TensorsAt::root(source);
        let mut lengths = vec![0; trainable.len()];
        let (mut convs, mut norms) = (BTreeMap::new(), BTreeMap::new());
        let sites = sites(config)?;
        let wanted = wanted(&sites, |tensor| places.contains_key(tensor));
        for (site, wanted) in sites.into_iter().zip(wanted) {
            for tensor in site.tensors() {
                if let Some(&place) = places.get(&tensor.name) {
                    lengths[place] = tensor.shape.iter().product();
                }
            }
            match site {
                Site::Conv(site) => {
                    let weight = places.remove(&format!("{}.weight", site.path));
                    let mut scales = None;
                    let bias = match &site.shift {
                        Shift::Bias(_) => places.remove(&format!("{}.bias", site.path)),
                        Shift::None => None,
                        Shift::BatchNorm(norm) => {
                            let mut of_norm = norm.tensors().into_iter().map(|one| one.name);
                            if let Some(name) = of_norm.find(|name| places.contains_key(name)) {
                                return Err(TrainingError::BatchNorm { name }.into());
                            }
                            scales = weight.map(|_| norm.scales(&tensors)).transpose()?;
                            None
                        }
                    };
                    let layer = ConvLayer { site, weight, bias, scales, data_gradient: None };
                    convs.insert(layer.site.path.clone(), (layer, wanted));
                }
                Site::GroupNorm(site) => {
                    let own = ["weight", "bias"].map(|tensor| format!("{}.{tensor}", site.path));
                    let places = own.map(|name| places.remove(&name));
                    norms.insert(site.path.clone(), NormLayer { site, places });
                }
            }
        }
        if let Some(name) = places.into_keys().next() {
            return Err(TrainingError::Unknown { name }.into());
        }
        each(convs.values_mut().filter(|(_, wanted)| *wanted), |(layer, _)| {
            let (weight, _) = layer.site.folded(&tensors)?;
            layer.data_gradient = Some(DataGradient::new(level, layer.site.spec, &weight)?);
            Ok(())
        })?;
        let convs = convs.into_iter().map(|(name, (layer, _))| (name, layer)).collect();
        Ok(Self { level, convs, norms, lengths })
    }

    /// Gives what trains its new values: the network's layers and the way back, in the memory of those they had.
    pub(super) fn update(
        &mut self,
        network: &mut RetinaNet,
        source: &dyn TensorSource,
    ) -> Result<()> {
        let tensors = &TensorsAt::root(source);
        let mut convs: BTreeMap<&str, &mut ConvLayer> =
            self.convs.iter_mut().map(|(name, layer)| (name.as_str(), layer)).collect();
        let mut pairs = Vec::new();
        for layer in network.layers_mut() {
            match layer {
                LayerMut::Conv(conv) => {
                    let own = convs.remove(conv.name()).filter(|own| own.trains());
                    pairs.extend(own.map(|own| Pair::Conv(conv, own)));
                }
                LayerMut::GroupNorm(norm) => {
                    let own = self.norms.get(norm.name()).filter(|own| own.trains());
                    pairs.extend(own.map(|own| Pair::GroupNorm(norm, &own.site)));
                }
            }
        }
        let level = self.level;
        each(pairs.into_iter(), |pair| match pair {
            Pair::Conv(conv, ConvLayer { site, data_gradient, .. }) => {
                site.rebuild(conv, tensors, |weight| match data_gradient {
                    Some(gradient) => Ok(gradient.repack(weight)?),
                    None => Ok(()),
                })
            }
            Pair::GroupNorm(norm, site) => {
                *norm = site.build(level.into(), tensors)?;
                Ok(())
            }
        })
    }

    /// Whether a tensor of the layer trains.
    pub(super) fn trains(&self, name: &str) -> bool {
        self.convs.get(name).is_some_and(ConvLayer::trains)
            || self.norms.get(name).is_some_and(NormLayer::trains)
    }

    pub(super) fn conv(&self, name: &str) -> Result<&ConvLayer> {
        Ok(self.convs.get(name).ok_or_else(|| missing(name))?)
    }

    /// Places of a group norm's weight and bias.
    pub(super) fn norm(&self, name: &str) -> [Option<usize>; 2] {
        self.norms.get(name).map(|layer| layer.places).unwrap_or_default()
    }
}

/// A layer that trains, in the network and here.
enum Pair<'a> {
    Conv(&'a mut crate::ops::Conv2d, &'a mut ConvLayer),
    GroupNorm(&'a mut crate::ops::GroupNorm, &'a GroupNormSite),
}

impl ConvLayer {
    fn trains(&self) -> bool {
        self.weight.or(self.bias).is_some()
    }

    /// From the outputs' gradient to the inputs'.
    pub(super) fn data_gradient(&self) -> Result<&DataGradient> {
        Ok(self.data_gradient.as_ref().ok_or_else(|| missing(&self.site.path))?)
    }
}

impl NormLayer {
    fn trains(&self) -> bool {
        self.places.iter().any(Option::is_some)
    }
}

fn missing(layer: &str) -> ModelError {
    ModelError::MissingTensor { name: format!("{layer}.weight") }
}

/// Of each layer whether its inputs' gradient may be wanted: whether something before it trains. In torchvision's order,
/// what a layer reads comes before it, and a little more.
fn wanted(sites: &[Site], trains: impl Fn(&str) -> bool) -> Vec<bool> {
    let starts = |start: &str| {
        let mut paths = sites.iter().map(Site::path);
        paths.position(|path| path.starts_with(start)).unwrap_or(0)
    };
    let before = |(index, site): (usize, &Site)| match site.path() {
        // A shortcut reads what its block reads, a lateral convolution the backbone.
        path if path.contains(".downsample.") => {
            starts(path.split("downsample.").next().unwrap_or(""))
        }
        path if path.contains(".fpn.inner_blocks.") => starts("backbone.fpn."),
        _ => index,
    };
    let first = sites.iter().position(|site| site.tensors().iter().any(|one| trains(&one.name)));
    let lowest = first.unwrap_or(sites.len());
    sites.iter().enumerate().map(|place| lowest < before(place)).collect()
}

/// Does something with each, in parallel. The error is the first in their order.
fn each<T: Send>(
    items: impl Iterator<Item = T>,
    task: impl Fn(T) -> Result<()> + Send + Sync,
) -> Result<()> {
    let items: Vec<T> = items.collect();
    let done: Vec<Result<()>> = items.into_par_iter().with_max_len(1).map(task).collect();
    done.into_iter().collect()
}

//! The model's tensors while it is trained: which there are, which train, and what they start from.

use std::collections::BTreeMap;
use std::path::Path;

use retinanet::determinism::{Determinism, Init};
use retinanet::model::{
    ModelError, RetinaNetConfig, TensorSource, TensorSpec, parameter_count, tensor_specs,
};
use retinanet::weights::Checkpoint;
use retinanet_checkpoint::{Checkpoint as File, ExpectedTensor, LoadRules, LoadedTensors};

use crate::{Error, Result};

/// Where the ResNet's tensors are.
const BODY: &str = "backbone.body.";
/// The convolution whose outputs are the classes' logits.
const LOGITS: &str = "head.classification_head.cls_logits.";

/// What a tensor does; weight decay goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A convolution's weights.
    Matrix,
    /// A convolution's bias.
    Bias,
    /// Weight or bias of a group norm.
    Norm,
    /// Weight, bias or statistics of the backbone's batch norm, which is frozen: it never trains.
    BatchNorm,
}

/// One tensor of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    name: String,
    shape: Vec<usize>,
    values: Vec<f32>,
    role: Role,
    trains: bool,
}

impl Parameter {
    /// torchvision's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Outermost side first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Row-major, to be changed.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// What it does.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether the optimiser changes it.
    pub fn trains(&self) -> bool {
        self.trains
    }

    /// Whether it belongs to the ResNet, whose learning rate may be another. The feature pyramid does not.
    pub fn is_backbone(&self) -> bool {
        self.name.starts_with(BODY)
    }
}

/// Where the tensors of a new run came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Tensors that were drawn from the seed, in checkpoint order.
    pub initialised: Vec<String>,
    /// Tensors of the file that were left out, and why.
    pub left_out: Vec<(String, &'static str)>,
}

/// Whether the classes of a checkpoint are those that are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classes {
    /// The same ones: the checkpoint must have as many.
    Kept,
    /// Others: the class-logits convolution, and nothing else, is initialised anew.
    New,
}

/// The model's tensors in checkpoint order, and which of them train.
///
/// It is a [`TensorSource`], so `RetinaNet::with_level(parameters.config(), level, &parameters)` builds the network from
/// it.
///
/// Which train, with `trainable_layers` from 0 to 5, is torchvision's rule: of the backbone's `layer4`, `layer3`, `layer2`,
/// `layer1`, `conv1`, the first so many, where the model has them; feature pyramid and heads always. Batch norm is
/// frozen in every model: its weight, bias and statistics never train. (torchvision trains the weight and bias of the
/// v2 model's batch norm, and its statistics move.)
///
/// ```
/// use retinanet::Determinism;
/// use retinanet_train::architecture;
/// use retinanet_train::parameters::Parameters;
///
/// let config = architecture::resnet18_c4_fpn_gn(2);
/// let parameters = Parameters::initialised(&config, 3, &Determinism::strict(3407))?;
/// assert!(parameters.get("backbone.body.layer2.0.conv1.weight").unwrap().trains());
/// assert!(!parameters.get("backbone.body.layer1.0.conv1.weight").unwrap().trains());
/// # Ok::<(), retinanet_train::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    config: RetinaNetConfig,
    trainable_layers: u8,
    tensors: Vec<Parameter>,
    by_name: BTreeMap<String, usize>,
}

impl Parameters {
    /// All tensors drawn from the seed, each by its own name, as torchvision initialises them.
    ///
    /// # Errors
    /// A configuration that makes no model, or more than five `trainable_layers`.
    pub fn initialised(
        config: &RetinaNetConfig,
        trainable_layers: u8,
        determinism: &Determinism,
    ) -> Result<Self> {
        let none = Given { found: None, skip: &|_| false };
        Ok(Self::start(config, trainable_layers, determinism, none)?.0)
    }

    /// The backbone's tensors from a file that has nothing else, under torchvision's names (`layer1.0.conv1.weight`), with or
    /// without `backbone.body.` in front; the rest drawn from the seed. A classifier (`fc`), counters of
    /// batch norm and stages that the model does not have are left out.
    ///
    /// # Errors
    /// A file that cannot be read, or whose tensors are not the backbone's: each that is missing, unexpected or of another
    /// shape is named. As [`initialised`](Self::initialised), too.
    pub fn from_backbone(
        config: &RetinaNetConfig,
        trainable_layers: u8,
        determinism: &Determinism,
        path: impl AsRef<Path>,
    ) -> Result<(Self, Origin)> {
        let file = File::open(path)?.rename("torchvision's ResNet", |name| {
            let short = name.strip_prefix("backbone.").unwrap_or(name);
            let short = short.strip_prefix("body.").unwrap_or(short);
            let foreign = short.starts_with("fpn.") || name.starts_with("head.");
            Ok(if foreign { name.to_owned() } else { format!("{BODY}{short}") })
        })?;
        let last = config.backbone.returned_layers.last().copied().unwrap_or(0);
        let beyond: Vec<String> =
            (last + 1..=4).map(|layer| format!("{BODY}layer{layer}.")).collect();
        let rules = LoadRules {
            may_ignore: &|name| {
                if name.starts_with("backbone.body.fc.") {
                    Some("the classifier, no part of a detector")
                } else if name.ends_with(".num_batches_tracked") {
                    Some("batch norm's counter; it is frozen here")
                } else if beyond.iter().any(|stage| name.starts_with(stage)) {
                    Some("a stage that the model does not have")
                } else {
                    None
                }
            },
            diagnosis: &|_, _| {
                "A backbone's file holds the ResNet alone; give a whole detector as weights"
                    .to_owned()
            },
        };
        let wanted: Vec<ExpectedTensor> = tensor_specs(config)?
            .into_iter()
            .filter(|spec| spec.name.starts_with(BODY))
            .map(|spec| ExpectedTensor::new(spec.name, spec.shape))
            .collect();
        let loaded = file.load_with(&wanted, &rules)?;
        let given = Given { found: Some(loaded), skip: &|name| !name.starts_with(BODY) };
        Self::start(config, trainable_layers, determinism, given)
    }

    /// All tensors from a checkpoint of the same model; with [`Classes::New`], the class-logits convolution is drawn
    /// from the seed instead, and the checkpoint may have another number of classes.
    ///
    /// # Errors
    /// Tensors that are not the model's: each that is missing, unexpected or of another shape is named. As
    /// [`initialised`](Self::initialised), too.
    pub fn from_checkpoint(
        config: &RetinaNetConfig,
        trainable_layers: u8,
        determinism: &Determinism,
        checkpoint: Checkpoint,
        classes: Classes,
    ) -> Result<(Self, Origin)> {
        let new = |name: &str| classes == Classes::New && name.starts_with(LOGITS);
        let shapes = checkpoint.shapes();
        let mut wanted = Vec::new();
        for TensorSpec { name, mut shape, .. } in tensor_specs(config)? {
            // Whatever their number; the other sides must be the model's.
            if new(&name)
                && let Some(first) = shapes.get(name.as_str()).and_then(|shape| shape.first())
            {
                shape[0] = *first;
            }
            wanted.push(ExpectedTensor::new(name, shape));
        }
        drop(shapes);
        let given = Given { found: Some(checkpoint.load(&wanted)?), skip: &new };
        Self::start(config, trainable_layers, determinism, given)
    }

    fn start(
        config: &RetinaNetConfig,
        trainable_layers: u8,
        determinism: &Determinism,
        Given { mut found, skip }: Given<'_>,
    ) -> Result<(Self, Origin)> {
        let mut initialised = Vec::new();
        let parameters = Self::filled(config, trainable_layers, |spec| match &mut found {
            Some(found) if !skip(&spec.name) => Ok(found.take(&spec.name)?),
            _ => {
                initialised.push(spec.name.clone());
                Ok(determinism.initial_values(&spec.name, &spec.shape, spec.init)?)
            }
        })?;
        let ignored = found.iter().flat_map(|found| &found.report().ignored);
        let left_out = ignored.map(|part| (part.stored_name.clone(), part.reason)).collect();
        Ok((parameters, Origin { initialised, left_out }))
    }

    /// Each tensor as `fill` says, which is asked in checkpoint order and answers as many values as the shape has.
    pub(crate) fn filled(
        config: &RetinaNetConfig,
        trainable_layers: u8,
        mut fill: impl FnMut(&TensorSpec) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        let mut tensors = Vec::new();
        for Place { spec, role, trains } in places(config, trainable_layers)? {
            let values = fill(&spec)?;
            tensors.push(Parameter { name: spec.name, shape: spec.shape, values, role, trains });
        }
        let names = tensors.iter().enumerate().map(|(index, one)| (one.name.clone(), index));
        let by_name = names.collect();
        Ok(Self { config: config.clone(), trainable_layers, tensors, by_name })
    }

    /// The model they belong to.
    pub fn config(&self) -> &RetinaNetConfig {
        &self.config
    }

    /// How many of the backbone's layers train, 0 to 5.
    pub fn trainable_layers(&self) -> u8 {
        self.trainable_layers
    }

    /// All tensors in checkpoint order.
    pub fn tensors(&self) -> &[Parameter] {
        &self.tensors
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.by_name.get(name).map(|&index| &self.tensors[index])
    }

    /// Those that train, in checkpoint order.
    pub fn trainable(&self) -> impl Iterator<Item = &Parameter> {
        self.tensors.iter().filter(|tensor| tensor.trains)
    }

    /// Those that train, in checkpoint order, to be changed.
    pub fn trainable_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        self.tensors.iter_mut().filter(|tensor| tensor.trains)
    }

    /// The same tensors with other values for those that train, in checkpoint order: an average's, say.
    ///
    /// # Errors
    /// [`Error::Length`] where they do not fit.
    pub fn with_trainable(&self, values: &[Vec<f32>]) -> Result<Self> {
        let mut other = self.clone();
        let expected = self.trainable().count();
        if values.len() != expected {
            let what = "tensors that train";
            return Err(Error::Length { what, expected, actual: values.len() });
        }
        for (tensor, values) in other.trainable_mut().zip(values) {
            let (expected, actual) = (tensor.values.len(), values.len());
            if expected != actual {
                return Err(Error::Length { what: "values of a tensor", expected, actual });
            }
            tensor.values.copy_from_slice(values);
        }
        Ok(other)
    }
}

/// What a file gives.
struct Given<'a> {
    found: Option<LoadedTensors>,
    /// Which tensors are drawn from the seed all the same.
    skip: &'a dyn Fn(&str) -> bool,
}

/// A tensor that a model has, without values.
pub(crate) struct Place {
    pub(crate) spec: TensorSpec,
    role: Role,
    pub(crate) trains: bool,
}

/// What tensors a model has, in checkpoint order, and which train.
pub(crate) fn places(config: &RetinaNetConfig, trainable_layers: u8) -> Result<Vec<Place>> {
    if trainable_layers > 5 {
        let (setting, value) = ("trainable_layers", trainable_layers.to_string());
        return Err(Error::Setting { setting, value, expected: "0 to 5" });
    }
    config.validate()?;
    // Bounds how much will be allocated.
    parameter_count(config)?;
    let specs = tensor_specs(config)?;
    let roles: Vec<Role> = specs.iter().map(|spec| role(spec, &specs)).collect();
    let places = specs.into_iter().zip(roles).map(|(spec, role)| {
        let trains = role != Role::BatchNorm && is_trained(&spec.name, trainable_layers);
        Place { spec, role, trains }
    });
    Ok(places.collect())
}

/// torchvision's rule, for a tensor that is none of batch norm's.
fn is_trained(name: &str, trainable_layers: u8) -> bool {
    let Some(name) = name.strip_prefix(BODY) else { return true };
    let layers = ["layer4.", "layer3.", "layer2.", "layer1.", "conv1."];
    layers.iter().take(usize::from(trainable_layers)).any(|layer| name.starts_with(layer))
}

fn role(spec: &TensorSpec, all: &[TensorSpec]) -> Role {
    if spec.shape.len() > 1 {
        return Role::Matrix;
    }
    if spec.name.starts_with(BODY) {
        return Role::BatchNorm;
    }
    // A norm's weight is a vector, a convolution's is not.
    let layer = spec.name.rsplit_once('.').map_or("", |(layer, _)| layer);
    let weight = format!("{layer}.weight");
    let of_norm = all.iter().any(|other| other.name == weight && other.shape.len() == 1);
    if of_norm { Role::Norm } else { Role::Bias }
}

/// Copies: the parameters stay what they are.
impl TensorSource for Parameters {
    fn tensor(&self, name: &str, shape: &[usize], _: Init) -> retinanet::Result<Vec<f32>> {
        let missing = || ModelError::MissingTensor { name: name.to_owned() };
        let tensor = self.get(name).ok_or_else(missing)?;
        if tensor.shape != shape {
            let (expected, found) = (shape.to_vec(), tensor.shape.clone());
            return Err(ModelError::TensorShape { name: name.to_owned(), expected, found }.into());
        }
        Ok(tensor.values.clone())
    }
}

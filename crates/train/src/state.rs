//! Files of a run: its whole state, to go on from, and the model that came of it, to be used.
//!
//! Both are safetensors files that appear whole or not at all. A state has the tensors `weights/NAME` (all of the
//! model's), `momentum/NAME` or `first_moment/NAME` and `second_moment/NAME`, and `ema/NAME` (of those that train), and in its
//! metadata `training_state`, JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use retinanet::model::RetinaNetConfig;
use retinanet::weights::{Checkpoint, StoredDtype, TensorData, save_safetensors};
use retinanet::{Determinism, labels::Categories};
use retinanet_checkpoint::{Checkpoint as File, ExpectedTensor};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::ema::{Ema, EmaConfig};
use crate::error::StateError;
use crate::optimiser::{GroupsConfig, Optimiser, OptimiserConfig};
use crate::parameters::{Classes, Parameters, Place, places};

const KEY: &str = "training_state";
const FORMAT: &str = "retinanet.training_state";
const VERSION: u32 = 1;

/// All that the next step depends on, beside the recipe and the data.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingState {
    /// Steps that were made.
    pub step: u64,
    /// The model's tensors.
    pub parameters: Parameters,
    /// The optimiser and its moments.
    pub optimiser: Optimiser,
    /// The average of the weights, where the run keeps one.
    pub ema: Option<Ema>,
    /// The digest of the recipe it belongs to, as 64 hexadecimal digits.
    pub recipe: String,
}

/// What the settings of a run make of its files; they are the recipe's, and so in no state.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSettings {
    /// Which optimiser.
    pub optimiser: OptimiserConfig,
    /// Weight decay by group.
    pub groups: GroupsConfig,
    /// The average of the weights.
    pub ema: Option<EmaConfig>,
    /// The digest of the recipe.
    pub recipe: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    version: u32,
    step: u64,
    trainable_layers: u8,
    recipe: String,
    /// The model's configuration in its own JSON form.
    model: String,
}

impl TrainingState {
    /// Writes it to `path`, whole or not at all, flushed to the disk.
    ///
    /// # Errors
    /// [`retinanet::WriteError`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            step: self.step,
            trainable_layers: self.parameters.trainable_layers(),
            recipe: self.recipe.clone(),
            model: self.parameters.config().to_json()?,
        };
        let invalid = |error: serde_json::Error| StateError::Invalid {
            path: path.as_ref().to_owned(),
            reason: error.to_string(),
        };
        let header = serde_json::to_string(&header).map_err(invalid)?;
        let trainable = || self.parameters.trainable();
        let mut tensors: Vec<(String, &[usize], &[f32])> = Vec::new();
        for one in self.parameters.tensors() {
            tensors.push((format!("weights/{}", one.name()), one.shape(), one.values()));
        }
        let kinds = self.optimiser.config().moment_names().iter();
        let mut lists: Vec<(&str, &[Vec<f32>])> = kinds
            .zip(self.optimiser.moments())
            .map(|(kind, list)| (*kind, list.as_slice()))
            .collect();
        lists.extend(self.ema.as_ref().map(|ema| ("ema", ema.values())));
        for (kind, list) in lists {
            for (one, values) in trainable().zip(list) {
                tensors.push((format!("{kind}/{}", one.name()), one.shape(), values));
            }
        }
        write(path.as_ref(), &tensors, BTreeMap::from([(KEY.to_owned(), header)]))
    }

    /// Reads a state that [`save`](Self::save) wrote in a run with these settings.
    ///
    /// # Errors
    /// [`StateError`] for a file that is no state, a newer one, or one of another recipe; what the file's tensors lack.
    pub fn open(path: impl AsRef<Path>, settings: &RunSettings) -> Result<Self> {
        let path = path.as_ref();
        let invalid = |reason: String| StateError::Invalid { path: path.to_owned(), reason };
        let file = File::open(path)?;
        let Some(text) = file.metadata().get(KEY) else {
            let reason =
                "it is a file of tensors, but no state of a run; give it as weights of a recipe";
            return Err(invalid(reason.to_owned()).into());
        };
        let header: Header = serde_json::from_str(text)
            .map_err(|error| invalid(format!("its header: {:?}", error.to_string())))?;
        if header.format != FORMAT || header.version != VERSION {
            let reason = format!(
                "it is {:?}, version {}; this release reads {FORMAT:?}, version {VERSION}",
                header.format, header.version
            );
            return Err(invalid(reason).into());
        }
        if header.recipe != settings.recipe {
            let (path, theirs) = (path.to_owned(), header.recipe);
            let ours = settings.recipe.clone();
            return Err(StateError::OtherRecipe { path, theirs, ours }.into());
        }
        let config = RetinaNetConfig::from_json(&header.model)?;
        let places = places(&config, header.trainable_layers)?;
        let named = |kind: &str, place: &Place| format!("{kind}/{}", place.spec.name);
        let expected = |kind: &str, place: &Place| {
            ExpectedTensor::new(named(kind, place), place.spec.shape.as_slice())
        };
        let mut kinds = settings.optimiser.moment_names().to_vec();
        kinds.extend(settings.ema.map(|_| "ema"));
        let mut wanted: Vec<ExpectedTensor> =
            places.iter().map(|place| expected("weights", place)).collect();
        let trainable = || places.iter().filter(|place| place.trains);
        for kind in &kinds {
            wanted.extend(trainable().map(|place| expected(kind, place)));
        }
        let mut loaded = file.load(&wanted)?;
        let parameters = Parameters::filled(&config, header.trainable_layers, |spec| {
            Ok(loaded.take(&format!("weights/{}", spec.name))?)
        })?;
        let mut lists = Vec::new();
        for kind in &kinds {
            let list = trainable().map(|place| loaded.take(&named(kind, place)));
            lists.push(list.collect::<Result<Vec<_>, _>>()?);
        }
        let ema = match settings.ema {
            Some(ema) => Some(Ema::resume(ema, lists.pop().unwrap_or_default(), &parameters)?),
            None => None,
        };
        let (config, groups) = (settings.optimiser, settings.groups);
        let optimiser = Optimiser::resume(config, groups, header.step, lists, &parameters)?;
        let recipe = header.recipe;
        Ok(Self { step: header.step, parameters, optimiser, ema, recipe })
    }

    /// The model to be used: with the average of the weights where there is one.
    ///
    /// # Errors
    /// Where the average is another model's.
    pub fn model(&self) -> Result<Cow<'_, Parameters>> {
        match &self.ema {
            Some(ema) => Ok(Cow::Owned(self.parameters.with_trainable(ema.values())?)),
            None => Ok(Cow::Borrowed(&self.parameters)),
        }
    }
}

/// Writes a checkpoint that describes itself, as `retinanet weights convert` does: `Detector`, `detect` and `eval` take
/// it as it is. `notes` go into its metadata too (the recipe's digest, say).
///
/// # Errors
/// [`retinanet::WriteError`]. (Classes without names are called `class 0`, ..)
pub fn save_model(
    path: impl AsRef<Path>,
    parameters: &Parameters,
    notes: &BTreeMap<String, String>,
) -> Result<()> {
    let mut config = parameters.config().clone();
    if config.categories.is_none() {
        config.categories = Some(Categories::unnamed(config.num_classes)?.into());
    }
    let text = config.to_json()?;
    // There is a limit to what is read back.
    RetinaNetConfig::from_json(&text)?;
    let mut metadata = notes.clone();
    metadata.insert("config".to_owned(), text);
    metadata.entry("format".to_owned()).or_insert_with(|| "pt".to_owned());
    let tensors = parameters.tensors().iter();
    let tensors: Vec<(String, &[usize], &[f32])> =
        tensors.map(|one| (one.name().to_owned(), one.shape(), one.values())).collect();
    write(path.as_ref(), &tensors, metadata)
}

/// Reads a checkpoint that [`save_model`] wrote, or any other that describes itself.
///
/// # Errors
/// As [`Parameters::from_checkpoint`]; [`StateError::Invalid`] for a file without a configuration.
pub fn open_model(path: impl AsRef<Path>, trainable_layers: u8) -> Result<Parameters> {
    let path = path.as_ref();
    let checkpoint = Checkpoint::open(path)?;
    let Some(text) = checkpoint.metadata().get("config") else {
        let reason =
            "it does not describe its model; `retinanet weights convert` makes one that does";
        let path = path.to_owned();
        return Err(StateError::Invalid { path, reason: reason.to_owned() }.into());
    };
    let config = RetinaNetConfig::from_json(text)?;
    let determinism = Determinism::default();
    let (parameters, _) = Parameters::from_checkpoint(
        &config,
        trainable_layers,
        &determinism,
        checkpoint,
        Classes::Kept,
    )?;
    Ok(parameters)
}

fn write(
    path: &Path,
    tensors: &[(String, &[usize], &[f32])],
    metadata: BTreeMap<String, String>,
) -> Result<()> {
    let bytes: Vec<Cow<'_, [u8]>> = tensors.iter().map(|tensor| little_endian(tensor.2)).collect();
    let data: Vec<TensorData<'_>> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| TensorData { name, dtype: StoredDtype::F32, shape, bytes })
        .collect();
    Ok(save_safetensors(path, &data, &metadata)?)
}

/// Without a copy where memory has that order.
fn little_endian(values: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        Cow::Owned(values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

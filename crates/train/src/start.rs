//! What a recipe's run begins with: the model, and its tensors.

use std::path::Path;

use retinanet::Detector;
use retinanet::model::RetinaNetConfig;
use retinanet::weights::FetchOptions;

use crate::Result;
use crate::architecture;
use crate::error::RecipeError;
use crate::parameters::{Classes, Origin, Parameters};
use crate::recipe::Recipe;

/// A model's configuration is never larger.
const MAX_BYTES: u64 = 1 << 20;

/// Builds the model that the recipe describes and reads or draws its tensors. `fetch` says how weights that are named, not
/// given as a file, are found; `None` is by the environment's variables.
///
/// # Errors
/// [`RecipeError::Setting`] for keys that do not fit together, and those of [`Parameters`] and of
/// [`DetectorBuilder::read_weights`](retinanet::DetectorBuilder::read_weights).
pub fn start(recipe: &Recipe, fetch: Option<FetchOptions>) -> Result<(Parameters, Origin)> {
    let model = &recipe.model;
    let (layers, determinism) = (model.trainable_layers, recipe.determinism());
    if let Some(given) = &model.weights {
        // A name of the manifest is no file, and stays as it is.
        let file = recipe.resolve(given);
        let endings = ["safetensors", "pth", "pt"];
        let is_path = given.components().count() > 1
            || given.extension().is_some_and(|end| endings.iter().any(|ending| end == *ending));
        let given = if is_path || file.exists() { &file } else { given };
        let mut builder = Detector::builder().weights(given);
        if let Some(fetch) = fetch {
            builder = builder.fetch_options(fetch);
        }
        let (checkpoint, described) = builder.read_weights()?;
        let config = settled(recipe, described.clone());
        let same = config.categories == described.categories;
        let classes = if same { Classes::Kept } else { Classes::New };
        return Parameters::from_checkpoint(&config, layers, &determinism, checkpoint, classes);
    }
    let config = match (&model.architecture, &model.config) {
        (Some(name), _) => {
            let config = architecture::by_name(name, 1);
            config.ok_or_else(|| fault("model.architecture", format!("is unknown: {name:?}")))?
        }
        (None, Some(file)) => read_config(&recipe.resolve(file))?,
        (None, None) => {
            let reason = "is missing; give one, or `config`, or `weights`";
            return Err(fault("model.architecture", reason.to_owned()).into());
        }
    };
    let config = settled(recipe, config);
    if config.categories.is_none() {
        let reason = "is missing, and the configuration names no classes; name what is to be found";
        return Err(fault("model.categories", reason.to_owned()).into());
    }
    match &model.backbone {
        Some(backbone) => {
            Parameters::from_backbone(&config, layers, &determinism, recipe.resolve(backbone))
        }
        None => {
            let parameters = Parameters::initialised(&config, layers, &determinism)?;
            let names = parameters.tensors().iter().map(|tensor| tensor.name().to_owned());
            let initialised = names.collect();
            Ok((parameters, Origin { initialised, left_out: Vec::new() }))
        }
    }
}

/// The configuration with what the recipe says of classes and sizes.
fn settled(recipe: &Recipe, mut config: RetinaNetConfig) -> RetinaNetConfig {
    if let Some(names) = &recipe.model.categories {
        let background = std::iter::once("__background__".to_owned());
        let categories: Vec<String> = background.chain(names.iter().cloned()).collect();
        config.num_classes = categories.len();
        config.categories = Some(categories);
    }
    let transform = &mut config.transform;
    transform.min_size = recipe.model.min_size.unwrap_or(transform.min_size);
    transform.max_size = recipe.model.max_size.unwrap_or(transform.max_size);
    config
}

fn read_config(path: &Path) -> Result<RetinaNetConfig> {
    let read = || {
        let file = retinanet::files::open_regular(path)?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::io::Read::take(file, MAX_BYTES + 1), &mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error: std::io::Error| {
        fault("model.config", format!("cannot be read: {path:?}: {error}"))
    })?;
    Ok(RetinaNetConfig::from_json(&text)
        .map_err(|error| fault("model.config", format!("is no model: {path:?}: {error}")))?)
}

fn fault(key: &str, reason: String) -> RecipeError {
    RecipeError::Setting { key: key.to_owned(), reason }
}

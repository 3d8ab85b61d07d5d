//! The samples of a recipe's run.

use std::path::Path;

use retinanet::labels::Categories;
use retinanet::model::RetinaNetConfig;

use crate::Result;
use crate::data::{
    PreviewFile, RunShape, SampleSource, TrainingSet, TrainingSetConfig, write_preview,
};
use crate::recipe::Recipe;
use crate::start::start;

/// The most bytes of decoded pictures that are kept.
const CACHE: usize = 1 << 30;

/// Draws the first samples of a recipe's run into a folder, to be looked at.
///
/// # Errors
/// What the recipe's model and data lack, and what cannot be written.
pub fn preview(recipe: &Recipe, count: u64, folder: &Path) -> Result<Vec<PreviewFile>> {
    let (parameters, _) = start(recipe, None)?;
    let source = samples_of(recipe, parameters.config())?;
    Ok(write_preview(&source, count, folder)?)
}

/// The samples of a recipe's run, for a model of this configuration.
pub(super) fn samples_of(recipe: &Recipe, config: &RetinaNetConfig) -> Result<SampleSource> {
    let categories = config.categories.clone().map(Categories::new).transpose()?;
    let set = TrainingSet::open(
        &recipe.resolve(&recipe.data.annotations),
        &recipe.resolve(&recipe.data.images),
        &TrainingSetConfig { categories, keep_empty: recipe.data.keep_empty },
    )?;
    let batch = usize::try_from(recipe.run.batch).unwrap_or(usize::MAX);
    let shape = RunShape { seed: recipe.run.seed, batch, steps: recipe.run.steps };
    SampleSource::new(set, config.transform.clone(), recipe.augment.clone(), shape, CACHE)
}

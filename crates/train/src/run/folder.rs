//! A run's files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use retinanet::WriteError;
use retinanet::determinism::{Digest, NUMERICS_VERSION};
use retinanet::files::write_whole;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::RunError;
use crate::recipe::Recipe;
use crate::state::TrainingState;

/// The folder of a run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    root: PathBuf,
}

/// Where a run's recipe lay: a hint for those who look at the run later.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hint {
    recipe_folder: PathBuf,
}

impl RunFolder {
    /// The run in this folder, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The recipe, as it was given.
    pub fn recipe(&self) -> PathBuf {
        self.root.join("recipe.toml")
    }

    /// The chained log.
    pub fn log(&self) -> PathBuf {
        self.root.join("log.jsonl")
    }

    /// Losses, scores and times.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }

    /// Losses, learning rate and scores, drawn.
    pub fn curves(&self) -> PathBuf {
        self.root.join("curves.svg")
    }

    /// The model as it is.
    pub fn model(&self) -> PathBuf {
        self.root.join("model.safetensors")
    }

    /// The model with the highest AP.
    pub fn best(&self) -> PathBuf {
        self.root.join("best.safetensors")
    }

    /// The state after so many steps.
    pub fn state(&self, step: u64) -> PathBuf {
        self.states_folder().join(format!("step-{step:09}.safetensors"))
    }

    fn states_folder(&self) -> PathBuf {
        self.root.join("states")
    }

    fn hint(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// The saved states, with their steps, earliest first.
    ///
    /// # Errors
    /// [`RunError::Folder`] where the folder cannot be read.
    pub fn states(&self) -> Result<Vec<(u64, PathBuf)>> {
        let folder = self.states_folder();
        let unreadable = |source| RunError::Folder { path: folder.clone(), source };
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error).into()),
        };
        let mut states = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let number = name.strip_prefix("step-").and_then(|n| n.strip_suffix(".safetensors"));
            if let Some(step) = number.and_then(|number| number.parse().ok()) {
                states.push((step, path));
            }
        }
        states.sort();
        Ok(states)
    }

    /// A run that begins replaces no model of another one.
    pub(super) fn check_free(&self) -> Result<()> {
        match [self.model(), self.best()].into_iter().find(|path| path.exists()) {
            Some(path) => Err(RunError::Occupied { path }.into()),
            None => Ok(()),
        }
    }

    /// Makes the folders.
    pub(super) fn create(&self) -> Result<()> {
        let states = self.states_folder();
        Ok(fs::create_dir_all(&states).map_err(|source| WriteError { path: states, source })?)
    }

    /// Puts the recipe on record, as it was given.
    pub(super) fn write_recipe(&self, text: &str) -> Result<()> {
        Ok(write_whole(self.recipe(), text.as_bytes())?)
    }

    /// Puts on record where the recipe lies now.
    pub(super) fn write_hint(&self, recipe: &Recipe) -> Result<()> {
        let folder = recipe.resolve(Path::new(""));
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        // A path that JSON cannot hold is left out; `--recipe` says where the recipe is.
        let hint = serde_json::to_string(&Hint { recipe_folder: folder }).unwrap_or_default();
        Ok(write_whole(self.hint(), (hint + "\n").as_bytes())?)
    }

    /// Removes what a process that was killed left of files that it was writing.
    pub(super) fn remove_remains(&self) -> Result<()> {
        for folder in [self.root.clone(), self.states_folder()] {
            let unreadable = |source| RunError::Folder { path: folder.clone(), source };
            for entry in fs::read_dir(&folder).map_err(unreadable)? {
                let path = entry.map_err(unreadable)?.path();
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if name.starts_with(".retinanet-") && name.ends_with(".tmp") {
                    fs::remove_file(&path).map_err(|source| WriteError { path, source })?;
                }
            }
        }
        Ok(())
    }

    /// The recipe that is on record; its paths are relative to where it lay.
    ///
    /// # Errors
    /// Those of [`Recipe::open`].
    pub fn open_recipe(&self) -> Result<(Recipe, String)> {
        let (_, text) = Recipe::read(self.recipe())?;
        let hint = fs::read_to_string(self.hint()).ok();
        let hint: Option<Hint> = hint.and_then(|hint| serde_json::from_str(&hint).ok());
        let place = match hint {
            Some(hint) => hint.recipe_folder.join("recipe.toml"),
            None => self.recipe(),
        };
        Ok((Recipe::parse(&text, place)?, text))
    }

    /// Removes the earliest states but for `count`.
    pub(super) fn keep(&self, count: u64) -> Result<()> {
        let states = self.states()?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        for (_, path) in &states[..states.len().saturating_sub(count)] {
            let unwritable = |source| WriteError { path: path.clone(), source };
            fs::remove_file(path).map_err(unwritable)?;
        }
        Ok(())
    }

    /// What a model's metadata says of the run.
    pub(super) fn notes(&self, state: &TrainingState, head: Digest) -> BTreeMap<String, String> {
        [
            ("training_recipe", state.recipe.clone()),
            ("training_step", state.step.to_string()),
            ("training_log_head", head.to_string()),
            ("numerics", NUMERICS_VERSION.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }
}

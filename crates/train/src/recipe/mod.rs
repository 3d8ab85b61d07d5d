//! Recipes: all that a run depends on, in one strict TOML file.
//!
//! An unknown key is an error that names the nearest known one; a value of the wrong type or out of range is an error that
//! names key and line.

mod sections;
mod text;

use std::path::{Path, PathBuf};

use retinanet::determinism::{Determinism, Digest, digest_u8};
use serde::{Deserialize, Serialize};

pub use sections::{
    Boxes, DataRecipe, DecayKind, LossRecipe, ModelRecipe, OptimiserKind, OptimiserRecipe,
    RunRecipe, ScheduleRecipe,
};

use crate::Result;
use crate::data::AugmentConfig;
use crate::ema::EmaConfig;
use crate::error::RecipeError;
use crate::gradient_sum::LossSums;
use crate::losses::{DivideBy, LossConfig};
use crate::optimiser::{GroupsConfig, OptimiserConfig};
use crate::schedule::Schedule;
use crate::state::RunSettings;
use text::Text;

/// No recipe is larger.
const MAX_BYTES: u64 = 1 << 20;

/// A recipe, read and checked.
///
/// ```
/// use retinanet_train::recipe::Recipe;
///
/// let recipe = Recipe::parse(Recipe::example(), "example.toml")?;
/// assert_eq!(recipe.run.batch, 16);
/// println!("recipe {}", recipe.digest()?);
/// let error = Recipe::parse("[run]\nbatsch = 4\n", "mine.toml").unwrap_err().to_string();
/// assert!(error.contains("line 2") && error.contains("did you mean `batch`"), "{error}");
/// # Ok::<(), retinanet_train::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What is trained.
    #[serde(default)]
    pub model: ModelRecipe,
    /// What it is trained on.
    pub data: DataRecipe,
    /// How pictures are changed.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// How the weights change.
    #[serde(default)]
    pub optimiser: OptimiserRecipe,
    /// The learning rate over time.
    #[serde(default)]
    pub schedule: ScheduleRecipe,
    /// What is minimised.
    #[serde(default)]
    pub loss: LossRecipe,
    /// How long and how often.
    #[serde(default)]
    pub run: RunRecipe,
    /// What paths are relative to; no part of the recipe.
    #[serde(skip)]
    folder: PathBuf,
}

impl Recipe {
    /// A commented recipe with every key; what is not commented out is the default.
    pub fn example() -> &'static str {
        include_str!("example.toml")
    }

    /// Reads a recipe; its paths are relative to the file's folder.
    ///
    /// # Errors
    /// [`RecipeError`] naming the file, and key and line where one is at fault.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::read(path)?.0)
    }

    /// Reads a recipe and answers its text, too: a run keeps it.
    ///
    /// # Errors
    /// As [`Recipe::open`].
    pub fn read(path: impl AsRef<Path>) -> Result<(Self, String)> {
        let path = path.as_ref();
        let read = |source| RecipeError::Read { path: path.to_owned(), source };
        let file = retinanet::files::open_regular(path).map_err(read)?;
        let mut text = String::new();
        let mut start = std::io::Read::take(file, MAX_BYTES + 1);
        std::io::Read::read_to_string(&mut start, &mut text).map_err(read)?;
        if text.len() as u64 > MAX_BYTES {
            let reason = format!("it has more than {MAX_BYTES} bytes");
            return Err(read(std::io::Error::new(std::io::ErrorKind::InvalidData, reason)).into());
        }
        Ok((Self::parse(&text, path)?, text))
    }

    /// Reads a recipe from its text; `path` is where it is from: for messages, and its folder is what the recipe's paths are
    /// relative to.
    ///
    /// # Errors
    /// As [`Recipe::open`].
    pub fn parse(text: &str, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = Text { path, text };
        let mut recipe: Self = text.read()?;
        recipe.folder = path.parent().map(Path::to_owned).unwrap_or_default();
        recipe.check().map_err(|(key, reason)| text.refuse(&key, reason))?;
        Ok(recipe)
    }

    /// A path of the recipe, from where the process is.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// The seed of all randomness.
    pub fn determinism(&self) -> Determinism {
        Determinism::strict(self.run.seed)
    }

    /// The optimiser.
    pub fn optimiser(&self) -> OptimiserConfig {
        self.optimiser.config()
    }

    /// Weight decay and learning rate by group.
    pub fn groups(&self) -> GroupsConfig {
        self.optimiser.groups()
    }

    /// The moving average, where there is one.
    pub fn ema(&self) -> Option<EmaConfig> {
        self.optimiser.ema()
    }

    /// The learning rate at each step.
    ///
    /// # Errors
    /// None, for a recipe that was read.
    pub fn schedule(&self) -> Result<Schedule> {
        self.schedule.schedule(self.optimiser.learning_rate, self.run.steps)
    }

    /// The losses.
    pub fn loss(&self) -> LossConfig {
        self.loss.config()
    }

    /// What the sums over a step are divided by, gradients and losses: its images, or its anchors that have an object (at
    /// least 1).
    pub fn divisor(&self, sums: &LossSums) -> u64 {
        let divisor = match self.loss.divide_by {
            DivideBy::Image => sums.images,
            DivideBy::Batch => sums.foreground,
        };
        divisor.max(1)
    }

    /// What the files of a run depend on.
    ///
    /// # Errors
    /// As [`Recipe::digest`].
    pub fn run_settings(&self) -> Result<RunSettings> {
        let (optimiser, groups, ema) = (self.optimiser(), self.groups(), self.ema());
        Ok(RunSettings { optimiser, groups, ema, recipe: self.digest()?.to_string() })
    }

    /// The digest of what the recipe says: of its canonical JSON, every key in a fixed order. Comments, order, formatting
    /// and defaults that are written out do not change it. Paths count as they are written; what is in the files does not.
    ///
    /// # Errors
    /// None, for a recipe that was read.
    pub fn digest(&self) -> Result<Digest> {
        let json = serde_json::to_string(self).unwrap_or_default();
        Ok(digest_u8("recipe", &[json.len()], json.as_bytes())?)
    }

    /// The key at fault and what is wrong with it.
    fn check(&self) -> Result<(), (String, String)> {
        self.model.check()?;
        self.data.check()?;
        self.augment.validate().map_err(|error| sections::at("augment", &error))?;
        self.optimiser.check()?;
        self.loss.check()?;
        self.run.check()?;
        let schedule = self.schedule.schedule(self.optimiser.learning_rate, self.run.steps);
        schedule.map(|_| ()).map_err(|error| sections::at("schedule", &error))
    }
}

impl Default for Recipe {
    /// What [`Recipe::example`] says.
    fn default() -> Self {
        Self {
            model: ModelRecipe::example(),
            data: DataRecipe::example(),
            augment: AugmentConfig::default(),
            optimiser: OptimiserRecipe::default(),
            schedule: ScheduleRecipe::default(),
            loss: LossRecipe::default(),
            run: RunRecipe::default(),
            folder: PathBuf::new(),
        }
    }
}

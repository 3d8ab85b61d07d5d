//! A recipe's sections. Every key is explained in the example.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::architecture;
use crate::ema::EmaConfig;
use crate::losses::{BoxLoss, DivideBy, LossConfig};
use crate::matching::MatcherConfig;
use crate::optimiser::{AdamWConfig, GroupsConfig, OptimiserConfig, SgdConfig};
use crate::schedule::{Decay, Schedule};
use crate::{Error, Result};

/// The key at fault and what is wrong with it.
type Fault = (String, String);

/// A setting's error as a fault of its section's key.
pub(super) fn at(section: &str, error: &Error) -> Fault {
    match error {
        Error::Setting { setting, value, expected } => {
            // Some name their section themselves.
            let inside = setting.strip_prefix(section).and_then(|rest| rest.strip_prefix('.'));
            let key = format!("{section}.{}", inside.unwrap_or(setting));
            (key, format!("is {value}; expected {expected}"))
        }
        other => (section.to_owned(), other.to_string()),
    }
}

fn check(fine: bool, key: &str, value: impl ToString, expected: &str) -> Result<(), Fault> {
    match fine {
        true => Ok(()),
        false => Err((key.to_owned(), format!("is {}; expected {expected}", value.to_string()))),
    }
}

/// `[model]`: what is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelRecipe {
    /// One of [`architecture::NAMES`].
    pub architecture: Option<String>,
    /// A JSON file with a model's configuration.
    pub config: Option<PathBuf>,
    /// A whole detector: a file, or a name of the weights manifest.
    pub weights: Option<PathBuf>,
    /// A ResNet alone.
    pub backbone: Option<PathBuf>,
    /// How many of the backbone's layers train, 0 to 5.
    pub trainable_layers: u8,
    /// The classes without the background.
    pub categories: Option<Vec<String>>,
    /// The short side of pictures.
    pub min_size: Option<usize>,
    /// The most of their long side.
    pub max_size: Option<usize>,
}

impl Default for ModelRecipe {
    fn default() -> Self {
        Self {
            architecture: None,
            config: None,
            weights: None,
            backbone: None,
            trainable_layers: 3,
            categories: None,
            min_size: None,
            max_size: None,
        }
    }
}

impl ModelRecipe {
    pub(super) fn example() -> Self {
        Self {
            architecture: Some("retinanet_resnet50_fpn_v2".to_owned()),
            categories: Some(vec!["person".to_owned()]),
            ..Self::default()
        }
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        let fault = |key: &str, reason: &str| Err((format!("model.{key}"), reason.to_owned()));
        check(
            self.trainable_layers <= 5,
            "model.trainable_layers",
            self.trainable_layers,
            "0 to 5",
        )?;
        if let Some(name) = &self.architecture {
            let known = architecture::NAMES.contains(&name.as_str());
            let expected = format!("one of {}", architecture::NAMES.join(", "));
            check(known, "model.architecture", format!("{name:?}"), &expected)?;
        }
        if self.weights.is_some() && self.backbone.is_some() {
            return fault("backbone", "cannot be given beside `weights`, which have their own");
        }
        let described =
            [self.architecture.is_some(), self.config.is_some(), self.weights.is_some()];
        match described.iter().filter(|given| **given).count() {
            1 => {}
            0 => return fault("architecture", "is missing; give one, or `config`, or `weights`"),
            _ => {
                let key = if self.config.is_some() { "config" } else { "architecture" };
                return fault(
                    key,
                    "says what another key says; give one of `architecture`, `config` and `weights`",
                );
            }
        }
        match &self.categories {
            None if self.architecture.is_some() => {
                return fault("categories", "is missing; name what is to be found");
            }
            Some(names) if names.is_empty() => return fault("categories", "is empty"),
            Some(names) => {
                let repeated =
                    names.iter().enumerate().find(|(i, name)| names[..*i].contains(name));
                if let Some((_, name)) = repeated {
                    return fault("categories", &format!("has {name:?} twice"));
                }
                if names.iter().any(|name| name == "__background__") {
                    return fault(
                        "categories",
                        "has \"__background__\", which is added anyway; leave it out",
                    );
                }
            }
            None => {}
        }
        for (key, size) in [("model.min_size", self.min_size), ("model.max_size", self.max_size)] {
            if let Some(size) = size {
                check((1..=1 << 16).contains(&size), key, size, "1 to 65536")?;
            }
        }
        Ok(())
    }
}

/// `[data]`: what is trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecipe {
    /// COCO's JSON.
    pub annotations: PathBuf,
    /// The folder of its pictures.
    pub images: PathBuf,
    /// What the model is evaluated on.
    pub validation_annotations: Option<PathBuf>,
    /// The folder of its pictures.
    pub validation_images: Option<PathBuf>,
    /// Whether pictures on which nothing is annotated are trained on, as pure background.
    #[serde(default)]
    pub keep_empty: bool,
}

impl DataRecipe {
    pub(super) fn example() -> Self {
        Self {
            annotations: "train.json".into(),
            images: "images".into(),
            validation_annotations: None,
            validation_images: None,
            keep_empty: false,
        }
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        let lone = match (&self.validation_annotations, &self.validation_images) {
            (Some(_), None) => "validation_images",
            (None, Some(_)) => "validation_annotations",
            _ => return Ok(()),
        };
        Err((format!("data.{lone}"), "is missing, and its counterpart is there".to_owned()))
    }
}

/// Which optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimiserKind {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam with decoupled weight decay.
    AdamW,
}

/// `[optimiser]`: how the weights change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimiserRecipe {
    /// Which one.
    pub kind: OptimiserKind,
    /// The base rate.
    pub learning_rate: f64,
    /// Of SGD.
    pub momentum: f64,
    /// Of AdamW.
    pub beta1: f64,
    /// Of AdamW.
    pub beta2: f64,
    /// Of AdamW.
    pub eps: f64,
    /// Of the convolutions' weights.
    pub weight_decay: f64,
    /// Of the group norms.
    pub norm_weight_decay: f64,
    /// Of the convolutions' biases.
    pub bias_weight_decay: f64,
    /// The backbone's share of the learning rate.
    pub backbone_factor: f64,
    /// The largest norm of all gradients.
    pub clip_norm: Option<f32>,
    /// How much of the moving average is kept.
    pub ema_decay: Option<f64>,
    /// Less of it at first.
    pub ema_ramp: Option<f64>,
}

impl Default for OptimiserRecipe {
    /// torchvision's recipe of v1, with its rate for 16 pictures.
    fn default() -> Self {
        let (sgd, adam_w, groups) =
            (SgdConfig::default(), AdamWConfig::default(), GroupsConfig::default());
        Self {
            kind: OptimiserKind::Sgd,
            learning_rate: 0.01,
            momentum: sgd.momentum,
            beta1: adam_w.beta1,
            beta2: adam_w.beta2,
            eps: adam_w.eps,
            weight_decay: groups.weight_decay,
            norm_weight_decay: groups.norm_weight_decay,
            bias_weight_decay: groups.bias_weight_decay,
            backbone_factor: groups.backbone_factor,
            clip_norm: None,
            ema_decay: None,
            ema_ramp: None,
        }
    }
}

impl OptimiserRecipe {
    pub(super) fn config(&self) -> OptimiserConfig {
        let Self { momentum, beta1, beta2, eps, .. } = *self;
        match self.kind {
            OptimiserKind::Sgd => OptimiserConfig::Sgd(SgdConfig { momentum }),
            OptimiserKind::AdamW => OptimiserConfig::AdamW(AdamWConfig { beta1, beta2, eps }),
        }
    }

    pub(super) fn groups(&self) -> GroupsConfig {
        let Self { weight_decay, norm_weight_decay, bias_weight_decay, backbone_factor, .. } =
            *self;
        GroupsConfig { weight_decay, norm_weight_decay, bias_weight_decay, backbone_factor }
    }

    pub(super) fn ema(&self) -> Option<EmaConfig> {
        let ramp = self.ema_ramp.unwrap_or(0.0);
        self.ema_decay.map(|decay| EmaConfig { decay, ramp })
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        // Keys of the other kind too: they stand in the recipe.
        let Self { momentum, beta1, beta2, eps, .. } = *self;
        let fault = |error: Error| at("optimiser", &error);
        OptimiserConfig::Sgd(SgdConfig { momentum }).check().map_err(fault)?;
        OptimiserConfig::AdamW(AdamWConfig { beta1, beta2, eps }).check().map_err(fault)?;
        self.groups().check().map_err(fault)?;
        let rate = self.learning_rate;
        check((0.0..=1000.0).contains(&rate), "optimiser.learning_rate", rate, "0 to 1000")?;
        if let Some(norm) = self.clip_norm {
            check(norm > 0.0 && norm.is_finite(), "optimiser.clip_norm", norm, "a number above 0")?;
        }
        match (self.ema(), self.ema_ramp) {
            (Some(ema), _) => ema.check().map_err(fault),
            (None, Some(_)) => {
                Err(("optimiser.ema_ramp".to_owned(), "needs `ema_decay`".to_owned()))
            }
            (None, None) => Ok(()),
        }
    }
}

/// How the learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecayKind {
    /// Not at all.
    Constant,
    /// By a factor at some steps.
    MultiStep,
    /// Along half a cosine.
    Cosine,
}

/// `[schedule]`: the learning rate over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleRecipe {
    /// How it falls.
    pub kind: DecayKind,
    /// The first steps.
    pub warm_up_steps: u64,
    /// The share of the rate that they begin at.
    pub warm_up_factor: f64,
    /// Of multi-step.
    pub milestones: Vec<u64>,
    /// Of multi-step.
    pub gamma: f64,
    /// Of the cosine.
    pub last_factor: f64,
}

impl Default for ScheduleRecipe {
    fn default() -> Self {
        Self {
            kind: DecayKind::MultiStep,
            warm_up_steps: 1000,
            warm_up_factor: 0.001,
            milestones: vec![60_000, 80_000],
            gamma: 0.1,
            last_factor: 0.01,
        }
    }
}

impl ScheduleRecipe {
    pub(super) fn schedule(&self, base: f64, steps: u64) -> Result<Schedule> {
        let new =
            |decay| Schedule::new(base, self.warm_up_steps, self.warm_up_factor, decay, steps);
        let decays = [
            Decay::Constant,
            Decay::MultiStep { milestones: self.milestones.clone(), gamma: self.gamma },
            Decay::Cosine { last_factor: self.last_factor },
        ];
        // Keys of the other kinds are checked too: they stand in the recipe.
        let [constant, multi_step, cosine] = decays.map(new);
        let (constant, multi_step, cosine) = (constant?, multi_step?, cosine?);
        Ok(match self.kind {
            DecayKind::Constant => constant,
            DecayKind::MultiStep => multi_step,
            DecayKind::Cosine => cosine,
        })
    }
}

/// How boxes are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boxes {
    /// The distance between regressions.
    L1,
    /// The generalised intersection over union.
    Giou,
}

/// `[loss]`: what is minimised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossRecipe {
    /// How boxes are compared.
    pub boxes: Boxes,
    /// The focal loss's weight of the right class.
    pub alpha: f32,
    /// From this overlap on, an anchor belongs to an object.
    pub high: f32,
    /// Below this, it is background.
    pub low: f32,
    /// What the losses are divided by.
    pub divide_by: DivideBy,
}

impl Default for LossRecipe {
    /// torchvision's v2.
    fn default() -> Self {
        let LossConfig { matcher, alpha, divide_by, .. } = LossConfig::new(BoxLoss::Giou);
        let MatcherConfig { high, low, .. } = matcher;
        Self { boxes: Boxes::Giou, alpha, high, low, divide_by }
    }
}

impl LossRecipe {
    pub(super) fn config(&self) -> LossConfig {
        let box_loss = match self.boxes {
            Boxes::L1 => BoxLoss::L1,
            Boxes::Giou => BoxLoss::Giou,
        };
        let matcher = MatcherConfig { high: self.high, low: self.low, ..MatcherConfig::default() };
        LossConfig { matcher, alpha: self.alpha, box_loss, divide_by: self.divide_by }
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        check((0.0..=1.0).contains(&self.alpha), "loss.alpha", self.alpha, "0 to 1")?;
        check((0.0..=1.0).contains(&self.high), "loss.high", self.high, "0 to 1")?;
        check((0.0..=self.high).contains(&self.low), "loss.low", self.low, "0 up to `high`")
    }
}

/// `[run]`: how long and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunRecipe {
    /// How often the weights change.
    pub steps: u64,
    /// Pictures of a step.
    pub batch: u64,
    /// In how many parts they are worked on.
    pub accumulate: u64,
    /// The source of all randomness.
    pub seed: u64,
    /// Steps between evaluations; 0 is at the end only.
    pub evaluate_every: u64,
    /// Steps between saved states; 0 is at the end only.
    pub checkpoint_every: u64,
    /// How many saved states stay.
    pub keep: u64,
}

impl Default for RunRecipe {
    fn default() -> Self {
        Self {
            steps: 90_000,
            batch: 16,
            accumulate: 1,
            seed: 3407,
            evaluate_every: 5000,
            checkpoint_every: 1000,
            keep: 2,
        }
    }
}

impl RunRecipe {
    pub(super) fn check(&self) -> Result<(), Fault> {
        check((1..=1 << 40).contains(&self.steps), "run.steps", self.steps, "1 to 2^40")?;
        check((1..=1 << 20).contains(&self.batch), "run.batch", self.batch, "1 to 1048576")?;
        let (parts, batch) = (self.accumulate, self.batch);
        let divides = parts > 0 && batch.is_multiple_of(parts);
        check(divides, "run.accumulate", parts, "a number that divides `batch`")?;
        // TOML's integers are signed.
        check(self.seed <= i64::MAX as u64, "run.seed", self.seed, "0 to 2^63 - 1")?;
        check((1..=1000).contains(&self.keep), "run.keep", self.keep, "1 to 1000")
    }
}

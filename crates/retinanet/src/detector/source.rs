//! From what the user names to a model: a file or a manifest's entry, its configuration, its names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::DetectorError;
use crate::Result;
use crate::labels::Categories;
use crate::model::{RetinaNetConfig, expected_tensors};
use crate::weights::{
    Architecture, Checkpoint, ExpectedTensor, FetchOptions, FetchedFile, IdentifiedAs,
    IdentityError, KnownModel, LoadedTensors, Manifest, ManifestCategories, ManifestEntry,
    Source as FileSource, fetch,
};

/// The weights as they were given.
#[derive(Clone)]
pub(crate) enum GivenWeights {
    /// A file's path, or a name in the manifest.
    Named(PathBuf),
    /// A file's content, and the name it goes by.
    InMemory(PathBuf, Arc<[u8]>),
}

impl GivenWeights {
    /// The name or path.
    pub(crate) fn name(&self) -> &Path {
        match self {
            Self::Named(name) | Self::InMemory(name, _) => name,
        }
    }
}

impl std::fmt::Debug for GivenWeights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => write!(f, "{name:?}"),
            Self::InMemory(name, bytes) => write!(f, "{name:?} ({} bytes in memory)", bytes.len()),
        }
    }
}

/// What the user said about the weights.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) weights: Option<GivenWeights>,
    pub(super) manifest: Option<Manifest>,
    pub(super) fetch: Option<FetchOptions>,
    pub(super) architecture: Option<Architecture>,
    pub(super) config: Option<RetinaNetConfig>,
    pub(super) categories: Option<Categories>,
    pub(super) batch_norm_eps: Option<f64>,
}

/// What a checkpoint is, before its tensors are taken out.
pub(super) struct Described {
    pub(super) checkpoint: Checkpoint,
    pub(super) config: RetinaNetConfig,
    pub(super) categories: Categories,
}

impl Described {
    /// Writes it as a file that describes itself.
    pub(super) fn save(self, output: impl AsRef<Path>) -> Result<Checkpoint> {
        let Self { checkpoint, mut config, categories } = self;
        config.categories = Some(categories.into());
        // Checks all tensors before anything is written.
        checkpoint.clone().load(&expected(&config)?)?;
        let text = config.to_json()?;
        // There is a limit to what is read back.
        RetinaNetConfig::from_json(&text)?;
        checkpoint.save_described(output, text)?;
        Ok(checkpoint)
    }
}

/// What a model is built from.
pub(super) struct Loaded {
    pub(super) config: RetinaNetConfig,
    pub(super) categories: Categories,
    pub(super) tensors: LoadedTensors,
    pub(super) sha256: String,
}

impl Source {
    /// Finds, reads and checks the weights.
    pub(super) fn load(self) -> Result<Loaded> {
        let Described { checkpoint, config, categories } = self.describe()?;
        let sha256 = checkpoint.sha256().to_owned();
        Ok(Loaded { tensors: checkpoint.load(&expected(&config)?)?, config, categories, sha256 })
    }

    /// Finds and reads the weights, and says what they are.
    pub(super) fn describe(self) -> Result<Described> {
        self.check_eps()?;
        let (checkpoint, entry) = match self.weights.as_ref().ok_or(DetectorError::NoWeights)? {
            GivenWeights::InMemory(name, bytes) => (Checkpoint::from_bytes(name, bytes)?, None),
            GivenWeights::Named(given) => self.open(given)?,
        };
        checkpoint.check_framework()?;
        // A configuration of the user's own says all that the manifest would.
        let unknown = entry.is_none() && self.config.is_none();
        let entry = if unknown { self.known_by_hash(&checkpoint) } else { entry };
        let config = self.configure(&checkpoint, entry.as_ref())?;
        let categories = self.categories(&config, entry.as_ref())?;
        Ok(Described { checkpoint, config, categories })
    }

    /// Finds and reads what was given by its name or path.
    fn open(&self, given: &Path) -> Result<(Checkpoint, Option<ManifestEntry>)> {
        let (Located { path, sha256 }, entry) = self.locate(given)?;
        let checkpoint = Checkpoint::open(&path)?;
        match sha256 {
            Some(expected) if expected != checkpoint.sha256() => {
                let found = checkpoint.sha256().to_owned();
                Err(DetectorError::Changed { path, expected, found }.into())
            }
            _ => Ok((checkpoint, entry)),
        }
    }

    /// Refuses a stated eps that no batch norm has.
    pub(super) fn check_eps(&self) -> Result<()> {
        match self.batch_norm_eps {
            Some(eps) if !(0.0..1.0).contains(&eps) => Err(DetectorError::Setting {
                setting: "batch_norm_eps",
                value: format!("{eps:?}"),
                needs: "expected a number of at least 0 and less than 1; usual are 0 and 1e-5",
            }
            .into()),
            _ => Ok(()),
        }
    }

    /// The manifest's entry for a file that was given by its path, if the manifest has its whole hash.
    fn known_by_hash(&self, checkpoint: &Checkpoint) -> Option<ManifestEntry> {
        let manifest = self.manifest.clone().unwrap_or_else(Manifest::builtin);
        let is = |source: &FileSource| {
            source.sha256.is_full() && checkpoint.hashes().any(|hash| source.sha256.accepts(hash))
        };
        manifest.entries().iter().find(|entry| entry.sources.iter().any(is)).cloned()
    }

    fn locate(&self, given: &Path) -> Result<(Located, Option<ManifestEntry>)> {
        let looks_like_a_path = given.components().count() > 1
            || given
                .extension()
                .is_some_and(|end| end == "safetensors" || end == "pth" || end == "pt");
        if given.exists() || looks_like_a_path {
            return Ok((Located { path: given.to_owned(), sha256: None }, None));
        }
        let manifest = self.manifest.clone().unwrap_or_else(Manifest::builtin);
        let name = given.to_string_lossy();
        let entry = manifest.get(&name).map_err(|error| DetectorError::UnknownWeights {
            given: format!("{name:?}"),
            manifest: error.to_string(),
        })?;
        let options = match &self.fetch {
            Some(options) => options.clone(),
            None => FetchOptions::from_env()?,
        };
        let FetchedFile { path, sha256, .. } = fetch(entry, &options)?;
        Ok((Located { path, sha256: Some(sha256) }, Some(entry.clone())))
    }

    /// The configuration: the user's, the file's own, or the one its architecture has.
    fn configure(
        &self,
        checkpoint: &Checkpoint,
        entry: Option<&ManifestEntry>,
    ) -> Result<RetinaNetConfig> {
        if let Some(config) = &self.config {
            return self.agreeing(checkpoint, config.clone(), "the configuration given");
        }
        if let Some(eps) = self.batch_norm_eps {
            checkpoint.check_batch_norm_eps(eps)?;
        }
        let identity = checkpoint.identity();
        let path = || checkpoint.path().to_owned();
        let clash = |asked: Architecture, found: String| DetectorError::ArchitectureClash {
            path: path(),
            asked: asked.as_str(),
            found,
        };
        let found = match &identity.architecture {
            IdentifiedAs::SelfDescribed => {
                if let Some(asked) =
                    self.architecture.filter(|asked| *asked != Architecture::InFile)
                {
                    return Err(clash(asked, identity.to_string()).into());
                }
                let text =
                    checkpoint.metadata().get("config").map(String::as_str).unwrap_or_default();
                let config = named_in(path(), RetinaNetConfig::from_json(text))?;
                return self.agreeing(checkpoint, config, "its own configuration");
            }
            IdentifiedAs::RetinanetResnet50Fpn => Some(Architecture::RetinanetResnet50Fpn),
            IdentifiedAs::RetinanetResnet50FpnV2 => Some(Architecture::RetinanetResnet50FpnV2),
            _ => None,
        };
        let asked = self.architecture.or(entry.map(|entry| entry.model.architecture));
        if let (Some(asked), Some(found)) = (asked, found)
            && asked != found
        {
            return Err(clash(asked, identity.to_string()).into());
        }
        let stated = entry.and_then(|entry| entry.model.norm_eps);
        let mut config = match asked.or(found) {
            Some(Architecture::RetinanetResnet50Fpn) => RetinaNetConfig::resnet50_fpn(),
            Some(Architecture::RetinanetResnet50FpnV2) => RetinaNetConfig::resnet50_fpn_v2(),
            _ => {
                let reason = format!("it is {identity}");
                return Err(DetectorError::UnknownArchitecture { path: path(), reason }.into());
            }
        };
        config.backbone.batch_norm.eps = match self.batch_norm_eps {
            Some(eps) => eps,
            None => checkpoint.batch_norm_eps(stated)?,
        };
        match entry.map(|entry| &entry.model) {
            // Classes of a number that the file does not have are told when it is loaded.
            Some(known) => apply(known, &mut config),
            None => config.num_classes = identity.num_classes.unwrap_or(config.num_classes),
        }
        Ok(config)
    }

    /// A configuration that says its own eps, if none or the same was stated beside it.
    fn agreeing(
        &self,
        checkpoint: &Checkpoint,
        config: RetinaNetConfig,
        known_from: &'static str,
    ) -> Result<RetinaNetConfig> {
        let known = config.backbone.batch_norm.eps;
        match self.batch_norm_eps {
            Some(stated) if stated != known => {
                let path = checkpoint.path().to_owned();
                Err(IdentityError::OtherBatchNormEps { path, stated, known, known_from }.into())
            }
            _ => Ok(config),
        }
    }

    /// The names of the classes: the user's, the configuration's, the manifest's, torchvision's for
    /// its 91 classes, or `class 0`, `class 1`, ...
    fn categories(
        &self,
        config: &RetinaNetConfig,
        entry: Option<&ManifestEntry>,
    ) -> Result<Categories> {
        let categories = match (
            &self.categories,
            &config.categories,
            entry.map(|entry| &entry.model.categories),
        ) {
            (Some(categories), ..) => categories.clone(),
            (None, Some(names), _) => Categories::new(names.iter().cloned())?,
            (None, None, Some(ManifestCategories::Names(names))) => {
                Categories::new(names.iter().cloned())?
            }
            (None, None, Some(ManifestCategories::CocoV1)) => Categories::coco_v1(),
            _ if config.num_classes == Categories::coco_v1().len() => Categories::coco_v1(),
            _ => Categories::unnamed(config.num_classes)?,
        };
        check_categories(&categories, config)?;
        Ok(categories)
    }
}

/// The tensors that a configuration's model has.
fn expected(config: &RetinaNetConfig) -> Result<Vec<ExpectedTensor>> {
    let tensors = expected_tensors(config)?.into_iter();
    Ok(tensors.map(|(name, shape)| ExpectedTensor::new(name, shape)).collect())
}

/// Sets what the manifest knows of a model, beside its architecture and its eps.
fn apply(known: &KnownModel, config: &mut RetinaNetConfig) {
    if let ManifestCategories::Names(names) = &known.categories {
        config.num_classes = names.len();
    }
    let postprocess = &mut config.postprocess;
    postprocess.score_thresh = known.score_thresh.unwrap_or(postprocess.score_thresh);
    postprocess.nms_thresh = known.nms_thresh.unwrap_or(postprocess.nms_thresh);
}

/// A checkpoint on this machine, with the hash that was checked where it was fetched.
struct Located {
    path: PathBuf,
    sha256: Option<String>,
}

pub(super) fn check_categories(categories: &Categories, config: &RetinaNetConfig) -> Result<()> {
    let (names, classes) = (categories.len(), config.num_classes);
    if names != classes {
        return Err(DetectorError::Categories { names, classes }.into());
    }
    Ok(())
}

/// Says which file a configuration that cannot be used came from.
fn named_in(path: PathBuf, config: Result<RetinaNetConfig>) -> Result<RetinaNetConfig> {
    config.map_err(|error| {
        let reason = format!("its own configuration cannot be used: {error}");
        DetectorError::UnknownArchitecture { path, reason }.into()
    })
}

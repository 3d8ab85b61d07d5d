//! From what the user names to a model: a file or a manifest's entry, its configuration, its names.

use std::path::PathBuf;

use super::DetectorError;
use crate::Result;
use crate::labels::Categories;
use crate::model::{RetinaNetConfig, expected_tensors};
use crate::weights::{
    Architecture, Checkpoint, ExpectedTensor, FetchOptions, FetchedFile, IdentifiedAs,
    LoadedTensors, Manifest, ManifestCategories, ManifestEntry, fetch,
};

/// What the user said about the weights.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// A file's path, or a name in the manifest.
    pub(super) weights: Option<PathBuf>,
    pub(super) manifest: Option<Manifest>,
    pub(super) fetch: Option<FetchOptions>,
    pub(super) architecture: Option<Architecture>,
    pub(super) config: Option<RetinaNetConfig>,
    pub(super) categories: Option<Categories>,
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
        let (path, entry) = self.locate()?;
        let checkpoint = Checkpoint::open(&path.path)?;
        if path.sha256.as_ref().is_some_and(|expected| expected != checkpoint.sha256()) {
            let (expected, found) =
                (path.sha256.unwrap_or_default(), checkpoint.sha256().to_owned());
            return Err(DetectorError::Changed { path: path.path, expected, found }.into());
        }
        let config = self.configure(&checkpoint, entry.as_ref())?;
        let categories = self.categories(&config, entry.as_ref())?;
        let sha256 = checkpoint.sha256().to_owned();
        let expected: Vec<ExpectedTensor> = expected_tensors(&config)?
            .into_iter()
            .map(|(name, shape)| ExpectedTensor::new(name, shape))
            .collect();
        Ok(Loaded { tensors: checkpoint.load(&expected)?, config, categories, sha256 })
    }

    fn locate(&self) -> Result<(Located, Option<ManifestEntry>)> {
        let given = self.weights.as_deref().ok_or(DetectorError::NoWeights)?;
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
            return Ok(config.clone());
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
                return named_in(path(), RetinaNetConfig::from_json(text));
            }
            IdentifiedAs::RetinanetResnet50Fpn => Some(Architecture::RetinanetResnet50Fpn),
            IdentifiedAs::RetinanetResnet50FpnV2 => Some(Architecture::RetinanetResnet50FpnV2),
            IdentifiedAs::Unknown { .. } => None,
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
        config.backbone.batch_norm.eps = checkpoint.batch_norm_eps(stated)?;
        if let Some(classes) = identity.num_classes.filter(|_| entry.is_none()) {
            config.num_classes = classes;
        }
        Ok(config)
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

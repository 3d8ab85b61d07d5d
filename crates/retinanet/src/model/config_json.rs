//! Reading and writing a [`RetinaNetConfig`] as JSON.
//!
//! Two forms are read: this crate's own, versioned,
//!
//! ```json
//! { "format": "retinanet.config", "version": 1, "model": { "backbone": { .. }, .. } }
//! ```
//!
//! and the one that describes a torchvision model in its constructor's words (`"model":
//! "torchvision.models.detection.RetinaNet"`). Both are read strictly: an unknown key is an error.

use serde::{Deserialize, Serialize};

use super::{ModelError, RetinaNetConfig, torchvision_config};

const FORMAT: &str = "retinanet.config";
const VERSION: u64 = 1;
/// A configuration with thousands of category names stays below this.
const MAX_BYTES: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<Model> {
    format: String,
    version: u64,
    model: Model,
}

/// What tells the two forms apart.
#[derive(Deserialize)]
struct Probe {
    format: Option<serde_json::Value>,
    version: Option<serde_json::Value>,
    model: Option<serde_json::Value>,
}

impl RetinaNetConfig {
    /// Reads a configuration from JSON, in this crate's own form or in the torchvision form that
    /// self-describing checkpoints carry, and validates it.
    ///
    /// # Errors
    /// [`ModelError::Syntax`] naming an unknown or missing key, [`ModelError::UnsupportedPart`]
    /// naming a part this crate does not have, [`ModelError::Version`] for a newer form,
    /// [`ModelError::Config`] for values that make no model; see [`RetinaNetConfig::validate`].
    pub fn from_json(text: &str) -> crate::Result<Self> {
        let config = read(text)?;
        config.validate()?;
        Ok(config)
    }

    /// The configuration in this crate's own JSON form.
    ///
    /// # Errors
    /// As [`RetinaNetConfig::validate`].
    pub fn to_json(&self) -> crate::Result<String> {
        self.validate()?;
        let document = Document { format: FORMAT.to_owned(), version: VERSION, model: self };
        Ok(serde_json::to_string(&document).map_err(ModelError::syntax)?)
    }
}

fn read(text: &str) -> Result<RetinaNetConfig, ModelError> {
    if text.len() > MAX_BYTES {
        return Err(ModelError::syntax(format!(
            "the text has {} bytes; at most {MAX_BYTES} are read",
            text.len()
        )));
    }
    let probe: Probe = serde_json::from_str(text).map_err(ModelError::syntax)?;
    if probe.format.as_ref().and_then(|format| format.as_str()) == Some(FORMAT) {
        let found = probe.version.as_ref().and_then(|version| version.as_u64());
        if let Some(found) = found.filter(|&found| found > VERSION) {
            let supported = VERSION;
            return Err(ModelError::Version { found, supported });
        }
        if found != Some(VERSION) {
            return Err(ModelError::syntax(format!(
                "`version` is not a version; expected {VERSION}"
            )));
        }
        let document: Document<RetinaNetConfig> =
            serde_json::from_str(text).map_err(ModelError::syntax)?;
        return Ok(document.model);
    }
    if probe.model.is_some_and(|model| model.is_string()) {
        return torchvision_config::read(text);
    }
    Err(ModelError::syntax(format!(
        "neither `format` is \"{FORMAT}\" nor `model` names a torchvision model"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let text = RetinaNetConfig::resnet50_fpn().to_json().unwrap();
        let mut value = serde_json::from_str(&text).unwrap();
        change(&mut value);
        let error = RetinaNetConfig::from_json(&value.to_string()).unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_written_configuration_reads_back_equal() {
        for config in [
            RetinaNetConfig::resnet50_fpn(),
            RetinaNetConfig::resnet50_fpn_v2(),
            RetinaNetConfig {
                num_classes: 2,
                categories: Some(vec!["__background__".to_owned(), "person".to_owned()]),
                ..RetinaNetConfig::resnet50_fpn_v2()
            },
        ] {
            let text = config.to_json().unwrap();
            assert_eq!(RetinaNetConfig::from_json(&text).unwrap(), config);
        }
    }

    #[test]
    fn unknown_and_missing_keys_are_named() {
        let unknown = changed(|value| value["model"]["backbone"]["groups"] = 32.into());
        assert!(unknown.contains("unknown field `groups`"), "{unknown}");
        let missing = changed(|value| {
            let norm = &mut value["model"]["backbone"]["batch_norm"];
            norm.as_object_mut().unwrap().remove("eps");
        });
        assert!(missing.contains("missing field `eps`"), "{missing}");
        let depth = changed(|value| value["model"]["backbone"]["depth"] = 20.into());
        assert!(depth.contains("backbone.depth"), "{depth}");
    }

    #[test]
    fn a_newer_version_says_so() {
        let error = changed(|value| value["version"] = 2.into());
        assert!(error.contains("version 2 is newer"), "{error}");
        let error = changed(|value| value["version"] = "one".into());
        assert!(error.contains("`version`"), "{error}");
    }

    #[test]
    fn control_characters_in_keys_are_escaped() {
        let error = changed(|value| value["model"]["fpn"]["\u{1b}[31m"] = 1.into());
        assert!(!error.contains('\u{1b}') && error.contains("\\u{1b}"), "{error}");
    }

    #[test]
    fn text_that_is_no_configuration_is_an_error() {
        for text in ["", "[]", "{}", "null", r#"{"format": 1}"#, "{\"model\": {}}"] {
            assert!(RetinaNetConfig::from_json(text).is_err(), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(RetinaNetConfig::from_json(&deep).is_err());
        let large = " ".repeat(MAX_BYTES + 1);
        let error = RetinaNetConfig::from_json(&large).unwrap_err().to_string();
        assert!(error.contains("bytes"), "{error}");
    }
}

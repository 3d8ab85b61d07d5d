//! What a detector was asked to be.

use std::path::PathBuf;

/// A detector cannot be built as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectorError {
    /// The builder was given no weights.
    #[error(
        "no weights were given: name a checkpoint of the manifest (`weights(\"retinanet_resnet50_fpn_v2.coco_v1\")`) or a .safetensors or .pth file"
    )]
    NoWeights,
    /// What was given is neither a file nor a name.
    #[error("{given} is no file here, and no checkpoint of the manifest: {manifest}")]
    UnknownWeights {
        /// What was given, escaped.
        given: String,
        /// What the manifest says to that name.
        manifest: String,
    },
    /// The file does not say which model it belongs to.
    #[error("{}: {reason}; give the configuration (`config`), or the architecture if it is one of torchvision's two", path.display())]
    UnknownArchitecture {
        /// The checkpoint.
        path: PathBuf,
        /// What it looks like.
        reason: String,
    },
    /// The architecture asked for is not the file's.
    #[error("{}: {asked} was asked for, but the file is {found}; leave the architecture out, or give the weights of {asked}", path.display())]
    ArchitectureClash {
        /// The checkpoint.
        path: PathBuf,
        /// What was asked for.
        asked: &'static str,
        /// What the file is.
        found: String,
    },
    /// The file changed between its check and its use.
    #[error("{}: its sha256 is {found}, but {expected} was checked a moment ago: the file was changed meanwhile; fetch it again", path.display())]
    Changed {
        /// The checkpoint.
        path: PathBuf,
        /// The hash that was checked.
        expected: String,
        /// The hash of what was read.
        found: String,
    },
    /// A number of category names that is not the model's number of classes.
    #[error(
        "{names} category names were given for a model of {classes} classes{}",
        background(*names, *classes)
    )]
    Categories {
        /// How many names.
        names: usize,
        /// How many classes.
        classes: usize,
    },
    /// A setting with a value that makes no sense.
    #[error("{setting} is {value}; {needs}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        needs: &'static str,
    },
    /// A device this build or machine does not have.
    #[error("device {device}: {reason}")]
    Device {
        /// What was asked for, escaped.
        device: String,
        /// Why it cannot be had and what to do.
        reason: String,
    },
    /// A number format this build does not compute in.
    #[error(
        "dtype {dtype}: the detector computes in f32 here, leave the dtype out; f16 and bf16 need the fast mode on a GPU and a build with the feature `cudnn`"
    )]
    Dtype {
        /// The format.
        dtype: &'static str,
    },
    /// Times are asked for on a target without a clock.
    #[error("WebAssembly has no clock here: measure around the call, in the program that makes it")]
    NoClock,
    /// The threads could not be started.
    #[error("{threads} threads could not be started: {reason}")]
    Threads {
        /// How many.
        threads: usize,
        /// What the system says.
        reason: String,
    },
}

/// What is most likely wrong with a list of names.
fn background(names: usize, classes: usize) -> &'static str {
    if names.checked_add(1) == Some(classes) {
        " (the background counts: put `__background__` in front of them)"
    } else if classes.checked_add(1) == Some(names) {
        " (if the first of them is the background, leave it out: this model seems to have none)"
    } else {
        " (the background, where a model has one, counts)"
    }
}

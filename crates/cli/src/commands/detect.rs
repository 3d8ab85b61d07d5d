//! `retinanet detect`.

use std::path::{Path, PathBuf};

use retinanet::{Detections, Detector, Image};

use crate::detect_options::DetectOptions;
use crate::exit::{Exit, Outcome};
use crate::inputs;

/// Finds objects in images
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Images, folders or patterns
    #[arg(required = true, value_name = "IMAGE|DIR|GLOB")]
    pub inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub detect: DetectOptions,
}

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    let detector = args.detect.detector()?;
    for input in inputs::images(&args.inputs)? {
        let _found = one(&detector, &input.path)?;
    }
    Ok(Exit::Done)
}

fn one(detector: &Detector, path: &Path) -> retinanet::Result<Detections> {
    detector.detect(&Image::open(path)?)
}

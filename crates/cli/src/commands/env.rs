//! `retinanet env`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueHint;
use retinanet::Device;
use retinanet::determinism::{Determinism, Environment};
use retinanet::ops::Level;

use crate::detect_options::Mode;
use crate::exit::{Exit, Outcome};
use crate::output::{print, write_json};
use crate::text::printable;

/// Shows versions, CPU level, threads, features, GPU, and settings that would break determinism
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  retinanet env
  retinanet env --device cuda --json -

Exit codes: 0 no setting breaks determinism, 1 one does (each is listed with its remedy), 2 usage")]
pub struct Args {
    /// `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    pub device: String,

    /// `deterministic` or `fast`
    #[arg(long, value_enum, default_value_t = Mode::Deterministic)]
    pub mode: Mode,

    /// CPU threads [default: one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Write it as JSON; `-` is standard output, in place of the table
    #[arg(long, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub json: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    let determinism = Determinism::from(args.mode);
    let level = Level::from_env().map_err(retinanet::Error::from)?;
    let cores = std::thread::available_parallelism().ok();
    let threads = args.threads.or(cores).map_or(1, NonZeroUsize::get);
    let device: Device = args.device.parse()?;
    let mut environment = Environment::capture(&determinism, level, device, threads, None);
    let gpu = match device {
        Device::Cpu => Device::describe_gpu(0),
        Device::Cuda(ordinal) => Ok(Device::describe_gpu(ordinal)?),
    };
    environment.gpu = gpu.as_ref().ok().cloned();
    match (&args.json, gpu) {
        (Some(path), _) => write_json(path, &environment)?,
        (None, Ok(_)) => print(&printable(&environment.to_string()))?,
        (None, Err(error)) => {
            print(&printable(&format!("{environment}gpu                none: {error}\n")))?;
        }
    }
    Ok(if environment.problems.is_empty() { Exit::Done } else { Exit::CheckFailed })
}

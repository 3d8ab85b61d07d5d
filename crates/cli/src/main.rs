//! The `retinanet` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(retinanet_cli::run(std::env::args_os()))
}

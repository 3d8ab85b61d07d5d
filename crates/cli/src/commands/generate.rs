//! `retinanet completions` and `retinanet man`.

use std::io;
use std::path::PathBuf;

use clap::ValueHint;
use clap_complete::Shell;

use crate::exit::{Exit, Failure, Outcome};
use crate::interrupt;
use crate::output::print;

/// Prints a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  retinanet completions bash > ~/.local/share/bash-completion/completions/retinanet
  retinanet completions zsh > ~/.zfunc/_retinanet
  retinanet completions fish > ~/.config/fish/completions/retinanet.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the manual page, or writes one for each command
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  retinanet man | man -l -
  retinanet man --dir ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write retinanet.1, retinanet-detect.1, .. here
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// Prints a completion script.
pub fn completions(args: &CompletionsArgs, mut command: clap::Command) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "retinanet", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// Prints or writes manual pages.
pub fn man(args: &ManArgs, command: clap::Command) -> Outcome {
    let failed =
        |error: io::Error| Failure::bad_input(format!("the manual cannot be written: {error}"));
    match &args.dir {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).map_err(failed)?;
            print(&String::from_utf8_lossy(&page))?;
        }
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(failed)?;
            interrupt::finish(|| clap_mangen::generate_to(command, folder)).map_err(failed)?;
        }
    }
    Ok(Exit::Done)
}

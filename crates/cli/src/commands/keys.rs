//! `retinanet keys`.

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};

use crate::exit::{Exit, Outcome};
use crate::inputs::refuse_url_or_stdin;
use crate::interrupt;
use crate::output::{print, print_line};
use crate::signing::{PublicKey, create};

/// Makes and shows the keys that logs are signed with
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  retinanet keys new signer.pem
  retinanet batch photos --out results.jsonl --receipts log.jsonl --sign signer.pem
  retinanet verify log.jsonl --key signer.pub.pem
  retinanet keys show signer.pub.pem";

/// What to do with keys.
#[derive(Debug, Subcommand)]
enum Command {
    New(NewArgs),
    Show(ShowArgs),
}

/// Makes an ed25519 key: the private half in FILE, the public one beside it
///
/// Both are PEM files, which `openssl pkey` reads. The private one is readable by its owner alone and
/// is not protected by a passphrase. Nothing is ever overwritten. Prints the key's id: the SHA-256 of its
/// public half (SPKI, DER).
#[derive(Debug, clap::Args)]
struct NewArgs {
    /// Where the private half is written; the public one of NAME.pem is NAME.pub.pem
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Prints a key's id and its public half
#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// A public or a private key
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    match args.command {
        Command::New(NewArgs { file }) => {
            refuse_url_or_stdin(&file)?;
            let (public_file, public) = interrupt::finish(|| create(&file))?;
            print_line(&format!("{}  {}", public.id(), public_file.display()))?;
        }
        Command::Show(ShowArgs { file }) => {
            refuse_url_or_stdin(&file)?;
            let public = PublicKey::read(&file)?;
            print(&format!("{}\n{}", public.id(), public.to_pem()?))?;
        }
    }
    Ok(Exit::Done)
}

//! How much is said on standard error, and in which colours anything is said.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU8, Ordering};

use clap::{Args, ColorChoice, ValueEnum};

use crate::text::printable;

const QUIET: u8 = 0;
const USUAL: u8 = 1;
const VERBOSE: u8 = 2;
/// Set once, before any command runs.
static LOUDNESS: AtomicU8 = AtomicU8::new(USUAL);

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Messages")]
pub struct VoiceOptions {
    /// No progress and no notes on standard error; errors are still said
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say on standard error what runs: weights, numerics, device, and how long things take
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// Colours: on terminals unless NO_COLOR is set, always, or never
    #[arg(long, value_enum, global = true, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
}

/// When anything is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless the environment variable NO_COLOR is set and not empty
    Auto,
    /// Whatever is written to
    Always,
    /// Not at all
    Never,
}

impl VoiceOptions {
    /// From here on it is so.
    pub fn install(&self) {
        let loudness = match (self.quiet, self.verbose) {
            (true, _) => QUIET,
            (_, true) => VERBOSE,
            _ => USUAL,
        };
        LOUDNESS.store(loudness, Ordering::Relaxed);
        console::set_colors_enabled(self.color.on(io::stdout().is_terminal()));
        console::set_colors_enabled_stderr(self.color.on(io::stderr().is_terminal()));
    }
}

impl Color {
    fn on(self, terminal: bool) -> bool {
        let set = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|is| is != "dumb")
            }
        }
    }
}

/// What help and usage errors, which are printed before the options are known, have to go by.
pub fn color_of_help(arguments: impl Iterator<Item = OsString>) -> ColorChoice {
    let arguments: Vec<OsString> = arguments.collect();
    let said = arguments.iter().enumerate().find_map(|(place, argument)| {
        let text = argument.to_str()?;
        match text.strip_prefix("--color=") {
            Some(value) => Some(value),
            None if text == "--color" => {
                arguments.get(place + 1).and_then(|next| OsStr::to_str(next))
            }
            None => None,
        }
    });
    match said {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

/// No progress and no notes from here on, whatever the options say.
#[cfg(feature = "mpi")]
pub fn hush() {
    LOUDNESS.store(QUIET, Ordering::Relaxed);
}

/// Whether progress and notes are not wanted.
pub fn is_quiet() -> bool {
    LOUDNESS.load(Ordering::Relaxed) == QUIET
}

/// Says what only some want to know.
pub fn detail(text: impl FnOnce() -> String) {
    if LOUDNESS.load(Ordering::Relaxed) == VERBOSE {
        say(&console::style("info:").for_stderr().dim(), &text());
    }
}

/// Says what a reader of the results must know.
pub fn notice(text: &str) {
    if !is_quiet() {
        say(&console::style("note:").for_stderr().cyan().bold(), text);
    }
}

/// Says why something failed.
pub fn complain(message: &str) {
    say(&console::style("error:").for_stderr().red().bold(), message);
}

fn say(kind: &console::StyledObject<&str>, text: &str) {
    // Nothing can be done if that fails.
    writeln!(io::stderr(), "{kind} {}", printable(text)).ok();
}

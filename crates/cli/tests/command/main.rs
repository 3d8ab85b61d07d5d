//! The command as its users meet it: run as a process, judged by what it prints, writes and returns.

mod described;
mod files;
mod inputs;
mod interruptions;
mod limits;
mod outputs;
mod receipts;
mod stdin;
mod tables;
mod tampering;
mod tiles;
mod url;
mod usage;
mod voice;
mod weights;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a run of the command gave.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the command prints UTF-8");
        let code = output.status.code().unwrap_or(-1);
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    #[track_caller]
    fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self
    }

    /// Ended with this code, and each part is somewhere in what it complained.
    #[track_caller]
    fn failed(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not in:\n{}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }
}

/// The command, offline, with an empty cache.
fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retinanet"));
    let nowhere = std::env::temp_dir().join("retinanet-no-such-cache");
    for name in ["HF_HOME", "HF_HUB_CACHE", "TORCH_HOME", "XDG_CACHE_HOME"] {
        command.env(name, &nowhere);
    }
    command.env("RETINANET_CACHE", &nowhere).env("RETINANET_OFFLINE", "1");
    command.env_remove("RETINANET_CPU_LEVEL");
    command
}

fn run<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Ran {
    command().args(arguments).output().expect("the command starts").into()
}

/// As [`run`], in a folder.
fn run_in<S: AsRef<std::ffi::OsStr>>(folder: &Path, arguments: &[S]) -> Ran {
    command().current_dir(folder).args(arguments).output().expect("the command starts").into()
}

/// A file of the source tree.
fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/assets").join(name)
}

/// A photo with one large person.
fn photo() -> PathBuf {
    asset("astronaut.png")
}

/// Names below a folder, files and folders, sorted.
fn names_in(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                names.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    names.sort();
    names
}

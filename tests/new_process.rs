//! A test's answer from a process of its own.

use std::process::Command;

const ANSWER: &str = "answer: ";

/// Tells the process that started this one.
pub fn answer(text: impl std::fmt::Display) {
    println!("\n{ANSWER}{text}");
}

/// Runs the test of that name in a new process with these variables set: what it gave to
/// [`answer`].
///
/// # Panics
/// If the test failed, or gave no answer.
pub fn ask(test: &str, variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().expect("this program's path"))
        .args(["--exact", test, "--nocapture"])
        .envs(variables.iter().copied())
        .output()
        .expect("a new process");
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = text.lines().find_map(|line| line.strip_prefix(ANSWER));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    answer.unwrap_or_else(|| panic!("no answer in {text}\n{errors}")).to_owned()
}

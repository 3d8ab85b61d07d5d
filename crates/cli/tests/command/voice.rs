//! What is said beside the answer, and in which colours.

use super::{command, photo, run};

#[test]
fn quiet_says_nothing_but_errors_and_verbose_says_what_runs() {
    let photo = photo();
    let photo = photo.to_str().unwrap();
    let quiet = run(&["detect", "-q", photo]).succeeded();
    assert!(quiet.err.is_empty() && quiet.out.contains("person"), "{}", quiet.err);
    run(&["detect", "--quiet", "no/such.png"]).failed(3, &["error: ", "no/such.png"]);
    let verbose = run(&["-v", "detect", photo]).succeeded();
    for part in ["info: weights ", "numerics 2", "cpu on ", " threads", "astronaut.png in "] {
        assert!(verbose.err.contains(part), "{part}: {}", verbose.err);
    }
    assert_eq!(verbose.out, quiet.out);
    run(&["detect", "-q", "-v", photo]).failed(2, &["--quiet", "cannot be used with"]);
}

#[test]
fn colours_are_for_terminals_or_on_request() {
    let colored = |arguments: &[&str], no_color: &str| {
        let mut command = command();
        let output = command.args(arguments).env("NO_COLOR", no_color).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).unwrap().contains("\u{1b}[")
    };
    let photo = photo();
    let photo = photo.to_str().unwrap();
    // Neither is a terminal here.
    assert!(!colored(&["detect", photo], ""));
    assert!(!colored(&["detect", "no/such.png"], ""));
    assert!(colored(&["detect", "--color", "always", photo], ""));
    assert!(colored(&["detect", "--color=always", "no/such.png"], ""));
    // What is asked for goes before the environment.
    assert!(colored(&["detect", "--color=always", photo], "1"));
    assert!(!colored(&["detect", "--color=never", photo], ""));
    assert!(colored(&["--color=always", "--help"], ""));
    assert!(!colored(&["--color=never", "--help"], ""));
    run(&["detect", "--color", "sometimes", photo]).failed(2, &["auto, always, never"]);
}

/// `script` gives the command a terminal to write to.
#[cfg(target_os = "linux")]
#[test]
fn no_color_switches_colours_off_on_a_terminal() {
    let on_terminal = |set: &str| {
        let line = format!("{set} {} detect no/such.png", env!("CARGO_BIN_EXE_retinanet"));
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).env_remove("NO_COLOR").env("TERM", "xterm");
        let output = script.stdin(std::process::Stdio::null()).output().ok()?;
        (output.status.code() == Some(3))
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(usual) = on_terminal("") else {
        println!("SKIPPED: no `script` that works");
        return;
    };
    assert!(usual.contains("\u{1b}["), "{usual:?}");
    for (set, colored) in [("NO_COLOR=1", false), ("NO_COLOR=", true), ("TERM=dumb", false)] {
        let said = on_terminal(set).unwrap();
        assert_eq!(said.contains("\u{1b}["), colored, "{set}: {said:?}");
    }
}

//! Help, wrong command lines, and their exit code.

use super::{photo, run};

#[test]
fn help_and_version_say_what_there_is() {
    let help = run(&["--help"]).succeeded().out;
    for command in
        ["detect", "batch", "merge", "eval", "report", "weights", "verify", "bench", "env"]
    {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
        let own = run(&[command, "--help"]).succeeded().out;
        assert!(own.contains("Usage: retinanet"), "{own}");
    }
    assert!(help.contains("Exit codes: 0 done, 1 a check said no, 2 usage, 3 bad input"), "{help}");
    assert!(run(&["detect", "--help"]).out.contains("Examples:"));
    let version = run(&["--version"]).succeeded().out;
    assert_eq!(version, format!("retinanet {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_command_lines_end_with_2_and_say_what_is_wrong() {
    let photo = photo();
    let photo = photo.to_str().unwrap();
    for (arguments, part) in [
        (vec![], "Usage"),
        (vec!["detekt"], "detect"),
        (vec!["detect"], "required"),
        (vec!["detect", "--labels", "person", photo], "--label"),
        (vec!["detect", "--mode", "quick", photo], "deterministic"),
        (vec!["detect", "--threads", "0", photo], "threads"),
        (vec!["detect", "--threads", "-1", photo], "-1"),
        (vec!["detect", "--label", "persn", photo], "did you mean \"person\"?"),
        (vec!["detect", "--label", "cat", photo], "its labels: person\n"),
        (vec!["detect", "--device", "gpu", photo], "cuda:N"),
        (vec!["detect", "--dtype", "f8", photo], "bf16"),
        (vec!["detect", "--dtype", "f16", photo], "strict determinism computes in f32"),
        (vec!["detect", "--mode", "fast", "--dtype", "f16", photo], "the fast mode on a GPU"),
        (vec!["detect", "--weights", "no_such_name", photo], "no checkpoint of the manifest"),
        (vec!["detect", "--weights", "person_r81", photo], "person_r18"),
        (vec!["detect", "--arch", "v2", photo], "was asked for, but the file is"),
        (vec!["bench", "--size", "800"], "HEIGHTxWIDTH"),
        (vec!["bench", "--size", "0x800"], "HEIGHTxWIDTH"),
        (vec!["bench", "--runs", "0"], "--runs"),
        (vec!["weights"], "Usage"),
        (vec!["completions", "cmd"], "possible values"),
    ] {
        run(&arguments).failed(2, &[part]);
    }
}

#[test]
fn a_threshold_that_no_score_can_be_held_against_is_refused() {
    for wrong in ["NaN", "x", "1.5", "-0.1", "inf"] {
        let threshold = format!("--score-threshold={wrong}");
        run(&["detect", &threshold, photo().to_str().unwrap()]).failed(2, &["0 to 1"]);
    }
}

#[test]
fn completions_and_manual_pages_are_generated() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]).succeeded().out;
        assert!(script.contains("score-threshold"), "{shell}");
    }
    let page = run(&["man"]).succeeded().out;
    assert!(page.contains(".TH retinanet 1") && page.contains("detect"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    run(&["man", "--dir", folder.path().to_str().unwrap()]).succeeded();
    let names = super::names_in(folder.path());
    assert!(names.contains(&"retinanet-detect.1".to_owned()), "{names:?}");
}

#[test]
fn env_lists_what_an_answer_depends_on() {
    let table = run(&["env"]).succeeded().out;
    for row in ["numerics", "retinanet-jpeg", "cpu level", "threads", "features", "problems"] {
        assert!(table.contains(row), "{row}: {table}");
    }
    let fast = run(&["env", "--mode", "fast"]);
    assert_eq!(fast.code, 1, "{}", fast.out);
    assert!(fast.out.contains("problem"), "{}", fast.out);
    let json: serde_json::Value =
        serde_json::from_str(&run(&["env", "--json", "-"]).succeeded().out).unwrap();
    assert_eq!(json["versions"]["retinanet"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn bench_gives_seconds_per_run_and_work_per_stage() {
    let weights = super::asset("person_r18.safetensors");
    let weights = weights.to_str().unwrap();
    let arguments = ["bench", "--weights", weights, "--size", "96x128", "--runs", "3"];
    let json = run(&[&arguments[..], &["--json", "-"]].concat()).succeeded().out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let seconds = json["seconds"].as_array().unwrap();
    assert_eq!(seconds.len(), 3);
    assert!(seconds.iter().all(|second| second.as_f64().unwrap() > 0.0));
    let stages = json["stages"].as_array().unwrap();
    assert_eq!(stages[0]["stage"], "stem");
    assert!(stages[0]["multiply_adds"].as_u64().unwrap() > 1_000_000);
    let table = run(&arguments).succeeded().out;
    assert!(table.contains("GFLOP/s") && table.contains("logits/tower"), "{table}");
}

//! What cannot be trained with, and what is said.

use std::fs;

use crate::scene::{SGD, SIX, Scene, Settings, exits, has};

#[test]
fn recipes_and_data_that_cannot_be_used_are_refused_and_nothing_is_written() {
    let scene = Scene::new();
    let recipe = String::from_utf8(scene.read("recipe.toml")).unwrap();
    let annotations = String::from_utf8(scene.read("a.json")).unwrap();
    scene.write("lost.json", annotations.replace("\"3.png\"", "\"lost.png\""));
    scene.write("broken.json", "{");
    for (from, to, parts) in [
        ("batch = 4", "batsch = 4", &["batsch", "did you mean `batch`"][..]),
        ("batch = 4", "batch = 0", &["run.batch"]),
        ("batch = 4", "batch = 4\naccumulate = 3", &["run.accumulate"]),
        ("images = \"images\"", "images = \"nowhere\"", &["nowhere", "0.png"]),
        ("annotations = \"a.json\"\nimages", "annotations = \"lost.json\"\nimages", &["lost.png"]),
        (
            "annotations = \"a.json\"\nimages",
            "annotations = \"broken.json\"\nimages",
            &["broken.json"],
        ),
        (
            "validation_annotations = \"a.json\"",
            "validation_annotations = \"lost.json\"",
            &["lost.png"],
        ),
        ("model.json", "none.json", &["none.json", "cannot be read"]),
        ("\"square\"", "\"circle\"", &["square"]),
    ] {
        assert!(recipe.contains(from), "{from}");
        scene.write("bad.toml", recipe.replacen(from, to, 1));
        let output = scene.train_command("bad.toml", "run", &[]).output().unwrap();
        has(&exits(&output, 3), parts);
        assert!(!scene.path("run").exists(), "{to}");
    }
    let output = scene.train_command("missing.toml", "run", &[]).output().unwrap();
    has(&exits(&output, 3), &["missing.toml"]);
}

#[cfg(not(feature = "mpi"))]
#[test]
fn a_build_without_mpi_is_not_one_of_several_processes() {
    let scene = Scene::new();
    for name in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"] {
        let mut command = scene.train_command("recipe.toml", "run", &[]);
        let output = command.env(name, "3").output().unwrap();
        has(&exits(&output, 2), &["3 of these", "--features mpi"]);
        assert!(!scene.path("run").exists());
    }
}

#[test]
fn folders_are_gone_on_with_only_as_they_were_left() {
    let scene = Scene::new();
    let train = |recipe: &str, more: &[&str], code: i32, parts: &[&str]| {
        has(&exits(&scene.train_command(recipe, "run", more).output().unwrap(), code), parts);
    };
    train("recipe.toml", &["--resume"], 2, &["\"run\" has no run", "begin one without --resume"]);
    assert!(!scene.path("run").exists());
    scene.train("recipe.toml", "run", &["--steps", "4"]);
    train("recipe.toml", &[], 2, &["\"run\" has a run already", "--resume"]);
    let run = SIX.replace("seed = 5", "seed = 6");
    scene.recipe("other.toml", &Settings { optimiser: SGD, run: &run, validated: true });
    train("other.toml", &["--resume"], 3, &["step-000000004", "go on with the recipe as it was"]);
    // Other data.
    let annotations = String::from_utf8(scene.read("a.json")).unwrap();
    let mut data: serde_json::Value = serde_json::from_str(&annotations).unwrap();
    data["annotations"][4]["bbox"][0] = serde_json::json!(17.5);
    scene.write("a.json", data.to_string());
    train("recipe.toml", &["--resume"], 3, &["the digest of the data", "annotations as they were"]);
    scene.write("a.json", annotations);
    // A log that was changed, and one that lacks the state's step.
    let log = String::from_utf8(scene.read("run/log.jsonl")).unwrap();
    scene.write("run/log.jsonl", log.replacen("\"foreground\":", "\"foreground\":1", 1));
    train("recipe.toml", &["--resume"], 1, &["line 3 does not follow the line before"]);
    let lines: Vec<&str> = log.split_inclusive('\n').take(3).collect();
    scene.write("run/log.jsonl", lines.concat());
    train("recipe.toml", &["--resume"], 3, &["no line of step 4"]);
    scene.write("run/log.jsonl", &log);
    // A state with a flipped bit, one that is cut, and the one before it.
    let last = "run/states/step-000000004.safetensors";
    let state = scene.read(last);
    let mut flipped = state.clone();
    let place = flipped.len() / 3;
    flipped[place] ^= 1;
    scene.write(last, flipped);
    train("recipe.toml", &["--resume"], 3, &["the state of step 4 is not the one in the log"]);
    scene.write(last, &state[..state.len() / 2]);
    train("recipe.toml", &["--resume"], 3, &[last, "remove it, and --resume goes on", "of step 2"]);
    fs::remove_file(scene.path(last)).unwrap();
    let recipe = String::from_utf8(scene.read("recipe.toml")).unwrap();
    // The same recipe with another comment goes on, and the record keeps the text that it began with.
    scene.write("recipe.toml", format!("# Another comment.\n{recipe}"));
    let resumed = scene.train("recipe.toml", "run", &["--resume"]);
    assert_eq!(scene.read("run/recipe.toml"), recipe.as_bytes());
    assert_eq!(scene.train("recipe.toml", "plain", &[]), resumed);
    assert!(scene.read("run/log.jsonl") == scene.read("plain/log.jsonl"));
    // Fewer steps than were made: said, and nothing happens.
    let output =
        scene.train_command("recipe.toml", "run", &["--resume", "--steps", "2"]).output().unwrap();
    has(&exits(&output, 0), &["6 steps already"]);
}

#[test]
fn a_picture_that_does_not_decode_ends_the_run_by_name_and_it_goes_on_when_it_is_mended() {
    let scene = Scene::new();
    let expected = scene.train("recipe.toml", "plain", &[]);
    let picture = scene.read("images/3.png");
    scene.write("images/3.png", &picture[..picture.len() / 2]);
    let output = scene.train_command("recipe.toml", "run", &[]).output().unwrap();
    let said = exits(&output, 3);
    has(&said, &["step ", "3.png", "with the file as it was, --resume goes on"]);
    assert!(!said.contains("learning rate"), "{said}");
    scene.write("images/3.png", picture);
    assert_eq!(scene.train("recipe.toml", "run", &["--resume"]), expected);
    assert!(scene.read("run/log.jsonl") == scene.read("plain/log.jsonl"));
}

#[test]
fn a_model_that_is_there_is_not_replaced() {
    let scene = Scene::new();
    fs::create_dir(scene.path("mine")).unwrap();
    scene.write("mine/model.safetensors", "precious");
    let output = scene.train_command("recipe.toml", "mine", &[]).output().unwrap();
    has(&exits(&output, 2), &["mine/model.safetensors", "would replace it"]);
    assert_eq!(scene.read("mine/model.safetensors"), b"precious");
    assert!(!scene.path("mine/log.jsonl").exists());
    scene.write("file", "");
    let output = scene.train_command("recipe.toml", "file", &[]).output().unwrap();
    has(&exits(&output, 3), &["file"]);
}

#[test]
#[cfg(unix)]
fn names_that_are_no_text_and_quiet_runs() {
    use std::os::unix::ffi::OsStrExt;
    let scene = Scene::new();
    let odd = std::ffi::OsStr::from_bytes(b"run\xff");
    let mut command = scene.command(&[
        "train",
        "-q",
        "--recipe",
        "recipe.toml",
        "--json",
        "--steps",
        "1",
        "--out",
    ]);
    let output = command.arg(odd).output().unwrap();
    assert_eq!(exits(&output, 0), "");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["step"], &told["complete"]), (&1.into(), &false.into()));
}

/// A disk that is full: the process may write no file beyond a size.
#[test]
#[cfg(unix)]
fn a_full_disk_is_told_and_leaves_the_last_state() {
    let scene = Scene::new();
    scene.recipe("recipe.toml", &Settings { optimiser: SGD, run: SIX, validated: false });
    scene.train("recipe.toml", "run", &["--steps", "2"]);
    let shell = "trap '' XFSZ; ulimit -f 1000; exec \"$@\"";
    let mut command = std::process::Command::new("bash");
    command.current_dir(scene.path("")).args(["-c", shell, "sh", env!("CARGO_BIN_EXE_retinanet")]);
    let output = command
        .args(["train", "--recipe", "recipe.toml", "--out", "run", "--resume"])
        .output()
        .unwrap();
    has(&exits(&output, 3), &["step-000000004.safetensors", "File too large"]);
    assert!(!scene.path("run/states/step-000000004.safetensors").exists());
    assert_eq!(
        scene.train("recipe.toml", "run", &["--resume"]),
        scene.train("recipe.toml", "plain", &[])
    );
    assert!(scene.read("run/log.jsonl") == scene.read("plain/log.jsonl"));
}

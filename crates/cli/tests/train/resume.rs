//! Runs that end early, in every way, go on to the same bytes.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::scene::{SGD, SIX, Scene, Settings, exits, has};

fn same(scene: &Scene, run: &str) {
    for file in ["log.jsonl", "model.safetensors", "best.safetensors"] {
        let (found, expected) =
            (scene.read(&format!("{run}/{file}")), scene.read(&format!("plain/{file}")));
        assert!(found == expected, "{run}/{file}");
    }
    let lines = |run: &str| String::from_utf8(scene.read(&format!("{run}/metrics.jsonl"))).unwrap();
    let steps = |text: &str| {
        let values =
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        values.map(|line| (line["step"].clone(), line.get("ap").is_some())).collect::<Vec<_>>()
    };
    assert_eq!(steps(&lines(run)), steps(&lines("plain")));
}

#[test]
fn a_run_killed_twenty_times_comes_to_the_same_bytes() {
    let scene = Scene::new();
    let run = "steps = 8\nbatch = 2\nseed = 5\nevaluate_every = 2\ncheckpoint_every = 1";
    scene.recipe("recipe.toml", &Settings { optimiser: SGD, run, validated: true });
    let started = Instant::now();
    scene.train("recipe.toml", "plain", &[]);
    let whole = started.elapsed();
    let has_states = || {
        let states = fs::read_dir(scene.path("run/states"));
        states.is_ok_and(|mut files| {
            files.any(|file| file.unwrap().file_name().to_str().unwrap().starts_with("step-"))
        })
    };
    let (mut killed, mut attempt, mut bits) = (0, 0, 0x2545_f491_u32);
    while killed < 20 {
        attempt += 1;
        assert!(attempt < 200, "only {killed} of {attempt} runs were alive when killed");
        bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let more: &[&str] = if has_states() { &["--resume"] } else { &[] };
        let mut command = scene.train_command("recipe.toml", "run", more);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * (bits >> 16) / 65_536);
        let ended = child.try_wait().unwrap();
        child.kill().ok();
        child.wait().unwrap();
        match ended {
            None => killed += 1,
            Some(status) => {
                assert_eq!(status.code(), Some(0));
                same(&scene, "run");
                fs::remove_dir_all(scene.path("run")).unwrap();
            }
        }
    }
    let more: &[&str] = if has_states() { &["--resume"] } else { &[] };
    scene.train("recipe.toml", "run", more);
    same(&scene, "run");
    // Files that were being written are gone.
    for folder in ["run", "run/states"] {
        for entry in fs::read_dir(scene.path(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.ends_with(".tmp"), "{name}");
        }
    }
}

#[test]
#[cfg(unix)]
fn ctrl_c_finishes_the_step_saves_and_ends_with_130() {
    let scene = Scene::new();
    let run = "steps = 400\nbatch = 4\nseed = 5\nevaluate_every = 0\ncheckpoint_every = 0";
    scene.recipe("long.toml", &Settings { optimiser: SGD, run, validated: false });
    let mut command = scene.train_command("long.toml", "run", &["--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    let lines = |file: &str| {
        let file = fs::read(scene.path(file)).unwrap_or_default();
        file.iter().filter(|&&byte| byte == b'\n').count()
    };
    while lines("run/log.jsonl") < 3 && started.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = exits(&output, 130);
    has(&said, &["stopped after step", "of 400", "--resume goes on"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let step = told["step"].as_u64().unwrap();
    assert!(step >= 2 && told["complete"] == false, "{told}");
    assert!(scene.path(&format!("run/states/step-{step:09}.safetensors")).exists());
    assert_eq!(lines("run/log.jsonl") as u64, step + 1);
    let next = (step + 1).to_string();
    scene.train("long.toml", "run", &["--resume", "--steps", &next]);
    scene.train("long.toml", "straight", &["--steps", &next]);
    assert!(scene.read("run/log.jsonl") == scene.read("straight/log.jsonl"));
}

#[test]
#[cfg(unix)]
fn an_evaluation_that_ctrl_c_broke_off_is_made_when_the_run_goes_on() {
    let scene = Scene::new();
    // Many pictures to look at: the signal comes while that is done.
    let text = String::from_utf8(scene.read("a.json")).unwrap();
    let mut data: serde_json::Value = serde_json::from_str(&text).unwrap();
    let images = data["images"].as_array().unwrap().clone();
    for number in 0..150_u64 {
        let mut image = images[number as usize % 10].clone();
        image["id"] = (100 + number).into();
        data["images"].as_array_mut().unwrap().push(image);
    }
    scene.write("many.json", data.to_string());
    let recipe = String::from_utf8(scene.read("recipe.toml")).unwrap();
    scene.write(
        "recipe.toml",
        recipe.replace(
            "validation_annotations = \"a.json\"",
            "validation_annotations = \"many.json\"",
        ),
    );
    scene.train("recipe.toml", "plain", &[]);
    let mut command = scene.train_command("recipe.toml", "run", &[]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while scene
        .path("run/log.jsonl")
        .exists()
        .then(|| scene.read("run/log.jsonl"))
        .is_none_or(|log| log.iter().filter(|&&byte| byte == b'\n').count() < 4)
        && started.elapsed() < Duration::from_secs(120)
    {
        std::thread::sleep(Duration::from_millis(2));
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    exits(&child.wait_with_output().unwrap(), 130);
    assert!(!String::from_utf8(scene.read("run/log.jsonl")).unwrap().contains("\"evaluation\""));
    scene.train("recipe.toml", "run", &["--resume"]);
    same(&scene, "run");
}

#[test]
fn a_torn_last_line_and_a_lost_end_are_mended() {
    let scene = Scene::new();
    scene.train("recipe.toml", "plain", &[]);
    let whole = scene.read("plain/log.jsonl");
    let end = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for cut in [whole.len() - 1, whole.len() - 20, end] {
        crate::scene::copy(&scene.path("plain"), &scene.path("run"));
        scene.write("run/log.jsonl", &whole[..cut]);
        scene.train("recipe.toml", "run", &["--resume"]);
        same(&scene, "run");
    }
    // What lies after the last saved state need not be whole: it is cut off.
    crate::scene::copy(&scene.path("plain"), &scene.path("run"));
    for step in [5, 6] {
        fs::remove_file(scene.path(&format!("run/states/step-{step:09}.safetensors"))).ok();
    }
    let mut text = String::from_utf8(whole).unwrap();
    text = text.replacen("\"step\":{\"step\":5,", "\"step\":{\"step\":5, ", 1);
    scene.write("run/log.jsonl", text);
    scene.train("recipe.toml", "run", &["--resume"]);
    same(&scene, "run");
}

#[test]
fn numbers_that_are_not_finite_end_the_run_by_name_and_leave_the_state() {
    let scene = Scene::new();
    let huge = "kind = \"sgd\"\nlearning_rate = 1000.0";
    let run = "steps = 60\nbatch = 2\nseed = 5\nevaluate_every = 0\ncheckpoint_every = 1";
    scene.recipe("huge.toml", &Settings { optimiser: huge, run, validated: false });
    let output = scene.train_command("huge.toml", "run", &[]).output().unwrap();
    let said = exits(&output, 3);
    has(&said, &["step ", "(images ", "The last saved state is as it was", "learning rate"]);
    let last = scene.log("run").len() as u64 - 1;
    assert!(scene.path(&format!("run/states/step-{last:09}.safetensors")).exists(), "{said}");
    has(&said, &[&format!("step {}", last + 1)]);
    assert!(scene.path("run/curves.svg").exists());
    // The state is a good one: it is gone on from, to the same end.
    let again = scene.train_command("huge.toml", "run", &["--resume"]).output().unwrap();
    assert_eq!(exits(&again, 3).lines().last(), said.lines().last());
}

#[test]
fn two_processes_do_not_write_one_run() {
    let scene = Scene::new();
    scene.train("recipe.toml", "run", &["--steps", "2"]);
    let log = fs::File::options().read(true).write(true).open(scene.path("run/log.jsonl")).unwrap();
    log.try_lock().unwrap();
    let output = scene.train_command("recipe.toml", "run", &["--resume"]).output().unwrap();
    has(&exits(&output, 3), &["another process is training in \"run\""]);
    drop(log);
    scene.train("recipe.toml", "run", &["--resume"]);
    assert_eq!(SIX.lines().next(), Some("steps = 6"));
}

//! `retinanet verify RUN`: what holds, and every attack that is thought of here.

use std::fs;

use serde_json::{Value, json};

use crate::scene::{SGD, SIX, Scene, Settings, copy, exits, has};

/// What verify says, in words, and its verdict as JSON.
#[track_caller]
fn verified(scene: &Scene, arguments: &[&str], code: i32) -> (String, Value) {
    let output = scene.run(&[&["verify"], arguments].concat());
    let said = exits(&output, code) + &String::from_utf8(output.stdout).unwrap();
    let output = scene.run(&[&["verify", "--json", "-"], arguments].concat());
    exits(&output, code);
    (said, serde_json::from_slice(&output.stdout).unwrap_or_default())
}

/// A run that came to its end, and a copy of it to be changed.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.train("recipe.toml", "whole", &[]);
    copy(&scene.path("whole"), &scene.path("run"));
    scene
}

#[test]
fn a_run_holds_as_a_whole_in_part_and_on_the_way() {
    let scene = scene();
    let (said, json) = verified(&scene, &["run"], 0);
    has(
        &said,
        &["log: 6 of 6 steps, complete", "of step 4, 6", "from the beginning", "6 steps", "same"],
    );
    assert_eq!(
        (&json["same"], &json["after"], &json["compared"]),
        (&json!(true), &json!(0), &json!(6))
    );
    let (_, json) = verified(&scene, &["run/log.jsonl", "--steps", "5..6", "--threads", "1"], 0);
    assert_eq!((&json["after"], &json["compared"]), (&json!(4), &json!(2)));
    let (_, json) = verified(&scene, &["run", "--steps", "2"], 0);
    assert_eq!((&json["after"], &json["compared"]), (&json!(0), &json!(2)));
    let (_, json) =
        verified(&scene, &["run", "--chain-only", "--head", json["head"].as_str().unwrap()], 0);
    assert_eq!((&json["after"], &json["compared"]), (&json!(null), &json!(0)));
    // A run that goes on; and one whose last line is being written.
    scene.train("recipe.toml", "young", &["--steps", "3"]);
    let (said, _) = verified(&scene, &["young"], 0);
    has(&said, &["log: 3 of 6 steps, not at its end", "same"]);
    let log = scene.read("young/log.jsonl");
    scene.write("young/log.jsonl", &log[..log.len() - 9]);
    has(&verified(&scene, &["young"], 0).0, &["log: 3 of 6 steps, not at its end"]);
    // Cut between two lines, it is not complete.
    let log = String::from_utf8(scene.read("run/log.jsonl")).unwrap();
    let cut: Vec<&str> = log.split_inclusive('\n').take(4).collect();
    scene.write("run/log.jsonl", cut.concat());
    has(&verified(&scene, &["run"], 0).0, &["log: 3 of 6 steps, not at its end"]);
}

#[test]
fn a_run_that_moved_is_verified_with_its_recipe() {
    let scene = scene();
    fs::create_dir(scene.path("away")).unwrap();
    for name in ["images", "a.json", "model.json", "recipe.toml"] {
        fs::rename(scene.path(name), scene.path("away").join(name)).unwrap();
    }
    has(&exits(&scene.run(&["verify", "run"]), 3), &["model.json"]);
    verified(&scene, &["run", "--recipe", "away/recipe.toml"], 0);
    verified(&scene, &["run/log.jsonl", "--steps", "6", "--recipe", "away/recipe.toml"], 0);
}

#[test]
fn a_line_that_was_changed_removed_or_moved_breaks_the_chain() {
    let scene = scene();
    let log = String::from_utf8(scene.read("run/log.jsonl")).unwrap();
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    let changed = lines[2].replacen("\"foreground\":", "\"foreground\":1", 1);
    let spaced = lines[2].replacen("\"foreground\":", "\"foreground\": ", 1);
    let without: Vec<&str> = [&lines[..2], &lines[3..]].concat();
    let mut moved = lines.clone();
    moved.swap(2, 3);
    for (attacked, line) in [
        ([&lines[..2], &[changed.as_str()], &lines[3..]].concat(), 4),
        ([&lines[..2], &[spaced.as_str()], &lines[3..]].concat(), 3),
        ([&lines[..2], &["{}\n"], &lines[3..]].concat(), 3),
        ([&lines[..1], &lines[2..]].concat(), 2),
        (without, 3),
        (moved, 3),
        ([&lines[..], &lines[7..8]].concat(), lines.len() + 1),
    ] {
        scene.write("run/log.jsonl", attacked.concat());
        for more in [&["run"][..], &["run", "--chain-only"], &["run", "--steps", "1"]] {
            let (said, json) = verified(&scene, more, 1);
            has(&said, &[&format!("line {line} ")]);
            assert_eq!(json["same"], false);
        }
    }
    // The head of the whole log tells a log that was cut.
    let head = crate::scene::sha256(lines.last().unwrap().as_bytes());
    scene.write("run/log.jsonl", lines[..lines.len() - 1].concat());
    has(
        &verified(&scene, &["run", "--head", &head, "--chain-only"], 1).0,
        &["the log's head is", &head],
    );
}

#[test]
fn a_whole_new_chain_with_other_numbers_parts_at_its_step() {
    let scene = scene();
    let zeros = "0".repeat(64);
    type Change<'a> = &'a dyn Fn(&mut Value);
    let changes: [(usize, Change<'_>, &str, Value); 6] = [
        (3, &|line| line["step"]["classification"] = json!(0.125), "classification", json!(null)),
        (3, &|line| line["step"]["images"][1] = json!(77), "images", json!(null)),
        (3, &|line| line["step"]["learning_rate"] = json!(0.5), "learning_rate", json!(null)),
        (3, &|line| line["step"]["optimiser"] = json!(zeros), "optimiser", json!(null)),
        (3, &|line| line["step"]["weights"] = json!(zeros), "weights", json!(null)),
        (
            3,
            &|line| {
                line["step"]["weights"] = json!(zeros);
                let tensors = line["step"]["tensors"].as_array_mut().unwrap();
                *tensors.last_mut().unwrap() = json!("0123456789abcdef");
            },
            "weights",
            json!("head.regression_head.bbox_reg.bias"),
        ),
    ];
    for (line, change, name, tensor) in changes {
        let mut lines = scene.log("whole");
        change(&mut lines[line]);
        scene.write_log("run", &lines);
        verified(&scene, &["run", "--chain-only"], 0);
        let (said, json) = verified(&scene, &["run"], 1);
        has(&said, &["step 3 is the first that is not as the log says", name]);
        let difference = &json["difference"];
        assert_eq!((&difference["kind"], &difference["step"]), (&json!("step"), &json!(3)));
        assert_eq!(
            (&difference["parts"][0]["name"], &difference["tensor"]),
            (&json!(name), &tensor)
        );
        verified(&scene, &["run", "--steps", "1..2"], 0);
    }
    // Nothing was changed: what the tests write is what a run writes.
    scene.write_log("run", &scene.log("whole"));
    assert!(scene.read("run/log.jsonl") == scene.read("whole/log.jsonl"));
    // Other scores; none; other weights at the end; another beginning; steps that skip one.
    let mut lines = scene.log("whole");
    lines[4]["evaluation"]["scores"]["ap"] = json!(0.99);
    scene.write_log("run", &lines);
    has(&verified(&scene, &["run"], 1).0, &["the evaluation after step 3", "ap: 0.99 in the log"]);
    lines.remove(4);
    scene.write_log("run", &lines);
    has(&verified(&scene, &["run"], 1).0, &["the evaluation after step 3", "none in the log"]);
    let mut lines = scene.log("whole");
    lines.last_mut().unwrap()["end"]["weights"] = json!(zeros);
    scene.write_log("run", &lines);
    has(
        &verified(&scene, &["run", "--steps", "6"], 1).0,
        &["the last line has other weights", &zeros],
    );
    let mut lines = scene.log("whole");
    lines[0]["weights"] = json!(zeros);
    scene.write_log("run", &lines);
    has(
        &verified(&scene, &["run", "--steps", "1"], 1).0,
        &["the weights that the recipe begins with"],
    );
    let mut lines = scene.log("whole");
    lines.remove(5);
    scene.write_log("run", &lines);
    has(&verified(&scene, &["run"], 1).0, &["cannot come after the one before"]);
    // A run that is said to be at its end before it is.
    let mut lines = scene.log("whole");
    let mut end = lines.pop().unwrap();
    lines.truncate(5);
    end["end"]["step"] = json!(3);
    lines.push(end);
    scene.write_log("run", &lines);
    has(&verified(&scene, &["run"], 1).0, &["the recipe has 6 steps"]);
}

#[test]
fn files_of_the_run_that_were_changed_are_named() {
    let scene = scene();
    let (four, six) =
        ("run/states/step-000000004.safetensors", "run/states/step-000000006.safetensors");
    let whole = scene.read(four);
    let mut flipped = whole.clone();
    let place = flipped.len() / 3;
    flipped[place] ^= 1;
    for (content, part) in
        [(flipped, " differs"), (whole[..whole.len() / 2].to_vec(), "step-000000004")]
    {
        scene.write(four, content);
        let (said, json) = verified(&scene, &["run"], 1);
        has(&said, &["the saved state of step 4 was changed", "step-000000004.safetensors", part]);
        // Nothing after it was made again.
        assert_eq!((&json["compared"], &json["difference"]["kind"]), (&json!(4), &json!("state")));
        verified(&scene, &["run", "--steps", "5..6"], 1);
        verified(&scene, &["run", "--steps", "1..3"], 0);
    }
    scene.write(four, &whole);
    // A state of another step.
    scene.write(six, &whole);
    has(
        &verified(&scene, &["run"], 1).0,
        &["the saved state of step 6", "it is the state of step 4"],
    );
    fs::copy(scene.path(&six.replace("run/", "whole/")), scene.path(six)).unwrap();
    // Where the log is wrong, and not the state, the step is found between the two.
    let mut lines = scene.log("whole");
    for line in &mut lines[6..8] {
        if line.get("step").is_some() {
            line["step"]["weights"] = json!("0".repeat(64));
        }
    }
    scene.write_log("run", &lines);
    let (said, json) = verified(&scene, &["run"], 1);
    has(&said, &["step 5 is the first"]);
    assert_eq!((&json["after"], &json["compared"]), (&json!(4), &json!(1)));
    scene.write("run/log.jsonl", scene.read("whole/log.jsonl"));
    // The model that came of it.
    let mut model = scene.read("run/model.safetensors");
    *model.last_mut().unwrap() ^= 1;
    scene.write("run/model.safetensors", model);
    has(
        &verified(&scene, &["run", "--steps", "6"], 1).0,
        &["the model's file", "model.safetensors"],
    );
}

#[test]
fn another_recipe_picture_or_annotation_is_told() {
    let scene = scene();
    let run = SIX.replace("seed = 5", "seed = 6");
    scene.recipe("other.toml", &Settings { optimiser: SGD, run: &run, validated: true });
    let (said, json) = verified(&scene, &["run", "--recipe", "other.toml"], 1);
    has(&said, &["the recipe is not the one that the log is of"]);
    assert_eq!(json["difference"]["kind"], "recipe");
    // An annotation.
    let annotations = String::from_utf8(scene.read("a.json")).unwrap();
    let mut data: Value = serde_json::from_str(&annotations).unwrap();
    data["annotations"][4]["bbox"][0] = json!(17.5);
    scene.write("a.json", data.to_string());
    let (said, json) = verified(&scene, &["run"], 1);
    has(&said, &["the annotations (or which images there are) are not those of the run"]);
    assert_eq!((&json["difference"]["kind"], &json["compared"]), (&json!("data"), &json!(0)));
    scene.write("a.json", &annotations);
    // A picture shows at the first step that has it.
    let ids = scene.log("whole")[1]["step"]["images"].clone();
    let id = (1..=10).find(|id| !ids.as_array().unwrap().contains(&json!(id))).unwrap();
    let step = scene.log("whole").iter().position(|line| {
        line["step"]["images"].as_array().is_some_and(|images| images.contains(&json!(id)))
    });
    let name = format!("images/{}.png", id - 1);
    let image = retinanet::Image::open(scene.path(&name)).unwrap();
    let mut pixels = image.as_rgb8().to_vec();
    pixels.iter_mut().for_each(|value| *value = value.wrapping_add(40));
    let other = retinanet::Image::from_rgb8(image.width(), image.height(), pixels).unwrap();
    other.save_png(scene.path(&name)).unwrap();
    let (said, json) = verified(&scene, &["run"], 1);
    has(&said, &["its images:", "classification"]);
    assert_eq!(
        (&json["difference"]["kind"], &json["difference"]["step"]),
        (&json!("step"), &json!(step))
    );
    scene.write(&name, "no picture");
    let (said, json) = verified(&scene, &["run"], 1);
    has(&said, &["which is in the log, cannot be made", &name]);
    assert_eq!(json["difference"]["kind"], "failed");
    fs::remove_file(scene.path(&name)).unwrap();
    has(
        &exits(&scene.run(&["verify", "run"]), 3),
        &["0.png".replace('0', &(id - 1).to_string()).as_str()],
    );
}

#[test]
fn what_is_no_run_or_asks_for_what_is_not_there_is_refused() {
    let scene = scene();
    has(&exits(&scene.run(&["verify", "images"]), 3), &["log.jsonl"]);
    has(
        &exits(&scene.run(&["verify", "a.json", "--steps", "3"]), 2),
        &["neither the folder nor the log"],
    );
    for (steps, code, part) in [
        ("7", 2, "the log has steps 1 to 6, so 7"),
        ("5..9", 2, "5..9"),
        ("0", 2, "the first of all is 1"),
        ("4..3", 2, "--steps"),
        ("x", 2, "--steps"),
    ] {
        has(&exits(&scene.run(&["verify", "run", "--steps", steps]), code), &[part]);
    }
    for more in
        [&["--sample", "1%"][..], &["--image", "a.png"], &["--only", "x"], &["--weights", "x"]]
    {
        let said = exits(&scene.run(&[&["verify", "run"], more].concat()), 2);
        has(&said, &[more[0], "is not for runs"]);
    }
    exits(&scene.run(&["verify", "run", "--chain-only", "--steps", "1"]), 2);
    scene.write("run/log.jsonl", "");
    has(&exits(&scene.run(&["verify", "run"]), 3), &["it has no whole line"]);
    scene.write("run/log.jsonl", "{\"a\": 1}\n");
    has(&exits(&scene.run(&["verify", "run"]), 3), &["it is no log of a training run"]);
    let mut lines = scene.log("whole");
    lines[0]["version"] = json!(2);
    scene.write_log("run", &lines);
    has(&exits(&scene.run(&["verify", "run"]), 3), &["version 2", "reads version 1"]);
    let mut lines = scene.log("whole");
    lines[0]["numerics"] = json!(9);
    scene.write_log("run", &lines);
    has(&exits(&scene.run(&["verify", "run"]), 3), &["the arithmetic", "is 9"]);
    fs::remove_file(scene.path("run/recipe.toml")).unwrap();
    scene.write("run/log.jsonl", scene.read("whole/log.jsonl"));
    has(&exits(&scene.run(&["verify", "run"]), 3), &["recipe.toml"]);
}

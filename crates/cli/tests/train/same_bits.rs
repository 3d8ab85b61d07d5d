//! Nothing but the recipe and the data changes a bit.

use crate::scene::{ADAM, SGD, SIX, Scene, Settings, weights};

#[test]
fn threads_workers_levels_and_stops_change_no_byte_of_log_and_model() {
    let scene = Scene::new();
    let expected = scene.train("recipe.toml", "plain", &["--threads", "1", "--workers", "0"]);
    let same = |run: &str, found: String| {
        assert_eq!(found, expected, "{run}");
        for file in ["log.jsonl", "model.safetensors", "states/step-000000006.safetensors"] {
            let (ours, theirs) =
                (scene.read(&format!("{run}/{file}")), scene.read(&format!("plain/{file}")));
            assert!(ours == theirs, "{run}/{file}");
        }
    };
    for (run, more) in
        [("t2", ["--threads", "2", "--workers", "1"]), ("t3", ["--threads", "3", "--workers", "4"])]
    {
        same(run, scene.train("recipe.toml", run, &more));
    }
    let levels = [
        ("portable", None),
        ("avx", Some("avx")),
        ("avx2", Some("avx2")),
        ("avx512", Some("avx512f")),
    ];
    for (level, flag) in levels {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        if flag.is_some_and(|flag| !cpu.split_whitespace().any(|word| word == flag)) {
            eprintln!("SKIPPED: this CPU has no {level}");
            continue;
        }
        let mut command = scene.train_command("recipe.toml", level, &[]);
        same(level, weights(&command.env("RETINANET_CPU_LEVEL", level).output().unwrap()));
    }
    // At a saved state, between two, and at the evaluation.
    for stop in ["1", "2", "3", "5"] {
        let run = format!("stop{stop}");
        scene.train("recipe.toml", &run, &["--steps", stop]);
        same(&run, scene.train("recipe.toml", &run, &["--resume"]));
    }
    let drawn = String::from_utf8(scene.read("plain/curves.svg")).unwrap();
    for title in ["Loss", "Learning rate", "Scores on the validation pictures"] {
        assert!(drawn.contains(title), "{drawn}");
    }
    // Once more of what is complete: nothing changes.
    same("t2", scene.train("recipe.toml", "t2", &["--resume"]));
}

#[test]
fn parts_of_a_step_and_evaluations_change_no_weight() {
    let scene = Scene::new();
    let expected = scene.train("recipe.toml", "plain", &[]);
    for (run, settings) in [
        (
            "parts",
            Settings { optimiser: SGD, run: &format!("{SIX}\naccumulate = 4"), validated: true },
        ),
        ("blind", Settings { optimiser: SGD, run: SIX, validated: false }),
    ] {
        scene.recipe("other.toml", &settings);
        assert_eq!(scene.train("other.toml", run, &[]), expected, "{run}");
    }
    assert!(!scene.path("blind/best.safetensors").exists());
    assert!(scene.path("parts/best.safetensors").exists());
}

/// What three steps come to on every machine. Where this fails, bits of training have changed.
#[test]
fn three_steps_have_the_pinned_digests() {
    let scene = Scene::new();
    let run = "steps = 3\nbatch = 4\nseed = 11\nevaluate_every = 0\ncheckpoint_every = 0";
    for (name, optimiser, pinned) in [
        ("sgd", SGD, "8766b130260abec6574e017c07f02399a8f63d18211bd8f6674221d41622b669"),
        ("adam", ADAM, "99b52d41a4e731924c5112264b0c5a113796fb65880f6bc77e911898e218b886"),
    ] {
        scene.recipe("pinned.toml", &Settings { optimiser, run, validated: false });
        assert_eq!(scene.train("pinned.toml", name, &[]), pinned, "{name}");
    }
}

/// The demonstration's first steps, on pictures of squares instead of photos, and from the seed alone.
#[test]
fn the_demonstrations_first_steps_have_the_pinned_digest() {
    let pinned = "dae0ae3513342e21503921fb266287c855fcd809ba1c4539acb0d4cc2f3b152c";
    let scene = Scene::new();
    let recipe = include_str!("../../../../examples/recipes/person_r18.toml");
    let backbone = "backbone = \"person_r18/resnet18_imagenet_to_layer3.safetensors\"\n";
    assert_eq!(recipe.matches(backbone).count(), 1);
    scene.write("person_r18.toml", recipe.replace(backbone, ""));
    std::fs::create_dir(scene.path("person_r18")).unwrap();
    std::fs::rename(scene.path("images"), scene.path("person_r18/photos")).unwrap();
    let annotations = String::from_utf8(scene.read("a.json")).unwrap();
    let annotations = annotations.replace("\"square\"", "\"person\"");
    for part in ["train", "watch"] {
        scene.write(&format!("person_r18/{part}.json"), &annotations);
    }
    assert_eq!(scene.train("person_r18.toml", "run", &["--steps", "3"]), pinned);
}

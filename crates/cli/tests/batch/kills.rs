use std::process::Command;
use std::time::{Duration, Instant};

use crate::scene::{Scene, exits};

/// Kills the command `kills` times, each time after a random part of the time a whole run takes, and lets it
/// continue; what it leaves in the end.
pub fn killed_and_continued(
    scene: &Scene,
    command: impl Fn() -> Command,
    out: &str,
    [whole, code]: [u32; 2],
    kills: usize,
) -> Vec<u8> {
    let (mut killed, mut attempt, mut bits) = (0, 0, 0x1234_5678_u32);
    while killed < kills {
        attempt += 1;
        assert!(attempt < 20 * kills, "only {killed} of {attempt} runs were alive when killed");
        bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let delay = Duration::from_millis(whole.into()) * (bits >> 16) / 65_536;
        let [quiet, silent] = [(); 2].map(|()| std::process::Stdio::null());
        let mut child = command().stdout(quiet).stderr(silent).spawn().unwrap();
        std::thread::sleep(delay);
        let ended = child.try_wait().unwrap();
        child.kill().ok();
        child.wait().unwrap();
        match ended {
            None => killed += 1,
            Some(status) => {
                assert_eq!(status.code(), Some(code as i32));
                std::fs::remove_file(scene.path(out)).unwrap();
            }
        }
    }
    exits(&command().output().unwrap(), code as i32);
    scene.read(out)
}

#[test]
fn a_run_killed_at_twenty_points_and_continued_writes_the_same_bytes() {
    let scene = Scene::new(40);
    for format in ["jsonl", "coco", "csv"] {
        let started = Instant::now();
        exits(&scene.batch("plain", &["--format", format, "--overwrite"]), 3);
        let whole = started.elapsed().as_millis() as u32;
        let expected = scene.read("plain");
        let command = || scene.batch_command("out", &["--format", format, "--resume"]);
        let found = killed_and_continued(&scene, command, "out", [whole, 3], 10);
        assert!(found == expected, "{format}");
        std::fs::remove_file(scene.path("out")).unwrap();
    }
}

#[test]
fn a_file_cut_anywhere_is_continued_to_the_same_bytes() {
    let scene = Scene::new(6);
    for format in ["jsonl", "coco", "csv"] {
        exits(&scene.batch("out", &["--format", format, "--overwrite"]), 3);
        let expected = scene.read("out");
        let step = expected.len() / 8;
        let cuts = (0..=8).map(|k| k * step).chain([1, 2, 3, expected.len() - 1]);
        for cut in cuts {
            std::fs::write(scene.path("out"), &expected[..cut]).unwrap();
            exits(&scene.batch("out", &["--format", format, "--resume"]), 3);
            assert!(scene.read("out") == expected, "{format} cut after {cut} bytes");
        }
    }
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_it_soon_and_leaves_whole_lines() {
    let scene = Scene::new(60);
    let mut command = scene.batch_command("out", &["--threads", "1"]);
    let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    let lines = || {
        let file = std::fs::read(scene.path("out")).unwrap_or_default();
        file.iter().filter(|&&byte| byte == b'\n').count()
    };
    while lines() < 3 && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let said = exits(&child.wait_with_output().unwrap(), 130);
    assert!(said.contains("of 64 images; the same command with --resume goes on"), "{said}");
    assert_eq!(scene.read("out").last(), Some(&b'\n'));
    exits(&scene.batch("out", &["--resume"]), 3);
    exits(&scene.batch("plain", &[]), 3);
    assert!(scene.read("out") == scene.read("plain"));
    let left: Vec<_> = std::fs::read_dir(scene.path("")).unwrap().collect();
    assert_eq!(left.len(), 6, "{left:?}");
}

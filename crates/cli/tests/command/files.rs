//! Files written: their names, and full or missing disks.

use std::fs;
use std::process::Stdio;

use super::{asset, command, names_in, photo, run_in};

#[test]
fn equal_names_in_two_folders_do_not_collide() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["in/a", "in/b"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
        fs::copy(photo(), folder.path().join(name).join("1.png")).unwrap();
    }
    fs::copy(photo(), folder.path().join("in/a/1.jpg")).unwrap();
    let arguments = ["detect", "--score-threshold", "0.4", "--overlay", "out/o"];
    let more = ["--masks", "out/m", "--receipt", "out/r", "in"];
    run_in(folder.path(), &[&arguments[..], &more[..]].concat()).succeeded();
    let names = names_in(&folder.path().join("out"));
    for name in ["a/1.jpg", "a/1.png", "b/1.png"] {
        for wanted in [
            format!("o/{name}.png"),
            format!("m/{name}/000-person.png"),
            format!("r/{name}.receipt.json"),
        ] {
            assert!(names.contains(&wanted), "{wanted} is not in {names:?}");
        }
    }
    assert!(!names.iter().any(|name| name.contains(".tmp")), "{names:?}");
}

#[test]
fn masks_have_the_images_size_and_only_black_and_white() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(photo(), folder.path().join("1.png")).unwrap();
    run_in(folder.path(), &["detect", "--masks", "m", "1.png"]).succeeded();
    let mask = retinanet::Image::open(folder.path().join("m/1.png/000-person.png")).unwrap();
    assert_eq!((mask.width(), mask.height()), (512, 512));
    assert!(mask.as_rgb8().iter().all(|value| [0, 255].contains(value)));
    assert!(mask.as_rgb8().contains(&255));
}

#[test]
fn an_output_folder_that_cannot_be_made_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let photo = photo();
    let photo = photo.to_str().unwrap();
    run_in(folder.path(), &["detect", "--overlay", "file/o", photo]).failed(3, &["file/o"]);
    run_in(folder.path(), &["detect", "--json", "no/such/o.json", photo])
        .failed(3, &["o.json", "folder exists"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_ends_with_3() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command().arg("env").stdout(full).stderr(Stdio::piped()).output().unwrap();
    super::Ran::from(output).failed(3, &["standard output", "No space left"]);
}

/// Runs a script in which `$1`, 128 KiB of disk, is mounted, `$2` is the command and `$3` a photo; only
/// where a user may mount.
#[cfg(target_os = "linux")]
fn on_a_small_disk(script: &str) -> Option<super::Ran> {
    let disk = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=128k none \"$1\" || exit 99; cd \"$1\" || exit 99;";
    let plain = command();
    let output = std::process::Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", &format!("{mount} {script}"), "sh"])
        .arg(disk.path())
        .arg(plain.get_program())
        .arg(photo())
        .arg(asset("person_r18.safetensors"))
        .output()
        .ok()?;
    // Mounts are switched off for users, and in containers, of some systems.
    if output.stdout.is_empty() {
        let told = String::from_utf8_lossy(&output.stderr);
        println!("SKIPPED: a small disk cannot be mounted here: {told}");
        return None;
    }
    Some(output.into())
}

#[cfg(target_os = "linux")]
#[test]
fn a_batch_stopped_by_a_full_disk_is_continued_when_there_is_room() {
    let script = r#"
        for i in $(seq 20); do echo "$3"; done > images.txt
        batch() { "$command" batch images.txt --score-threshold 0.1 --out $1 --resume; echo code $?; }
        command=$2
        dd if=/dev/zero of=filler bs=4096 count=27 2>/dev/null
        batch out
        rm filler
        batch out
        batch whole
        cmp out whole && wc -l < out
        find . -name '*.tmp'"#;
    let Some(ran) = on_a_small_disk(script) else { return };
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines, ["code 3", "code 0", "code 0", "20"], "{}", ran.err);
    for part in ["cannot write", "No space left", "of 20 images; the same command with --resume"] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_with_3_and_leaves_no_half_file() {
    let scripts = [
        "\"$2\" detect --overlay o \"$3\"; echo code $?; find . -type f",
        "\"$2\" weights convert \"$4\" w.safetensors; echo code $?; find . -type f",
    ];
    for script in scripts {
        let Some(ran) = on_a_small_disk(script) else { return };
        assert_eq!(ran.out.lines().last(), Some("code 3"), "{}\n{}", ran.out, ran.err);
        assert!(ran.err.contains("No space left"), "{}", ran.err);
    }
}

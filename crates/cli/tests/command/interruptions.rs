//! Readers that leave, and Ctrl-C.
#![cfg(unix)]

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use super::{Ran, asset, command, names_in, photo};

#[test]
fn a_reader_that_leaves_is_no_error() {
    let (photo, weights) = (photo(), asset("person_r18.safetensors"));
    for arguments in [
        vec!["detect", "--json", "-", photo.to_str().unwrap(), photo.to_str().unwrap()],
        vec!["detect", photo.to_str().unwrap(), photo.to_str().unwrap()],
        vec!["weights", "list"],
        vec!["weights", "inspect", "--tensors", weights.to_str().unwrap()],
        vec!["bench", "--size", "64x64", "--runs", "1"],
        vec!["completions", "bash"],
        vec!["man"],
        vec!["env"],
    ] {
        let mut child = command()
            .args(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ran = Ran::from(child.wait_with_output().unwrap()).succeeded();
        assert_eq!(ran.err, "", "{arguments:?}");
    }
}

#[test]
fn ctrl_c_ends_with_130_and_leaves_whole_files_only() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    std::fs::create_dir(&input).unwrap();
    for number in 0..20 {
        std::fs::copy(photo(), input.join(format!("{number:02}.png"))).unwrap();
    }
    for wait in [0, 40, 150] {
        let out = folder.path().join(format!("out{wait}"));
        let mut child = command()
            .args(["detect".as_ref(), "--overlay".as_ref(), out.as_os_str(), input.as_os_str()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The first image is done.
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 1]).unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        let signal = std::process::Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(signal.success());
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, 130, "{}", ran.err);
        let names = names_in(&out);
        assert!((1..20).contains(&names.len()), "{names:?}");
        for name in names {
            assert!(name.ends_with(".png.png"), "{name}");
            retinanet::Image::open(out.join(&name)).unwrap();
        }
    }
}

//! A folder of small images, a model that is quick on them, and the command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use retinanet::Image;
use serde_json::{Value, json};

/// Good and bad images in folders, and a checkpoint.
pub struct Scene {
    folder: tempfile::TempDir,
}

/// Images of a scene that cannot be read.
pub const BAD: usize = 4;

impl Scene {
    /// `good` images that can be read, and [`BAD`] that cannot.
    pub fn new(good: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scene = Self { folder };
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/assets");
        quick_model(&assets.join("person_r18.safetensors"), &scene.path("model.safetensors"));
        let picture = Image::open(assets.join("astronaut.png")).unwrap();
        for sub in ["images/a/deep", "images/b"] {
            std::fs::create_dir_all(scene.path(sub)).unwrap();
        }
        for number in 0..good {
            let sub = ["", "a/", "a/deep/", "b/"][number % 4];
            let (width, height) = (100 + 37 * (number % 5), 120 + 23 * (number % 7));
            let (left, top) = (60 + 11 * (number % 13), 5 * (number % 11));
            crop(&picture, [left, top], [width, height])
                .save_png(scene.path(&format!("images/{sub}{:03}.png", number / 4)))
                .unwrap();
        }
        let whole = std::fs::read(scene.path("images/000.png")).unwrap();
        for (name, content) in [
            ("a/empty.jpg", b"".as_slice()),
            ("a/torn.png", &whole[..whole.len() / 2]),
            ("b/text.jpg", b"no image at all"),
            ("zz.webp", b"RIFF\x04\0\0\0WEBP"),
        ] {
            std::fs::write(scene.path("images").join(name), content).unwrap();
        }
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The command, in the scene's folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retinanet"));
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    /// `retinanet batch images --weights model.safetensors --out OUT` and more.
    pub fn batch_command(&self, out: &str, more: &[&str]) -> Command {
        let mut command = self.command(&["batch", "images", "--out", out]);
        // A low threshold, so that every image has detections.
        command.args(["--weights", "model.safetensors", "--score-threshold", "0.02"]).args(more);
        command
    }

    pub fn batch(&self, out: &str, more: &[&str]) -> Output {
        self.batch_command(out, more).output().unwrap()
    }

    /// A batch with a log: its head.
    #[track_caller]
    pub fn logged(&self, out: &str, log: &str, more: &[&str]) -> String {
        let output = self.batch(out, &[&["--receipts", log], more].concat());
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 3)), "{}", String::from_utf8_lossy(&output.stderr));
        head(&output, log)
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

/// The head that a command printed of a log.
#[track_caller]
pub fn head(output: &Output, log: &str) -> String {
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    let (head, name) = out.trim_end().split_once("  ").unwrap_or_else(|| panic!("{out:?}"));
    assert_eq!((head.len(), name), (64, log));
    head.to_owned()
}

/// Asserts the exit code, showing what was said.
#[track_caller]
pub fn exits(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

fn crop(picture: &Image, [left, top]: [usize; 2], [width, height]: [usize; 2]) -> Image {
    let row = picture.width() * 3;
    let rows = picture.as_rgb8().chunks_exact(row).skip(top).take(height);
    let pixels: Vec<u8> =
        rows.flat_map(|row| &row[left * 3..(left + width) * 3]).copied().collect();
    Image::from_rgb8(width, height, pixels).unwrap()
}

/// The same weights with a transform that makes all images small.
fn quick_model(from: &Path, to: &Path) {
    let file = std::fs::read(from).unwrap();
    let (length, rest) = file.split_at(8);
    let (header, data) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    let config = header["__metadata__"]["config"].as_str().unwrap();
    let mut config: Value = serde_json::from_str(config).unwrap();
    config["transform"]["min_size"] = json!(64);
    config["transform"]["max_size"] = json!(96);
    header["__metadata__"]["config"] = json!(config.to_string());
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let length = (header.len() as u64).to_le_bytes();
    std::fs::write(to, [&length, header.as_slice(), data].concat()).unwrap();
}

//! Pictures with annotations, a small model and recipes for it, and the command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use retinanet::Image;
use retinanet::model::{
    AnchorConfig, BatchNormConfig, ExtraLevels, FpnConfig, GroupNormConfig, HeadConfig,
    ResNetConfig, ResNetDepth, RetinaNetConfig,
};
use serde_json::{Value, json};

/// A folder to train in.
pub struct Scene {
    folder: tempfile::TempDir,
}

/// What a recipe of the scene says, beside model and data.
pub struct Settings<'a> {
    pub optimiser: &'a str,
    pub run: &'a str,
    pub validated: bool,
}

pub const SGD: &str = "kind = \"sgd\"\nlearning_rate = 0.01\nclip_norm = 1.0";
pub const ADAM: &str =
    "kind = \"adam_w\"\nlearning_rate = 0.001\nweight_decay = 0.01\nema_decay = 0.9";
/// Six steps, saved after each second one.
pub const SIX: &str = "steps = 6\nbatch = 4\nseed = 5\nevaluate_every = 3\ncheckpoint_every = 2";

impl Scene {
    /// Ten pictures of squares, and `recipe.toml`: SGD, six steps, two evaluations.
    pub fn new() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(scene.path("images")).unwrap();
        let mut images = Vec::new();
        let mut annotations = Vec::new();
        for number in 0..10_u32 {
            let (width, height) = (72 + 8 * (number % 3), 64 + 4 * (number % 4));
            let (left, top, side) = (4 + 3 * number, 2 + 2 * number, 18 + 2 * (number % 5));
            let pixels = (0..width * height).flat_map(|place| {
                let (x, y) = (place % width, place / width);
                let inside = (left..left + side).contains(&x) && (top..top + side).contains(&y);
                let noise = (place.wrapping_mul(2_654_435_761) >> 27) as u8;
                match inside {
                    true => [220 - noise, 40 + noise, 60],
                    false => [90 + noise, 120, 130 - noise],
                }
            });
            let image = Image::from_rgb8(width as usize, height as usize, pixels.collect());
            let name = format!("{number}.png");
            image.unwrap().save_png(scene.path("images").join(&name)).unwrap();
            images.push(
                json!({"id": number + 1, "file_name": name, "width": width, "height": height}),
            );
            annotations.push(json!({"id": number + 1, "image_id": number + 1, "category_id": 1,
                "bbox": [left, top, side, side], "area": side * side, "iscrowd": 0}));
        }
        let data = json!({"images": images, "annotations": annotations,
            "categories": [{"id": 1, "name": "square"}]});
        scene.write("a.json", data.to_string());
        scene.write("model.json", small_model().to_json().unwrap());
        scene.recipe("recipe.toml", &Settings { optimiser: SGD, run: SIX, validated: true });
        scene
    }

    /// Writes a recipe.
    pub fn recipe(&self, name: &str, settings: &Settings<'_>) {
        let Settings { optimiser, run, validated } = settings;
        let validation = match validated {
            true => "validation_annotations = \"a.json\"\nvalidation_images = \"images\"\n",
            false => "",
        };
        self.write(
            name,
            format!(
                "[model]\nconfig = \"model.json\"\ncategories = [\"square\"]\n\
                 [data]\nannotations = \"a.json\"\nimages = \"images\"\n{validation}\
                 [optimiser]\n{optimiser}\n[schedule]\nkind = \"cosine\"\nwarm_up_steps = 2\n[run]\n{run}\n"
            ),
        );
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// A run's log, a value a line.
    pub fn log(&self, run: &str) -> Vec<Value> {
        let text = String::from_utf8(self.read(&format!("{run}/log.jsonl"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Writes a log with a chain that holds.
    pub fn write_log(&self, run: &str, lines: &[Value]) {
        let mut text = Vec::new();
        let mut head = String::new();
        for line in lines {
            let line = match line.get("previous") {
                // The chain is a line's first field, and that is the order in which it is written.
                Some(_) => {
                    let (kind, content) = line
                        .as_object()
                        .unwrap()
                        .iter()
                        .find(|(key, _)| *key != "previous")
                        .unwrap();
                    format!("{{\"previous\":\"{head}\",\"{kind}\":{}}}\n", ordered(kind, content))
                }
                None => ordered("header", line) + "\n",
            };
            head = sha256(line.as_bytes());
            text.extend_from_slice(line.as_bytes());
        }
        self.write(&format!("{run}/log.jsonl"), text);
    }

    /// The command, in the scene's folder, offline.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retinanet"));
        command.current_dir(self.folder.path()).args(arguments);
        command.env("RETINANET_OFFLINE", "1").env_remove("RETINANET_CPU_LEVEL");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// `retinanet train` of a recipe.
    pub fn train_command(&self, recipe: &str, out: &str, more: &[&str]) -> Command {
        let mut command = self.command(&["train", "--recipe", recipe, "--out", out]);
        command.args(more);
        command
    }

    /// The last line that a training prints.
    #[track_caller]
    pub fn train(&self, recipe: &str, out: &str, more: &[&str]) -> String {
        weights(&self.train_command(recipe, out, more).output().unwrap())
    }
}

/// The last line of a training that succeeded.
#[track_caller]
pub fn weights(output: &Output) -> String {
    exits(output, 0);
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    let line = out.lines().last().unwrap_or_default();
    let digest = line.strip_prefix("weights ").unwrap_or_else(|| panic!("{out:?}"));
    assert_eq!(digest.len(), 64, "{out:?}");
    digest.to_owned()
}

/// Asserts the exit code, and answers what was said on standard error.
#[track_caller]
pub fn exits(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{out}\n{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// Each part is somewhere in the text.
#[track_caller]
pub fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A line's content with its fields in the order in which a run writes them.
fn ordered(kind: &str, content: &Value) -> String {
    let names: &[&str] = match kind {
        "header" => {
            &["format", "version", "numerics", "recipe", "data", "images", "weights", "tensors"]
        }
        "step" => &[
            "step",
            "images",
            "learning_rate",
            "classification",
            "regression",
            "foreground",
            "gradient_norm",
            "weights",
            "optimiser",
            "ema",
            "tensors",
        ],
        "evaluation" => &["step", "scores"],
        "end" => &["step", "weights"],
        _ => &["ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar_100"],
    };
    let fields = names.iter().filter_map(|name| {
        let value = content.get(*name)?;
        let text = if *name == "scores" { ordered("scores", value) } else { value.to_string() };
        Some(format!("\"{name}\":{text}"))
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// A ResNet-18 up to layer2, 16 channels, three levels.
fn small_model() -> RetinaNetConfig {
    let mut config = RetinaNetConfig {
        backbone: ResNetConfig {
            depth: ResNetDepth::ResNet18,
            returned_layers: vec![2],
            batch_norm: BatchNormConfig { frozen: true, eps: 1e-5 },
        },
        fpn: FpnConfig { out_channels: 32, extra_levels: ExtraLevels::P6P7FromBackbone },
        anchors: AnchorConfig {
            sizes: vec![vec![20.0], vec![40.0], vec![80.0]],
            aspect_ratios: vec![vec![1.0]; 3],
        },
        head: HeadConfig { num_convs: 1, group_norm: Some(GroupNormConfig::default()) },
        num_classes: 2,
        ..RetinaNetConfig::resnet50_fpn_v2()
    };
    config.transform.min_size = 64;
    config.transform.max_size = 96;
    config.postprocess.score_thresh = 0.001;
    config.categories = Some(vec!["__background__".to_owned(), "square".to_owned()]);
    config
}

/// Copies a run's folder.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

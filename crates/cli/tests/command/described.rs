//! Weights that say too little about themselves: `--batch-norm-eps` and `--classes`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use retinanet::model::{RetinaNetConfig, expected_tensors};
use retinanet::weights::{StoredDtype, TensorData, save_safetensors};

use super::{Ran, asset, photo, run_in};

/// The file's classes.
const CLASSES: usize = 3;

/// A folder with `strip.ppm`, an image that is small on the network's canvas too, and `names.txt`.
struct Folder(tempfile::TempDir);

/// Tensors near to those that training starts from, cut from one row of numbers in -1..1.
fn write_v1(path: &Path) {
    let row: Vec<f32> = (1..=8191_u32)
        .map(|i| {
            ((i.wrapping_mul(i).wrapping_mul(2_654_435_761) >> 8) & 0xffff) as f32 / 32768.0 - 1.0
        })
        .collect();
    let config = RetinaNetConfig { num_classes: CLASSES, ..RetinaNetConfig::resnet50_fpn() };
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = expected_tensors(&config)
        .unwrap()
        .into_iter()
        .map(|(name, shape)| {
            let (centre, spread) = if shape.len() == 4 {
                (0.0, (6.0 / shape[1..].iter().product::<usize>() as f32).sqrt())
            } else if name.ends_with("bn3.weight") {
                (0.25, 0.0625)
            } else if name.ends_with("running_var") || name.ends_with("weight") {
                (1.0, 0.25)
            } else {
                (0.0, 0.125)
            };
            let row: Vec<[u8; 4]> =
                row.iter().map(|value| (centre + spread * value).to_le_bytes()).collect();
            let length = 4 * shape.iter().product::<usize>();
            let mut bytes = row.as_flattened().repeat(length.div_ceil(4 * row.len()));
            bytes.truncate(length);
            (name, shape, bytes)
        })
        .collect();
    let dtype = StoredDtype::F32;
    let views: Vec<TensorData<'_>> = tensors
        .iter()
        .map(|(name, shape, bytes)| TensorData { name, dtype, shape, bytes })
        .collect();
    save_safetensors(path, &views, &BTreeMap::new()).unwrap();
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut strip = b"P6\n666 16\n255\n".to_vec();
        strip.extend((0..666 * 16 * 3_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
        fs::write(folder.path().join("strip.ppm"), strip).unwrap();
        fs::write(folder.path().join("names.txt"), "__background__\nblack cat\ndog\n").unwrap();
        Self(folder)
    }

    /// With `v1.safetensors`, which has v1's names and shapes, and says nothing else.
    fn with_v1() -> Self {
        let folder = Self::new();
        write_v1(&folder.path("v1.safetensors"));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        run_in(self.0.path(), arguments)
    }

    /// What `detect` answers, as JSON.
    fn detect(&self, weights: &str, more: &[&str]) -> String {
        let arguments = [&["detect", "--json", "-", "--weights", weights], more, &["strip.ppm"]];
        self.run(&arguments.concat()).succeeded().out
    }

    /// The digest of the detections, from the receipt that is written into the folder of that name.
    fn digest(&self, receipts: &str, weights: &str, more: &[&str]) -> String {
        self.detect(weights, &[&["--receipt", receipts], more].concat());
        let text = fs::read_to_string(self.path(receipts).join("strip.ppm.receipt.json")).unwrap();
        let receipt: serde_json::Value = serde_json::from_str(&text).unwrap();
        receipt["digest"].as_str().unwrap().to_owned()
    }
}

#[test]
fn an_eps_that_nothing_tells_is_asked_for_by_the_option_s_name() {
    let folder = Folder::with_v1();
    let parts = ["nothing says which batch-norm eps", "`--batch-norm-eps`", "v1.safetensors"];
    folder.run(&["detect", "--weights", "v1.safetensors", "strip.ppm"]).failed(2, &parts);
    folder
        .run(&["batch", "--weights", "v1.safetensors", "--out", "o.jsonl", "strip.ppm"])
        .failed(2, &parts);
    folder.run(&["bench", "--weights", "v1.safetensors"]).failed(2, &parts);
    folder.run(&["weights", "verify", "v1.safetensors"]).failed(1, &parts);
    let convert = ["weights", "convert", "--classes", "a,b,c", "v1.safetensors", "no.safetensors"];
    folder.run(&convert).failed(2, &parts);
    assert!(!folder.path("no.safetensors").exists());
    let verify = ["weights", "verify", "--batch-norm-eps", "0", "v1.safetensors"];
    let out = folder.run(&verify).succeeded().out;
    assert!(out.contains("301 tensors into a retinanet_resnet50_fpn with 3 classes"), "{out}");
}

#[test]
fn a_converted_file_needs_no_options_for_the_same_answer() {
    let folder = Folder::with_v1();
    let said = ["--batch-norm-eps", "0.01", "--classes", "names.txt"];
    let convert = [&["weights", "convert"], &said[..], &["v1.safetensors", "said.safetensors"]];
    folder.run(&convert.concat()).succeeded();
    let before = folder.digest("before", "v1.safetensors", &said);
    assert_eq!(folder.digest("after", "said.safetensors", &[]), before);
    let found = folder.detect("v1.safetensors", &said);
    assert_eq!(folder.detect("said.safetensors", &[]), found);
    assert!(found.contains("\"black cat\""), "{found}");
    // The eps counts, and so do the names.
    let other = ["--batch-norm-eps", "0", "--classes", "names.txt"];
    assert_ne!(folder.digest("other", "v1.safetensors", &other), before);
    let list = ["--classes", "__background__,Katze,Hund"];
    assert!(folder.detect("said.safetensors", &list).contains("\"Katze\""));
    // A receipt has both by itself, and so have batches.
    folder.run(&["verify", "before/strip.ppm.receipt.json"]).succeeded();
    let batch = ["batch", "--out", "all.jsonl", "--weights", "v1.safetensors"];
    folder.run(&[&batch, &said[..], &["strip.ppm"]].concat()).succeeded();
    let all = fs::read_to_string(folder.path("all.jsonl")).unwrap();
    assert!(all.contains("\"black cat\""), "{all}");
    // Said again it may be, if it is the same.
    folder.detect("said.safetensors", &["--batch-norm-eps", "0.01"]);
    let wrong = ["detect", "--weights", "said.safetensors", "--batch-norm-eps", "0", "strip.ppm"];
    let parts =
        ["stated as 0.0", "its own configuration says 0.01", "leave `--batch-norm-eps` out"];
    folder.run(&wrong).failed(2, &parts);
    let again =
        ["weights", "convert", "--batch-norm-eps", "0", "said.safetensors", "no2.safetensors"];
    folder.run(&again).failed(2, &["its own configuration says 0.01"]);
    assert!(!folder.path("no2.safetensors").exists());
}

#[test]
fn an_eps_out_of_range_is_refused() {
    let folder = Folder::new();
    for wrong in ["-1e-5", "1", "NaN", "inf", "small", ""] {
        let option = format!("--batch-norm-eps={wrong}");
        folder.run(&["detect", &option, "strip.ppm"]).failed(2, &["at least 0 and less than 1"]);
    }
}

#[test]
fn lists_of_classes_that_do_not_fit_are_refused() {
    let folder = Folder::new();
    let bundled = asset("person_r18.safetensors");
    let photo = photo();
    let [bundled, photo] = [&bundled, &photo].map(|path| path.to_str().unwrap());
    fs::write(folder.path("gap.txt"), "a\n\nb\n").unwrap();
    fs::write(folder.path("latin.txt"), b"caf\xe9\nb\n").unwrap();
    for (classes, code, parts) in [
        ("person", 3, &["1 category names", "2 classes", "put `__background__` in front"][..]),
        ("a,b,c", 3, &["3 category names", "if the first of them is the background, leave it out"]),
        ("a,b,c,d", 3, &["4 category names were given for a model of 2 classes"]),
        ("", 2, &["--classes: the list has no names"]),
        ("a,", 2, &["no name at name 2"]),
        ("cat,cat", 2, &["\"cat\" twice"]),
        ("no_such.txt", 3, &["--classes: the file \"no_such.txt\" cannot be read"]),
        ("gap.txt", 3, &["\"gap.txt\" has no name at line 2"]),
        ("latin.txt", 3, &["\"latin.txt\" is no text in UTF-8"]),
    ] {
        let arguments = ["detect", "--weights", bundled, "--classes", classes, photo];
        folder.run(&arguments).failed(code, parts);
    }
    let convert = ["weights", "convert", "--classes", "person", bundled, "no3.safetensors"];
    folder.run(&convert).failed(3, &["1 category names"]);
    assert!(!folder.path("no3.safetensors").exists());
}

#[test]
fn an_unknown_label_lists_the_names_that_were_said() {
    let folder = Folder::new();
    let arguments = ["detect", "--classes", "person,background", "--label", "cat", "strip.ppm"];
    folder.run(&arguments).failed(2, &["its labels: person, background"]);
}

#[test]
fn the_models_of_other_frameworks_are_told_by_name() {
    let folder = Folder::new();
    let bytes = [0; 4];
    let names = ["bbox_head.retina_cls.weight", "backbone.conv1.weight"];
    let views =
        names.map(|name| TensorData { name, dtype: StoredDtype::F32, shape: &[1], bytes: &bytes });
    save_safetensors(folder.path("mm.safetensors"), &views, &BTreeMap::new()).unwrap();
    let parts = ["mm.safetensors", "a RetinaNet of mmdetection", "so it is not loaded"];
    folder.run(&["detect", "--weights", "mm.safetensors", "strip.ppm"]).failed(3, &parts);
    folder.run(&["weights", "verify", "mm.safetensors"]).failed(1, &parts);
    let convert =
        ["weights", "convert", "--batch-norm-eps", "0", "mm.safetensors", "no4.safetensors"];
    folder.run(&convert).failed(3, &parts);
    let inspected = folder.run(&["weights", "inspect", "mm.safetensors"]).succeeded().out;
    assert!(inspected.contains("a RetinaNet of mmdetection"), "{inspected}");
}

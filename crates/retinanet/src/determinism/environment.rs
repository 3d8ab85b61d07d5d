//! What an answer was computed with, for a report or a receipt.

use serde::{Deserialize, Serialize};

use super::{Determinism, Digest, Mode, SettingProblem};
use crate::device::Device;

/// Counts the purposeful changes of any answer's bits, in strict mode on the CPU: it goes up by one with each,
/// whatever the release is called, and the changelog says what changed. Equal numbers mean equal bits.
///
/// - 1: until JPEGs were decoded by `retinanet-jpeg`. Reports and receipts that name no number are of this one.
/// - 2: a JPEG's pixels are libjpeg-turbo's. Answers to JPEGs changed, all others are those of 1.
pub const NUMERICS_VERSION: u32 = 2;

/// Of what was written before there was a number.
const FIRST_NUMERICS: u32 = 1;

fn first_numerics() -> u32 {
    FIRST_NUMERICS
}

fn is_first_numerics(numerics: &u32) -> bool {
    *numerics == FIRST_NUMERICS
}

/// The versions of what takes part in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// The bits of answers: [`NUMERICS_VERSION`]. Left out where it is 1, so that what was written before
    /// there was a number keeps its bytes, and its seal.
    #[serde(default = "first_numerics", skip_serializing_if = "is_first_numerics")]
    pub numerics: u32,
    /// This crate.
    pub retinanet: String,
    /// The arithmetic.
    pub retinanet_kernels: String,
    /// The image library; this crate requires exactly this release.
    pub image: String,
    /// The JPEG decoder; `None` where [`numerics`](Self::numerics) is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retinanet_jpeg: Option<String>,
    /// The JPEG decoder where [`numerics`](Self::numerics) is 1; `None` since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zune_jpeg: Option<String>,
    /// The PNG decoder; this crate requires exactly this release.
    pub png: String,
    /// The WebP decoder; this crate requires exactly this release.
    pub image_webp: String,
    /// In what was written while every build contained candle: the release it was tested with. No bit of an
    /// answer comes from candle, so it says nothing about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candle_tested: Option<String>,
}

impl Versions {
    fn current() -> Self {
        Self {
            numerics: NUMERICS_VERSION,
            retinanet: env!("CARGO_PKG_VERSION").to_owned(),
            retinanet_kernels: retinanet_kernels::VERSION.to_owned(),
            image: IMAGE.to_owned(),
            retinanet_jpeg: Some(retinanet_jpeg::VERSION.to_owned()),
            zune_jpeg: None,
            png: PNG.to_owned(),
            image_webp: IMAGE_WEBP.to_owned(),
            candle_tested: None,
        }
    }
}

impl Versions {
    /// The parts whose version is not this build's, as (part, there, here).
    pub(crate) fn changed_from_current(&self) -> Vec<(&'static str, String, String)> {
        let (there, here) = (self.parts(), Self::current().parts());
        let pairs = there.into_iter().zip(here);
        let changed = pairs.filter(|((_, there), (_, here))| there != here);
        changed.map(|((part, there), (_, here))| (part, there, here)).collect()
    }

    fn parts(&self) -> [(&'static str, String); 8] {
        let decoder = |version: &Option<String>| version.clone().unwrap_or_else(none);
        [
            ("numerics", self.numerics.to_string()),
            ("retinanet", self.retinanet.clone()),
            ("retinanet-kernels", self.retinanet_kernels.clone()),
            ("image", self.image.clone()),
            ("retinanet-jpeg", decoder(&self.retinanet_jpeg)),
            ("zune-jpeg", decoder(&self.zune_jpeg)),
            ("png", self.png.clone()),
            ("image-webp", self.image_webp.clone()),
        ]
    }
}

fn none() -> String {
    "none".to_owned()
}

// A test compares these with Cargo.lock.
const IMAGE: &str = "0.25.10";
const PNG: &str = "0.18.1";
const IMAGE_WEBP: &str = "0.2.4";

/// The CPU an answer was computed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// The architecture, as Rust names it (`x86_64`, `aarch64`).
    pub architecture: String,
    /// The brand, where the operating system tells it (Linux on x86).
    pub brand: Option<String>,
    /// The level of the kernels in use (`portable`, `avx`, `avx2`, `avx512`).
    pub level: String,
}

/// What an answer was computed with.
///
/// In strict mode only the versions, the weights and the input decide the bits; the rest is there to
/// explain a difference, should one appear. `Display` writes a table of two aligned columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Versions of the parts.
    pub versions: Versions,
    /// Strict or fast.
    pub mode: Mode,
    /// The seed.
    pub seed: u64,
    /// The operating system, as Rust names it (`linux`, `macos`, `windows`).
    pub os: String,
    /// The CPU.
    pub cpu: Cpu,
    /// The device (`cpu`, `cuda:0`), and cuDNN with its format where that convolves
    /// (`cuda:0 (cuDNN f16)`).
    pub device: String,
    /// The GPU and its driver, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// How many threads the kernels use.
    pub threads: usize,
    /// Features of this crate that were compiled in.
    pub features: Vec<String>,
    /// Whether debug assertions were compiled in.
    pub debug_build: bool,
    /// SHA-256 of the weights file; `None` where no file was loaded.
    pub weights_sha256: Option<Digest>,
    /// Settings that break determinism, each with its remedy.
    pub problems: Vec<SettingProblem>,
}

impl Environment {
    /// Describes this process; `cpu_level` is the level of the kernels in use.
    ///
    /// ```
    /// use retinanet::Device;
    /// use retinanet::determinism::{Determinism, Environment};
    ///
    /// let determinism = Determinism::default();
    /// print!("{}", Environment::capture(&determinism, "portable", Device::Cpu, 1, None));
    /// ```
    pub fn capture(
        determinism: &Determinism,
        cpu_level: impl std::fmt::Display,
        device: Device,
        threads: usize,
        weights_sha256: Option<Digest>,
    ) -> Self {
        let features = [
            ("fetch", cfg!(feature = "fetch")),
            ("cuda", cfg!(feature = "cuda")),
            ("cudnn", cfg!(feature = "cudnn")),
        ];
        Self {
            versions: Versions::current(),
            mode: determinism.mode(),
            seed: determinism.seed(),
            os: std::env::consts::OS.to_owned(),
            cpu: Cpu {
                architecture: std::env::consts::ARCH.to_owned(),
                brand: cpu_brand(),
                level: cpu_level.to_string(),
            },
            device: device.to_string(),
            gpu: None,
            threads,
            features: features
                .iter()
                .filter(|(_, on)| *on)
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            debug_build: cfg!(debug_assertions),
            weights_sha256,
            problems: determinism.setting_problems(),
        }
    }

    /// Both environments as a table of three columns, this one (of a receipt) first; what differs is
    /// marked.
    pub(crate) fn beside(&self, here: &Self) -> String {
        let (left, right) = (self.rows(), here.rows());
        let names = left.iter().map(|(name, _)| *name).chain(["problem", "problems"]);
        let mut rows = vec![["", "", "receipt", "here"].map(str::to_owned)];
        let mut seen = Vec::new();
        for name in names {
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            let of = |rows: &[(&str, String)]| -> Vec<String> {
                let values = rows.iter().filter(|row| row.0 == name).map(|row| escaped(&row.1));
                // Half a screen is too narrow for a whole hash; a quarter of it tells two apart.
                let short = |value: String| match name {
                    "weights sha256" if value.len() == 64 => format!("{}..", &value[..16]),
                    _ => value,
                };
                values.map(short).collect()
            };
            let (left, right) = (of(&left), of(&right));
            for i in 0..left.len().max(right.len()) {
                let cell = |side: &[String]| side.get(i).cloned().unwrap_or_default();
                let (left, right) = (cell(&left), cell(&right));
                let mark = if left == right { "" } else { "*" };
                rows.push([mark.to_owned(), name.to_owned(), left, right]);
            }
        }
        let width =
            |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let [first, second, third] = [width(0), width(1), width(2)];
        let line = |[mark, name, left, right]: &[String; 4]| {
            let line = format!("{mark:first$} {name:second$}  {left:third$}  {right}");
            line.trim_end().to_owned()
        };
        rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let versions = &self.versions;
        let brand = self.cpu.brand.as_deref().unwrap_or("brand unknown");
        let mut rows = Vec::from(versions.parts());
        // Only what was written before there was a number of the numerics has it.
        rows.retain(|(part, _)| *part != "zune-jpeg" || versions.zune_jpeg.is_some());
        rows.extend([
            ("mode", self.mode.to_string()),
            ("seed", self.seed.to_string()),
            ("os", self.os.clone()),
            ("cpu", format!("{}, {brand}", self.cpu.architecture)),
            ("cpu level", self.cpu.level.clone()),
            ("device", self.device.clone()),
            ("threads", self.threads.to_string()),
            ("features", if self.features.is_empty() { none() } else { self.features.join(", ") }),
            ("build", if self.debug_build { "debug" } else { "release" }.to_owned()),
            ("weights sha256", self.weights_sha256.map_or_else(none, |d| d.to_string())),
        ]);
        if let Some(gpu) = &self.gpu {
            rows.push(("gpu", gpu.clone()));
        }
        if self.problems.is_empty() {
            rows.push(("problems", none()));
        }
        rows.extend(self.problems.iter().map(|p| ("problem", p.to_string())));
        rows
    }
}

impl std::fmt::Display for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = self.rows();
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in rows {
            let value = escaped(&value);
            writeln!(f, "{name:width$}  {value}")?;
        }
        Ok(())
    }
}

/// Values may come from a receipt, so nothing in them reaches a terminal unescaped.
fn escaped(value: &str) -> String {
    let mut safe = String::with_capacity(value.len());
    for character in value.chars() {
        match character.is_control() {
            true => safe.extend(character.escape_debug()),
            false => safe.push(character),
        }
    }
    safe
}

/// The first processor's name in /proc/cpuinfo.
fn cpu_brand() -> Option<String> {
    brand_in(&std::fs::read_to_string("/proc/cpuinfo").ok()?)
}

fn brand_in(cpuinfo: &str) -> Option<String> {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")
        .map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(determinism: &Determinism) -> Environment {
        let weights = Digest::from_bytes([0xab; 32]);
        Environment::capture(determinism, "avx2", Device::Cpu, 3, Some(weights))
    }

    fn lock_file() -> String {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        ["../../Cargo.lock", "Cargo.lock"]
            .iter()
            .find_map(|path| std::fs::read_to_string(here.join(path)).ok())
            .expect("Cargo.lock in the workspace or the package")
    }

    #[test]
    fn reported_versions_are_the_locked_ones() {
        let lock: toml::Table = lock_file().parse().unwrap();
        let locked = |name: &str| -> Vec<String> {
            let packages = lock["package"].as_array().unwrap();
            let named = packages.iter().filter(|p| p["name"].as_str() == Some(name));
            named.map(|p| p["version"].as_str().unwrap().to_owned()).collect()
        };
        for (name, version) in [
            ("retinanet", env!("CARGO_PKG_VERSION")),
            ("retinanet-kernels", retinanet_kernels::VERSION),
            ("image", IMAGE),
            ("retinanet-jpeg", retinanet_jpeg::VERSION),
            ("png", PNG),
            ("image-webp", IMAGE_WEBP),
        ] {
            assert_eq!(locked(name), [version], "{name}");
        }
    }

    #[test]
    fn it_says_what_the_answer_was_computed_with() {
        let environment = capture(&Determinism::strict(7));
        assert_eq!(environment.cpu.level, "avx2");
        assert_eq!((environment.threads, environment.seed), (3, 7));
        assert_eq!(environment.problems, []);
        assert_eq!(environment.features.contains(&"fetch".to_owned()), cfg!(feature = "fetch"));
    }

    #[test]
    fn fast_mode_is_reported_as_a_problem_with_its_remedy() {
        let text = capture(&Determinism::fast()).to_string();
        assert!(text.contains("use Determinism::strict(seed)"), "{text}");
    }

    #[test]
    fn the_table_is_aligned_and_free_of_control_characters() {
        let mut environment = capture(&Determinism::default());
        environment.cpu.brand = Some("evil\x1b[2J\nname".to_owned());
        let text = environment.to_string();
        assert!(!text.contains('\x1b'));
        assert!(text.contains(r"evil\u{1b}[2J\nname"), "{text}");
        for line in text.lines() {
            assert_eq!(&line[17..19], "  ", "{line:?}");
            assert_ne!(line.as_bytes()[19], b' ', "{line:?}");
        }
        assert!(text.contains(&"ab".repeat(32)));
    }

    #[test]
    fn it_survives_json() {
        let environment = capture(&Determinism::fast());
        let json = serde_json::to_string(&environment).unwrap();
        assert_eq!(serde_json::from_str::<Environment>(&json).unwrap(), environment);
    }

    #[test]
    fn what_was_written_before_there_was_a_number_is_numerics_1() {
        let old = r#"{"retinanet":"0.1.0","retinanet_kernels":"0.1.0","image":"0.25.10","zune_jpeg":"0.5.15","png":"0.18.1","image_webp":"0.2.4","candle_tested":"0.11.1"}"#;
        let versions: Versions = serde_json::from_str(old).unwrap();
        assert_eq!(versions.numerics, 1);
        // A receipt's seal is over these fields.
        assert_eq!(serde_json::to_string(&versions).unwrap(), old);
        let changed = versions.changed_from_current();
        let numerics = ("numerics", "1".to_owned(), NUMERICS_VERSION.to_string());
        assert!(changed.contains(&numerics), "{changed:?}");

        let here = capture(&Determinism::default());
        let beside = Environment { versions, ..here.clone() }.beside(&here);
        let row = |name: &str| beside.lines().find(|line| line.contains(name)).unwrap();
        assert!(row("numerics").starts_with('*'), "{beside}");
        assert!(row("zune-jpeg").starts_with('*'), "{beside}");
        assert!(!row("image-webp").starts_with('*'), "{beside}");
    }

    #[test]
    fn the_brand_is_the_first_model_name() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\nmodel name\t: other\n";
        assert_eq!(brand_in(text).unwrap(), "Some CPU @ 2.0GHz");
        assert_eq!(brand_in("CPU implementer\t: 0x41\n"), None);
    }
}

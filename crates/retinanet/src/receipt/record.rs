//! Receipts: what was answered, to which image, by which weights, in a file anyone can re-run.

use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::seal::seal;
use crate::Result;
use crate::detection::Detections;
use crate::detector::Detector;
use crate::determinism::{Digest, Environment, StageDigests};
use crate::error::{DeterminismError, ImageError};
use crate::files::open_regular;
use crate::image::{DecodeLimits, DecodeOptions, Image, ImageRows, Tiling, read_file};
use crate::model::RetinaNetConfig;

const FORMAT: &str = "retinanet.receipt";
const VERSION: u64 = 1;

/// The largest receipt that is read: far more than any image's detections need.
const MAX_BYTES: u64 = 16 << 20;

/// A detection on record: environment, configuration, weights, image, the digest of every stage, and
/// the detections.
///
/// Anyone who has the weights and the image can [`verify`](Self::verify) it, on another machine and
/// with another number of threads. As JSON it is one object; unknown fields are refused. `seal` is a
/// hash over all other fields, which shows that a receipt was edited; it is no signature.
///
/// ```no_run
/// use retinanet::Detector;
/// use retinanet::receipt::Receipt;
///
/// let detector = Detector::builder().weights("person_r18.safetensors").build()?;
/// Receipt::create(&detector, "photo.jpg")?.save("photo.receipt.json")?;
///
/// let receipt = Receipt::open("photo.receipt.json")?;
/// let verification = receipt.verify(Detector::builder(), None)?;
/// assert!(verification.is_same(), "{verification}");
/// # Ok::<(), retinanet::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    format: String,
    version: u64,
    environment: Environment,
    weights: WeightsRecord,
    configuration: RetinaNetConfig,
    image: ImageFileRecord,
    /// Only where the image was looked at window by window: what was there before keeps its seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tiles: Option<Tiling>,
    stages: StageDigests,
    detections: Detections,
    digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<Digest>,
}

/// The weights a receipt speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsRecord {
    /// The name or path they were given by.
    pub given: String,
    /// SHA-256 of the file.
    pub sha256: Digest,
}

/// The image file a receipt speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFileRecord {
    /// The path it was given by.
    pub path: String,
    /// The file's size.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Digest,
}

impl ImageFileRecord {
    /// A file whose content is in memory.
    fn of(path: &Path, bytes: &[u8]) -> Self {
        Self { path: text(path), bytes: bytes.len() as u64, sha256: sha256(bytes) }
    }

    /// A file, read piece by piece.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let unreadable = |source| ImageError::Read { name: text(path), source };
        let (sha256, bytes) = hash_file(path).map_err(unreadable)?;
        Ok(Self { path: text(path), bytes, sha256 })
    }
}

/// What reading the format and version alone needs.
#[derive(Deserialize)]
struct Probe {
    format: Option<Value>,
    version: Option<Value>,
}

impl Receipt {
    /// Detects in an image file, decoded as [`Image::open`] does, and records everything about it.
    ///
    /// # Errors
    /// As [`Image::open`] and [`Detector::detect_traced`];
    /// [`DeterminismError::ReceiptWithoutWeights`] for a detector made of a model.
    pub fn create(detector: &Detector, image: impl AsRef<Path>) -> Result<Self> {
        Self::create_within(detector, image, &DecodeLimits::default())
    }

    /// As [`create`](Self::create), with other limits than the default ones; the receipt does not depend on them.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_within(
        detector: &Detector,
        image: impl AsRef<Path>,
        limits: &DecodeLimits,
    ) -> Result<Self> {
        let path = image.as_ref();
        let bytes = read_file(path, &text(path), limits.max_file_bytes)?;
        Self::create_from_bytes_within(detector, path, &bytes, limits)
    }

    /// As [`create`](Self::create), of an image file that is already in memory: `bytes` is its content,
    /// `path` the name it goes by.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_from_bytes(
        detector: &Detector,
        path: impl AsRef<Path>,
        bytes: &[u8],
    ) -> Result<Self> {
        Self::create_from_bytes_within(detector, path, bytes, &DecodeLimits::default())
    }

    /// As [`create_from_bytes`](Self::create_from_bytes), with other limits than the default ones.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_from_bytes_within(
        detector: &Detector,
        path: impl AsRef<Path>,
        bytes: &[u8],
        limits: &DecodeLimits,
    ) -> Result<Self> {
        let path = path.as_ref();
        let options = DecodeOptions { limits: limits.clone(), ..DecodeOptions::default() };
        let image = Image::decode_with(bytes, &text(path), &options)?;
        let file = ImageFileRecord::of(path, bytes);
        Self::record(detector, file, None, || detector.detect_traced(&image))
    }

    /// As [`create_within`](Self::create_within), window by window ([`Detector::detect_tiled`]): the
    /// receipt holds the tiles, and the digest of each window in place of the network's stages.
    /// `progress` is told how many windows are done, and how many there are.
    ///
    /// # Errors
    /// As [`create`](Self::create) and [`Detector::detect_tiled`].
    pub fn create_tiled(
        detector: &Detector,
        image: impl AsRef<Path>,
        tiles: &Tiling,
        limits: &DecodeLimits,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let path = image.as_ref();
        let options = DecodeOptions { limits: limits.clone(), ..DecodeOptions::default() };
        let rows = ImageRows::open(path, &options)?;
        let file = ImageFileRecord::read(path)?;
        let tiled = || detector.detect_tiled_traced(rows, tiles, progress);
        Self::record(detector, file, Some(*tiles), tiled)
    }

    /// As [`create_tiled`](Self::create_tiled), of an image file that is already in memory.
    ///
    /// # Errors
    /// As [`create_tiled`](Self::create_tiled).
    pub fn create_tiled_from_bytes(
        detector: &Detector,
        path: impl AsRef<Path>,
        bytes: &[u8],
        tiles: &Tiling,
        limits: &DecodeLimits,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let path = path.as_ref();
        let options = DecodeOptions { limits: limits.clone(), ..DecodeOptions::default() };
        let rows = ImageRows::decode(bytes, &text(path), &options)?;
        let file = ImageFileRecord::of(path, bytes);
        let tiled = || detector.detect_tiled_traced(rows, tiles, progress);
        Self::record(detector, file, Some(*tiles), tiled)
    }

    /// Detects, and records everything about it.
    fn record(
        detector: &Detector,
        image: ImageFileRecord,
        tiles: Option<Tiling>,
        detect: impl FnOnce() -> Result<(Detections, StageDigests)>,
    ) -> Result<Self> {
        let environment = detector.environment();
        let weights = detector
            .weights()
            .zip(environment.weights_sha256)
            .map(|(given, sha256)| WeightsRecord { given: text(given), sha256 })
            .ok_or(DeterminismError::ReceiptWithoutWeights)?;
        let (detections, stages) = detect()?;
        let mut receipt = Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            environment,
            weights,
            configuration: detector.model().config().clone(),
            image,
            tiles,
            stages,
            digest: detections.digest()?,
            detections,
            seal: None,
        };
        receipt.seal = Some(receipt.compute_seal()?);
        Ok(receipt)
    }

    /// Reads a receipt from a file.
    ///
    /// # Errors
    /// [`DeterminismError::Receipt`], naming the file and what is wrong with it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let refuse = |reason: String| DeterminismError::Receipt { name: text(path), reason };
        let mut json = String::new();
        open_regular(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut json))
            .map_err(|error| refuse(format!("it cannot be read: {error}")))?;
        Self::from_json(&json, &text(path))
    }

    /// Reads a receipt from JSON; `name` is what errors call it.
    ///
    /// # Errors
    /// [`DeterminismError::Receipt`].
    pub fn from_json(json: &str, name: &str) -> Result<Self> {
        Ok(read(json)
            .map_err(|reason| DeterminismError::Receipt { name: name.to_owned(), reason })?)
    }

    /// The receipt as indented JSON.
    ///
    /// # Errors
    /// None in practice: everything in it has a JSON form.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self).map_err(unwritable)? + "\n")
    }

    /// Writes the receipt to a file, whole or not at all.
    ///
    /// # Errors
    /// [`WriteError`](crate::WriteError).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        Ok(crate::files::write_whole(path, self.to_json()?.as_bytes())?)
    }

    /// What it was computed with.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The weights.
    pub fn weights(&self) -> &WeightsRecord {
        &self.weights
    }

    /// The model's configuration, with the score threshold that was asked for.
    pub fn configuration(&self) -> &RetinaNetConfig {
        &self.configuration
    }

    /// The image file.
    pub fn image(&self) -> &ImageFileRecord {
        &self.image
    }

    /// The windows that the image was looked at by; `None` where it was looked at as one.
    pub fn tiles(&self) -> Option<&Tiling> {
        self.tiles.as_ref()
    }

    /// The digest of every stage.
    pub fn stages(&self) -> &StageDigests {
        &self.stages
    }

    /// What was found.
    pub fn detections(&self) -> &Detections {
        &self.detections
    }

    /// The digest of what was found, as the receipt states it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether all fields are those the receipt was written with.
    pub(super) fn seal_holds(&self) -> Result<bool> {
        Ok(self.seal == Some(self.compute_seal()?))
    }

    fn compute_seal(&self) -> Result<Digest> {
        let unsealed = Self { seal: None, ..self.clone() };
        // Through text: what is hashed is what a reader of the text reads.
        let json = serde_json::to_string(&unsealed).map_err(unwritable)?;
        Ok(seal(&serde_json::from_str(&json).map_err(unwritable)?))
    }
}

fn read(json: &str) -> Result<Receipt, String> {
    if json.len() as u64 > MAX_BYTES {
        return Err(format!("it is larger than {MAX_BYTES} bytes, so it is no receipt"));
    }
    let syntax = |error: serde_json::Error| error.to_string().escape_debug().to_string();
    let probe: Probe = serde_json::from_str(json).map_err(syntax)?;
    if probe.format != Some(Value::from(FORMAT)) {
        return Err(format!("it is no receipt: its field `format` is not {FORMAT:?}"));
    }
    if probe.version != Some(Value::from(VERSION)) {
        let version = probe.version.map_or_else(|| "missing".to_owned(), |v| v.to_string());
        let version: String = version.escape_debug().take(40).collect();
        return Err(format!("its `version` is {version}; this release reads version {VERSION}"));
    }
    let receipt: Receipt = serde_json::from_str(json).map_err(syntax)?;
    if receipt.seal.is_none() {
        return Err("its field `seal` is missing".to_owned());
    }
    receipt.configuration.validate().map_err(|error| error.to_string())?;
    receipt.tiles.iter().try_for_each(Tiling::validate).map_err(|error| error.to_string())?;
    Ok(receipt)
}

pub(super) fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// A file's SHA-256 and how many bytes it has.
pub(super) fn hash_file(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = open_regular(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        match file.read(&mut piece)? {
            0 => return Ok((Digest::from_bytes(hash.finalize().into()), bytes)),
            read => {
                hash.update(&piece[..read]);
                bytes += read as u64;
            }
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn unwritable(error: serde_json::Error) -> DeterminismError {
    DeterminismError::Receipt { name: "the new receipt".to_owned(), reason: error.to_string() }
}

//! Re-running a receipt, and saying where this machine parts from the one that wrote it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::rebuild::{Recorded, Unusable};
use super::record::{ImageFileRecord, Receipt, sha256};
use crate::detector::DetectorBuilder;
use crate::determinism::{Digest, Environment, StageDifference};
use crate::image::{DecodeLimits, DecodeOptions, Image, ImageRows, Tiling, check_file, read_file};
use crate::{Error, Result};

/// What re-running a receipt showed. `Display` tells it in words, with both environments side by side
/// where something differs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Verification {
    /// Everything that is not as the receipt says, causes before consequences; empty where every bit
    /// is equal.
    pub differences: Vec<Difference>,
    /// How many stages were compared.
    pub stages: usize,
    /// The environment in the receipt.
    pub there: Environment,
    /// This environment; `None` where the weights cannot be used.
    pub here: Option<Environment>,
}

/// One thing that is not as the receipt says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Difference {
    /// The receipt was edited after it was written: its seal does not fit its content.
    Seal,
    /// Versions in an edited receipt that are not those of this build, as (part, there, here). In an
    /// unedited one other versions are no difference: they only explain one.
    Versions(Vec<(&'static str, String, String)>),
    /// The receipt contradicts itself: its detections do not have the digest it states.
    OwnDetections {
        /// What it states.
        stated: Digest,
        /// What its detections have.
        found: Digest,
    },
    /// The image file is another.
    ImageFile {
        /// The file that was looked at.
        path: PathBuf,
        /// The receipt's SHA-256.
        expected: Digest,
        /// This file's.
        found: Digest,
        /// Why nothing more can be compared, if the file is no longer an image.
        undecodable: Option<String>,
    },
    /// The weights file is another.
    WeightsFile {
        /// The receipt's SHA-256.
        expected: Digest,
        /// This file's; 64 hexadecimal digits.
        found: String,
        /// Why nothing more can be compared, if the file can no longer be loaded.
        unusable: Option<String>,
    },
    /// The first stage whose bits differ; those after it say nothing more.
    Stage(StageDifference),
    /// The stages are equal, but the detections re-run are not those that the receipt lists.
    Detections {
        /// The digest of those listed.
        listed: Digest,
        /// The digest of those found here.
        found: Digest,
    },
}

impl Verification {
    /// Whether everything is as the receipt says, bit for bit.
    pub fn is_same(&self) -> bool {
        self.differences.is_empty()
    }
}

/// An image as it is looked at.
enum Picture<'a> {
    Whole(Image),
    Rows(Box<ImageRows<'a>>, Tiling),
}

impl<'a> Picture<'a> {
    /// A file's hash, and what can be decoded of it.
    fn open(
        path: &Path,
        limits: &DecodeLimits,
        tiles: Option<&Tiling>,
    ) -> Result<(Digest, Result<Self>)> {
        let options = DecodeOptions { limits: limits.clone(), ..DecodeOptions::default() };
        let name = path.to_string_lossy();
        if let Some(tiles) = tiles {
            check_file(path, &name, limits.max_file_bytes)?;
            let rows = ImageRows::open(path, &options);
            let found = ImageFileRecord::read(path)?.sha256;
            return Ok((found, rows.map(|rows| Self::Rows(Box::new(rows), *tiles))));
        }
        let bytes = read_file(path, &name, limits.max_file_bytes)?;
        let picture = Image::decode_with(&bytes, &name, &options);
        Ok((sha256(&bytes), picture.map(Self::Whole)))
    }

    /// As [`open`](Self::open), of a file's content.
    fn decode(
        name: &str,
        bytes: &'a [u8],
        limits: &DecodeLimits,
        tiles: Option<&Tiling>,
    ) -> (Digest, Result<Self>) {
        let options = DecodeOptions { limits: limits.clone(), ..DecodeOptions::default() };
        let picture = match tiles {
            Some(tiles) => ImageRows::decode(bytes, name, &options)
                .map(|rows| Self::Rows(Box::new(rows), *tiles)),
            None => Image::decode_with(bytes, name, &options).map(Self::Whole),
        };
        (sha256(bytes), picture)
    }
}

impl Receipt {
    /// Detects again and compares bit for bit.
    ///
    /// `builder` may say where the weights are (default: where the receipt says), how many threads to
    /// use, and so on; configuration, categories and mode are the receipt's. `image` is where the image
    /// is now (default: the receipt's path).
    ///
    /// # Errors
    /// What keeps the comparison from being made: the image or the weights are not there, the device
    /// is not. Files that are there but are not the receipt's are [`Difference`]s.
    pub fn verify(&self, builder: DetectorBuilder, image: Option<&Path>) -> Result<Verification> {
        self.verify_within(builder, image, &DecodeLimits::default())
    }

    /// As [`verify`](Self::verify), with other limits for the image than the default ones.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_within(
        &self,
        builder: DetectorBuilder,
        image: Option<&Path>,
        limits: &DecodeLimits,
    ) -> Result<Verification> {
        self.verify_watched(builder, image, limits, &mut |_, _| ())
    }

    /// As [`verify_within`](Self::verify_within); `progress` is told, for an image that is looked
    /// at window by window, how many windows are done, and how many there are.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_watched(
        &self,
        builder: DetectorBuilder,
        image: Option<&Path>,
        limits: &DecodeLimits,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Verification> {
        let path = image.unwrap_or(Path::new(&self.image().path));
        let picture = Picture::open(path, limits, self.tiles())?;
        self.compare(builder, path, picture, progress)
    }

    /// As [`verify_watched`](Self::verify_watched), of an image file that is already in memory: `bytes` is its
    /// content, `path` the name it goes by. With
    /// [`weights_from_bytes`](DetectorBuilder::weights_from_bytes) nothing is read from disk.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_from_bytes(
        &self,
        builder: DetectorBuilder,
        path: impl AsRef<Path>,
        bytes: &[u8],
        limits: &DecodeLimits,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Verification> {
        let path = path.as_ref();
        let picture = Picture::decode(&path.to_string_lossy(), bytes, limits, self.tiles());
        self.compare(builder, path, picture, progress)
    }

    /// Compares with what is found in a file of that hash, if it can be decoded.
    fn compare(
        &self,
        builder: DetectorBuilder,
        path: &Path,
        (found, picture): (Digest, Result<Picture<'_>>),
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Verification> {
        let mut verification = Verification {
            differences: self.contradictions()?,
            stages: 0,
            there: self.environment().clone(),
            here: None,
        };
        let expected = self.image().sha256;
        if found != expected {
            let undecodable = picture.as_ref().err().map(Error::to_string);
            let other =
                Difference::ImageFile { path: path.to_owned(), expected, found, undecodable };
            verification.differences.push(other);
        }
        let weights = self.weights().sha256;
        let recorded = Recorded {
            mode: self.environment().mode,
            seed: self.environment().seed,
            weights_sha256: weights,
            configuration: self.configuration(),
            categories: self.detections().categories().names(),
        };
        let detector =
            match recorded.rebuild(builder.weights_unless_given(&self.weights().given))? {
                Ok(detector) => detector,
                Err(Unusable { found, reason }) => {
                    let (expected, unusable) = (weights, Some(reason));
                    let other = Difference::WeightsFile { expected, found, unusable };
                    verification.differences.push(other);
                    return Ok(verification);
                }
            };
        let here = detector.environment();
        if let Some(other) = here.weights_sha256.filter(|other| *other != weights) {
            let (expected, found) = (weights, other.to_string());
            let other = Difference::WeightsFile { expected, found, unusable: None };
            verification.differences.push(other);
        }
        verification.here = Some(here);
        let picture = match picture {
            Ok(picture) => picture,
            Err(_) if found != expected => return Ok(verification),
            Err(error) => return Err(error),
        };
        let rerun = match picture {
            Picture::Whole(picture) => detector.detect_traced(&picture),
            Picture::Rows(rows, tiles) => detector.detect_tiled_traced(*rows, &tiles, progress),
        };
        let (detections, stages) = match rerun {
            Ok(rerun) => rerun,
            // Of another file, damage that is far down in it is found only now.
            Err(error @ Error::Image(_)) if found != expected && self.tiles().is_some() => {
                verification.differences.iter_mut().for_each(|difference| {
                    if let Difference::ImageFile { undecodable, .. } = difference {
                        *undecodable = Some(error.to_string());
                    }
                });
                return Ok(verification);
            }
            Err(error) => return Err(error),
        };
        verification.stages = stages.len();
        if let Some(part) = self.stages().first_difference(&stages) {
            verification.differences.push(Difference::Stage(part));
        } else {
            let (listed, found) = (self.detections().digest()?, detections.digest()?);
            if listed != found {
                verification.differences.push(Difference::Detections { listed, found });
            }
        }
        Ok(verification)
    }

    /// What is wrong with the receipt by itself.
    fn contradictions(&self) -> Result<Vec<Difference>> {
        let mut differences = Vec::new();
        if !self.seal_holds()? {
            differences.push(Difference::Seal);
            let versions = self.environment().versions.changed_from_current();
            if !versions.is_empty() {
                differences.push(Difference::Versions(versions));
            }
        }
        let (stated, found) = (self.digest(), self.detections().digest()?);
        if stated != found {
            differences.push(Difference::OwnDetections { stated, found });
        }
        Ok(differences)
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_same() {
            return write!(
                f,
                "same: all {} stages and the detections are equal to the bit",
                self.stages
            );
        }
        write!(f, "different:")?;
        for difference in &self.differences {
            write!(f, "\n- {difference}")?;
        }
        let Some(here) = &self.here else { return Ok(()) };
        write!(f, "\n\n{}", self.there.beside(here))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seal => write!(
                f,
                "the receipt was edited after it was written: its seal does not fit its content"
            ),
            Self::Versions(versions) => {
                write!(f, "versions the receipt claims:")?;
                let mut between = "";
                for (part, there, here) in versions {
                    write!(f, "{between} {part} {there:?}, here {here:?}")?;
                    between = ";";
                }
                Ok(())
            }
            Self::OwnDetections { stated, found } => write!(
                f,
                "the receipt's scores, boxes or labels were edited: their digest is {found}, but it states {stated}"
            ),
            Self::ImageFile { path, expected, found, undecodable } => {
                write!(
                    f,
                    "image file {path:?}: its sha256 is {found}, the receipt's is {expected}"
                )?;
                nothing_more(f, undecodable)
            }
            Self::WeightsFile { expected, found, unusable } => {
                write!(f, "weights file: its sha256 is {found}, the receipt's is {expected}")?;
                nothing_more(f, unusable)
            }
            Self::Stage(part) => write!(f, "receipt against here: {part}"),
            Self::Detections { listed, found } => write!(
                f,
                "the stages are equal, but the detections listed (digest {listed}) are not those found here ({found})"
            ),
        }
    }
}

fn nothing_more(f: &mut fmt::Formatter<'_>, reason: &Option<String>) -> fmt::Result {
    match reason {
        Some(reason) => write!(f, "; nothing was re-run: {reason}"),
        None => Ok(()),
    }
}

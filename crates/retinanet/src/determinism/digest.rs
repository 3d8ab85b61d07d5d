//! SHA-256 over exact bits, in a documented and versioned layout.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::DeterminismError;
use crate::Result;

/// The tag that opens every digested byte sequence and names its layout's version.
pub const DIGEST_TAG: &str = "retinanet-digest-v1";

/// A SHA-256 value: 32 bytes, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl std::str::FromStr for Digest {
    type Err = DeterminismError;

    /// Reads 64 hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, DeterminismError> {
        let refuse = || DeterminismError::DigestText { text: text.chars().take(80).collect() };
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| refuse())?;
        }
        Ok(Self(bytes))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = DeterminismError;

    fn try_from(text: String) -> Result<Self, DeterminismError> {
        text.parse()
    }
}

/// Digests one tensor piece by piece, so that no second copy of it is needed.
///
/// Layout, version 1. The header: the text [`DIGEST_TAG`], the kind (`u8`, `f32` or `detections`), the
/// name, the rank (u64), then each dimension (u64); each text is its length in bytes (u64) and its
/// UTF-8. Then the elements in logical row-major order (N, C, H, W for a feature map), whatever the
/// storage: a u8 is itself, an f32 its four bytes. Every integer and float is little-endian. +0 and
/// -0 differ; infinities are allowed; a NaN is an error.
///
/// ```
/// use retinanet::determinism::{DigestWriter, digest_f32};
///
/// # fn main() -> retinanet::Result<()> {
/// // A 2 x 2 tensor whose rows are padded to 4 floats in memory.
/// let padded = [1.0, 2.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0];
/// let mut writer = DigestWriter::f32("P3", &[2, 2])?;
/// for row in padded.chunks_exact(4) {
///     writer.write_f32(&row[..2])?;
/// }
/// assert_eq!(writer.finish()?, digest_f32("P3", &[2, 2], &[1.0, 2.0, 3.0, 4.0])?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct DigestWriter {
    hash: Sha256,
    name: String,
    shape: Vec<usize>,
    expected: u64,
    written: u64,
}

impl DigestWriter {
    /// Opens the digest of an f32 tensor.
    ///
    /// # Errors
    /// [`DeterminismError::ShapeTooLarge`].
    pub fn f32(name: &str, shape: &[usize]) -> Result<Self> {
        Self::new("f32", name, shape)
    }

    /// Opens the digest of a u8 tensor.
    ///
    /// # Errors
    /// [`DeterminismError::ShapeTooLarge`].
    pub fn u8(name: &str, shape: &[usize]) -> Result<Self> {
        Self::new("u8", name, shape)
    }

    fn new(kind: &str, name: &str, shape: &[usize]) -> Result<Self> {
        let expected =
            shape.iter().try_fold(1u64, |count, &dim| count.checked_mul(dim as u64)).ok_or_else(
                || DeterminismError::ShapeTooLarge { name: name.to_owned(), shape: shape.to_vec() },
            )?;
        let mut writer = Self {
            hash: Sha256::new(),
            name: name.to_owned(),
            shape: shape.to_vec(),
            expected,
            written: 0,
        };
        writer.put_text(DIGEST_TAG);
        writer.put_text(kind);
        writer.put_text(name);
        writer.put_u64(shape.len() as u64);
        for &dim in shape {
            writer.put_u64(dim as u64);
        }
        Ok(writer)
    }

    /// Appends the next elements of an f32 tensor.
    ///
    /// # Errors
    /// [`DeterminismError::NotANumber`] with the flat index of the first NaN.
    pub fn write_f32(&mut self, values: &[f32]) -> Result<()> {
        let mut bytes = [0; 4096];
        for chunk in values.chunks(bytes.len() / 4) {
            if let Some(at) = chunk.iter().position(|v| v.is_nan()) {
                return Err(self.not_a_number(self.written + at as u64).into());
            }
            for (slot, value) in bytes.chunks_exact_mut(4).zip(chunk) {
                slot.copy_from_slice(&value.to_le_bytes());
            }
            self.hash.update(&bytes[..4 * chunk.len()]);
            self.written += chunk.len() as u64;
        }
        Ok(())
    }

    /// Appends the next elements of a u8 tensor.
    pub fn write_u8(&mut self, values: &[u8]) {
        self.hash.update(values);
        self.written += values.len() as u64;
    }

    /// Closes the digest.
    ///
    /// # Errors
    /// [`DeterminismError::ElementCount`] where the shape's elements did not all come, or more did.
    pub fn finish(self) -> Result<Digest> {
        if self.written != self.expected {
            return Err(DeterminismError::ElementCount {
                name: self.name,
                shape: self.shape,
                expected: self.expected,
                found: self.written,
            }
            .into());
        }
        Ok(Digest(self.hash.finalize().into()))
    }

    fn put_u64(&mut self, value: u64) {
        self.hash.update(value.to_le_bytes());
    }

    fn put_text(&mut self, text: &str) {
        self.put_u64(text.len() as u64);
        self.hash.update(text.as_bytes());
    }

    fn not_a_number(&self, index: u64) -> DeterminismError {
        DeterminismError::NotANumber { name: self.name.clone(), index }
    }
}

/// Digests bytes, such as decoded pixels of shape (height, width, 3); layout in [`DigestWriter`].
///
/// # Errors
/// [`DeterminismError::ElementCount`] where `data` does not fill `shape` exactly.
pub fn digest_u8(name: &str, shape: &[usize], data: &[u8]) -> Result<Digest> {
    let mut writer = DigestWriter::u8(name, shape)?;
    writer.write_u8(data);
    writer.finish()
}

/// Digests floats in row-major order; layout in [`DigestWriter`].
///
/// # Errors
/// [`DeterminismError::ElementCount`] where `data` does not fill `shape` exactly,
/// [`DeterminismError::NotANumber`] where it holds a NaN.
pub fn digest_f32(name: &str, shape: &[usize], data: &[f32]) -> Result<Digest> {
    let mut writer = DigestWriter::f32(name, shape)?;
    writer.write_f32(data)?;
    writer.finish()
}

/// Digests the detections of one image, in their order.
///
/// `image_size` is (height, width) of the original image; each detection is its label id, label,
/// score, and box (x1, y1, x2, y2) in original pixels. The layout is [`DigestWriter`]'s with kind and
/// name `detections` and shape (number of detections); after the header come height and width (u64),
/// then per detection the label id (u64), the label (a text), the score and the four coordinates
/// (f32).
///
/// # Errors
/// [`DeterminismError::NotANumber`] with the index of the first detection that holds a NaN,
/// [`DeterminismError::ElementCount`] where the iterator misstates its length.
pub fn digest_detections<'a>(
    image_size: [usize; 2],
    detections: impl ExactSizeIterator<Item = (usize, &'a str, f32, [f32; 4])>,
) -> Result<Digest> {
    let mut writer = DigestWriter::new("detections", "detections", &[detections.len()])?;
    for side in image_size {
        writer.put_u64(side as u64);
    }
    for (label_id, label, score, [x1, y1, x2, y2]) in detections {
        writer.put_u64(label_id as u64);
        writer.put_text(label);
        for value in [score, x1, y1, x2, y2] {
            if value.is_nan() {
                return Err(writer.not_a_number(writer.written).into());
            }
            writer.hash.update(value.to_le_bytes());
        }
        writer.written += 1;
    }
    writer.finish()
}

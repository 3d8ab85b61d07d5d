//! What can be told before decoding.

use crate::Options;
use crate::color::ColorSpace;
use crate::error::Error;
use crate::frame::Frame;
use crate::markers::{Scan, Segments};

/// A JPEG's header: everything before the first scan's data.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header<'a> {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// What the components are.
    pub color_space: ColorSpace,
    /// Each component's sampling factors, horizontal and vertical, in the file's order.
    pub sampling: Vec<(u8, u8)>,
    /// Whether the image is stored progressively.
    pub progressive: bool,
    /// Whether the image is stored in several scans, as progressive ones are: it is held in memory as
    /// coefficients then.
    pub multiple_scans: bool,
    /// The most memory that decoding takes, in bytes, the pixels included.
    pub memory_bytes: u64,
    /// The EXIF data (a TIFF structure), which may hold an orientation.
    pub exif: Option<&'a [u8]>,
}

pub(crate) const NO_FRAME: Error = Error::Damaged { what: "there is no frame header" };

pub(crate) fn first_scan(segments: &mut Segments) -> Result<Scan, Error> {
    segments.next_scan()?.ok_or(Error::Damaged { what: "there is no image in it" })
}

impl<'a> Header<'a> {
    pub(crate) fn of(segments: &Segments<'a>, first: &Scan) -> Result<Self, Error> {
        let frame = segments.frame.as_ref().ok_or(NO_FRAME)?;
        let multiple_scans = frame.progressive || first.components.len() < frame.components.len();
        Ok(Self {
            width: frame.width as u32,
            height: frame.height as u32,
            color_space: color_space(segments, frame),
            sampling: frame.components.iter().map(|c| (c.h as u8, c.v as u8)).collect(),
            progressive: frame.progressive,
            multiple_scans,
            memory_bytes: memory(frame, multiple_scans),
            exif: segments.exif,
        })
    }

    /// Holds the header against the limits.
    pub(crate) fn check(&self, options: &Options) -> Result<(), Error> {
        let &Self { width, height, memory_bytes: needed, .. } = self;
        if u64::from(width) * u64::from(height) > options.max_pixels {
            return Err(Error::TooManyPixels { width, height, limit: options.max_pixels });
        }
        if needed > options.max_memory_bytes {
            return Err(Error::TooMuchMemory { needed, limit: options.max_memory_bytes });
        }
        Ok(())
    }
}

/// What decoding takes at most, in bytes.
fn memory(frame: &Frame, multiple_scans: bool) -> u64 {
    let pixels = (frame.width * frame.height * 3) as u64;
    let of_components = frame.components.iter().map(|component| {
        let row = component.padded_blocks_wide as u64;
        let ring = row * 8 * 16 * component.v as u64;
        // Sums and samples of a row on its way to the image's width.
        let scratch = frame.width as u64 * 4 + 64;
        let coefficients = row * component.padded_blocks_high as u64 * 128;
        ring + scratch + if multiple_scans { coefficients } else { 0 }
    });
    // The Huffman tables and other small things.
    pixels + of_components.sum::<u64>() + (64 << 10)
}

/// The colour space, from what was read so far.
fn color_space(segments: &Segments, frame: &Frame) -> ColorSpace {
    let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
    ColorSpace::guess(segments, &ids)
}

//! A PNG's rows, one after the other.

use std::io::{BufRead, Seek};

use ::image::ImageError as Foreign;
use ::image::ImageFormat;
use ::image::error::{DecodingError, LimitError, LimitErrorKind};

use super::samples::Samples;

/// Reads rows as the `image` crate's decoder does (same decoder, transformations and limits), but
/// without the buffer for all of them.
pub(super) struct PngRows<R: BufRead + Seek> {
    reader: png::Reader<R>,
    samples: Samples,
    row: Vec<u8>,
    left: usize,
}

impl<R: BufRead + Seek> PngRows<R> {
    /// `None` for an interlaced file, whose first row needs all the data, and for what has no RGB.
    pub(super) fn new(stream: R, max_memory_bytes: u64) -> Result<Option<Self>, Foreign> {
        let bytes = usize::try_from(max_memory_bytes).unwrap_or(usize::MAX);
        let mut decoder = png::Decoder::new_with_limits(stream, png::Limits { bytes });
        decoder.set_ignore_text_chunk(false);
        decoder.set_transformations(png::Transformations::EXPAND);
        let reader = decoder.read_info().map_err(foreign)?;
        let (color, depth) = reader.output_color_type();
        let bytes = match depth {
            png::BitDepth::Eight => 1,
            png::BitDepth::Sixteen => 2,
            _ => return Ok(None),
        };
        if reader.info().interlaced || color == png::ColorType::Indexed {
            return Ok(None);
        }
        let (width, height) = reader.info().size();
        let length = reader.output_line_size(width).ok_or_else(|| foreign(TOO_LARGE))?;
        // PNG is big-endian.
        let samples = Samples { channels: color.samples(), bytes, high: 0 };
        Ok(Some(Self { reader, samples, row: vec![0; length], left: height as usize }))
    }

    /// The bytes that reading takes beside the rows themselves, as far as they depend on the picture.
    pub(super) fn memory(&self) -> usize {
        // The row, the one before it, and the decoder's own copy.
        self.row.len() * 3
    }

    /// Appends the next row as RGB. After the last one, the file's remaining data are checked as an
    /// ordinary decode checks them.
    pub(super) fn read(&mut self, rgb: &mut Vec<u8>) -> Result<(), Foreign> {
        self.reader.read_row(&mut self.row).map_err(foreign)?;
        self.samples.append_rgb(&self.row, rgb);
        self.left -= 1;
        if self.left == 0 {
            self.reader.read_row(&mut self.row).map_err(foreign)?;
        }
        Ok(())
    }
}

const TOO_LARGE: png::DecodingError = png::DecodingError::LimitsExceeded;

fn foreign(error: png::DecodingError) -> Foreign {
    match error {
        png::DecodingError::IoError(error) => Foreign::IoError(error),
        png::DecodingError::LimitsExceeded => {
            Foreign::Limits(LimitError::from_kind(LimitErrorKind::InsufficientMemory))
        }
        error => Foreign::Decoding(DecodingError::new(ImageFormat::Png.into(), error)),
    }
}

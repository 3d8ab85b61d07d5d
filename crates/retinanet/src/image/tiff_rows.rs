//! A TIFF's rows, a strip or a row of tiles after the other.

use std::io::{BufRead, Read, Seek, SeekFrom};

use ::image::ImageError as Foreign;
use ::image::ImageFormat;
use ::image::error::{
    DecodingError, LimitError, LimitErrorKind, UnsupportedError, UnsupportedErrorKind,
};
use tiff::decoder::{ChunkType, Decoder, Limits};
use tiff::tags::{ByteOrder, Tag};
use tiff::{ColorType, TiffError};

use super::samples::Samples;

/// How many bytes of an uncompressed strip are read at once.
const PIECE: usize = 1 << 16;

/// Reads chunks as the `image` crate's decoder does, but without the buffer for all of them.
pub(super) struct TiffRows<R: BufRead + Seek> {
    decoder: Decoder<R>,
    samples: Samples,
    size: [usize; 2],
    /// Height and width of a strip or tile.
    chunk: [usize; 2],
    /// Where strips begin in the file, if their bytes are pixels as they are.
    plain: Option<Vec<u64>>,
    buffer: Vec<u8>,
}

impl<R: BufRead + Seek> TiffRows<R> {
    /// `None` for what is decoded whole: one compressed strip for all rows, planes apart, more samples
    /// than are shown, CMYK, single bits, floats.
    pub(super) fn new(stream: R, max_memory_bytes: u64) -> Result<Option<Self>, Foreign> {
        let mut decoder = Decoder::new(stream).map_err(foreign)?;
        let limit = usize::try_from(max_memory_bytes).unwrap_or(usize::MAX);
        let mut limits = Limits::default();
        limits.decoding_buffer_size = limit;
        limits.intermediate_buffer_size = limit;
        limits.ifd_value_size = limit;
        decoder = decoder.with_limits(limits);
        let (width, height) = decoder.dimensions().map_err(foreign)?;
        let (channels, bits) = match decoder.colortype().map_err(foreign)? {
            ColorType::Gray(bits) => (1, bits),
            ColorType::RGB(bits) => (3, bits),
            ColorType::RGBA(bits) => (4, bits),
            _ => return Ok(None),
        };
        let bytes = match bits {
            8 => 1,
            16 => 2,
            _ => return Ok(None),
        };
        let planar: u16 = unsigned(&mut decoder, Tag::PlanarConfiguration, 1)?;
        let stored: u16 = unsigned(&mut decoder, Tag::SamplesPerPixel, 1)?;
        if planar != 1 || usize::from(stored) != channels {
            return Ok(None);
        }
        let (chunk_width, chunk_height) = decoder.chunk_dimensions();
        let chunk = [chunk_height, chunk_width].map(|side| side as usize);
        let size = [height, width].map(|side| side as usize);
        // As the decoder gives them: in the machine's order.
        let high = if cfg!(target_endian = "little") { bytes - 1 } else { 0 };
        let samples = Samples { channels, bytes, high };
        let mut rows = Self { decoder, samples, size, chunk, plain: None, buffer: Vec::new() };
        rows.plain = rows.plain_strips()?;
        if rows.plain.is_some() {
            let little = rows.decoder.byte_order() == ByteOrder::LittleEndian;
            rows.samples.high = if little { bytes - 1 } else { 0 };
        } else if chunk[0] >= size[0] && chunk[1] >= size[1] || chunk.contains(&0) {
            return Ok(None);
        }
        Ok(Some(rows))
    }

    /// The rows that are read together.
    pub(super) fn together(&self) -> usize {
        let piece = (PIECE / self.row_bytes().max(1)).max(1);
        if self.plain.is_some() { piece.min(self.chunk[0]) } else { self.chunk[0] }
    }

    /// The bytes that reading takes beside the rows themselves.
    pub(super) fn memory(&self) -> usize {
        let width = if self.plain.is_some() { self.size[1] } else { self.chunk[1] };
        let pixels = self.together().saturating_mul(width);
        pixels.saturating_mul(self.samples.pixel())
    }

    /// Appends the rows from `row` on that are read together, as RGB.
    pub(super) fn read(&mut self, row: usize, rgb: &mut Vec<u8>) -> Result<(), Foreign> {
        match &self.plain {
            Some(strips) => {
                let within = row % self.chunk[0];
                let start = strips[row / self.chunk[0]] + (within * self.row_bytes()) as u64;
                let rows = self.together().min(self.chunk[0] - within).min(self.size[0] - row);
                self.read_plain(start, rows, rgb)
            }
            None => self.read_chunks(row / self.chunk[0], rgb),
        }
    }

    fn row_bytes(&self) -> usize {
        self.size[1] * self.samples.pixel()
    }

    fn read_plain(&mut self, start: u64, rows: usize, rgb: &mut Vec<u8>) -> Result<(), Foreign> {
        self.buffer.resize(rows * self.row_bytes(), 0);
        let file = self.decoder.inner();
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut self.buffer)?;
        self.samples.append_rgb(&self.buffer, rgb);
        Ok(())
    }

    /// A strip, or all tiles that are side by side.
    fn read_chunks(&mut self, down: usize, rgb: &mut Vec<u8>) -> Result<(), Foreign> {
        let ([height, width], [chunk_height, chunk_width]) = (self.size, self.chunk);
        let across = width.div_ceil(chunk_width);
        let rows = chunk_height.min(height - down * chunk_height);
        let begin = rgb.len();
        let stride = width * 3;
        rgb.resize(begin + rows * stride, 0);
        let mut line = Vec::with_capacity(chunk_width.min(width) * 3);
        for column in 0..across {
            let index = (down * across + column) as u32;
            let layout = self.decoder.image_chunk_buffer_layout(index).map_err(foreign)?;
            self.buffer.resize(layout.len, 0);
            self.decoder.read_chunk_bytes(index, &mut self.buffer).map_err(foreign)?;
            let from = column * chunk_width;
            let columns = chunk_width.min(width - from);
            let bytes = columns * self.samples.pixel();
            let pitch = layout.row_stride.map_or(bytes, usize::from);
            if pitch < bytes || self.buffer.len() < (rows - 1) * pitch + bytes {
                let told = "a strip or tile is smaller than its sides say";
                let error = DecodingError::new(ImageFormat::Tiff.into(), told);
                return Err(Foreign::Decoding(error));
            }
            for (y, row) in self.buffer.chunks(pitch).take(rows).enumerate() {
                line.clear();
                self.samples.append_rgb(&row[..bytes], &mut line);
                rgb[begin + y * stride + from * 3..][..line.len()].copy_from_slice(&line);
            }
        }
        Ok(())
    }

    /// Where strips begin, if they are not compressed and nothing is done to their bytes.
    fn plain_strips(&mut self) -> Result<Option<Vec<u64>>, Foreign> {
        let decoder = &mut self.decoder;
        let compression: u16 = unsigned(decoder, Tag::Compression, 1)?;
        let photometric: u16 = unsigned(decoder, Tag::PhotometricInterpretation, 0)?;
        let predictor: u16 = unsigned(decoder, Tag::Predictor, 1)?;
        let as_they_are = (compression, predictor) == (1, 1) && matches!(photometric, 1 | 2);
        if !as_they_are || decoder.get_chunk_type() != ChunkType::Strip {
            return Ok(None);
        }
        let (Ok(starts), Ok(lengths)) = (
            decoder.get_tag_u64_vec(Tag::StripOffsets),
            decoder.get_tag_u64_vec(Tag::StripByteCounts),
        ) else {
            return Ok(None);
        };
        let ([height, _], [strip, _]) = (self.size, self.chunk);
        if strip == 0 || starts.len() != height.div_ceil(strip) || lengths.len() != starts.len() {
            return Ok(None);
        }
        let row_bytes = self.row_bytes() as u64;
        let whole = lengths.iter().enumerate().all(|(index, &length)| {
            let rows = strip.min(height - index * strip) as u64;
            length == rows * row_bytes && starts[index].checked_add(rows * row_bytes).is_some()
        });
        Ok(whole.then_some(starts))
    }
}

/// A tag's number, or what stands for its absence.
fn unsigned<R: Read + Seek>(
    decoder: &mut Decoder<R>,
    tag: Tag,
    absent: u16,
) -> Result<u16, Foreign> {
    Ok(decoder.find_tag_unsigned(tag).map_err(foreign)?.unwrap_or(absent))
}

fn foreign(error: TiffError) -> Foreign {
    match error {
        TiffError::IoError(error) => Foreign::IoError(error),
        TiffError::LimitsExceeded => {
            Foreign::Limits(LimitError::from_kind(LimitErrorKind::InsufficientMemory))
        }
        TiffError::UnsupportedError(what) => {
            let kind = UnsupportedErrorKind::GenericFeature(what.to_string());
            let format = ImageFormat::Tiff.into();
            Foreign::Unsupported(UnsupportedError::from_format_and_kind(format, kind))
        }
        error => Foreign::Decoding(DecodingError::new(ImageFormat::Tiff.into(), error)),
    }
}

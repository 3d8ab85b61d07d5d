//! A picture's rows from the top downwards, so that a large one need not be in memory whole.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::ops::Range;
use std::path::Path;

use ::image::metadata::Orientation;
use ::image::{ImageDecoder, ImageFormat, ImageReader};

use super::decode::{check_file, read_file, translate};
use super::decode_options::{Checks, DecodeLimits, DecodeOptions};
use super::picture::Image;
use super::png_rows::PngRows;
use super::tiff_rows::TiffRows;
use crate::Result;
use crate::error::ImageError;

/// As many bytes as a file's format is told by.
const SIGNATURE: usize = 16;

/// A picture whose rows are decoded as they are asked for, and forgotten when later ones are.
///
/// The pixels are those of [`Image::open`], bit for bit. So are the refusals, except that damage is
/// found when the rows that it is in are asked for, and that the limit on memory is held against the
/// rows that are kept, not all.
///
/// Row by row are read: PNGs that are not interlaced, and TIFFs in strips or tiles of grey or RGB,
/// with or without alpha (not in one compressed strip, nor in separate planes). All others are
/// decoded whole when they are opened, and so are pictures that are turned upright.
///
/// ```no_run
/// use retinanet::image::{DecodeLimits, DecodeOptions, ImageRows};
///
/// let limits = DecodeLimits { max_pixels: 400_000_000, ..Default::default() };
/// let mut rows = ImageRows::open("slide.tif", &DecodeOptions { limits, ..Default::default() })?;
/// let red = rows.rows(0..800)?[0];
/// # Ok::<(), retinanet::Error>(())
/// ```
pub struct ImageRows<'a> {
    name: String,
    /// Height and width.
    size: [usize; 2],
    limits: DecodeLimits,
    source: Source<'a>,
    /// Rows from `first` on.
    kept: Vec<u8>,
    first: usize,
}

enum Source<'a> {
    Whole(Cow<'a, Image>),
    Png(Box<PngRows<Stream<'a>>>),
    Tiff(Box<TiffRows<Stream<'a>>>),
}

/// A file, or what is in memory of one.
trait Encoded: BufRead + Seek {}
impl<T: BufRead + Seek> Encoded for T {}
type Stream<'a> = Box<dyn Encoded + 'a>;

impl<'a> ImageRows<'a> {
    /// A file's rows.
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn open(path: impl AsRef<Path>, options: &DecodeOptions) -> Result<Self> {
        let path = path.as_ref();
        Self::open_named(path, &path.to_string_lossy(), options)
    }

    /// [`open`](Self::open), with another name in the messages than the path.
    pub(crate) fn open_named(path: &Path, name: &str, options: &DecodeOptions) -> Result<Self> {
        let limit = options.limits.max_file_bytes;
        check_file(path, name, limit)?;
        let unreadable = |source| ImageError::Read { name: name.to_owned(), source };
        let mut start = Vec::new();
        File::open(path)
            .and_then(|file| file.take(SIGNATURE as u64).read_to_end(&mut start))
            .map_err(unreadable)?;
        let open = || -> Result<Stream<'a>, ImageError> {
            Ok(Box::new(BufReader::new(File::open(path).map_err(unreadable)?)))
        };
        match Self::streamed(&start, name, options, open)? {
            Some(rows) => Ok(rows),
            None => {
                let bytes = read_file(path, name, limit)?;
                Ok(Self::whole(name, Cow::Owned(Image::decode_with(&bytes, name, options)?)))
            }
        }
    }

    /// The rows of an encoded image in memory; `name` is for messages.
    ///
    /// # Errors
    /// As [`Image::decode`].
    pub fn decode(bytes: &'a [u8], name: &str, options: &DecodeOptions) -> Result<Self> {
        let limit = options.limits.max_file_bytes;
        if bytes.len() as u64 > limit {
            return Err(ImageError::FileTooLarge { name: name.to_owned(), limit }.into());
        }
        let start = &bytes[..bytes.len().min(SIGNATURE)];
        let open = || -> Result<Stream<'a>, ImageError> { Ok(Box::new(Cursor::new(bytes))) };
        match Self::streamed(start, name, options, open)? {
            Some(rows) => Ok(rows),
            None => Ok(Self::whole(name, Cow::Owned(Image::decode_with(bytes, name, options)?))),
        }
    }

    /// The rows of a picture that is decoded already.
    pub fn of(image: &'a Image) -> Self {
        Self::whole("the picture", Cow::Borrowed(image))
    }

    fn whole(name: &str, image: Cow<'a, Image>) -> Self {
        Self {
            name: name.to_owned(),
            size: [image.height(), image.width()],
            limits: DecodeLimits::default(),
            source: Source::Whole(image),
            kept: Vec::new(),
            first: 0,
        }
    }

    /// `None` for what must be decoded whole, or cannot be decoded.
    fn streamed(
        start: &[u8],
        name: &str,
        options: &DecodeOptions,
        open: impl Fn() -> Result<Stream<'a>, ImageError>,
    ) -> Result<Option<Self>> {
        let format = match ::image::guess_format(start) {
            Ok(format @ (ImageFormat::Png | ImageFormat::Tiff)) => format,
            _ => return Ok(None),
        };
        let limits = &options.limits;
        let refuse = |error: ::image::ImageError| translate(error, format, name, limits);
        // The ordinary decoder says what it would take, and how the picture is turned.
        let mut reader = ImageReader::with_format(open()?, format);
        reader.limits(::image::Limits::no_limits());
        let mut decoder = reader.into_decoder().map_err(refuse)?;
        let (width, height) = decoder.dimensions();
        let (width, height) = (width as usize, height as usize);
        Checks { name, limits }.check_sides(width, height)?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        if options.apply_exif_orientation && orientation != Orientation::NoTransforms {
            return Ok(None);
        }
        drop(decoder);
        let source = match format {
            ImageFormat::Png => PngRows::new(open()?, limits.max_memory_bytes)
                .map_err(refuse)?
                .map(|rows| Source::Png(Box::new(rows))),
            _ => TiffRows::new(open()?, limits.max_memory_bytes)
                .map_err(refuse)?
                .map(|rows| Source::Tiff(Box::new(rows))),
        };
        Ok(source.map(|source| Self {
            name: name.to_owned(),
            size: [height, width],
            limits: limits.clone(),
            source,
            kept: Vec::new(),
            first: 0,
        }))
    }

    /// The height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.size[0]
    }

    /// The width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.size[1]
    }

    /// Whether the picture is in memory whole.
    pub fn is_whole(&self) -> bool {
        matches!(self.source, Source::Whole(_))
    }

    /// These rows: `rows.len() x width x 3` bytes, red, green, blue. Rows above them are forgotten.
    ///
    /// # Errors
    /// [`ImageError::Rows`] for rows that are not there or forgotten, [`ImageError::TooMuchMemory`], and
    /// whatever is wrong with the file.
    pub fn rows(&mut self, rows: Range<usize>) -> Result<&[u8]> {
        let height = self.size[0];
        if rows.start > rows.end || rows.end > height || rows.start < self.first {
            return Err(ImageError::Rows {
                name: self.name.clone(),
                start: rows.start,
                end: rows.end,
                height,
                first: self.first,
            }
            .into());
        }
        self.fill(&rows)?;
        let stride = self.size[1] * 3;
        let (pixels, first) = match &self.source {
            Source::Whole(image) => (image.as_rgb8(), 0),
            Source::Png(_) | Source::Tiff(_) => (&self.kept[..], self.first),
        };
        Ok(&pixels[(rows.start - first) * stride..(rows.end - first) * stride])
    }

    /// Decodes until the rows are there.
    fn fill(&mut self, rows: &Range<usize>) -> Result<()> {
        let (together, beside) = match &self.source {
            Source::Whole(_) => return Ok(()),
            Source::Png(png) => (1, png.memory()),
            Source::Tiff(tiff) => (tiff.together(), tiff.memory()),
        };
        let stride = self.size[1] * 3;
        let most = rows.len().saturating_add(together).saturating_mul(stride);
        let checks = Checks { name: &self.name, limits: &self.limits };
        checks.check_memory(most.saturating_add(beside) as u64)?;
        self.forget_above(rows.start);
        // Not doubled again and again: that would be twice the memory.
        self.kept.reserve_exact(most.saturating_sub(self.kept.len()));
        loop {
            let next = self.first + self.kept.len() / stride;
            if next >= rows.end {
                return Ok(());
            }
            let (read, format) = match &mut self.source {
                Source::Whole(_) => return Ok(()),
                Source::Png(png) => (png.read(&mut self.kept), ImageFormat::Png),
                Source::Tiff(tiff) => (tiff.read(next, &mut self.kept), ImageFormat::Tiff),
            };
            read.map_err(|error| translate(error, format, &self.name, &self.limits))?;
            self.forget_above(rows.start);
        }
    }

    fn forget_above(&mut self, row: usize) {
        let stride = self.size[1] * 3;
        let gone = (row - self.first).min(self.kept.len() / stride);
        self.kept.drain(..gone * stride);
        self.first += gone;
    }
}

impl fmt::Debug for ImageRows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [height, width] = self.size;
        write!(f, "ImageRows({:?}, {width} x {height} RGB)", self.name)
    }
}

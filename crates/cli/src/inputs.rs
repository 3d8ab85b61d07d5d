//! What the inputs of a command mean: files, or one image from standard input or from a URL.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use retinanet::data::Listing;
use retinanet::image::{DecodeLimits, DecodeOptions, ImageRows, Tiling};
use retinanet::receipt::Receipt;
use retinanet::weights::{Error, FetchError, fetch_content};
use retinanet::{Detector, Image};
use sha2::{Digest, Sha256};

use crate::detect_options::fetch_options;
use crate::exit::{Failure, Outcome};
use crate::voice::{is_quiet, notice};

/// How standard input is given, and what the image from there is called.
const STDIN: &str = "-";
/// What the files made of it are called after.
const STDIN_OUTPUTS: &str = "stdin";
/// What the files made of a URL's image are called after, where its path does not end in a name.
const URL_OUTPUTS: &str = "download";

/// The images of a command.
#[derive(Debug)]
pub struct Inputs {
    images: Images,
    here: PathBuf,
}

#[derive(Debug)]
enum Images {
    Files(Listing),
    Content {
        /// What the image is called.
        name: PathBuf,
        /// What its outputs are called after.
        outputs: PathBuf,
        bytes: Vec<u8>,
    },
}

/// One of them.
#[derive(Debug)]
pub struct Input<'a> {
    /// As the user would write it: what is below the current folder without that folder's path.
    pub path: PathBuf,
    /// What outputs are called after.
    pub relative: &'a Path,
    /// The content, where it came from no file.
    content: Option<&'a [u8]>,
}

impl Inputs {
    /// The images that the inputs mean; `-` alone is read, and a URL alone downloaded, now, to the end or to `limit`
    /// bytes. What a URL gives must have the hash `sha256`, if that is given.
    pub fn of(inputs: &[PathBuf], limit: u64, sha256: Option<&str>) -> Outcome<Self> {
        let images = match inputs {
            [one] if is_url(one) => download(&one.to_string_lossy(), limit, sha256)?,
            _ if sha256.is_some() => {
                return Err(Failure::usage("--sha256 is for the image of one URL, and that alone"));
            }
            [one] if is_stdin(one) => Images::Content {
                name: PathBuf::from(STDIN),
                outputs: PathBuf::from(STDIN_OUTPUTS),
                bytes: read_stdin(limit)?,
            },
            _ if inputs.iter().any(|input| is_stdin(input)) => {
                return Err(Failure::usage(
                    "`-` is one image from standard input and stands alone: give the files to \
                     another run (a file that is called so is `./-`)",
                ));
            }
            _ if inputs.iter().any(|input| is_url(input)) => {
                return Err(Failure::usage(
                    "a URL is one image and stands alone: give the others to another run",
                ));
            }
            _ => Images::Files(files(inputs)?),
        };
        Ok(Self { images, here: std::env::current_dir().unwrap_or_default() })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.images {
            Images::Files(listing) => listing.len(),
            Images::Content { .. } => 1,
        }
    }

    /// One of them.
    pub fn get(&self, index: usize) -> Input<'_> {
        match &self.images {
            Images::Files(listing) => {
                let whole = listing.path(index);
                let path = whole.strip_prefix(&self.here).map(Path::to_owned).unwrap_or(whole);
                Input { path, relative: listing.relative_path(index), content: None }
            }
            Images::Content { name, outputs, bytes } => {
                Input { path: name.clone(), relative: outputs, content: Some(bytes) }
            }
        }
    }
}

impl Input<'_> {
    /// What it is called.
    pub fn name(&self) -> Cow<'_, str> {
        self.path.to_string_lossy()
    }

    /// Decodes it.
    pub fn image(&self, options: &DecodeOptions) -> Outcome<Image> {
        Ok(match self.content {
            None => Image::open_with(&self.path, options)?,
            Some(content) => Image::decode_with(content, &self.name(), options)?,
        })
    }

    /// Its rows, decoded as they are asked for.
    pub fn rows(&self, options: &DecodeOptions) -> Outcome<ImageRows<'_>> {
        Ok(match self.content {
            None => ImageRows::open(&self.path, options)?,
            Some(content) => ImageRows::decode(content, &self.name(), options)?,
        })
    }

    /// Detects in it window by window, on record.
    pub fn tiled_receipt(
        &self,
        detector: &Detector,
        tiling: &Tiling,
        limits: &DecodeLimits,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Outcome<Receipt> {
        let path = &self.path;
        Ok(match self.content {
            None => Receipt::create_tiled(detector, path, tiling, limits, progress)?,
            Some(content) => {
                Receipt::create_tiled_from_bytes(detector, path, content, tiling, limits, progress)?
            }
        })
    }

    /// Detects in it, on record.
    pub fn receipt(&self, detector: &Detector, limits: &DecodeLimits) -> Outcome<Receipt> {
        let path = &self.path;
        Ok(match self.content {
            None => Receipt::create_within(detector, path, limits)?,
            Some(content) => Receipt::create_from_bytes_within(detector, path, content, limits)?,
        })
    }
}

/// The files that inputs mean, where standard input cannot be one.
pub fn files(inputs: &[PathBuf]) -> Outcome<Listing> {
    for input in inputs {
        refuse_url(input)?;
        refuse_stdin(input)?;
    }
    Ok(Listing::of(inputs)?)
}

/// Downloads one image, and holds it against the hash it should have before anything looks at it.
fn download(url: &str, limit: u64, sha256: Option<&str>) -> Outcome<Images> {
    let mut options = fetch_options()?;
    if is_quiet() {
        options.progress = retinanet::weights::Progress::Silent;
    }
    let content = fetch_content(url, limit, &options).map_err(|error| match error {
        Error::Fetch(error @ FetchError::UrlTooLarge { .. }) => {
            Failure::bad_input(format!("{error}; raise `--max-file-bytes` if it is to be trusted"))
        }
        error => error.into(),
    })?;
    let found: String =
        Sha256::digest(&content.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    match sha256 {
        Some(expected) if expected != found => {
            return Err(Failure::bad_input(format!(
                "{:?} has the sha256 {found}, but --sha256 says {expected}: it was replaced or damaged, \
                 and is not decoded",
                content.url
            )));
        }
        Some(_) => {}
        None => notice(&format!(
            "what {:?} gives is taken as it comes ({} bytes); to have the same bytes or an error next \
             time, add --sha256 {found}",
            content.url,
            content.bytes.len()
        )),
    }
    let plain = !["", ".", ".."].contains(&content.file_name.as_str());
    let outputs = if plain { content.file_name.as_str() } else { URL_OUTPUTS };
    Ok(Images::Content {
        name: PathBuf::from(&content.url),
        outputs: PathBuf::from(outputs),
        bytes: content.bytes,
    })
}

/// Refuses the URL of an image where many are meant: an answer is about a file that can be kept.
fn refuse_url(input: &Path) -> Outcome<()> {
    let Some(url) = url_in_shell(input) else { return Ok(()) };
    Err(Failure::bad_input(format!(
        "{input:?} is a URL, and images are read from files here; download it first, with\n  \
         curl -L -o photo.jpg {url}\nor, one image and no file:\n  \
         retinanet detect {url}"
    )))
}

/// Refuses a URL or `-` where a file or a folder is meant.
pub fn refuse_url_or_stdin(input: &Path) -> Outcome<()> {
    refuse_stdin(input)?;
    let Some(url) = url_in_shell(input) else { return Ok(()) };
    Err(Failure::bad_input(format!(
        "{input:?} is a URL, and only files are read; download it first, with\n  curl -L -O {url}"
    )))
}

fn is_url(input: &Path) -> bool {
    url_in_shell(input).is_some()
}

/// A URL as a shell takes it; `None` for another input.
fn url_in_shell(input: &Path) -> Option<String> {
    let text = input.to_string_lossy();
    let (scheme, _) = text.split_once("://")?;
    let known = ["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme));
    known.then(|| format!("'{}'", text.replace('\'', "%27")))
}

/// Refuses `-` where it would be taken for a file of that name.
fn refuse_stdin(input: &Path) -> Outcome<()> {
    if is_stdin(input) {
        return Err(Failure::usage(
            "`-`, standard input, is for the image of `retinanet detect`; give a path here (of a \
             file that is called so, `./-`)",
        ));
    }
    Ok(())
}

/// Where a receipt's image came from, if that is no file: in words.
pub fn came_from_elsewhere(receipt: &Receipt) -> Option<String> {
    let path = Path::new(&receipt.image().path);
    match path.exists() {
        true => None,
        false if is_stdin(path) => Some("standard input".to_owned()),
        false if is_url(path) => Some(format!("the URL {:?}", receipt.image().path)),
        false => None,
    }
}

fn is_stdin(input: &Path) -> bool {
    input == Path::new(STDIN)
}

/// Everything that standard input gives, but no more than one byte over the limit.
fn read_stdin(limit: u64) -> Outcome<Vec<u8>> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(Failure::bad_input(
            "standard input is a terminal; give `-` an image: `retinanet detect - < photo.jpg`",
        ));
    }
    let mut content = Vec::new();
    let read = stdin.lock().take(limit.saturating_add(1)).read_to_end(&mut content);
    read.map_err(|error| Failure::bad_input(format!("cannot read standard input: {error}")))?;
    if content.is_empty() {
        return Err(Failure::bad_input(
            "standard input is empty (0 bytes); check the command that should write the image to it",
        ));
    }
    Ok(content)
}

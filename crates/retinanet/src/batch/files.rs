//! The files of a batch, each read once: hashed and decoded.

use std::sync::Arc;

use crate::data::{Dataset, Listing};
use crate::determinism::Stream;
use crate::evidence::{FileRecord, open_on_record};
use crate::image::{DecodeOptions, Image};
use crate::{Error, Result};

/// The images of a listing, in the frames that annotations state, if any do.
#[derive(Debug)]
pub(super) struct BatchFiles {
    pub(super) listing: Arc<Listing>,
    pub(super) options: DecodeOptions,
    /// Width and height of each, where annotations state them.
    pub(super) sizes: Option<Arc<[Option<[u64; 2]>]>>,
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: FileRecord,
    pub(super) image: Result<Image>,
}

impl Dataset for BatchFiles {
    type Sample = Opened;
    type Error = Error;

    fn len(&self) -> usize {
        self.listing.len()
    }

    fn get(&self, index: usize, _: &mut Stream) -> Result<Opened> {
        let name = self.listing.name(index);
        let size = self.sizes.as_ref().and_then(|sizes| sizes[index]);
        let path = self.listing.path(index);
        let (file, image) = open_on_record(&path, &name, &self.options, size)?;
        Ok(Opened { file, image })
    }

    fn size_in_bytes(&self, opened: &Opened) -> usize {
        opened.image.as_ref().map_or(0, |image| image.as_rgb8().len())
    }
}

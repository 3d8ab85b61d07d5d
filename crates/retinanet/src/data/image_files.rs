//! The images of a listing as a data set.

use std::sync::Arc;

use super::{Dataset, Listing};
use crate::determinism::Stream;
use crate::eval::open_as_annotated;
use crate::image::{DecodeOptions, Image};
use crate::{Error, Result};

/// The decoded images of a [`Listing`]; messages call them by their names there.
#[derive(Debug, Clone)]
pub struct ImageFiles {
    listing: Arc<Listing>,
    options: DecodeOptions,
    /// Width and height of each, where annotations state them.
    sizes: Option<Arc<[Option<[u64; 2]>]>>,
}

impl ImageFiles {
    /// Decodes with the default [`DecodeOptions`].
    pub fn new(listing: impl Into<Arc<Listing>>) -> Self {
        Self { listing: listing.into(), options: DecodeOptions::default(), sizes: None }
    }

    /// The same images, decoded with other options.
    #[must_use]
    pub fn with_options(self, options: DecodeOptions) -> Self {
        Self { options, ..self }
    }

    /// The same images in the frames their annotations are in, told by the sizes.
    pub(crate) fn of_sizes(self, sizes: Arc<[Option<[u64; 2]>]>) -> Self {
        Self { sizes: Some(sizes), ..self }
    }

    /// The files.
    pub fn listing(&self) -> &Listing {
        &self.listing
    }
}

impl Dataset for ImageFiles {
    type Sample = Image;
    type Error = Error;

    fn len(&self) -> usize {
        self.listing.len()
    }

    fn get(&self, index: usize, _: &mut Stream) -> Result<Image> {
        let name = self.listing.name(index);
        let size = self.sizes.as_ref().and_then(|sizes| sizes[index]);
        open_as_annotated(&self.listing.path(index), &name, &self.options, size)
    }

    fn size_in_bytes(&self, image: &Image) -> usize {
        image.as_rgb8().len()
    }
}

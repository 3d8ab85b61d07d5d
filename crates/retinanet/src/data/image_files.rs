//! The images of a listing as a data set.

use std::sync::Arc;

use super::{Dataset, Listing};
use crate::determinism::Stream;
use crate::image::{DecodeOptions, Image};
use crate::{Error, Result};

/// The decoded images of a [`Listing`]; messages call them by their names there.
#[derive(Debug, Clone)]
pub struct ImageFiles {
    listing: Arc<Listing>,
    options: DecodeOptions,
}

impl ImageFiles {
    /// Decodes with the default [`DecodeOptions`].
    pub fn new(listing: impl Into<Arc<Listing>>) -> Self {
        Self { listing: listing.into(), options: DecodeOptions::default() }
    }

    /// The same images, decoded with other options.
    #[must_use]
    pub fn with_options(self, options: DecodeOptions) -> Self {
        Self { options, ..self }
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
        Image::open_named(&self.listing.path(index), &name, &self.options)
    }

    fn size_in_bytes(&self, image: &Image) -> usize {
        image.as_rgb8().len()
    }
}

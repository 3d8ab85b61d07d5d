//! Training data: the set, its images, the loader.

/// Training data cannot be used, or a sample of it cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The annotations cannot be read.
    #[error("{reason}")]
    Annotations {
        /// What the reader of annotations says, with the file's name.
        reason: String,
    },
    /// A category of the annotations cannot be a class.
    #[error("category {id} of the annotations, {name:?}: {reason}")]
    Category {
        /// Its id.
        id: i64,
        /// Its name.
        name: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The annotations do not say how large an image is.
    #[error(
        "image {image_id} ({file_name:?}) has no `width` and `height` in the annotations; add them: boxes are cut to \
         the image before training begins"
    )]
    NoSize {
        /// The image's id.
        image_id: i64,
        /// Its file.
        file_name: String,
    },
    /// The annotations give an image a size that is not read.
    #[error(
        "image {image_id} ({file_name:?}) is {width} x {height} by its annotations; expected sides from 1 to \
         {max_side}, and at most {max_pixels} pixels"
    )]
    Size {
        /// The image's id.
        image_id: i64,
        /// Its file.
        file_name: String,
        /// Its width.
        width: u64,
        /// Its height.
        height: u64,
        /// The longest side.
        max_side: u64,
        /// The most pixels.
        max_pixels: u64,
    },
    /// Images are not where they should be: all of them at once.
    #[error(
        "{missing} of {images} images are not in {folder:?}: {first}; check the folder, or take those images out of \
         the annotations"
    )]
    MissingFiles {
        /// Where they were looked for.
        folder: std::path::PathBuf,
        /// How many are missing.
        missing: usize,
        /// How many there should be.
        images: usize,
        /// The first of them.
        first: String,
    },
    /// Nothing is left to train on.
    #[error("{name:?} has nothing to train on: {summary}")]
    Empty {
        /// The annotations.
        name: String,
        /// What there was, and why it was left out.
        summary: String,
    },
    /// The sample at a position of the run cannot be made.
    #[error("image {image_id} ({file_name:?}), needed at position {position} of the run: {reason}")]
    Sample {
        /// The image at fault, which in a mosaic may be any of the four.
        image_id: i64,
        /// Its file.
        file_name: String,
        /// The position, over all epochs.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// A position after the run's end.
    #[error(
        "position {position} lies after the run's {positions} samples; ask for less, or for more steps"
    )]
    Position {
        /// What was asked for.
        position: u64,
        /// How many there are.
        positions: u64,
    },
    /// The model's transform makes no sense.
    #[error("{reason}")]
    Transform {
        /// What it says of itself.
        reason: String,
    },
    /// Workers cannot be started.
    #[error("{workers} workers could not be started: {reason}; ask for fewer")]
    Threads {
        /// How many.
        workers: usize,
        /// What the system said.
        reason: String,
    },
    /// A preview cannot be written.
    #[error("{reason}")]
    Preview {
        /// What the writer says, with the file's name.
        reason: String,
    },
    /// The loader was told to stop.
    #[error("the loading of samples was stopped, as asked")]
    Stopped,
}

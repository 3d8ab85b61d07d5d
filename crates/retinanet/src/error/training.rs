//! Tensors and images that cannot be trained.

/// Something that a network cannot be trained with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// A name that is none of the network's.
    #[error(
        "the network has no tensor {name:?} to train; `retinanet weights inspect` lists a checkpoint's names"
    )]
    Unknown {
        /// The name.
        name: String,
    },
    /// A tensor that is to be trained twice.
    #[error("tensor {name:?} is named twice among those to train; name it once")]
    NamedTwice {
        /// Its name.
        name: String,
    },
    /// A tensor of a batch norm.
    #[error(
        "tensor {name:?} belongs to a batch norm, which is frozen in training; leave it out of those to train"
    )]
    BatchNorm {
        /// Its name.
        name: String,
    },
    /// A canvas whose size and values do not agree.
    #[error(
        "a canvas of {size:?} (height, width) has {values} values; expected three planes of that size, not empty"
    )]
    Canvas {
        /// Height and width.
        size: [usize; 2],
        /// How many values there are.
        values: usize,
    },
}

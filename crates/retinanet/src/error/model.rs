//! Configurations and weights that make no model.

/// A model configuration that cannot be built, or tensors that do not fit it.
///
/// In `forward`, which answers in candle's error type, these travel as `Error::Wrapped` and keep
/// their message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A value that makes no model.
    #[error("model configuration: `{field}` {reason}")]
    Config {
        /// The field, as a path such as `fpn.out_channels`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Text that is not a configuration: not JSON, a field missing, or a key nobody knows.
    #[error("model configuration: {reason}")]
    Syntax {
        /// What the reader said, naming the key.
        reason: String,
    },
    /// A configuration that asks for a part this crate does not have.
    #[error(
        "model configuration: `{part}` is {value}, which is not supported; supported: {supported}"
    )]
    UnsupportedPart {
        /// The part, as a path such as `fpn.norm`.
        part: &'static str,
        /// What was asked for.
        value: String,
        /// What there is instead.
        supported: &'static str,
    },
    /// A configuration written by a newer release.
    #[error(
        "model configuration: version {found} is newer than this crate reads (up to {supported}); update the crate"
    )]
    Version {
        /// The version found.
        found: u64,
        /// The newest version this release reads.
        supported: u64,
    },
    /// The weights lack a tensor the configuration asks for.
    #[error("tensor {name:?} is missing; check that the weights belong to this configuration")]
    MissingTensor {
        /// Its full name.
        name: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error(
        "tensor {name:?} has shape {found:?}, expected {expected:?}; check that the weights belong to this configuration"
    )]
    TensorShape {
        /// Its full name.
        name: String,
        /// The shape the configuration says.
        expected: Vec<usize>,
        /// The shape it has.
        found: Vec<usize>,
    },
    /// A tensor could not be read.
    #[error("tensor {name:?}: {source}")]
    Tensor {
        /// Its full name.
        name: String,
        /// What its source said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A weight is NaN or infinite.
    #[error("tensor {name:?} holds {value} at index {index}; the weights are damaged")]
    NonFinite {
        /// Its full name.
        name: String,
        /// The flat index of the first such value.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A batch norm that cannot be folded into its convolution.
    #[error(
        "batch norm {name:?}, channel {channel}: {reason}; check the configuration's batch-norm eps ({eps})"
    )]
    BatchNorm {
        /// The layer's full name.
        name: String,
        /// The channel.
        channel: usize,
        /// What is wrong.
        reason: String,
        /// The eps of the configuration.
        eps: f64,
    },
    /// A tensor handed to the model does not fit it.
    #[error("{what} has shape {shape:?}; expected {expected}")]
    Input {
        /// Which tensor or size.
        what: &'static str,
        /// The shape it has.
        shape: Vec<usize>,
        /// What it should be.
        expected: String,
    },
}

impl ModelError {
    /// A [`ModelError::Config`].
    pub(crate) fn config(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config { field: field.into(), reason: reason.into() }
    }

    /// serde's complaint, fit to print: it quotes keys from the text.
    pub(crate) fn syntax(error: impl std::fmt::Display) -> Self {
        let mut reason = String::new();
        for character in error.to_string().chars() {
            if character.is_control() {
                reason.extend(character.escape_default());
            } else {
                reason.push(character);
            }
        }
        Self::Syntax { reason }
    }
}

//! What a manifest may say about a model, for those who know models.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What a manifest says about a checkpoint's model: the keys of its row beyond this crate's own
/// (`name`, `licence`, `note`, `source`).
///
/// ```
/// use retinanet_checkpoint::{Manifest, ManifestModel};
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Row {
///     layers: usize,
/// }
/// struct Layers(usize);
///
/// impl ManifestModel for Layers {
///     type Row = Row;
///
///     fn from_row(row: Row) -> Result<Self, String> {
///         match row.layers {
///             0 => Err("layers must be at least 1".to_owned()),
///             layers => Ok(Self(layers)),
///         }
///     }
/// }
///
/// let text = r#"
///     version = 1
///     [[checkpoint]]
///     name = "mine"
///     licence = "MIT"
///     layers = 18
///     [[checkpoint.source]]
///     url = "https://example.org/mine.pth"
///     format = "pth"
///     sha256 = "0123abcd"
/// "#;
/// let manifest = Manifest::<Layers>::parse(text, "example")?;
/// assert_eq!(manifest.get("mine")?.model.0, 18);
/// assert!(Manifest::<Layers>::parse(&text.replace("18", "0"), "example").is_err());
/// # Ok::<(), retinanet_checkpoint::Error>(())
/// ```
pub trait ManifestModel: Sized {
    /// The keys as TOML has them. It is handed those that are not this crate's, so that
    /// `#[serde(deny_unknown_fields)]` makes any other key an error.
    type Row: DeserializeOwned;

    /// The manifest that comes with the program; by default an empty one.
    const BUILTIN: &'static str = "version = 1";

    /// Checks a row.
    ///
    /// # Errors
    /// A sentence that names the key and what it must be.
    fn from_row(row: Self::Row) -> Result<Self, String>;
}

/// Nothing: a manifest's rows have this crate's keys alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoModel {}

impl ManifestModel for NoModel {
    type Row = Self;

    fn from_row(row: Self) -> Result<Self, String> {
        Ok(row)
    }
}

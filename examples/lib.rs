//! What the examples share: the bundled photo and checkpoint, and the published answer to them.

/// Astronaut Eileen Collins, 512 x 512 pixels (NASA, public domain).
pub const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/astronaut.png");

/// A small person detector made for this project, with its configuration inside.
pub const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/person_r18.safetensors");

/// The digest of everything that the bundled checkpoint finds in the bundled photo.
pub const PUBLISHED_DIGEST: &str =
    "3e64663b9864d42758bd76b1f2b3469d2771e513bd6199366d6e80de2ab288c5";

/// An error as `main` should show it: its message, not its structure.
pub struct Failure(String);

impl<E: std::fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

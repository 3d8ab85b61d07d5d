//! Signatures of logs: in-toto statements in DSSE envelopes, with ed25519 keys in PEM files.

mod envelope;
mod key;
mod log;
mod statement;

pub use key::{PublicKey, create};
pub use log::{LogSigner, Signed, envelope_of, hash_file, signed_by};

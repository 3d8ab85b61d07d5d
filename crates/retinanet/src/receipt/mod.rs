//! Receipts: a detection on record, and what re-running it shows.

mod rebuild;
mod record;
mod seal;
mod verification;

pub(crate) use rebuild::{Recorded, Unusable};
pub use record::{ImageFileRecord, Receipt, WeightsRecord};
pub use verification::{Difference, Verification};

//! Receipts: a detection on record, and what re-running it shows.

mod record;
mod seal;
mod verification;

pub use record::{ImageFileRecord, Receipt, WeightsRecord};
pub use verification::{Difference, Verification};

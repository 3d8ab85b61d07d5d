//! Settings within bounds.

use crate::{Error, Result};

/// Refuses a setting outside `low..=high`.
pub(super) fn check_range(
    setting: &'static str,
    value: f64,
    low: f64,
    high: f64,
    expected: &'static str,
) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::Setting { setting, value: value.to_string(), expected })
}

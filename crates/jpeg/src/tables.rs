//! The Huffman tables of a scan.

use crate::error::Error;
use crate::huffman::Table;
use crate::markers::{Scan, Segments};

/// The tables a scan's component needs.
pub(crate) struct Tables {
    pub(crate) dc: Option<Table>,
    pub(crate) ac: Option<Table>,
}

/// Builds the Huffman tables that a scan needs.
pub(crate) fn tables(
    segments: &Segments,
    scan: &Scan,
    need_dc: bool,
    need_ac: bool,
) -> Result<Vec<Tables>, Error> {
    const MISSING: Error = Error::Damaged { what: "a Huffman table is missing" };
    scan.components
        .iter()
        .map(|component| {
            let dc = segments.dc_tables.get(component.dc_table).and_then(Option::as_ref);
            let ac = segments.ac_tables.get(component.ac_table).and_then(Option::as_ref);
            let table = |definition, is_dc| Table::new(Option::ok_or(definition, MISSING)?, is_dc);
            Ok(Tables {
                dc: if need_dc { Some(table(dc, true)?) } else { None },
                ac: if need_ac { Some(table(ac, false)?) } else { None },
            })
        })
        .collect()
}

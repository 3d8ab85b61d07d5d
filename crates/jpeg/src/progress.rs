//! What a progressive image's scans have made known of its coefficients.

use crate::markers::Scan;

/// By component and coefficient: the lowest bit known, or -1.
pub(crate) struct Progress(Vec<[i8; 64]>);

/// The coefficients that libjpeg's smoothing looks at, by their place in the file, with their places in
/// the block.
const SMOOTHED: [usize; 10] = [0, 1, 8, 16, 9, 2, 3, 10, 17, 24];

impl Progress {
    pub(crate) fn new(components: usize) -> Self {
        Self(vec![[-1; 64]; components])
    }

    /// Notes a scan. Scans out of order are let through, as in libjpeg.
    pub(crate) fn note(&mut self, scan: &Scan) {
        let [first, last] = scan.band.map(usize::from);
        for component in &scan.components {
            self.0[component.index][first..=last].fill(scan.low as i8);
        }
    }

    /// Whether libjpeg would smooth the blocks: a low AC coefficient is not known to its last bit, and the
    /// tables allow it. That is not done here.
    pub(crate) fn calls_for_smoothing(&self, quantisation: &[Option<[u16; 64]>]) -> bool {
        let allowed = self.0.iter().zip(quantisation).all(|(known, table)| {
            known[0] >= 0 && table.is_some_and(|table| SMOOTHED.iter().all(|&k| table[k] != 0))
        });
        allowed && self.0.iter().any(|known| known[1..SMOOTHED.len()].iter().any(|&bit| bit != 0))
    }
}

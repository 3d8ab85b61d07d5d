//! Images in several scans: their coefficients, gathered scan by scan.

use crate::entropy::{Block, Entropy};
use crate::error::Error;
use crate::frame::Frame;
use crate::idct;
use crate::markers::Scan;
use crate::output::Output;
use crate::progress::Progress;
use crate::progressive::{ac_first, ac_refine, dc_first, dc_refine};
use crate::sequential::decode_block;
use crate::tables::Tables;

/// All coefficients of an image.
pub(crate) struct Coefficients {
    /// By component, row by row of its padded blocks.
    blocks: Vec<Vec<Block>>,
    /// By component: the table in force at its first scan.
    pub(crate) quantisation: Vec<Option<[u16; 64]>>,
    progress: Progress,
}

/// What a scan does to a block.
enum Kind {
    Sequential,
    DcFirst,
    DcRefine,
    AcFirst,
    AcRefine,
}

impl Coefficients {
    pub(crate) fn new(frame: &Frame) -> Self {
        let blocks = frame
            .components
            .iter()
            .map(|component| {
                vec![[0; 64]; component.padded_blocks_wide * component.padded_blocks_high]
            })
            .collect();
        let count = frame.components.len();
        Self { blocks, quantisation: vec![None; count], progress: Progress::new(count) }
    }

    /// Checks a progressive scan's parameters and notes what it makes known.
    pub(crate) fn start_scan(&mut self, scan: &Scan, frame: &Frame) -> Result<(), Error> {
        if !frame.progressive {
            return Ok(());
        }
        let [first, last] = scan.band;
        let band_is_bad = match first {
            0 => last != 0,
            _ => first > last || last > 63 || scan.components.len() > 1,
        };
        let bits_are_bad = scan.high != 0 && scan.low + 1 != scan.high;
        if band_is_bad || bits_are_bad || scan.low > 13 {
            return Err(Error::Damaged { what: "a progressive scan's parameters make no sense" });
        }
        self.progress.note(scan);
        Ok(())
    }

    pub(crate) fn decode_scan(
        &mut self,
        entropy: &mut Entropy,
        scan: &Scan,
        frame: &Frame,
        tables: &[Tables],
    ) -> Result<(), Error> {
        let kind = match (frame.progressive, scan.band[0], scan.high) {
            (false, ..) => Kind::Sequential,
            (true, 0, 0) => Kind::DcFirst,
            (true, 0, _) => Kind::DcRefine,
            (true, _, 0) => Kind::AcFirst,
            (true, ..) => Kind::AcRefine,
        };
        match scan.components[..] {
            [_] => self.decode_single(entropy, scan, frame, &tables[0], &kind),
            _ => self.decode_interleaved(entropy, scan, frame, tables, &kind),
        }
    }

    /// A scan of one component: its blocks in order, without those that pad it.
    fn decode_single(
        &mut self,
        entropy: &mut Entropy,
        scan: &Scan,
        frame: &Frame,
        tables: &Tables,
        kind: &Kind,
    ) -> Result<(), Error> {
        let index = scan.components[0].index;
        let component = &frame.components[index];
        for y in 0..component.blocks_high {
            let start = y * component.padded_blocks_wide;
            let row = &mut self.blocks[index][start..start + component.blocks_wide];
            let mut x = 0;
            while x < row.len() {
                // Blocks for which nothing is read are passed over together: an image can have millions.
                let mut skipped = entropy.groups_without_data(row.len() - x);
                if let Kind::AcFirst = kind
                    && entropy.end_of_band_run > 0
                    && skipped == 0
                {
                    skipped = entropy
                        .groups_to_restart(row.len() - x)
                        .min(entropy.end_of_band_run as usize);
                    entropy.end_of_band_run -= skipped as u32;
                }
                if skipped > 0 {
                    entropy.pass_groups(skipped);
                    x += skipped;
                    continue;
                }
                if entropy.start_group() {
                    // A restart cannot leave a run, so this block is decoded.
                    decode(entropy, 0, scan, tables, kind, &mut row[x])?;
                    entropy.end_group();
                }
                x += 1;
            }
            entropy.check_end()?;
        }
        Ok(())
    }

    fn decode_interleaved(
        &mut self,
        entropy: &mut Entropy,
        scan: &Scan,
        frame: &Frame,
        tables: &[Tables],
        kind: &Kind,
    ) -> Result<(), Error> {
        for group_row in 0..frame.groups_high() {
            let mut group = 0;
            while group < frame.groups_wide() {
                let skipped = entropy.groups_without_data(frame.groups_wide() - group);
                if skipped > 0 {
                    entropy.pass_groups(skipped);
                    group += skipped;
                    continue;
                }
                if entropy.start_group() {
                    for (slot, chosen) in scan.components.iter().enumerate() {
                        let component = &frame.components[chosen.index];
                        let blocks = &mut self.blocks[chosen.index];
                        for y in 0..component.v {
                            let y = group_row * component.v + y;
                            let start = y * component.padded_blocks_wide + group * component.h;
                            for block in &mut blocks[start..start + component.h] {
                                decode(entropy, slot, scan, &tables[slot], kind, block)?;
                            }
                        }
                    }
                    entropy.end_group();
                }
                group += 1;
            }
            entropy.check_end()?;
        }
        Ok(())
    }

    /// Transforms all blocks and makes the pixels.
    pub(crate) fn output(&self, frame: &Frame, mut output: Output) -> Result<Vec<u8>, Error> {
        if frame.progressive && self.progress.calls_for_smoothing(&self.quantisation) {
            return Err(Error::Unsupported { what: "incomplete progressive" });
        }
        for group_row in 0..frame.groups_high() {
            for (index, component) in frame.components.iter().enumerate() {
                // A component that no scan holds is grey.
                let factors = self.quantisation[index].unwrap_or([0; 64]);
                let first = group_row * component.v;
                for y in first..(first + component.v).min(component.blocks_high) {
                    let start = y * component.padded_blocks_wide;
                    for x in 0..component.blocks_wide {
                        let (samples, stride) = output.block(index, x, y);
                        idct::transform(&self.blocks[index][start + x], &factors, samples, stride);
                    }
                }
            }
            output.emit(group_row);
        }
        Ok(output.into_rgb())
    }
}

/// Decodes one block's share of a scan.
#[inline(always)]
fn decode(
    entropy: &mut Entropy,
    slot: usize,
    scan: &Scan,
    tables: &Tables,
    kind: &Kind,
    block: &mut Block,
) -> Result<(), Error> {
    let band = scan.band.map(usize::from);
    match (kind, &tables.dc, &tables.ac) {
        (Kind::Sequential, Some(dc), Some(ac)) => decode_block(entropy, slot, dc, ac, block),
        (Kind::DcFirst, Some(dc), _) => dc_first(entropy, slot, dc, scan.low, block)?,
        (Kind::DcRefine, ..) => dc_refine(entropy, scan.low, block),
        (Kind::AcFirst, _, Some(ac)) => ac_first(entropy, ac, band, scan.low, block),
        (Kind::AcRefine, _, Some(ac)) => ac_refine(entropy, ac, band, scan.low, block),
        _ => {}
    }
    Ok(())
}

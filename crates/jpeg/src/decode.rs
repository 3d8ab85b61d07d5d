//! From bytes to pixels: the steps in order.

use crate::bits::EOI;
use crate::entropy::{Block, Entropy};
use crate::error::{Damage, Error};
use crate::frame::Frame;
use crate::header::{self, Header};
use crate::huffman;
use crate::idct;
use crate::markers::{Scan, Segments};
use crate::multiscan::Coefficients;
use crate::output::Output;
use crate::sequential::decode_block;
use crate::tables::{Tables, tables};
use crate::{Options, Rgb};

pub(crate) fn decode(bytes: &[u8], options: &Options) -> Result<Rgb, Error> {
    let mut segments = Segments::new(bytes)?;
    let scan = header::first_scan(&mut segments)?;
    let header = Header::of(&segments, &scan)?;
    header.check(options)?;
    let frame = segments.frame.clone().ok_or(header::NO_FRAME)?;
    let output = Output::new(&frame, header.color_space)?;
    // Frames of motion JPEG leave the standard tables out.
    if !frame.progressive {
        let [dc, ac] = huffman::standard();
        for (slot, (dc, ac)) in dc.into_iter().zip(ac).enumerate() {
            segments.dc_tables[slot].get_or_insert(dc);
            segments.ac_tables[slot].get_or_insert(ac);
        }
    }
    let (pixels, damage) = if header.multiple_scans {
        decode_scans(&mut segments, scan, &frame, output, options)?
    } else {
        decode_only_scan(&mut segments, &scan, &frame, output, options)?
    };
    Ok(Rgb {
        width: header.width,
        height: header.height,
        pixels,
        color_space: header.color_space,
        damage,
    })
}

/// The quantisation table of a component of a scan.
fn quantisation(segments: &Segments, frame: &Frame, index: usize) -> Result<[u16; 64], Error> {
    let table = segments.quantisation.get(frame.components[index].quantisation);
    table.copied().flatten().ok_or(Error::Damaged { what: "a quantisation table is missing" })
}

/// A sequential image whose only scan holds all components: decoded, transformed and put out row by row.
fn decode_only_scan(
    segments: &mut Segments,
    scan: &Scan,
    frame: &Frame,
    mut output: Output,
    options: &Options,
) -> Result<(Vec<u8>, Option<Damage>), Error> {
    let tables = tables(segments, scan, true, true)?;
    let mut factors = Vec::new();
    for component in &scan.components {
        factors.push(quantisation(segments, frame, component.index)?);
    }
    check_group(scan, frame)?;
    let mut entropy = Entropy::new(
        segments.bytes(),
        segments.pos(),
        segments.restart_interval,
        options.accept_truncated,
    );
    let single = scan.components.len() == 1;
    for group_row in 0..frame.groups_high() {
        if single {
            let component = &frame.components[scan.components[0].index];
            let first = group_row * component.v;
            for y in first..(first + component.v).min(component.blocks_high) {
                for x in 0..component.blocks_wide {
                    let mut block: Block = [0; 64];
                    if entropy.start_group() {
                        decode_one(&mut entropy, 0, &tables[0], &mut block);
                        entropy.end_group();
                    }
                    let (samples, stride) = output.block(0, x, y);
                    idct::transform(&block, &factors[0], samples, stride);
                }
            }
        } else {
            for group in 0..frame.groups_wide() {
                let has_data = entropy.start_group();
                for (slot, chosen) in scan.components.iter().enumerate() {
                    let component = &frame.components[chosen.index];
                    for y in 0..component.v {
                        for x in 0..component.h {
                            let mut block: Block = [0; 64];
                            if has_data {
                                decode_one(&mut entropy, slot, &tables[slot], &mut block);
                            }
                            let x = group * component.h + x;
                            let y = group_row * component.v + y;
                            let (samples, stride) = output.block(chosen.index, x, y);
                            idct::transform(&block, &factors[slot], samples, stride);
                        }
                    }
                }
                if has_data {
                    entropy.end_group();
                }
            }
        }
        entropy.check_end()?;
        output.emit(group_row);
    }
    let damage = entropy.damage;
    segments.resume(entropy.bits.finish());
    // As PIL does, what follows is read up to the end of the image, which may be missing.
    match segments.next_scan() {
        Ok(None) | Err(Error::Truncated) => Ok((output.into_rgb(), damage)),
        Ok(Some(_)) => Err(Error::Damaged { what: "there is a scan after the last one" }),
        Err(error) => Err(error),
    }
}

#[inline(always)]
fn decode_one(entropy: &mut Entropy, slot: usize, tables: &Tables, block: &mut Block) {
    if let Tables { dc: Some(dc), ac: Some(ac) } = tables {
        decode_block(entropy, slot, dc, ac, block);
    }
}

/// An interleaved scan has at most ten blocks in a group.
fn check_group(scan: &Scan, frame: &Frame) -> Result<(), Error> {
    let blocks = |index: usize| frame.components[index].h * frame.components[index].v;
    let total: usize = scan.components.iter().map(|component| blocks(component.index)).sum();
    if scan.components.len() > 1 && total > 10 {
        return Err(Error::Damaged { what: "a scan has more than ten blocks in a group" });
    }
    Ok(())
}

/// Several scans: all coefficients are gathered first.
fn decode_scans(
    segments: &mut Segments,
    first: Scan,
    frame: &Frame,
    output: Output,
    options: &Options,
) -> Result<(Vec<u8>, Option<Damage>), Error> {
    let mut coefficients = Coefficients::new(frame);
    let mut damage = None;
    let mut next = Some(first);
    let mut scans = 0;
    while let Some(scan) = next {
        scans += 1;
        if scans > options.max_scans {
            return Err(Error::TooManyScans { limit: options.max_scans });
        }
        check_group(&scan, frame)?;
        for component in &scan.components {
            // The table in force at a component's first scan counts.
            if coefficients.quantisation[component.index].is_none() {
                let factors = quantisation(segments, frame, component.index)?;
                coefficients.quantisation[component.index] = Some(factors);
            }
        }
        let (need_dc, need_ac) = match (frame.progressive, scan.band[0]) {
            (false, _) => (true, true),
            (true, 0) => (scan.high == 0, false),
            (true, _) => (false, true),
        };
        coefficients.start_scan(&scan, frame)?;
        let tables = tables(segments, &scan, need_dc, need_ac)?;
        let mut entropy = Entropy::new(
            segments.bytes(),
            segments.pos(),
            segments.restart_interval,
            options.accept_truncated,
        );
        coefficients.decode_scan(&mut entropy, &scan, frame, &tables)?;
        damage = damage.or(entropy.damage);
        let (pos, marker) = entropy.bits.finish();
        segments.resume((pos, marker));
        next = match segments.next_scan() {
            // Reading on from an end that counts as a marker finds it again.
            Err(Error::Truncated) if options.accept_truncated && marker != Some(EOI) => {
                damage = Some(Damage::Truncated);
                None
            }
            other => other?,
        };
    }
    Ok((coefficients.output(frame, output)?, damage))
}

//! Blocks of progressive scans: the first look at a band of coefficients, and later, finer ones.

use crate::entropy::{Block, Entropy};
use crate::error::Error;
use crate::huffman::Table;
use crate::zigzag::ZIGZAG;

/// The DC coefficient's upper bits.
pub(crate) fn dc_first(
    entropy: &mut Entropy,
    slot: usize,
    table: &Table,
    low: u8,
    block: &mut Block,
) -> Result<(), Error> {
    entropy.bits.refill();
    let difference = match table.symbol(&mut entropy.bits) {
        Some(0) => 0,
        Some(size) => entropy.bits.take_signed(size),
        None => {
            entropy.bad_code();
            0
        }
    };
    let dc = &mut entropy.dc[slot];
    *dc = dc
        .checked_add(difference)
        .ok_or(Error::Damaged { what: "a DC coefficient is out of range" })?;
    block[0] = (*dc << low) as i16;
    Ok(())
}

/// The DC coefficient's next bit.
pub(crate) fn dc_refine(entropy: &mut Entropy, low: u8, block: &mut Block) {
    if entropy.bits.bit() {
        block[0] |= 1 << low;
    }
}

/// The upper bits of a band of AC coefficients. Not called for blocks inside a run of empty bands.
pub(crate) fn ac_first(
    entropy: &mut Entropy,
    table: &Table,
    band: [usize; 2],
    low: u8,
    block: &mut Block,
) {
    let [mut k, last] = band;
    while k <= last {
        entropy.bits.refill_if_low();
        let entry = table.look_up(&entropy.bits);
        if let Some(value) = entry.value() {
            entropy.bits.consume(entry.length());
            k += entry.run();
            block[usize::from(ZIGZAG[k]) & 63] = value << low;
            k += 1;
            continue;
        }
        let (run, size) = symbol(entropy, table);
        if size > 0 {
            k += run;
            let value = entropy.bits.take_signed(size);
            block[usize::from(ZIGZAG[k]) & 63] = (value << low) as i16;
            k += 1;
        } else if run == 15 {
            k += 16;
        } else {
            entropy.end_of_band_run = end_of_band(entropy, run) - 1;
            break;
        }
    }
}

/// The next bit of a band of AC coefficients.
pub(crate) fn ac_refine(
    entropy: &mut Entropy,
    table: &Table,
    band: [usize; 2],
    low: u8,
    block: &mut Block,
) {
    let [mut k, last] = band;
    let plus = 1_i16 << low;
    let minus = -1_i16 << low;
    if entropy.end_of_band_run == 0 {
        while k <= last {
            entropy.bits.refill_if_low();
            let (mut run, size) = symbol(entropy, table);
            let mut new = 0;
            if size > 0 {
                if size > 1 {
                    entropy.bad_code();
                }
                new = if entropy.bits.take(1) != 0 { plus } else { minus };
            } else if run < 15 {
                entropy.end_of_band_run = end_of_band(entropy, run);
                break;
            }
            // Pass over `run` zeros. Each nonzero coefficient on the way gets its next bit.
            while k <= last {
                let coefficient = &mut block[usize::from(ZIGZAG[k]) & 63];
                if *coefficient != 0 {
                    correct(entropy, coefficient, plus, minus);
                } else if run == 0 {
                    break;
                } else {
                    run -= 1;
                }
                k += 1;
            }
            if new != 0 {
                block[usize::from(ZIGZAG[k]) & 63] = new;
            }
            k += 1;
        }
    }
    if entropy.end_of_band_run > 0 {
        for &place in &ZIGZAG[k.min(last + 1)..=last] {
            let coefficient = &mut block[usize::from(place) & 63];
            if *coefficient != 0 {
                correct(entropy, coefficient, plus, minus);
            }
        }
        entropy.end_of_band_run -= 1;
    }
}

/// Reads a symbol: the run and the size. A bad code counts as the symbol 0.
#[inline(always)]
fn symbol(entropy: &mut Entropy, table: &Table) -> (usize, u32) {
    let symbol = table.symbol(&mut entropy.bits).unwrap_or_else(|| {
        entropy.bad_code();
        0
    });
    (symbol as usize >> 4, symbol & 15)
}

/// How many blocks, this one included, have nothing more in the band.
fn end_of_band(entropy: &mut Entropy, size: usize) -> u32 {
    (1 << size) + entropy.bits.take(size as u32)
}

#[inline(always)]
fn correct(entropy: &mut Entropy, coefficient: &mut i16, plus: i16, minus: i16) {
    // Where the bit is set already (in damaged files) nothing is added.
    if entropy.bits.bit() && *coefficient & plus == 0 {
        *coefficient = coefficient.wrapping_add(if *coefficient >= 0 { plus } else { minus });
    }
}

//! Blocks of baseline and extended sequential scans.

use crate::entropy::{Block, Entropy};
use crate::huffman::Table;
use crate::zigzag::ZIGZAG;

/// Decodes a block's coefficients into `block`; those that are zero are not written.
#[inline(always)]
pub(crate) fn decode_block(
    entropy: &mut Entropy,
    slot: usize,
    dc_table: &Table,
    ac_table: &Table,
    block: &mut Block,
) {
    let bits = &mut entropy.bits;
    bits.refill();
    let mut bad = false;
    let entry = dc_table.look_up(bits);
    let difference = if let Some(value) = entry.value() {
        bits.consume(entry.length());
        i32::from(value)
    } else {
        match dc_table.symbol(bits) {
            Some(0) => 0,
            Some(size) => bits.take_signed(size),
            None => {
                bad = true;
                0
            }
        }
    };
    let dc = &mut entropy.dc[slot];
    *dc = dc.wrapping_add(difference);
    block[0] = *dc as i16;

    let mut k = 1;
    while k < 64 {
        bits.refill_if_low();
        let entry = ac_table.look_up(bits);
        if let Some(value) = entry.value() {
            bits.consume(entry.length());
            k += entry.run();
            block[usize::from(ZIGZAG[k]) & 63] = value;
            k += 1;
            continue;
        }
        let symbol = if entry.length() > 0 {
            bits.consume(entry.length());
            entry.symbol()
        } else {
            ac_table.long_symbol(bits).unwrap_or_else(|| {
                bad = true;
                0
            })
        };
        let (run, size) = (symbol as usize >> 4, symbol & 15);
        if size == 0 {
            if run < 15 {
                break;
            }
            k += 16;
        } else {
            k += run;
            block[usize::from(ZIGZAG[k]) & 63] = bits.take_signed(size) as i16;
            k += 1;
        }
    }
    if bad {
        entropy.bad_code();
    }
}

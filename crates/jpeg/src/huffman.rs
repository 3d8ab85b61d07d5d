//! Huffman tables, and symbols read with them.

use crate::bits::BitReader;
use crate::error::Error;

/// Codes up to this length are looked up, with the value that follows if it fits as well.
const LOOKUP_BITS: u32 = 10;

/// A table as a segment defines it; checked when a scan uses it, as libjpeg does.
#[derive(Clone)]
pub(crate) struct Definition {
    /// How many codes there are of 1 to 16 bits.
    pub(crate) counts: [u8; 16],
    /// The symbols, by code.
    pub(crate) symbols: [u8; 256],
}

/// A table to decode with.
pub(crate) struct Table {
    lookup: Box<[Entry; 1 << LOOKUP_BITS]>,
    /// The largest code of each length; -1 where there is none.
    largest: [i32; 17],
    /// What to add to a code of each length to get its symbol's index.
    offset: [i32; 17],
    symbols: [u8; 256],
}

/// What [`LOOKUP_BITS`] bits say: bits 0-4 how many of them to consume, 0 if the code is longer; bit 5
/// whether a whole value is in them; bits 8-15 the symbol; bits 16-31 the value.
#[derive(Clone, Copy, Default)]
pub(crate) struct Entry(u32);

impl Entry {
    const HAS_VALUE: u32 = 1 << 5;

    #[inline(always)]
    pub(crate) fn length(self) -> u32 {
        self.0 & 31
    }

    /// The value that the bits hold after the code, if they hold all of it.
    #[inline(always)]
    pub(crate) fn value(self) -> Option<i16> {
        (self.0 & Self::HAS_VALUE != 0).then_some((self.0 >> 16) as i16)
    }

    #[inline(always)]
    pub(crate) fn symbol(self) -> u32 {
        self.0 >> 8 & 0xff
    }

    /// The zeros before the value: the symbol's upper half.
    #[inline(always)]
    pub(crate) fn run(self) -> usize {
        (self.0 >> 12 & 15) as usize
    }
}

impl Table {
    /// Builds the table; in a table for DC differences, the symbols are the values' lengths.
    pub(crate) fn new(definition: &Definition, is_dc: bool) -> Result<Self, Error> {
        const BAD: Error = Error::Damaged { what: "a Huffman table is no prefix code" };
        let Definition { counts, symbols } = definition;
        let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
        if total > 256 {
            return Err(BAD);
        }
        if is_dc && symbols[..total].iter().any(|&symbol| symbol > 15) {
            return Err(Error::Damaged {
                what: "a Huffman table has DC values of more than 15 bits",
            });
        }
        let mut lookup = Box::new([Entry::default(); 1 << LOOKUP_BITS]);
        let mut largest = [-1; 17];
        let mut offset = [0; 17];
        let mut code = 0_i32;
        let mut index = 0;
        for (length, &count) in (1_u32..).zip(counts) {
            offset[length as usize] = index as i32 - code;
            for _ in 0..count {
                if length <= LOOKUP_BITS {
                    let free = LOOKUP_BITS - length;
                    let from = (code as usize) << free;
                    let entries = lookup.get_mut(from..from + (1 << free)).ok_or(BAD)?;
                    fill(entries, u32::from(symbols[index]), length, free);
                }
                largest[length as usize] = code;
                code += 1;
                index += 1;
            }
            // The code of ones only is not allowed. Lengths past the last code do not matter.
            if count > 0 && code >= 1 << length {
                return Err(BAD);
            }
            code <<= 1;
        }
        Ok(Self { lookup, largest, offset, symbols: *symbols })
    }

    /// What the next bits say; at least 10 must be available.
    #[inline(always)]
    pub(crate) fn look_up(&self, bits: &BitReader) -> Entry {
        self.lookup[bits.peek(LOOKUP_BITS) as usize]
    }

    /// Reads a symbol; at least 17 bits must be available. `None` for bits that are no code.
    #[inline(always)]
    pub(crate) fn symbol(&self, bits: &mut BitReader) -> Option<u32> {
        let entry = self.look_up(bits);
        if entry.length() == 0 {
            return self.long_symbol(bits);
        }
        if entry.value().is_none() {
            bits.consume(entry.length());
        } else {
            bits.consume(entry.length() - (entry.symbol() & 15));
        }
        Some(entry.symbol())
    }

    /// Reads a symbol whose code is longer than the lookup's, or bits that are no code, 17 of which go.
    #[cold]
    pub(crate) fn long_symbol(&self, bits: &mut BitReader) -> Option<u32> {
        for length in LOOKUP_BITS + 1..=16 {
            let code = bits.peek(length) as i32;
            if code <= self.largest[length as usize] {
                bits.consume(length);
                let index = code + self.offset[length as usize];
                return Some(u32::from(self.symbols[index as usize & 255]));
            }
        }
        bits.consume(17);
        None
    }
}

/// Fills the entries that start with a code of `length` bits, which leaves `free` bits.
fn fill(entries: &mut [Entry], symbol: u32, length: u32, free: u32) {
    let size = symbol & 15;
    for (following, entry) in (0_u32..).zip(entries) {
        entry.0 = symbol << 8 | length;
        if size != 0 && size <= free {
            let value = (following >> (free - size)) as i32;
            let value = if value < 1 << (size - 1) { value - (1 << size) + 1 } else { value };
            entry.0 = (value as u32) << 16 | symbol << 8 | Entry::HAS_VALUE | (length + size);
        }
    }
}

/// The tables of the standard's annex K: DC and AC, for luminance and for chrominance. Frames of motion
/// JPEG leave them out.
pub(crate) fn standard() -> [[Definition; 2]; 2] {
    let dc = |counts| {
        let mut symbols = [0; 256];
        symbols[..12].copy_from_slice(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        Definition { counts, symbols }
    };
    let ac = |counts: [u8; 16], first: &[u8]| {
        // The rarest symbols have codes of 16 bits each, in increasing order.
        let mut symbols = [0; 256];
        symbols[..first.len()].copy_from_slice(first);
        let is_symbol = |symbol: &u8| match symbol {
            0x00 | 0xf0 => true,
            symbol => (1..=10).contains(&(symbol & 15)),
        };
        let rest = (0..=255_u8).filter(|symbol| is_symbol(symbol) && !first.contains(symbol));
        for (to, symbol) in symbols[first.len()..].iter_mut().zip(rest) {
            *to = symbol;
        }
        Definition { counts, symbols }
    };
    let luminance = ac(
        [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
        &[
            0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51,
            0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1,
            0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82,
        ],
    );
    let chrominance = ac(
        [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
        &[
            0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07,
            0x61, 0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09,
            0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25,
            0xf1,
        ],
    );
    [
        [
            dc([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]),
            dc([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]),
        ],
        [luminance, chrominance],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(counts: [u8; 16], symbols: &[u8]) -> Definition {
        let mut padded = [0; 256];
        padded[..symbols.len()].copy_from_slice(symbols);
        Definition { counts, symbols: padded }
    }

    #[test]
    fn the_standard_tables_are_complete_prefix_codes() {
        let [dc, ac] = standard();
        for definition in dc {
            assert!(Table::new(&definition, true).is_ok());
        }
        for definition in ac {
            assert!(Table::new(&definition, false).is_ok());
            let total: usize = definition.counts.iter().map(|&count| usize::from(count)).sum();
            let mut symbols = definition.symbols[..total].to_vec();
            symbols.sort_unstable();
            symbols.dedup();
            assert_eq!(symbols.len(), 162);
        }
    }

    #[test]
    fn short_and_long_codes_are_read_and_others_take_seventeen_bits() {
        // 0: symbol 0x21; 10: 0x05; then one code each of 11 and 16 bits.
        let counts = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
        let table = Table::new(&definition(counts, &[0x21, 0x05, 0x33, 0x44]), false).unwrap();
        let data = [0b0101_1000, 0b0000_0011, 0, 0b1000_0000, 0, 0, 0, 0, 0];
        let mut bits = BitReader::new(&data, 0);
        bits.refill();
        assert_eq!(table.look_up(&bits).value(), Some(1));
        assert_eq!(table.look_up(&bits).run(), 2);
        assert_eq!(table.symbol(&mut bits), Some(0x21));
        assert_eq!(table.symbol(&mut bits), Some(0x05));
        assert_eq!(table.symbol(&mut bits), Some(0x33));
        let mut no_code = BitReader::new(&[0xfe; 9], 0);
        no_code.refill();
        assert_eq!(table.symbol(&mut no_code), None);
        assert_eq!(no_code.take(8), 0xfd_u32 & 0xff);
    }

    #[test]
    fn an_overfull_code_is_refused() {
        assert!(Table::new(&definition([2; 16], &[0; 32]), false).is_err());
        assert!(Table::new(&definition([1; 16], &[0; 16]), false).is_ok());
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Table::new(&definition(counts, &[0; 3]), false).is_err());
        assert!(Table::new(&definition([1; 16], &[16; 16]), true).is_err());
    }
}

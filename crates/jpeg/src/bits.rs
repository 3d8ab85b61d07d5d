//! The bits of one entropy-coded segment: byte stuffing undone, zeros after its end.

/// End of image: what the end of the data counts as.
pub(crate) const EOI: u8 = 0xd9;

/// Reads bits until a marker, then zeros for ever.
pub(crate) struct BitReader<'a> {
    all: &'a [u8],
    /// `all` up to the marker, once one was met: nothing is read past it.
    readable: &'a [u8],
    /// Index of the next byte to read.
    pos: usize,
    /// The next bits, left-justified. Beyond `count` are zeros or the start of the next byte.
    buffer: u64,
    count: u32,
    /// How many of the last bits put into the buffer were made up.
    made_up: u32,
    /// The marker that was met.
    marker: Option<u8>,
    met_end: bool,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(all: &'a [u8], pos: usize) -> Self {
        Self {
            all,
            readable: all,
            pos,
            buffer: 0,
            count: 0,
            made_up: 0,
            marker: None,
            met_end: false,
        }
    }

    /// Makes at least 56 bits available.
    #[inline(always)]
    pub(crate) fn refill(&mut self) {
        if let Some(bytes) = self.readable.get(self.pos..).and_then(|rest| rest.first_chunk()) {
            let word = u64::from_be_bytes(*bytes);
            if !has_ff(word) {
                self.buffer |= word >> self.count;
                self.pos += (63 - self.count as usize) >> 3;
                self.count |= 56;
                return;
            }
        }
        self.refill_by_bytes();
    }

    /// Makes at least 32 bits available: the longest code and its longest value.
    #[inline(always)]
    pub(crate) fn refill_if_low(&mut self) {
        if self.count < 32 {
            self.refill();
        }
    }

    #[cold]
    #[inline(never)]
    fn refill_by_bytes(&mut self) {
        while self.count <= 56 {
            match self.next_byte() {
                Some(byte) => self.buffer |= u64::from(byte) << (56 - self.count),
                None => self.made_up = self.made_up.saturating_add(8),
            }
            self.count += 8;
        }
    }

    /// The next byte of data, if no marker comes first.
    fn next_byte(&mut self) -> Option<u8> {
        if self.marker.is_some() {
            return None;
        }
        let byte = self.next_raw()?;
        if byte != 0xff {
            return Some(byte);
        }
        // Any number of fill bytes may precede a marker; libjpeg takes them before a stuffed zero, too.
        loop {
            match self.next_raw()? {
                0xff => {}
                0 => return Some(0xff),
                marker => {
                    self.stop_at(marker);
                    return None;
                }
            }
        }
    }

    fn next_raw(&mut self) -> Option<u8> {
        let byte = self.all.get(self.pos).copied();
        match byte {
            Some(_) => self.pos += 1,
            None => {
                self.met_end = true;
                self.stop_at(EOI);
            }
        }
        byte
    }

    fn stop_at(&mut self, marker: u8) {
        self.marker = Some(marker);
        self.readable = &self.all[..self.pos];
    }

    /// The next `n` bits, 1 to 17, which stay.
    #[inline(always)]
    pub(crate) fn peek(&self, n: u32) -> u32 {
        (self.buffer >> (64 - n)) as u32
    }

    /// Drops bits that were peeked at; they must be available.
    #[inline(always)]
    pub(crate) fn consume(&mut self, n: u32) {
        self.buffer <<= n;
        self.count -= n;
    }

    /// The next `n` bits, 0 to 16, as a number; they must be available.
    #[inline(always)]
    pub(crate) fn take(&mut self, n: u32) -> u32 {
        let bits = (self.buffer >> 1 >> (63 - n)) as u32;
        self.consume(n);
        bits
    }

    /// The next `n` bits, 1 to 15, as JPEG codes a signed value.
    #[inline(always)]
    pub(crate) fn take_signed(&mut self, n: u32) -> i32 {
        let bits = self.take(n) as i32;
        // Values whose first bit is 0 are negative.
        if bits < 1 << (n - 1) { bits - (1 << n) + 1 } else { bits }
    }

    /// The next bit; refills.
    #[inline(always)]
    pub(crate) fn bit(&mut self) -> bool {
        if self.count == 0 {
            self.refill();
        }
        self.take(1) != 0
    }

    /// Whether bits were consumed that are not in the file.
    pub(crate) fn overdrawn(&self) -> bool {
        self.count < self.made_up
    }

    /// Whether the end of the data was met, at the latest when looking ahead.
    pub(crate) fn met_end(&self) -> bool {
        self.met_end
    }

    /// Drops the buffered bits and returns the marker that stopped the reader, looking for one if none has.
    /// `None` at the end of the data.
    pub(crate) fn skip_to_marker(&mut self) -> Option<u8> {
        (self.buffer, self.count, self.made_up) = (0, 0, 0);
        if self.marker.is_none() {
            while self.next_byte().is_some() {}
        }
        self.marker
    }

    /// Whether a marker stopped the reader.
    pub(crate) fn at_marker(&self) -> bool {
        self.marker.is_some()
    }

    /// Goes on after the marker that stopped the reader.
    pub(crate) fn pass_marker(&mut self) {
        self.readable = self.all;
        self.marker = None;
    }

    /// Where to go on reading segments, and the marker that was read already.
    pub(crate) fn finish(self) -> (usize, Option<u8>) {
        (self.pos, self.marker)
    }
}

/// Whether one of the eight bytes is 0xff: a zero byte of the complement borrows from its top bit.
#[inline(always)]
fn has_ff(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    (!word).wrapping_sub(ONES) & word & (ONES << 7) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ff_is_found_at_every_place_of_a_word() {
        for at in 0..8 {
            for other in [0x00_u8, 0x01, 0x7f, 0x80, 0xfe] {
                let mut bytes = [other; 8];
                assert!(!has_ff(u64::from_be_bytes(bytes)));
                bytes[at] = 0xff;
                assert!(has_ff(u64::from_be_bytes(bytes)));
            }
        }
    }

    #[test]
    fn stuffing_is_undone_and_zeros_follow_a_marker() {
        let data = [0xa5, 0xff, 0x00, 0xff, 0xff, 0x00, 0x3c, 0xff, 0xd0, 0x77];
        let mut bits = BitReader::new(&data, 0);
        bits.refill();
        let read: Vec<u32> = (0..4).map(|_| bits.take(8)).collect();
        assert_eq!(read, [0xa5, 0xff, 0xff, 0x3c]);
        assert!(!bits.overdrawn());
        bits.refill_if_low();
        assert_eq!(bits.take(16), 0);
        assert!(bits.overdrawn() && !bits.met_end());
        assert_eq!(bits.skip_to_marker(), Some(0xd0));
        bits.pass_marker();
        bits.refill();
        assert_eq!(bits.take(8), 0x77);
        assert!(bits.met_end() && !bits.overdrawn());
        assert_eq!(bits.finish(), (10, Some(EOI)));
    }

    #[test]
    fn values_are_signed_as_the_standard_says() {
        let mut bits = BitReader::new(&[0b0100_0110, 0b1100_0111, 0, 0, 0, 0, 0, 0, 0], 0);
        bits.refill();
        assert_eq!([bits.take_signed(1), bits.take_signed(1)], [-1, 1]);
        assert_eq!([0; 4].map(|_| bits.take_signed(2)), [-3, -2, 2, 3]);
        assert_eq!([bits.take_signed(3), bits.take_signed(3)], [-7, 7]);
    }
}

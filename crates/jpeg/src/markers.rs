//! Segments: tables, frame and scan headers, and the few application segments that matter.

use crate::bits::EOI;
use crate::error::Error;
use crate::frame::Frame;
use crate::huffman::Definition;
use crate::zigzag::ZIGZAG;

/// A scan header.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    /// The components in the scan: index in the frame, DC table, AC table.
    pub(crate) components: Vec<ScanComponent>,
    /// First and last coefficient, in the file's order.
    pub(crate) band: [u8; 2],
    /// The lowest bit known before, 0 in a first scan.
    pub(crate) high: u8,
    /// The lowest bit that this scan makes known.
    pub(crate) low: u8,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanComponent {
    pub(crate) index: usize,
    pub(crate) dc_table: usize,
    pub(crate) ac_table: usize,
}

/// Reads segments and remembers what they define.
pub(crate) struct Segments<'a> {
    bytes: &'a [u8],
    pos: usize,
    /// A marker that was read already.
    pending: Option<u8>,
    /// By slot, in the order of a block's rows.
    pub(crate) quantisation: [Option<[u16; 64]>; 4],
    pub(crate) dc_tables: [Option<Definition>; 4],
    pub(crate) ac_tables: [Option<Definition>; 4],
    /// Blocks' groups between restart markers; 0 for none.
    pub(crate) restart_interval: u16,
    pub(crate) frame: Option<Frame>,
    /// Whether a JFIF segment was read.
    pub(crate) jfif: bool,
    /// The colour transform that an Adobe segment names.
    pub(crate) adobe_transform: Option<u8>,
    /// What follows "Exif\0\0" in the first such segment.
    pub(crate) exif: Option<&'a [u8]>,
}

const BAD_LENGTH: Error = Error::Damaged { what: "a segment's length does not fit its content" };

impl<'a> Segments<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        if !bytes.starts_with(&[0xff, 0xd8]) {
            return Err(Error::NotJpeg);
        }
        Ok(Self {
            bytes,
            pos: 2,
            pending: None,
            quantisation: [None; 4],
            dc_tables: Default::default(),
            ac_tables: Default::default(),
            restart_interval: 0,
            frame: None,
            jfif: false,
            adobe_transform: None,
            exif: None,
        })
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    /// Goes on after a scan's entropy-coded data.
    pub(crate) fn resume(&mut self, (pos, pending): (usize, Option<u8>)) {
        (self.pos, self.pending) = (pos, pending);
    }

    /// Reads segments up to the next scan header; `None` at the end of the image.
    pub(crate) fn next_scan(&mut self) -> Result<Option<Scan>, Error> {
        loop {
            let marker = match self.pending.take() {
                Some(marker) => marker,
                None => self.next_marker()?,
            };
            match marker {
                0xc0..=0xc2 => self.frame_header(marker)?,
                0xc3 | 0xc7 | 0xcb | 0xcf => return Err(unsupported("lossless")),
                0xc9 | 0xca | 0xcc => return Err(unsupported("arithmetic-coded")),
                0xc5 | 0xc6 | 0xcd | 0xce => return Err(unsupported("hierarchical")),
                0xc4 => self.huffman_tables()?,
                0xdb => self.quantisation_tables()?,
                0xdd => {
                    let &[high, low] = self.segment()? else { return Err(BAD_LENGTH) };
                    self.restart_interval = u16::from_be_bytes([high, low]);
                }
                0xda => return self.scan_header().map(Some),
                EOI => return Ok(None),
                0xd8 => return Err(Error::Damaged { what: "there is a second start of image" }),
                // Markers without content.
                0x01 | 0xd0..=0xd7 => {}
                0xe0..=0xef | 0xfe | 0xdc => self.application_data(marker)?,
                _ => return Err(Error::Damaged { what: "there is an unknown marker" }),
            }
        }
    }

    fn next_marker(&mut self) -> Result<u8, Error> {
        loop {
            while self.byte()? != 0xff {}
            let mut byte = self.byte()?;
            while byte == 0xff {
                byte = self.byte()?;
            }
            if byte != 0 {
                return Ok(byte);
            }
        }
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let byte = *self.bytes.get(self.pos).ok_or(Error::Truncated)?;
        self.pos += 1;
        Ok(byte)
    }

    /// A segment's content.
    fn segment(&mut self) -> Result<&'a [u8], Error> {
        let length = usize::from(u16::from_be_bytes([self.byte()?, self.byte()?]));
        // libjpeg takes the lengths 0 and 1, which do not count themselves, as 2.
        let end = self.pos + length.saturating_sub(2);
        let content = self.bytes.get(self.pos..end).ok_or(Error::Truncated)?;
        self.pos = end;
        Ok(content)
    }

    fn frame_header(&mut self, marker: u8) -> Result<(), Error> {
        if self.frame.is_some() {
            return Err(Error::Damaged { what: "there is a second frame header" });
        }
        self.frame = Some(Frame::parse(self.segment()?, marker == 0xc2)?);
        Ok(())
    }

    fn huffman_tables(&mut self) -> Result<(), Error> {
        let mut content = self.segment()?;
        while let Some((header, rest)) = content.split_first_chunk::<17>() {
            let [class_and_slot, counts @ ..] = *header;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(total).ok_or(BAD_LENGTH)?;
            let mut definition = Definition { counts, symbols: [0; 256] };
            definition.symbols.get_mut(..total).ok_or(BAD_LENGTH)?.copy_from_slice(symbols);
            let tables = match class_and_slot & 0x10 {
                0 => &mut self.dc_tables,
                _ => &mut self.ac_tables,
            };
            let slot = usize::from(class_and_slot & !0x10);
            *tables.get_mut(slot).ok_or(BAD_SLOT)? = Some(definition);
            content = rest;
        }
        if content.is_empty() { Ok(()) } else { Err(BAD_LENGTH) }
    }

    fn quantisation_tables(&mut self) -> Result<(), Error> {
        let mut content = self.segment()?;
        while let Some((&precision_and_slot, rest)) = content.split_first() {
            let bytes_each = if precision_and_slot >> 4 == 0 { 1 } else { 2 };
            let slot = usize::from(precision_and_slot & 15);
            let (values, rest) = rest.split_at_checked(64 * bytes_each).ok_or(BAD_LENGTH)?;
            let table = self.quantisation.get_mut(slot).ok_or(BAD_SLOT)?.insert([0; 64]);
            for (value, place) in values.chunks_exact(bytes_each).zip(ZIGZAG) {
                table[usize::from(place)] =
                    value.iter().fold(0, |value, &byte| value << 8 | u16::from(byte));
            }
            content = rest;
        }
        Ok(())
    }

    fn scan_header(&mut self) -> Result<Scan, Error> {
        const UNKNOWN: Error =
            Error::Damaged { what: "a scan names a component that there is not" };
        let content = self.segment()?;
        let Some(frame) = &self.frame else {
            return Err(Error::Damaged { what: "a scan comes before the frame header" });
        };
        let [count @ 1..=4, rest @ ..] = content else { return Err(BAD_LENGTH) };
        let (selectors, parameters) =
            rest.split_at_checked(usize::from(*count) * 2).ok_or(BAD_LENGTH)?;
        let &[first, last, bits] = parameters else { return Err(BAD_LENGTH) };
        let mut components: Vec<ScanComponent> = Vec::new();
        for selector in selectors.chunks_exact(2) {
            // libjpeg skips as many of the frame's components as were chosen: the i-th of the scan cannot
            // be one whose place was filled. Duplicate ids are told apart in this way.
            let filled = components.len();
            let index = frame
                .components
                .iter()
                .enumerate()
                .position(|(index, component)| component.id == selector[0] && index >= filled)
                .ok_or(UNKNOWN)?;
            if components.iter().any(|component| component.index == index) {
                return Err(UNKNOWN);
            }
            let (dc_table, ac_table) =
                (usize::from(selector[1] >> 4), usize::from(selector[1] & 15));
            components.push(ScanComponent { index, dc_table, ac_table });
        }
        Ok(Scan { components, band: [first, last], high: bits >> 4, low: bits & 15 })
    }

    fn application_data(&mut self, marker: u8) -> Result<(), Error> {
        let content = self.segment()?;
        match marker {
            0xe0 if content.len() >= 14 && content.starts_with(b"JFIF\0") => self.jfif = true,
            0xe1 if self.exif.is_none() => self.exif = content.strip_prefix(b"Exif\0\0"),
            0xee if content.len() >= 12 && content.starts_with(b"Adobe") => {
                self.adobe_transform = Some(content[11]);
            }
            _ => {}
        }
        Ok(())
    }
}

const BAD_SLOT: Error = Error::Damaged { what: "a table's number is more than 3" };

fn unsupported(what: &'static str) -> Error {
    Error::Unsupported { what }
}

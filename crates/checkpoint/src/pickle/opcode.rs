//! Bounds-checked reading of an opcode's argument.

use super::refusal::{PickleError, Step, invalid};

/// The input and how far it was read.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn take(&mut self, count: usize) -> Step<&'a [u8]> {
        let rest = &self.bytes[self.position..];
        match rest.get(..count) {
            Some(taken) => {
                self.position += count;
                Ok(taken)
            }
            None => invalid("it ends in the middle, or is longer than is read"),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| PickleError::Invalid("it ends in the middle".into()))
    }

    pub(super) fn byte(&mut self) -> Step<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn text_u8(&mut self) -> Step<&'a str> {
        let length = self.byte()?;
        self.text(length.into())
    }

    pub(super) fn text_u32(&mut self) -> Step<&'a str> {
        match usize::try_from(u32::from_le_bytes(self.array()?)) {
            Ok(length) => self.text(length),
            Err(_) => invalid("text longer than memory"),
        }
    }

    /// Text up to the next line feed.
    pub(super) fn line(&mut self) -> Step<&'a str> {
        let rest = &self.bytes[self.position..];
        match rest.iter().position(|&byte| byte == b'\n') {
            Some(length) => {
                let line = self.text(length)?;
                self.position += 1;
                Ok(line)
            }
            None => invalid("a name without an end"),
        }
    }

    fn text(&mut self, length: usize) -> Step<&'a str> {
        std::str::from_utf8(self.take(length)?).or_else(|_| invalid("text that is not UTF-8"))
    }
}

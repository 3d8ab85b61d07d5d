//! What every kind of scan shares: restart markers, running out of data, the blocks' order.

use crate::bits::{BitReader, EOI};
use crate::error::{Damage, Error};

/// A block's coefficients, row by row.
pub(crate) type Block = [i16; 64];

/// The state of a scan's entropy decoder.
pub(crate) struct Entropy<'a> {
    pub(crate) bits: BitReader<'a>,
    /// The last DC value of each component of the scan.
    pub(crate) dc: [i32; 4],
    /// Blocks still to come in a run of blocks whose band is empty from here on.
    pub(crate) end_of_band_run: u32,
    restart_interval: u32,
    /// Groups until the next restart marker.
    to_go: u32,
    /// The number of the next restart marker, 0 to 7.
    next_restart: u8,
    /// Whether the segment's data are used up: its other blocks stay as they are.
    exhausted: bool,
    accept_truncated: bool,
    pub(crate) damage: Option<Damage>,
}

impl<'a> Entropy<'a> {
    pub(crate) fn new(
        bytes: &'a [u8],
        pos: usize,
        restart_interval: u16,
        accept_truncated: bool,
    ) -> Self {
        Self {
            bits: BitReader::new(bytes, pos),
            dc: [0; 4],
            end_of_band_run: 0,
            restart_interval: u32::from(restart_interval),
            to_go: u32::from(restart_interval),
            next_restart: 0,
            exhausted: false,
            accept_truncated,
            damage: None,
        }
    }

    /// Starts a group of blocks: passes a restart marker if one is due. Says whether there are data for
    /// the group; if not, its blocks stay as they are.
    #[inline(always)]
    pub(crate) fn start_group(&mut self) -> bool {
        if self.restart_interval > 0 {
            if self.to_go == 0 {
                self.restart();
            }
            self.to_go -= 1;
        }
        !self.exhausted
    }

    /// Ends a group that was decoded.
    #[inline(always)]
    pub(crate) fn end_group(&mut self) {
        if self.bits.overdrawn() {
            self.exhausted = true;
            self.note(Damage::ScanEndsEarly);
        }
    }

    /// How many groups, at most `limit`, can be passed over because nothing will be decoded for them.
    pub(crate) fn groups_without_data(&self, limit: usize) -> usize {
        if !self.exhausted {
            0
        } else if self.restart_interval == 0 {
            limit
        } else {
            limit.min(self.to_go as usize)
        }
    }

    /// Passes over groups: no data are read for them.
    pub(crate) fn pass_groups(&mut self, count: usize) {
        if self.restart_interval > 0 {
            self.to_go -= count as u32;
        }
    }

    /// Groups until a restart marker is due, at most `limit`.
    pub(crate) fn groups_to_restart(&self, limit: usize) -> usize {
        if self.restart_interval == 0 { limit } else { limit.min(self.to_go as usize) }
    }

    /// Fails if the data ended in the scan. Called once a row.
    pub(crate) fn check_end(&mut self) -> Result<(), Error> {
        if !self.bits.met_end() {
            return Ok(());
        }
        if !self.accept_truncated {
            return Err(Error::Truncated);
        }
        self.damage = Some(Damage::Truncated);
        Ok(())
    }

    #[cold]
    pub(crate) fn bad_code(&mut self) {
        self.note(Damage::BadHuffmanCode);
    }

    fn note(&mut self, damage: Damage) {
        self.damage.get_or_insert(damage);
    }

    #[cold]
    fn restart(&mut self) {
        let wanted = 0xd0 + self.next_restart;
        let mut found = self.bits.skip_to_marker().unwrap_or(EOI);
        if found != wanted {
            self.note(Damage::RestartOutOfPlace);
        }
        // Other markers are dealt with as libjpeg does: a recent one is passed over, one of the next two is
        // taken as proof that the wanted one is lost, and any other marker ends the data.
        loop {
            let ahead = found.wrapping_sub(wanted) & 7;
            let resume = match found {
                0xd0..=0xd7 => match ahead {
                    1 | 2 => break,
                    6 | 7 => false,
                    _ => true,
                },
                0xc0.. => break,
                _ => false,
            };
            self.bits.pass_marker();
            if resume {
                break;
            }
            found = self.bits.skip_to_marker().unwrap_or(EOI);
        }
        // With the marker left unread the next segment counts as empty; a segment that was exhausted
        // before stays so.
        if !self.bits.at_marker() {
            self.exhausted = false;
        }
        self.next_restart = (self.next_restart + 1) & 7;
        self.dc = [0; 4];
        self.end_of_band_run = 0;
        self.to_go = self.restart_interval;
    }
}

//! The zip container: `NAME/data.pkl`, `NAME/byteorder` and one entry `NAME/data/KEY` a storage.

use std::collections::BTreeMap;
use std::io::Cursor;

use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use super::state::State;
use super::{Contents, Fault, Storages};
use crate::weights::error::quoted;
use crate::weights::pickle;

/// The first bytes of a zip file.
pub(in crate::weights) const SIGNATURE: [u8; 4] = *b"PK\x03\x04";

pub(super) fn read(file: &[u8]) -> Result<Contents, Fault> {
    let mut archive = Archive::open(file)?;
    let prefix = archive.prefix()?;
    if let Some(order) = archive.entry(&format!("{prefix}byteorder"))?
        && order != b"little"
    {
        return Err("its numbers are big-endian; save it again on a little-endian machine".into());
    }
    let object = archive
        .entry(&format!("{prefix}data.pkl"))?
        .ok_or_else(|| Fault::from("entry data.pkl is missing"))?;
    let pickle = pickle::parse(object)?;
    let state = State::find(&pickle)?;
    let mut storages = Storages::new();
    for key in state.keys() {
        let name = format!("{prefix}data/{key}");
        let bytes = archive
            .entry(&name)?
            .ok_or_else(|| format!("entry {} is missing; the file is incomplete", quoted(&name)))?;
        storages.insert(key, bytes);
    }
    state.materialise(&storages, file.len())
}

/// A zip file in memory whose entries are slices of it.
struct Archive<'a> {
    file: &'a [u8],
    zip: ZipArchive<Cursor<&'a [u8]>>,
    index: BTreeMap<String, usize>,
}

impl<'a> Archive<'a> {
    fn open(file: &'a [u8]) -> Result<Self, Fault> {
        let damaged = |e| format!("its zip directory: {e}; it is cut short or damaged");
        // Nothing may stand before the archive. Left to search, the crate takes a wrong directory
        // start where PyTorch's zip64 record is as long as the first directory entry, that is, for
        // every file saved under a name of 21 letters.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, Cursor::new(file)).map_err(damaged)?;
        let mut index = BTreeMap::new();
        for position in 0..zip.len() {
            let entry = zip.by_index_data(position).map_err(damaged)?;
            let name = entry.name().map_err(damaged)?.into_owned();
            if index.insert(name.clone(), position).is_some() {
                return Err(format!("entry {} appears twice", quoted(&name)).into());
            }
        }
        Ok(Self { file, zip, index })
    }

    /// What stands before `data.pkl` in entry names: a folder of any name and a slash.
    fn prefix(&self) -> Result<String, Fault> {
        let mut found = self.index.keys().filter_map(|name| {
            let prefix = name.strip_suffix("data.pkl")?;
            (prefix.is_empty() || prefix.ends_with('/')).then(|| prefix.to_string())
        });
        match (found.next(), found.next()) {
            (Some(prefix), None) => Ok(prefix),
            (None, _) => Err("a zip file without a data.pkl; torch.save did not write it".into()),
            (Some(_), Some(_)) => Err("a zip file with more than one data.pkl".into()),
        }
    }

    /// The bytes of a stored entry, checked against its checksum; `None` when there is no such entry.
    fn entry(&mut self, name: &str) -> Result<Option<&'a [u8]>, Fault> {
        let Some(&position) = self.index.get(name) else {
            return Ok(None);
        };
        let damaged = |reason: String| format!("entry {}: {reason}", quoted(name));
        let raw = self.zip.by_index_raw(position).map_err(|e| damaged(e.to_string()))?;
        let stored = raw.compression() == CompressionMethod::Stored;
        if !stored || raw.encrypted() || raw.size() != raw.compressed_size() {
            return Err(Fault::Compressed(quoted(name)));
        }
        let slice = raw.data_start().and_then(|start| {
            let start = usize::try_from(start).ok()?;
            let end = start.checked_add(usize::try_from(raw.size()).ok()?)?;
            self.file.get(start..end)
        });
        let slice = slice.ok_or_else(|| damaged("it lies outside the file".into()))?;
        // PyTorch writes 0 when told not to compute checksums.
        if raw.crc32() != 0 {
            drop(raw);
            let mut entry = self.zip.by_index(position).map_err(|e| damaged(e.to_string()))?;
            let read = std::io::copy(&mut entry, &mut std::io::sink());
            read.map_err(|e| damaged(format!("{e}; the file is damaged")))?;
        }
        Ok(Some(slice))
    }
}

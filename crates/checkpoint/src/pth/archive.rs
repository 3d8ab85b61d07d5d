//! The zip container: `NAME/data.pkl`, `NAME/byteorder` and one entry `NAME/data/KEY` a storage.

use std::collections::BTreeMap;
use std::io::Cursor;

use rayon::prelude::*;
use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use super::contents::{Contents, Fault, Storages};
use super::state::State;
use crate::pickle;
use crate::text::quoted;

/// The first bytes of a zip file.
pub(crate) const SIGNATURE: [u8; 4] = *b"PK\x03\x04";

pub(crate) fn read(file: &[u8]) -> Result<Contents, Fault> {
    let mut archive = Archive::open(file)?;
    let prefix = archive.prefix()?;
    if let Some(order) = archive.entry(&format!("{prefix}byteorder"))?
        && order.checked()? != b"little"
    {
        return Err("its numbers are big-endian; save it again on a little-endian machine".into());
    }
    let object = archive
        .entry(&format!("{prefix}data.pkl"))?
        .ok_or_else(|| Fault::from("entry data.pkl is missing"))?;
    let pickle = pickle::parse(object.checked()?)?;
    let state = State::find(&pickle)?;
    let mut entries = Vec::new();
    for key in state.keys() {
        let name = format!("{prefix}data/{key}");
        let entry = archive
            .entry(&name)?
            .ok_or_else(|| format!("entry {} is missing; the file is incomplete", quoted(&name)))?;
        entries.push((key, entry));
    }
    // Checked side by side, then in order, so that of several damaged entries the first is named.
    let checked: Vec<_> =
        entries.par_iter().map(|(key, entry)| Ok((*key, entry.checked()?))).collect();
    let storages = checked.into_iter().collect::<Result<Storages<'_>, Fault>>()?;
    state.materialise(&storages, file.len())
}

/// A stored entry: its bytes lie in the file as they are.
struct Entry<'a> {
    name: String,
    bytes: &'a [u8],
    /// 0 where PyTorch was told not to compute checksums.
    checksum: u32,
}

impl<'a> Entry<'a> {
    /// The bytes, once their checksum is right.
    fn checked(&self) -> Result<&'a [u8], Fault> {
        if self.checksum != 0 && crc32fast::hash(self.bytes) != self.checksum {
            let name = quoted(&self.name);
            return Err(format!("entry {name}: a wrong checksum; the file is damaged").into());
        }
        Ok(self.bytes)
    }
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

    /// A stored entry; `None` when there is none of that name.
    fn entry(&mut self, name: &str) -> Result<Option<Entry<'a>>, Fault> {
        let Some(&position) = self.index.get(name) else {
            return Ok(None);
        };
        let damaged = |reason: String| format!("entry {}: {reason}", quoted(name));
        let raw = self.zip.by_index_raw(position).map_err(|e| damaged(e.to_string()))?;
        let stored = raw.compression() == CompressionMethod::Stored;
        if !stored || raw.encrypted() || raw.size() != raw.compressed_size() {
            return Err(Fault::Compressed(quoted(name)));
        }
        let bytes = raw.data_start().and_then(|start| {
            let start = usize::try_from(start).ok()?;
            let end = start.checked_add(usize::try_from(raw.size()).ok()?)?;
            self.file.get(start..end)
        });
        let bytes = bytes.ok_or_else(|| damaged("it lies outside the file".into()))?;
        Ok(Some(Entry { name: name.into(), bytes, checksum: raw.crc32() }))
    }
}

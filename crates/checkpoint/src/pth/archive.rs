//! The zip container: `NAME/data.pkl`, `NAME/byteorder` and one entry `NAME/data/KEY` a storage.

use std::collections::BTreeMap;

use rawzip::{CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder, ZipSliceArchive};
use rayon::prelude::*;

use super::contents::{Contents, Fault, Storages};
use super::state::State;
use crate::pickle;
use crate::text::quoted;

/// The first bytes of a zip file.
pub(crate) const SIGNATURE: [u8; 4] = *b"PK\x03\x04";

pub(crate) fn read(file: &[u8]) -> Result<Contents, Fault> {
    let archive = Archive::open(file)?;
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
    zip: ZipSliceArchive<&'a [u8]>,
    index: BTreeMap<String, Listed>,
}

/// What the directory says of an entry.
struct Listed {
    way: ZipArchiveEntryWayfinder,
    /// Neither compressed nor encrypted.
    stored: bool,
    checksum: u32,
}

impl<'a> Archive<'a> {
    fn open(file: &'a [u8]) -> Result<Self, Fault> {
        let damaged = |e: String| format!("its zip directory: {e}; it is cut short or damaged");
        let zip = ZipArchive::from_slice(file).map_err(|e| damaged(e.to_string()))?;
        let mut index = BTreeMap::new();
        for header in zip.entries() {
            let header = header.map_err(|e| damaged(e.to_string()))?;
            let name = std::str::from_utf8(header.file_path().as_ref())
                .map_err(|_| damaged("a name is not UTF-8".to_owned()))?
                .to_owned();
            let stored = header.compression_method() == CompressionMethod::STORE
                && !header.flags().is_encrypted()
                && header.uncompressed_size_hint() == header.compressed_size_hint();
            let listed = Listed { way: header.wayfinder(), stored, checksum: header.crc32() };
            if index.insert(name.clone(), listed).is_some() {
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
    fn entry(&self, name: &str) -> Result<Option<Entry<'a>>, Fault> {
        let Some(listed) = self.index.get(name) else {
            return Ok(None);
        };
        if !listed.stored {
            return Err(Fault::Compressed(quoted(name)));
        }
        let damaged = |reason: String| format!("entry {}: {reason}", quoted(name));
        let found = self.zip.get_entry(listed.way).map_err(|e| damaged(e.to_string()))?;
        let (start, end) = found.compressed_data_range();
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let bytes = range.and_then(|(start, end)| self.file.get(start..end));
        let bytes = bytes.ok_or_else(|| damaged("it lies outside the file".into()))?;
        Ok(Some(Entry { name: name.into(), bytes, checksum: listed.checksum }))
    }
}

//! The stream used before 2020: four pickles, a list of keys, then the storages one after another.

use std::collections::BTreeMap;

use super::contents::{Contents, Fault, Storages};
use super::state::{self, State};
use crate::pickle::{self, Node, Pickle};
use crate::text::quoted;

/// The pickled integer 0x1950a86a20f9469cfc6c after its protocol bytes.
const MAGIC: [u8; 12] = [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The only version of the stream there ever was.
const PROTOCOL_VERSION: usize = 1001;

/// Whether a file that starts with these bytes is such a stream.
pub(crate) fn is_legacy(start: &[u8]) -> bool {
    start.first() == Some(&0x80) && start.get(2..14) == Some(&MAGIC[..])
}

pub(crate) fn read(file: &[u8]) -> Result<Contents, Fault> {
    let mut rest = file;
    let mut next = || -> Result<Pickle<'_>, Fault> {
        let pickle = pickle::parse(rest)?;
        rest = &rest[pickle.length..];
        Ok(pickle)
    };
    next()?;
    let version = next()?;
    if version.size(version.root) != Some(PROTOCOL_VERSION) {
        return Err("an unknown version of the pre-2020 stream".into());
    }
    let system = next()?;
    let little = system.dict(system.root).and_then(|dict| dict.get("little_endian").copied());
    if little.map(|id| system.node(id)) != Some(&Node::Bool(true)) {
        return Err("it does not say that its numbers are little-endian".into());
    }
    let object = next()?;
    let keys = next()?;
    let keys: Option<Vec<&str>> = keys
        .sequence(keys.root)
        .and_then(|keys_of| keys_of.iter().map(|&key| keys.text(key)).collect());
    let keys = keys.ok_or("its list of storages is not a list of names")?;

    // Every storage is followed, also those of an optimiser, because only their sizes say where
    // the next one starts.
    let state = State::find(&object)?;
    let sizes: BTreeMap<&str, usize> = state::all_storages(&object)?;
    let mut storages = Storages::new();
    for key in keys {
        let element =
            sizes.get(key).ok_or_else(|| format!("storage {} is never described", quoted(key)))?;
        let cut = || format!("it ends inside storage {}; it is cut short", quoted(key));
        let (count, after) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        let bytes = usize::try_from(u64::from_le_bytes(*count))
            .ok()
            .and_then(|count| count.checked_mul(*element))
            .filter(|&bytes| bytes <= after.len())
            .ok_or_else(cut)?;
        let (storage, after) = after.split_at(bytes);
        if storages.insert(key, storage).is_some() {
            return Err(format!("storage {} appears twice", quoted(key)).into());
        }
        rest = after;
    }
    if !rest.is_empty() {
        return Err(format!("{} bytes follow its last storage", rest.len()).into());
    }
    state.materialise(&storages, file.len())
}

//! Reading safetensors: the header is validated whole, then each tensor fills its own buffer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;

use safetensors::tensor::Metadata;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::dtype::StoredDtype;
use crate::error::WeightsError;
use crate::source::HashedSource;
use crate::tensor::{MAX_SIDES, RawTensor};
use crate::text::quoted;

/// Bytes in front of the header: its length.
pub(crate) const LENGTH_BYTES: u64 = 8;

/// The largest header taken, the safetensors crate's own limit.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Tensors by stored name, and the metadata.
pub(crate) type Contents = (BTreeMap<String, RawTensor>, BTreeMap<String, String>);

/// Reads the rest of a file whose first bytes are in `start` (at least 8, at most the header's).
pub(crate) fn read<R: Read>(
    source: &mut HashedSource<R>,
    mut start: Vec<u8>,
) -> Result<Contents, WeightsError> {
    let path = source.path().to_path_buf();
    let invalid = |reason: String| WeightsError::Safetensors { path: path.clone(), reason };
    let cut = || invalid(format!("it ends after {} bytes; download or copy it again", start.len()));

    let length_field = start.first_chunk().ok_or_else(cut)?;
    let header_bytes = u64::from_le_bytes(*length_field);
    if header_bytes > MAX_HEADER_BYTES {
        return Err(invalid(format!(
            "its header claims {header_bytes} bytes, over the limit of {MAX_HEADER_BYTES}"
        )));
    }
    let header_end = LENGTH_BYTES + header_bytes;
    let have = start.len() as u64;
    if have > header_end || header_end > source.length() {
        let total = source.length();
        return Err(invalid(format!(
            "its header claims {header_bytes} bytes, but the file has {total}; it is cut short or damaged"
        )));
    }
    source.append(&mut start, header_end - have)?;
    let header = parse(&start[LENGTH_BYTES as usize..]).map_err(invalid)?;

    let described = header.data_len() as u64;
    if described != source.remaining() {
        let follow = source.remaining();
        return Err(invalid(format!(
            "its header describes {described} bytes of tensors, but {follow} follow it; it is cut short or damaged"
        )));
    }
    // In order of offsets, which the header's validation proved to be free of holes and overlaps.
    let mut tensors = BTreeMap::new();
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else {
            continue;
        };
        let dtype = StoredDtype::from_safetensors(info.dtype).ok_or_else(|| {
            WeightsError::UnsupportedDtype {
                path: path.clone(),
                tensor: quoted(&name),
                dtype: format!("{:?}", info.dtype),
            }
        })?;
        if info.shape.len() > MAX_SIDES {
            let (name, sides) = (quoted(&name), info.shape.len());
            return Err(invalid(format!("tensor {name} has {sides} sides, more than {MAX_SIDES}")));
        }
        let mut bytes = Vec::new();
        source.append(&mut bytes, (info.data_offsets.1 - info.data_offsets.0) as u64)?;
        tensors.insert(name, RawTensor { dtype, shape: info.shape.clone(), bytes });
    }
    let metadata = header.metadata().iter().flatten();
    Ok((tensors, metadata.map(|(key, value)| (key.clone(), value.clone())).collect()))
}

fn parse(header: &[u8]) -> Result<Metadata, String> {
    let text = std::str::from_utf8(header).map_err(|e| format!("its header is not UTF-8: {e}"))?;
    let mut json = serde_json::Deserializer::from_str(text);
    UniqueKeys { depth: 0 }
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|e| format!("its header: {}", quoted(&e.to_string())))?;
    serde_json::from_str(text).map_err(|e| format!("its header: {}", quoted(&e.to_string())))
}

/// Walks the header and refuses a name given twice, which a map would silently merge.
struct UniqueKeys {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for UniqueKeys {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if self.depth == 0 {
                map.next_value_seed(UniqueKeys { depth: 1 })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            if seen.contains(&key) {
                return Err(A::Error::custom(format_args!("{key} appears twice")));
            }
            seen.insert(key);
        }
        Ok(())
    }
}

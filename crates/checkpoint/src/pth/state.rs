//! Finding the state dict in an unpickled object, and its tensors in their storages.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::contents::{Contents, Fault, Storages};
use super::layout::{self, Layout};
use crate::dtype::StoredDtype;
use crate::pickle::{Callable, Id, Node, Pickle};
use crate::tensor::{MAX_SIDES, RawTensor};
use crate::text::quoted;

/// Keys under which training scripts keep the state dict.
const NESTED: [&str; 3] = ["state_dict", "model", "model_state_dict"];

/// Where a tensor lies.
#[derive(Debug)]
struct Placed<'a> {
    storage: Storage<'a>,
    layout: Layout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Storage<'a> {
    key: &'a str,
    dtype: StoredDtype,
    elements: usize,
    /// Where a view into the storage starts; only very old files have one that is not 0.
    view_start: usize,
}

/// A state dict whose tensors are not yet copied out of the storages.
#[derive(Debug)]
pub(super) struct State<'a> {
    tensors: BTreeMap<&'a str, Placed<'a>>,
    not_tensors: Vec<String>,
}

impl<'a> State<'a> {
    /// The state dict: the object itself, or the one dict of tensors under a usual key.
    pub(super) fn find(pickle: &Pickle<'a>) -> Result<Self, Fault> {
        let wanted = "save the weights alone: torch.save(model.state_dict(), path)";
        let Some(root) = pickle.dict(pickle.root) else {
            return Err(format!("its object is not a dict of tensors; {wanted}").into());
        };
        if holds_tensors(pickle, &root) {
            return Self::of(pickle, root);
        }
        let mut nested = NESTED.iter().filter_map(|key| {
            let dict = pickle.dict(*root.get(key)?)?;
            holds_tensors(pickle, &dict).then_some(dict)
        });
        match (nested.next(), nested.next()) {
            (Some(state), None) => Self::of(pickle, state),
            (None, _) => Err(format!(
                "it holds no dict of tensors, neither itself nor under {NESTED:?}; {wanted}"
            )
            .into()),
            (Some(_), Some(_)) => {
                Err(format!("several of {NESTED:?} hold tensors; {wanted}").into())
            }
        }
    }

    fn of(pickle: &Pickle<'a>, entries: BTreeMap<&'a str, Id>) -> Result<Self, Fault> {
        let mut state = Self { tensors: BTreeMap::new(), not_tensors: Vec::new() };
        for (name, id) in entries {
            match tensor_arguments(pickle, id) {
                Some(arguments) => {
                    let placed = place(pickle, arguments).ok_or_else(|| {
                        format!("tensor {} is described in an unknown way", quoted(name))
                    })?;
                    state.tensors.insert(name, placed);
                }
                None => state.not_tensors.push(name.to_string()),
            }
        }
        Ok(state)
    }

    /// Keys of the storages that the tensors need.
    pub(super) fn keys(&self) -> BTreeSet<&'a str> {
        self.tensors.values().map(|placed| placed.storage.key).collect()
    }

    /// Copies every tensor out of its storage, row-major.
    pub(super) fn materialise(
        self,
        storages: &Storages<'_>,
        file_bytes: usize,
    ) -> Result<Contents, Fault> {
        // Shared storages may make the tensors larger than the file, but not without end.
        let mut budget = file_bytes.saturating_mul(4);
        let mut checked = Vec::new();
        for (name, Placed { storage, layout }) in self.tensors {
            let wrong = |reason: String| format!("tensor {}: {reason}", quoted(name));
            let bytes = storages
                .get(storage.key)
                .ok_or_else(|| wrong(format!("its storage {} is missing", quoted(storage.key))))?;
            if storage.elements.checked_mul(storage.dtype.size()) != Some(bytes.len()) {
                return Err(wrong(format!(
                    "its storage {} should have {} elements of {} but has {} bytes",
                    quoted(storage.key),
                    storage.elements,
                    storage.dtype,
                    bytes.len()
                ))
                .into());
            }
            let layout = Layout {
                start: layout.start.checked_add(storage.view_start).ok_or("an offset overflows")?,
                ..layout
            };
            let size = layout.bytes(storage.dtype.size(), storage.elements).map_err(wrong)?;
            budget = budget.checked_sub(size).ok_or_else(|| {
                wrong("its tensors share storages so often that they would fill the memory".into())
            })?;
            checked.push((name, storage.dtype, layout, bytes));
        }
        let copied = checked.into_par_iter().map(|(name, dtype, layout, bytes)| {
            let bytes = layout::gather(&layout, dtype.size(), bytes);
            (name.to_string(), RawTensor { dtype, shape: layout.shape, bytes })
        });
        let tensors = copied.collect::<Vec<_>>().into_iter().collect();
        Ok(Contents { tensors, not_tensors: self.not_tensors })
    }
}

/// Element size of every storage in the object, the state dict's or not, by key.
pub(super) fn all_storages<'a>(pickle: &Pickle<'a>) -> Result<BTreeMap<&'a str, usize>, Fault> {
    let mut sizes = BTreeMap::new();
    for node in &pickle.nodes {
        let &Node::Persistent(id) = node else {
            continue;
        };
        let storage = storage(pickle, id).ok_or("a storage is described in an unknown way")?;
        let size = storage.dtype.size();
        if *sizes.entry(storage.key).or_insert(size) != size {
            return Err(format!("storage {} has two types", quoted(storage.key)).into());
        }
    }
    Ok(sizes)
}

fn holds_tensors(pickle: &Pickle<'_>, dict: &BTreeMap<&str, Id>) -> bool {
    dict.values().any(|&id| tensor_arguments(pickle, id).is_some())
}

/// The arguments of `_rebuild_tensor_v2`, also inside a `_rebuild_parameter`.
fn tensor_arguments<'p>(pickle: &'p Pickle<'_>, id: Id) -> Option<&'p [Id]> {
    match *pickle.node(id) {
        Node::Call(Callable::RebuildTensor, arguments) => pickle.sequence(arguments),
        Node::Call(Callable::RebuildParameter, arguments) => {
            let &inner = pickle.sequence(arguments)?.first()?;
            match *pickle.node(inner) {
                Node::Call(Callable::RebuildTensor, arguments) => pickle.sequence(arguments),
                _ => None,
            }
        }
        _ => None,
    }
}

fn place<'a>(pickle: &Pickle<'a>, arguments: &[Id]) -> Option<Placed<'a>> {
    let &[stored, start, shape, strides, ..] = arguments else {
        return None;
    };
    let &Node::Persistent(id) = pickle.node(stored) else {
        return None;
    };
    // A tuple is counted before it is copied: a file may share a huge one between many tensors.
    let few = |id| pickle.sequence(id).filter(|items| items.len() <= MAX_SIDES).map(|_| id);
    Some(Placed {
        storage: storage(pickle, id)?,
        layout: Layout {
            start: pickle.size(start)?,
            shape: pickle.sizes(few(shape)?)?,
            strides: pickle.sizes(few(strides)?)?,
        },
    })
}

/// `("storage", type, key, device, elements)`, with an optional view at the end.
fn storage<'a>(pickle: &Pickle<'a>, id: Id) -> Option<Storage<'a>> {
    let &[tag, kind, key, _, elements, ref view @ ..] = pickle.sequence(id)? else {
        return None;
    };
    let &Node::Callable(Callable::Storage(dtype)) = pickle.node(kind) else {
        return None;
    };
    if pickle.text(tag) != Some("storage") {
        return None;
    }
    let view_start = match *view {
        [] => 0,
        [view] if *pickle.node(view) == Node::None => 0,
        // (key, start, elements) of a view into the storage.
        [view] => match *pickle.sequence(view)? {
            [_, start, _] => pickle.size(start)?,
            _ => return None,
        },
        _ => return None,
    };
    Some(Storage { key: pickle.text(key)?, dtype, elements: pickle.size(elements)?, view_start })
}
